// The commands of developers that npm runs (`npm run study:boot` …): a mistake in using one is a line, not a stack trace.
import { isSystemError, UserError } from "./user-error.ts";

/** Status of a command that was called wrongly. */
const MISUSED = 2;

/** Runs a command's main function. Mistakes of its user are printed after `name`, and end it with status 2. */
export async function runScript(name: string, main: () => void | Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    if (!isMistake(error)) throw error;
    process.stderr.write(`${name}: ${error.message}\n`);
    process.exitCode = MISUSED;
  }
}

/** An error made for people, an option that does not exist, a file or program that is not there. */
export function isMistake(error: unknown): error is Error {
  if (error instanceof UserError) return true;
  return (
    isSystemError(error) && (error.code?.startsWith("ERR_PARSE_ARGS") === true || error.path !== undefined)
  );
}

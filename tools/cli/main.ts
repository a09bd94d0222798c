// The `typevisor` command: each subcommand in a file of its own, errors as one paragraph.
import { Command, CommanderError } from "commander";
import { leaveRawMode } from "../console/terminal.ts";
import { UserError } from "../lib/user-error.ts";
import { EXIT_FAILED } from "../machines/status.ts";
import { buildCommand } from "./build.ts";
import { doctorCommand } from "./doctor.ts";
import { isoCommand } from "./iso.ts";
import { replayCommand } from "./replay.ts";
import { runCommand } from "./run.ts";
import { setupCommand } from "./setup.ts";
import { traceCommand } from "./trace.ts";

/** Runs the command line and ends the process with its status. */
export async function main(argv: string[]): Promise<void> {
  const program = new Command("typevisor")
    .description("A type-1 hypervisor written in TypeScript: runs unmodified Linux guests on VT-x and AMD-V.")
    .addHelpText("after", "\nStart with `typevisor run`. Each command has its own --help.")
    .showHelpAfterError("(add --help for the options)");
  const commands = [
    runCommand(),
    traceCommand(),
    replayCommand(),
    doctorCommand(),
    buildCommand(),
    isoCommand(),
    setupCommand(),
  ];
  for (const command of commands) {
    program.addCommand(command.copyInheritedSettings(program));
  }
  exitInstead(program);
  try {
    await program.parseAsync(argv);
  } catch (error) {
    leaveRawMode();
    process.exitCode = report(error);
  }
  // Standard input may still be open; output is not lost, since the last write is awaited.
  process.stdout.write("", () => process.exit());
}

/** Makes commander throw instead of ending the process, in every subcommand. */
function exitInstead(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) exitInstead(child as Command);
}

function report(error: unknown): number {
  // commander has already said what was wrong; help and version are its successes.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_FAILED;
  if (error instanceof UserError) process.stderr.write(`typevisor: ${error.message}\n`);
  else
    process.stderr.write(
      `typevisor: a bug in these tools, please report it:\n${(error as Error)?.stack ?? error}\n`,
    );
  return EXIT_FAILED;
}

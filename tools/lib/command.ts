// Running other programs.
import { type SpawnOptions, spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { UserError } from "./user-error.ts";

export interface CommandResult {
  status: number;
  stdout: string;
  stderr: string;
}

/** Directories that hold system tools but are missing from an ordinary user's PATH on Debian. */
const SYSTEM_DIRECTORIES = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** The full path of program `name`, searched in PATH and the system directories. */
export function findProgram(name: string): string | undefined {
  const directories = [...(process.env.PATH ?? "").split(delimiter), ...SYSTEM_DIRECTORIES];
  return directories
    .filter((directory) => directory !== "")
    .map((directory) => join(directory, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Runs a program to its end, collecting its output. Rejects only when it cannot be started. */
export function capture(program: string, args: string[], options: SpawnOptions = {}): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    let stdout = "";
    let stderr = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ status: code ?? 255, stdout, stderr }));
  });
}

/**
 * Runs a program that must succeed and returns its standard output.
 * @throws UserError with the program's last words when it fails.
 */
export async function mustRun(program: string, args: string[], options: SpawnOptions = {}): Promise<string> {
  const result = await capture(program, args, options).catch((error: Error) => {
    throw new UserError(`Could not start ${program}: ${error.message}.`);
  });
  if (result.status !== 0) {
    const words = (result.stderr || result.stdout).trim().split("\n").slice(-8).join("\n");
    throw new UserError(`\`${program} ${args.join(" ")}\` failed with status ${result.status}:\n${words}`);
  }
  return result.stdout;
}

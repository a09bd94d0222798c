// Running the command line as users do: as a process, with or without a terminal.
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { ROOT } from "../../tools/lib/paths.ts";

const LAUNCHER = join(ROOT, "bin/typevisor.mjs");
/** The longest that any test waits for text on a console. */
const PATIENCE_MILLISECONDS = 100_000;

export interface Finished {
  status: number | null;
  stdout: string;
  stderr: string;
}

export interface Started {
  child: ChildProcess;
  finished: Promise<Finished>;
}

/** Starts `typevisor` with its input from a pipe. */
export function start(args: string[], environment: NodeJS.ProcessEnv = {}): Started {
  const child = spawn(process.execPath, [LAUNCHER, ...args], { env: { ...process.env, ...environment } });
  onTestFinished(() => void child.kill("SIGKILL"));
  return { child, finished: collect(child) };
}

/** Runs `typevisor` to its end. */
export function typevisor(
  args: string[],
  options: { input?: string | Uint8Array; env?: NodeJS.ProcessEnv } = {},
): Promise<Finished> {
  const { child, finished } = start(args, options.env);
  child.stdin?.end(options.input ?? "");
  return finished;
}

function collect(child: ChildProcess): Promise<Finished> {
  const result: Finished = { status: null, stdout: "", stderr: "" };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    result.stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    result.stderr += text;
  });
  return new Promise((resolve) => child.on("close", (status) => resolve({ ...result, status })));
}

/** A shell script on a pseudo-terminal of its own, made by script(1). */
export class Terminal {
  /** Everything that appeared on the terminal. */
  screen = "";
  readonly child: ChildProcess;
  readonly closed: Promise<void>;

  /** @param script runs with `$TYPEVISOR` set to the command that starts typevisor. */
  constructor(script: string) {
    this.child = spawn("script", ["-qefc", script, "/dev/null"], {
      env: { ...process.env, TYPEVISOR: `${process.execPath} ${LAUNCHER}`, SHELL: "/bin/sh" },
    });
    this.child.stdout?.setEncoding("latin1").on("data", (text: string) => {
      this.screen += text;
    });
    this.closed = new Promise((resolve) => this.child.on("close", () => resolve()));
    onTestFinished(() => void this.child.kill("SIGKILL"));
  }

  type(text: string): void {
    this.child.stdin?.write(text, "latin1");
  }

  /** Waits until `pattern` has appeared after character `from` of the screen. */
  async expect(pattern: string | RegExp, from = 0): Promise<RegExpExecArray> {
    const expression = typeof pattern === "string" ? new RegExp(escapeRegExp(pattern)) : pattern;
    const deadline = Date.now() + PATIENCE_MILLISECONDS;
    while (Date.now() < deadline) {
      const found = expression.exec(this.screen.slice(from));
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`${expression} did not appear on the terminal:\n${this.screen.slice(-2000)}`);
  }
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

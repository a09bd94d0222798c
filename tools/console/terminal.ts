// The user's terminal in raw mode, and back, however this program ends: in order, by a signal, or killed outright.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import type { Socket } from "node:net";

/** Sends what follows to the start of a line, shows the cursor and ends colours: a guest may have left them anyhow. */
const TIDY_UP = "\x1b[0m\x1b[?25h";

/**
 * A shell that outlives us: when it reads the end of its pipe (descriptor 3) instead of a line, we died without putting the
 * terminal back, and it does. It may be in the background by then, where SIGTTOU would stop it.
 */
const GUARD = "trap '' TTOU INT TERM HUP QUIT; read line <&3 || stty \"$1\"";

let raw = false;
let guard: ChildProcess | undefined;

/** Whether a person sits at standard input. */
export function isInteractive(): boolean {
  return process.stdin.isTTY === true;
}

/** Puts the terminal into raw mode: every key goes to the guest. No effect when standard input is not a terminal. */
export function enterRawMode(): void {
  if (!isInteractive() || raw) return;
  guard = startGuard();
  raw = true;
  process.stdin.setRawMode(true);
  process.once("exit", leaveRawMode);
  // A shell that stopped and continued us may have changed the terminal.
  process.on("SIGCONT", () => {
    if (raw) process.stdin.setRawMode(true);
  });
}

function startGuard(): ChildProcess | undefined {
  try {
    const settings = execFileSync("stty", ["-g"], {
      stdio: ["inherit", "pipe", "ignore"],
      encoding: "utf8",
    }).trim();
    const child = spawn("sh", ["-c", GUARD, "sh", settings], {
      stdio: ["inherit", "ignore", "ignore", "pipe"],
    });
    child.on("error", () => {});
    child.unref();
    (child.stdio[3] as Socket).on("error", () => {}).unref();
    return child;
  } catch {
    // Without stty there is no guard against SIGKILL; every other end is our own doing.
    return undefined;
  }
}

/** Puts the terminal back. */
export function leaveRawMode(): void {
  if (!raw) return;
  raw = false;
  process.stdin.setRawMode(false);
  (guard?.stdio[3] as Socket | undefined)?.end("in order\n");
  if (process.stdout.isTTY) process.stdout.write(TIDY_UP);
}

/** Prints lines to the user on standard error, whatever the terminal's mode. */
export function tellUser(lines: string[]): void {
  const end = raw ? "\r\n" : "\n";
  process.stderr.write(`${raw ? end : ""}${lines.join(end)}${end}`);
}

/** The size of the user's terminal as ROWSxCOLUMNS; undefined without a terminal that knows its own. */
export function terminalSize(): string | undefined {
  const { isTTY, rows, columns } = process.stdout;
  return isTTY && rows > 0 && columns > 0 ? `${rows}x${columns}` : undefined;
}

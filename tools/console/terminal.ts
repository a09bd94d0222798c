// The user's terminal in raw mode, and back, however this program ends. Node puts the terminal back on a normal exit and
// on SIGINT and SIGTERM; we do it earlier, so that messages at the end are printed on an orderly terminal.

/** Sends what follows to the start of a line, shows the cursor and ends colours: a guest may have left them anyhow. */
const TIDY_UP = "\x1b[0m\x1b[?25h";

let raw = false;

/** Whether a person sits at standard input. */
export function isInteractive(): boolean {
  return process.stdin.isTTY === true;
}

/** Puts the terminal into raw mode: every key goes to the guest. No effect when standard input is not a terminal. */
export function enterRawMode(): void {
  if (!isInteractive() || raw) return;
  raw = true;
  process.stdin.setRawMode(true);
  process.once("exit", leaveRawMode);
  // A shell that stopped and continued us may have changed the terminal.
  process.on("SIGCONT", () => {
    if (raw) process.stdin.setRawMode(true);
  });
}

/** Puts the terminal back. */
export function leaveRawMode(): void {
  if (!raw) return;
  raw = false;
  process.stdin.setRawMode(false);
  if (process.stdout.isTTY) process.stdout.write(TIDY_UP);
}

/** Prints lines to the user on standard error, whatever the terminal's mode. */
export function tellUser(lines: string[]): void {
  const end = raw ? "\r\n" : "\n";
  process.stderr.write(`${raw ? end : ""}${lines.join(end)}${end}`);
}

/** The size of the user's terminal as ROWSxCOLUMNS; undefined without a terminal. */
export function terminalSize(): string | undefined {
  return process.stdout.isTTY ? `${process.stdout.rows}x${process.stdout.columns}` : undefined;
}

// The user at the guest's console: keys to the guest, the guest's bytes to the terminal, nothing lost in either direction
// (a full pipe stops the reading at its other end).
import type { Duplex, Writable } from "node:stream";
import { ESCAPE_HELP, EscapeFilter } from "./escape.ts";
import { enterRawMode, isInteractive, leaveRawMode, tellUser } from "./terminal.ts";

export interface Attachment {
  /** Gives the terminal back. Call when the machine has ended. */
  detach(): void;
}

/**
 * Connects standard input and output to the guest's console. With a terminal, Ctrl-A is the escape key; without, every byte
 * goes to the guest and the end of the input changes nothing.
 * @param onQuit called when the user asks to leave.
 */
export function attachInteractive(console: Duplex, onQuit: () => void): Attachment {
  const { stdin, stdout } = process;
  const escapes = isInteractive() ? new EscapeFilter() : undefined;
  const onCommand = (command: string) => (command === "quit" ? onQuit() : tellUser(ESCAPE_HELP));
  const onTyped = (typed: Buffer) => {
    const bytes = escapes ? escapes.filter(typed, onCommand) : typed;
    if (bytes.length > 0) writeOrPause(console, bytes, stdin);
  };
  const onOutput = (bytes: Buffer) => writeOrPause(stdout, bytes, console);
  enterRawMode();
  console.on("data", onOutput);
  stdin.on("data", onTyped);
  return {
    detach: () => {
      stdin.off("data", onTyped);
      stdin.pause();
      leaveRawMode();
    },
  };
}

/** Writes; while `target` is full, stops the reading of `source`. */
export function writeOrPause(target: Writable, bytes: Uint8Array, source: NodeJS.ReadableStream): void {
  if (!target.writable || target.write(bytes)) return;
  source.pause();
  target.once("drain", () => source.resume());
}

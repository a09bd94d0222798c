// The user at the guest's console: keys to the guest, the guest's bytes to the terminal, nothing lost in either direction
// (a full pipe stops the reading at its other end).
import type { Duplex, Writable } from "node:stream";
import { ESCAPE_HELP, type EscapeCommand, EscapeFilter } from "./escape.ts";
import { enterRawMode, isInteractive, leaveRawMode, tellUser } from "./terminal.ts";

const CTRL_D = 0x04;

export interface ConsoleOptions {
  /** Called when the user asks to leave. */
  onQuit: () => void;
  /**
   * What the guest prints once it takes input. Input from a pipe waits for it, since a serial port that nobody serves
   * yet would swallow it, and the pipe's end then becomes Ctrl-D.
   */
  readyText?: string;
}

/**
 * Connects standard input and output to the guest's console. With a terminal, Ctrl-A is the escape key; without one, every
 * byte goes to the guest.
 * @returns what disconnects them and gives the terminal back.
 */
export function attachInteractive(console: Duplex, options: ConsoleOptions): () => void {
  const detachInput = isInteractive()
    ? attachKeyboard(console, options.onQuit)
    : attachPipe(console, options.readyText);
  console.on("data", (bytes: Buffer) => writeOrPause(process.stdout, bytes, console));
  return () => {
    detachInput();
    process.stdin.pause();
    leaveRawMode();
  };
}

function attachKeyboard(console: Duplex, onQuit: () => void): () => void {
  const escapes = new EscapeFilter();
  const onCommand = (command: EscapeCommand) => (command === "quit" ? onQuit() : tellUser(ESCAPE_HELP));
  const onTyped = (typed: Buffer) => {
    const bytes = escapes.filter(typed, onCommand);
    if (bytes.length > 0) writeOrPause(console, bytes, process.stdin);
  };
  enterRawMode();
  process.stdin.on("data", onTyped);
  return () => process.stdin.off("data", onTyped);
}

function attachPipe(console: Duplex, readyText: string | undefined): () => void {
  const { stdin } = process;
  const onInput = (bytes: Buffer) => writeOrPause(console, bytes, stdin);
  const onEnd = () => {
    if (readyText !== undefined && console.writable) console.write(Uint8Array.of(CTRL_D));
  };
  const start = () => {
    stdin.on("data", onInput);
    stdin.once("end", onEnd);
  };
  if (readyText === undefined) start();
  else whenSeen(console, readyText, start);
  return () => {
    stdin.off("data", onInput);
    stdin.off("end", onEnd);
  };
}

/** Calls back once, when `text` has gone by in a stream of bytes. */
function whenSeen(stream: Duplex, text: string, callback: () => void): void {
  let recent = "";
  const look = (bytes: Buffer) => {
    recent = recent.slice(-text.length) + bytes.toString("latin1");
    if (!recent.includes(text)) return;
    stream.off("data", look);
    callback();
  };
  stream.on("data", look);
}

/** Writes; while `target` is full, stops the reading of `source`. */
export function writeOrPause(target: Writable, bytes: Uint8Array, source: NodeJS.ReadableStream): void {
  if (!target.writable || target.write(bytes)) return;
  source.pause();
  target.once("drain", () => source.resume());
}

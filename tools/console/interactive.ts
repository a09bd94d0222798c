// The user at the guest's console: keys to the guest, the guest's bytes to the terminal, nothing lost in either direction
// (a full pipe stops the reading at its other end).
import type { Duplex, Writable } from "node:stream";
import { ESCAPE_HELP, type EscapeCommand, EscapeFilter, escapeForMonitor } from "./escape.ts";
import { enterRawMode, isInteractive, leaveRawMode, tellUser } from "./terminal.ts";

const CTRL_D = 0x04;
/** How long the console says nothing at a prompt that waits. */
const QUIET_MILLISECONDS = 200;
/** Characters of output that are kept to find a prompt in. */
const RECENT = 200;

export interface ConsoleOptions {
  /** Called when the user asks to leave. */
  onQuit: () => void;
  /** The hypervisor is between us and the guest. */
  hasMonitor: boolean;
  /**
   * What a prompt looks like at the end of the guest's output. Input from a pipe waits for the first, since a serial port
   * that nobody serves yet would swallow it; and the pipe's end becomes Ctrl-D at the prompt that comes after it.
   */
  prompt?: RegExp;
}

/**
 * Connects standard input and output to the guest's console. With a terminal, Ctrl-A is the escape key; without one, every
 * byte goes to the guest.
 * @returns what disconnects them and gives the terminal back.
 */
export function attachInteractive(console: Duplex, options: ConsoleOptions): () => void {
  const detachInput = isInteractive() ? attachKeyboard(console, options) : attachPipe(console, options);
  console.on("data", (bytes: Buffer) => writeOrPause(process.stdout, bytes, console));
  return () => {
    detachInput();
    process.stdin.pause();
    leaveRawMode();
  };
}

function attachKeyboard(console: Duplex, { onQuit, hasMonitor }: ConsoleOptions): () => void {
  const escapes = new EscapeFilter(hasMonitor);
  const onCommand = (command: EscapeCommand) => (command === "quit" ? onQuit() : tellUser(ESCAPE_HELP));
  const onTyped = (typed: Buffer) => {
    const bytes = escapes.filter(typed, onCommand);
    if (bytes.length > 0) writeOrPause(console, bytes, process.stdin);
  };
  enterRawMode();
  process.stdin.on("data", onTyped);
  return () => process.stdin.off("data", onTyped);
}

function attachPipe(console: Duplex, { prompt, hasMonitor }: ConsoleOptions): () => void {
  const { stdin } = process;
  const forGuest = (bytes: Uint8Array) => (hasMonitor ? escapeForMonitor(bytes) : bytes);
  const onInput = (bytes: Buffer) => writeOrPause(console, forGuest(bytes), stdin);
  const start = () => stdin.on("data", onInput);
  const forget = prompt === undefined ? undefined : watchPrompt(console, prompt, start);
  if (forget === undefined) start();
  return () => {
    forget?.();
    stdin.off("data", onInput);
  };
}

/** Starts the input at the first prompt; after the input's end, answers a prompt with Ctrl-D. @returns what ends this. */
function watchPrompt(console: Duplex, prompt: RegExp, start: () => void): () => void {
  let recent = "";
  let started = false;
  let ended = false;
  let quiet: NodeJS.Timeout | undefined;
  const look = () => {
    if (!prompt.test(recent)) return;
    if (!started) start();
    else if (ended && console.writable) console.write(Uint8Array.of(CTRL_D));
    started = true;
  };
  // Only a prompt that stays is one: what looks like it may be part of the output.
  const schedule = () => {
    clearTimeout(quiet);
    quiet = setTimeout(look, QUIET_MILLISECONDS);
  };
  const onOutput = (bytes: Buffer) => {
    recent = (recent + bytes.toString("latin1")).slice(-RECENT);
    schedule();
  };
  console.on("data", onOutput);
  process.stdin.once("end", () => {
    ended = true;
    schedule();
  });
  return () => {
    console.off("data", onOutput);
    clearTimeout(quiet);
  };
}

/** Writes; while `target` is full, stops the reading of `source`. */
export function writeOrPause(target: Writable, bytes: Uint8Array, source: NodeJS.ReadableStream): void {
  if (!target.writable || target.write(bytes)) return;
  source.pause();
  target.once("drain", () => source.resume());
}

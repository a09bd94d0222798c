// The hypervisor's log as it arrives on COM2: to a file or the terminal, its end kept for reports.
import { closeSync, openSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { systemErrorText, UserError } from "../lib/user-error.ts";
import { HypervisorStatus } from "./status.ts";

const KEPT_LINES = 100;

/** What the log says about exits: nothing, counts and times when a VM ends, or each exit as well. */
export const EXIT_LOG_LEVELS = ["off", "summary", "exits"] as const;
export type ExitLogLevel = (typeof EXIT_LOG_LEVELS)[number];

/** Whether a line of the log is about exits: the hypervisor writes those at any log level. */
export function isExitLine(line: string): boolean {
  return /^typevisor: exits? /.test(line);
}

export interface HypervisorLog {
  status: HypervisorStatus;
  /** The last lines. */
  tail: string[];
  /** Resolves when the stream has ended. */
  ended: Promise<void>;
}

/** Reads a log stream to its end, handing each line to `onLine`. */
export function readLog(stream: Readable, onLine: (line: string) => void): HypervisorLog {
  const status = new HypervisorStatus();
  const tail: string[] = [];
  const lines = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY });
  lines.on("line", (line) => {
    status.take(line);
    tail.push(line);
    if (tail.length > KEPT_LINES) tail.shift();
    onLine(line);
  });
  // A connection that the emulator's death resets closes without an end, which is all that `lines` waits for.
  lines.on("error", () => {});
  stream.once("close", () => lines.close());
  return { status, tail, ended: new Promise((resolve) => lines.once("close", resolve)) };
}

/** A function that appends lines to the file at `path`. @throws UserError when it cannot be written. */
export function logFile(path: string): { write: (line: string) => void; close: () => void } {
  try {
    const descriptor = openSync(path, "w");
    return { write: (line) => void writeSync(descriptor, `${line}\n`), close: () => closeSync(descriptor) };
  } catch (error) {
    throw new UserError(`--log-file ${path}: cannot write this file: ${systemErrorText(error)}.`);
  }
}

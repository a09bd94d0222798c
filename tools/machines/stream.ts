// Takes the frames out of the stream that a machine sends, beside or between the lines of its log.
import { PassThrough, type Readable } from "node:stream";
import { systemErrorText } from "../lib/user-error.ts";
import { type Frame, FrameSplitter, TraceError } from "../trace/frames.ts";
import type { RunningMachine } from "./machine.ts";

export abstract class StreamRecorder {
  /** Why the recording ended early; everything before was taken. */
  protected damage?: string;
  private readonly splitter = new FrameSplitter((text) => this.onText(text));
  private onText: (text: Buffer) => void = () => {};

  /**
   * Records what a machine sends from now on.
   * @returns the log, free of frames, and the end of the recording.
   */
  attach(running: RunningMachine): { log: Readable; ended: Promise<void> } {
    const source = running.trace ?? running.log;
    const ended = new Promise<void>((resolve) => source.once("close", resolve));
    source.on("data", (piece: Buffer) => this.push(piece));
    if (running.trace !== undefined) return { log: running.log, ended };
    const log = new PassThrough();
    this.onText = (text) => log.write(text);
    source.once("close", () => log.end());
    return { log, ended };
  }

  /** Takes a piece of the stream. */
  push(piece: Buffer): void {
    if (this.damage !== undefined) {
      this.onText(printable(piece));
      return;
    }
    try {
      for (const frame of this.splitter.push(piece)) this.take(frame);
    } catch (error) {
      if (error instanceof TraceError) this.damage = error.message;
      else if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      else this.damage = `cannot write: ${systemErrorText(error)}`;
    }
  }

  /** Takes one frame; what it holds is valid until it returns. */
  protected abstract take(frame: Frame): void;
}

/** What is left of a damaged stream may still hold lines of the log. */
function printable(piece: Buffer): Buffer {
  return piece.filter((byte) => byte >= 9 && byte < 0x7f) as Buffer;
}

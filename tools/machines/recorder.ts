// Records the trace of a run: the frames of the stream that carries them go to a file as they come, the log's text goes on.
import { closeSync, openSync, writeSync } from "node:fs";
import { PassThrough, type Readable } from "node:stream";
import { TRACE_FRAME_END, TRACE_FRAME_EXITS, TRACE_FRAME_LOST } from "../../kernel/abi/trace.ts";
import { formatSize } from "../lib/size.ts";
import { systemErrorText, UserError } from "../lib/user-error.ts";
import { type Frame, FrameSplitter, TraceError } from "../trace/frames.ts";
import type { RunningMachine } from "./machine.ts";

/** Offset of the record count in an exits frame, and of the lost ones in the frame about them. */
const EXITS_COUNT_AT = 4;
const LOST_COUNT_AT = 8;

/** What a recording amounts to. */
export interface Recorded {
  exits: number;
  lost: number;
  bytes: number;
  /** Whether the hypervisor came to the end of the trace. */
  complete: boolean;
  /** Why the recording ended early; the file holds everything before. */
  damage?: string;
}

export class TraceRecorder {
  private readonly recorded: Recorded = { exits: 0, lost: 0, bytes: 0, complete: false };
  private readonly splitter: FrameSplitter;
  private readonly descriptor: number;

  private onText: (text: Buffer) => void = () => {};

  /** Creates the file at `path`. @throws UserError when it cannot be written. */
  constructor(readonly path: string) {
    try {
      this.descriptor = openSync(path, "w");
    } catch (error) {
      throw new UserError(`--trace ${path}: cannot write this file: ${systemErrorText(error)}.`);
    }
    this.splitter = new FrameSplitter((text) => this.onText(text));
  }

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
    if (this.recorded.damage !== undefined) {
      this.onText(printable(piece));
      return;
    }
    try {
      for (const frame of this.splitter.push(piece)) this.take(frame);
    } catch (error) {
      if (error instanceof TraceError) this.recorded.damage = error.message;
      else if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      else this.recorded.damage = `cannot write: ${systemErrorText(error)}`;
    }
  }

  /** Ends the recording. */
  close(): Recorded {
    closeSync(this.descriptor);
    return this.recorded;
  }

  private take(frame: Frame): void {
    const { recorded } = this;
    for (let at = 0; at < frame.bytes.length; ) at += writeSync(this.descriptor, frame.bytes, at);
    recorded.bytes += frame.bytes.length;
    if (frame.type === TRACE_FRAME_EXITS) recorded.exits += frame.payload.readUInt32LE(EXITS_COUNT_AT);
    else if (frame.type === TRACE_FRAME_LOST) {
      recorded.lost += Number(frame.payload.readBigUInt64LE(LOST_COUNT_AT));
    } else if (frame.type === TRACE_FRAME_END) recorded.complete = true;
  }
}

/** What is left of a damaged stream may still hold lines of the log. */
function printable(piece: Buffer): Buffer {
  return piece.filter((byte) => byte >= 9 && byte < 0x7f) as Buffer;
}

/** What to tell people about a recording; `important` even when only warnings are wanted. */
export function describeRecording(path: string, recorded: Recorded): { text: string; important: boolean } {
  const { exits, lost, bytes, complete, damage } = recorded;
  const parts = [`Trace ${path}: ${exits} exits, ${formatSize(bytes)}.`];
  if (lost > 0) {
    parts.push(
      `${lost} exits are missing: they came faster than the port carries them. Use --trace-filter to record fewer.`,
    );
  }
  if (damage !== undefined) parts.push(`The recording ended early: ${damage}.`);
  else if (!complete) parts.push("The run was ended from outside: the last exits are not in it.");
  return { text: parts.join(" "), important: lost > 0 || damage !== undefined };
}

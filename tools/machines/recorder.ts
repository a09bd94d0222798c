// Records the trace of a run: the frames of the stream that carries them go to a file as they come, the log's text goes on.
import { closeSync, openSync, writeSync } from "node:fs";
import {
  TRACE_FRAME_CUT,
  TRACE_FRAME_END,
  TRACE_FRAME_EXITS,
  TRACE_FRAME_LOST,
} from "../../kernel/abi/trace.ts";
import { formatSize } from "../lib/size.ts";
import { systemErrorText, UserError } from "../lib/user-error.ts";
import { type Frame, makeFrame } from "../trace/frames.ts";
import { StreamRecorder } from "./stream.ts";

/** Offset of the record count in an exits frame, and of the lost ones in the frame about them. */
const EXITS_COUNT_AT = 4;
const LOST_COUNT_AT = 8;

/** What to tell people about a recording; `important` even when only warnings are wanted. */
export interface Report {
  text: string;
  important: boolean;
}

/** What a trace amounts to. */
export interface Recorded {
  exits: number;
  lost: number;
  bytes: number;
  /** Whether the hypervisor came to the end of the trace. */
  complete: boolean;
  /** Why the recording ended early; the file holds everything before. */
  damage?: string;
}

export class TraceRecorder extends StreamRecorder {
  private readonly recorded: Recorded = { exits: 0, lost: 0, bytes: 0, complete: false };
  private readonly descriptor: number;
  private frames = 0;

  /** Creates the file at `path`. @throws UserError when it cannot be written. */
  constructor(readonly path: string) {
    super();
    try {
      this.descriptor = openSync(path, "w");
    } catch (error) {
      throw new UserError(`--trace ${path}: cannot write this file: ${systemErrorText(error)}.`);
    }
  }

  /** Ends the trace, by a frame that says so if the hypervisor did not. */
  close(): Recorded {
    const { complete } = this.recorded;
    if (!complete && this.damage === undefined && this.frames > 0) {
      this.write(makeFrame(TRACE_FRAME_CUT, this.frames, Buffer.alloc(0)));
    }
    closeSync(this.descriptor);
    return { ...this.recorded, damage: this.damage };
  }

  protected take(frame: Frame): void {
    const { recorded } = this;
    this.write(frame.bytes);
    this.frames++;
    if (frame.type === TRACE_FRAME_EXITS) recorded.exits += frame.payload.readUInt32LE(EXITS_COUNT_AT);
    else if (frame.type === TRACE_FRAME_LOST) {
      recorded.lost += Number(frame.payload.readBigUInt64LE(LOST_COUNT_AT));
    } else if (frame.type === TRACE_FRAME_END) recorded.complete = true;
  }

  private write(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.descriptor, bytes, at);
    this.recorded.bytes += bytes.length;
  }
}

/** What to tell people about a trace. */
export function describeRecording(path: string, recorded: Recorded): Report {
  const { exits, lost, bytes, complete, damage } = recorded;
  const parts = [`Trace ${path}: ${exits} exits, ${formatSize(bytes)}.`];
  if (lost > 0) {
    parts.push(
      `${lost} exits are missing: they came faster than the port carries them. Use --trace-filter to record fewer.`,
    );
  }
  if (damage !== undefined) parts.push(`The recording ended early: ${damage}.`);
  else if (!complete) parts.push("The run was ended from outside: exits of its last moments may be missing.");
  return { text: parts.join(" "), important: lost > 0 || damage !== undefined };
}

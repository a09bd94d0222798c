// Reads a trace: frames to events, streamed. What was read before a damaged place is delivered; the damage comes last.
import { createReadStream } from "node:fs";
import { RECORDING_FRAME_FILE } from "../../kernel/abi/recording.ts";
import {
  TRACE_BACKEND_SVM,
  TRACE_BACKEND_VMX,
  TRACE_FILTER_RANGES,
  TRACE_FILTER_REASONS,
  TRACE_FRAME_CUT,
  TRACE_FRAME_END,
  TRACE_FRAME_EXITS,
  TRACE_FRAME_FILTER,
  TRACE_FRAME_LOST,
  TRACE_FRAME_OVERHEAD,
  TRACE_FRAME_START,
} from "../../kernel/abi/trace.ts";
import { type Frame, FrameSplitter, TraceError } from "./frames.ts";
import { ExitRecord } from "./record.ts";

/** What the first frame says of the machine. */
export interface TraceStart {
  tscHz: number;
  tsc: number;
  backend: "vmx" | "svm";
  cpus: number;
  vms: number;
}

/** What the hypervisor recorded from some place of the trace on; absent fields let everything pass. */
export interface RecordedFilter {
  vm?: number;
  vcpu?: number;
  /** Every Nth of what passes all else; 1: all of it. */
  every: number;
  /** Empty: any. */
  reasons: number[];
  ranges: { name: "rip" | "port" | "msr" | "leaf"; first: bigint; last: bigint }[];
}

/** Who listens to a trace. The record given to `exit` is reused: copy what must last. */
export interface TraceVisitor {
  start?(start: TraceStart): void;
  exit?(record: ExitRecord, cpu: number): void;
  lost?(cpu: number, records: number): void;
  /** What passes from here on; without this, everything. */
  filter?(filter: RecordedFilter): void;
  /** Ticks spent on recording so far. */
  overhead?(cpu: number, ticks: number): void;
  end?(taken: number, lost: number): void;
  /** In its place: the run was ended from outside. */
  cut?(): void;
  /** Log lines between the frames. */
  text?(text: Buffer): void;
}

/** Told how far a file has been read; reading goes on when a promise that it returns has resolved. */
export type Progress = (bytes: number) => void | Promise<void>;

/** A visitor throws this when it needs no more of the trace. */
export class EnoughRead extends Error {}

/**
 * Reads a trace file from beginning to end.
 * @returns null, or the error that ended the reading early (everything before it was delivered).
 */
export async function readTrace(
  path: string,
  visitor: TraceVisitor,
  progress: Progress = () => {},
): Promise<TraceError | null> {
  const splitter = new FrameSplitter((text) => visitor.text?.(text));
  const decoder = new FrameDecoder(visitor);
  let bytes = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
      for (const frame of splitter.push(chunk as Buffer)) decoder.frame(frame);
      bytes += (chunk as Buffer).length;
      await progress(bytes);
    }
    splitter.end();
    decoder.end(bytes);
    return null;
  } catch (error) {
    if (error instanceof TraceError) return error;
    if (error instanceof EnoughRead) return null;
    throw error;
  }
}

/** Turns frames into calls of a visitor. */
export class FrameDecoder {
  private readonly record = new ExitRecord();
  private started = false;

  constructor(private readonly visitor: TraceVisitor) {}

  frame(frame: Frame): void {
    if (!this.started && frame.type === RECORDING_FRAME_FILE) {
      throw new TraceError(frame.offset, "this is a recording, not a trace; `typevisor replay` runs it");
    }
    if (!this.started && frame.type !== TRACE_FRAME_START) {
      throw new TraceError(
        frame.offset,
        "the first frame is not a start frame: the beginning of the trace is missing",
      );
    }
    switch (frame.type) {
      case TRACE_FRAME_START:
        this.start(frame);
        break;
      case TRACE_FRAME_EXITS:
        this.exits(frame);
        break;
      case TRACE_FRAME_LOST:
        this.visitor.lost?.(sized(frame, 16).readUInt32LE(0), wide(frame, 8));
        break;
      case TRACE_FRAME_OVERHEAD:
        this.visitor.overhead?.(sized(frame, 16).readUInt32LE(0), wide(frame, 8));
        break;
      case TRACE_FRAME_FILTER:
        this.visitor.filter?.(decodeFilter(frame));
        break;
      case TRACE_FRAME_END:
        this.visitor.end?.(wide(frame, 8, 24), wide(frame, 16, 24));
        break;
      case TRACE_FRAME_CUT:
        this.visitor.cut?.();
        break;
      default:
        throw new TraceError(frame.offset, `frame of unknown type ${frame.type}`);
    }
  }

  /** Ends the trace: an empty one is an error. */
  end(bytes: number): void {
    if (!this.started)
      throw new TraceError(bytes, "no frame at all: this is not a Typevisor trace, or nothing was traced");
  }

  private start(frame: Frame): void {
    const payload = sized(frame, 32);
    const backend = payload.readUInt32LE(16);
    if (backend !== TRACE_BACKEND_VMX && backend !== TRACE_BACKEND_SVM) {
      throw new TraceError(frame.offset, `unknown backend ${backend} in the start frame`);
    }
    this.started = true;
    this.visitor.start?.({
      tscHz: wide(frame, 0),
      tsc: wide(frame, 8),
      backend: backend === TRACE_BACKEND_VMX ? "vmx" : "svm",
      cpus: payload.readUInt32LE(20),
      vms: payload.readUInt32LE(24),
    });
  }

  private exits(frame: Frame): void {
    const payload = sized(frame, 8);
    const cpu = payload.readUInt32LE(0);
    const records = payload.readUInt32LE(4);
    this.record.start(payload, 8);
    for (let i = 0; i < records; i++) {
      if (!this.record.next()) {
        throw new TraceError(frame.offset, `record ${i} of ${records} in this frame cannot be decoded`);
      }
      this.visitor.exit?.(this.record, cpu);
    }
    if (this.record.position !== payload.length) {
      throw new TraceError(
        frame.offset,
        `${payload.length - this.record.position} bytes too many in this frame`,
      );
    }
  }
}

/** All ones: no limit. */
const ANY = 0xffff_ffff;
const NO_LIMIT = 2n ** 64n - 1n;
const RANGE_NAMES = ["rip", "port", "msr", "leaf"] as const;
const RANGE_BYTES = 16;

function decodeFilter(frame: Frame): RecordedFilter {
  const count = sized(frame, TRACE_FILTER_REASONS).readUInt32LE(12);
  const payload = sized(frame, TRACE_FILTER_REASONS + 4 * count);
  const [vm, vcpu] = [payload.readUInt32LE(0), payload.readUInt32LE(4)];
  const ranges = RANGE_NAMES.map((name, i) => {
    const at = TRACE_FILTER_RANGES + i * RANGE_BYTES;
    return { name, first: payload.readBigUInt64LE(at), last: payload.readBigUInt64LE(at + 8) };
  });
  return {
    ...(vm === ANY ? {} : { vm }),
    ...(vcpu === ANY ? {} : { vcpu }),
    every: Math.max(payload.readUInt32LE(8), 1),
    reasons: Array.from({ length: count }, (_, i) => payload.readUInt32LE(TRACE_FILTER_REASONS + 4 * i)),
    ranges: ranges.filter(({ first, last }) => first !== 0n || last !== NO_LIMIT),
  };
}

function sized(frame: Frame, bytes: number): Buffer {
  if (frame.payload.length < bytes) {
    throw new TraceError(
      frame.offset,
      `frame of type ${frame.type} with ${frame.payload.length} bytes, at least ${bytes} expected`,
    );
  }
  return frame.payload;
}

function wide(frame: Frame, at: number, bytes: number = at + 8): number {
  return Number(sized(frame, bytes).readBigUInt64LE(at));
}

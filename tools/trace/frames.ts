// Splits a trace stream (kernel/abi/trace.ts) into frames, in bounded memory. The stream may hold log lines between
// frames; whatever else is out of place ends the reading with an error that names the byte offset.
import { crc32 } from "node:zlib";
import {
  TRACE_CRC_BYTES,
  TRACE_HEADER_BYTES,
  TRACE_MAGIC_0,
  TRACE_MAGIC_1,
  TRACE_MAGIC_2,
  TRACE_MAGIC_3,
  TRACE_MAX_PAYLOAD,
  TRACE_VERSION,
} from "../../kernel/abi/trace.ts";

/** One frame whose checksum is right. `payload` and `bytes` are valid until the next frame is asked for. */
export interface Frame {
  type: number;
  sequence: number;
  /** Offset of the frame's first byte in the stream. */
  offset: number;
  payload: Buffer;
  /** The whole frame, from its first byte to the checksum. */
  bytes: Buffer;
}

/** The bytes of one frame. */
export function makeFrame(type: number, sequence: number, payload: Uint8Array): Buffer {
  const frame = Buffer.alloc(TRACE_HEADER_BYTES + payload.length + TRACE_CRC_BYTES);
  frame.set([TRACE_MAGIC_0, TRACE_MAGIC_1, TRACE_MAGIC_2, TRACE_MAGIC_3, type, TRACE_VERSION]);
  frame.writeUInt16LE(payload.length, 6);
  frame.writeUInt32LE(sequence, 8);
  frame.set(payload, TRACE_HEADER_BYTES);
  const end = TRACE_HEADER_BYTES + payload.length;
  frame.writeUInt32LE(crc32(frame.subarray(4, end)), end);
  return frame;
}

/** A trace that cannot be read further; everything before `offset` was read. */
export class TraceError extends Error {
  constructor(
    readonly offset: number,
    what: string,
  ) {
    super(`byte ${offset}: ${what}`);
  }
}

const NEITHER = "neither log text nor the start of a frame: this is not a Typevisor trace, or it is damaged";
const MAGIC = Buffer.from([TRACE_MAGIC_0, TRACE_MAGIC_1, TRACE_MAGIC_2, TRACE_MAGIC_3]);

/** Bytes given to the splitter come out as frames and as text (log lines between frames). */
export class FrameSplitter {
  private rest: Buffer = Buffer.alloc(0);
  /** Offset in the stream of the first byte of `rest`. */
  private offset = 0;
  private sequence = 0;

  constructor(private readonly onText: (text: Buffer) => void = () => {}) {}

  /** Takes more of the stream and yields the frames that are complete now. Throws TraceError. */
  *push(chunk: Buffer): Generator<Frame> {
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    for (;;) {
      this.skipText();
      const length = this.frameLength();
      if (length === 0 || this.rest.length < length) return;
      yield this.take(length);
    }
  }

  /** Ends the stream: throws if it stops inside a frame. */
  end(): void {
    if (this.rest.length > 0) {
      throw new TraceError(
        this.offset,
        `the trace ends inside a frame (${this.rest.length} bytes of it are there): the recording was cut short`,
      );
    }
  }

  private skipText(): void {
    const start = this.rest.indexOf(MAGIC[0] as number);
    const text = start < 0 ? this.rest.length : start;
    if (text > 0) {
      const foreign = this.rest.subarray(0, text).findIndex((byte) => byte < 9 || byte > 0x7e);
      if (foreign >= 0) throw new TraceError(this.offset + foreign, NEITHER);
      this.onText(this.rest.subarray(0, text));
      this.advance(text);
    }
  }

  /** Bytes of the frame at the front, 0 while its header is incomplete. */
  private frameLength(): number {
    const known = Math.min(this.rest.length, MAGIC.length);
    if (!this.rest.subarray(0, known).equals(MAGIC.subarray(0, known))) {
      throw new TraceError(this.offset, NEITHER);
    }
    if (this.rest.length < TRACE_HEADER_BYTES) return 0;
    const version = this.rest.readUInt8(5);
    if (version > TRACE_VERSION) {
      throw new TraceError(
        this.offset,
        `frame of version ${version}; this program knows versions up to ${TRACE_VERSION}: use a newer Typevisor to read it`,
      );
    }
    const payload = this.rest.readUInt16LE(6);
    if (payload > TRACE_MAX_PAYLOAD) {
      throw new TraceError(
        this.offset,
        `frame of ${payload} bytes, more than the format's ${TRACE_MAX_PAYLOAD}: the trace is damaged`,
      );
    }
    return TRACE_HEADER_BYTES + payload + TRACE_CRC_BYTES;
  }

  private take(length: number): Frame {
    const end = length - TRACE_CRC_BYTES;
    const offset = this.offset;
    if (crc32(this.rest.subarray(4, end)) !== this.rest.readUInt32LE(end)) {
      throw new TraceError(offset, "the frame's checksum is wrong: the trace is damaged here");
    }
    const sequence = this.rest.readUInt32LE(8);
    if (sequence !== this.sequence) {
      throw new TraceError(
        offset,
        `frame ${sequence} where frame ${this.sequence} was expected: part of the trace is missing`,
      );
    }
    this.sequence = (sequence + 1) >>> 0;
    const frame = {
      type: this.rest.readUInt8(4),
      sequence,
      offset,
      payload: this.rest.subarray(TRACE_HEADER_BYTES, end),
      bytes: this.rest.subarray(0, length),
    };
    this.advance(length);
    return frame;
  }

  private advance(bytes: number): void {
    this.rest = this.rest.subarray(bytes);
    this.offset += bytes;
  }
}

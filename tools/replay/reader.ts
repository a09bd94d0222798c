// Reads the file of a recording. What comes before a damaged place is delivered; the damage comes with it.
import { readFileSync } from "node:fs";
import {
  RECORDING_FRAME_FILE,
  RECORDING_FRAME_GLOBALS,
  RECORDING_FRAME_LOG,
  RECORDING_FRAME_MEMORY,
  RECORDING_FRAME_MODULE,
  RECORDING_FRAME_WINDOW,
  WINDOW_WORDS,
} from "../../kernel/abi/recording.ts";
import { TRACE_BACKEND_SVM, TRACE_BACKEND_VMX, TRACE_FRAME_START } from "../../kernel/abi/trace.ts";
import { systemErrorText, UserError } from "../lib/user-error.ts";
import { type Frame, FrameSplitter, TraceError } from "../trace/frames.ts";
import {
  FILE_FORMAT,
  FILE_HEADER,
  type FileHeader,
  type KernelModule,
  moduleHash,
  unpackModule,
} from "./file.ts";

/** The hypervisor's state between two entries, and what its code asked and was told from then on. */
export interface Window {
  /** Number of the first exit. */
  firstExit: number;
  vcpu: number;
  cpuBase: number;
  bootLayout: bigint;
  memoryBytes: number;
  /** The recorder's own state in linear memory. */
  recorder: { start: number; bytes: number };
  tscHz: number;
  tsc: number;
  backend: "vmx" | "svm";
  memory: { address: number; bytes: Buffer }[];
  globals: bigint[];
  log: Buffer;
}

export interface Recording {
  header: FileHeader;
  module: KernelModule;
  windows: Window[];
  /** What ended the reading early. */
  error?: TraceError;
}

/** @throws UserError when the file is none, or nothing of it can be used. */
export function readRecording(path: string): Recording {
  const reader = new RecordingReader(path);
  const error = reader.read(load(path));
  return reader.finish(error);
}

function load(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UserError(`${path}: cannot read this file: ${systemErrorText(error)}.`);
  }
}

class RecordingReader {
  private header?: FileHeader;
  private readonly packed: Buffer[] = [];
  private readonly windows: Window[] = [];
  private readonly logs: Buffer[][] = [];

  constructor(private readonly path: string) {}

  read(bytes: Buffer): TraceError | undefined {
    const splitter = new FrameSplitter();
    try {
      for (const frame of splitter.push(bytes)) this.frame(frame);
      splitter.end();
      return undefined;
    } catch (error) {
      if (error instanceof TraceError) return error;
      throw error;
    }
  }

  finish(error: TraceError | undefined): Recording {
    const { header, windows } = this;
    const because = error === undefined ? "" : `: ${error.message}`;
    if (header === undefined) throw this.unusable(`this is not a Typevisor recording${because}`);
    if (windows.length === 0) throw this.unusable(`it holds no window${because || ": nothing was recorded"}`);
    this.logs.forEach((pieces, i) => {
      (windows[i] as Window).log = Buffer.concat(pieces);
    });
    return { header, module: this.module(header), windows, error };
  }

  private module(header: FileHeader): KernelModule {
    let module: KernelModule;
    try {
      module = unpackModule(this.packed);
    } catch {
      throw this.unusable("the WebAssembly module in it cannot be unpacked");
    }
    if (moduleHash(module.wasm) !== header.module) {
      throw this.unusable("the WebAssembly module in it is not the one that it was recorded with");
    }
    return module;
  }

  private unusable(what: string): UserError {
    return new UserError(`${this.path}: ${what}.`);
  }

  private frame(frame: Frame): void {
    if (this.header === undefined) {
      this.header = this.readHeader(frame);
      return;
    }
    const window = this.windows.at(-1);
    if (frame.type === RECORDING_FRAME_MODULE) this.packed.push(frame.payload);
    else if (frame.type === RECORDING_FRAME_WINDOW) {
      this.windows.push(readWindow(frame));
      this.logs.push([]);
    } else if (window === undefined)
      throw new TraceError(frame.offset, `frame of type ${frame.type} before any window`);
    else if (frame.type === RECORDING_FRAME_MEMORY) window.memory.push(readMemory(frame, window));
    else if (frame.type === RECORDING_FRAME_GLOBALS) readGlobals(frame, window);
    else if (frame.type === RECORDING_FRAME_LOG) this.logs.at(-1)?.push(frame.payload);
    else throw new TraceError(frame.offset, `frame of unknown type ${frame.type}`);
  }

  private readHeader(frame: Frame): FileHeader {
    if (frame.type === TRACE_FRAME_START) {
      throw this.unusable("this is a trace, not a recording; `typevisor trace` shows it");
    }
    if (frame.type !== RECORDING_FRAME_FILE) throw this.unusable("the first frame is not a recording's");
    let json: unknown;
    try {
      json = JSON.parse(frame.payload.toString("utf8"));
    } catch {
      throw this.unusable("its first frame is not JSON");
    }
    const { format } = (json ?? {}) as { format?: unknown };
    if (typeof format === "number" && format > FILE_FORMAT) {
      throw this.unusable(
        `its format is ${format}; this program knows formats up to ${FILE_FORMAT}. Use a newer Typevisor to replay it`,
      );
    }
    const header = FILE_HEADER.safeParse(json);
    if (!header.success) throw this.unusable("its first frame does not describe a recording");
    return header.data;
  }
}

function readWindow(frame: Frame): Window {
  if (frame.payload.length !== WINDOW_WORDS * 8) {
    throw new TraceError(
      frame.offset,
      `a window's first frame has ${frame.payload.length} bytes, not ${WINDOW_WORDS * 8}`,
    );
  }
  const word = (index: number) => frame.payload.readBigUInt64LE(8 * index);
  const number = (index: number) => Number(word(index));
  const backend = number(9);
  if (backend !== TRACE_BACKEND_VMX && backend !== TRACE_BACKEND_SVM) {
    throw new TraceError(frame.offset, `unknown backend ${backend} in a window's first frame`);
  }
  return {
    firstExit: number(0),
    vcpu: number(1),
    cpuBase: number(2),
    bootLayout: word(3),
    memoryBytes: number(4),
    recorder: { start: number(5), bytes: number(6) },
    tscHz: number(7),
    tsc: number(8),
    backend: backend === TRACE_BACKEND_VMX ? "vmx" : "svm",
    memory: [],
    globals: new Array<bigint>(number(10)).fill(0n),
    log: Buffer.alloc(0),
  };
}

function readMemory({ payload, offset }: Frame, window: Window): { address: number; bytes: Buffer } {
  if (payload.length < 4) throw new TraceError(offset, "a frame of memory without an address");
  const address = payload.readUInt32LE(0);
  if (address + payload.length - 4 > window.memoryBytes) {
    throw new TraceError(offset, `memory at 0x${address.toString(16)}, beyond the hypervisor's`);
  }
  return { address, bytes: payload.subarray(4) };
}

function readGlobals({ payload, offset }: Frame, window: Window): void {
  const first = payload.length < 8 ? 0 : payload.readUInt32LE(0);
  const count = (payload.length - 8) / 8;
  if (!Number.isInteger(count) || count < 1 || first + count > window.globals.length) {
    throw new TraceError(offset, "a frame of globals that the module does not have");
  }
  for (let i = 0; i < count; i++) window.globals[first + i] = payload.readBigUInt64LE(8 + 8 * i);
}

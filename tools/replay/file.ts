// The file of a recording: the frames of its windows (kernel/abi/recording.ts) behind two kinds of its own, which hold the
// WebAssembly module that the recorded code was made from. So a file is all that a replay needs.
import { createHash } from "node:crypto";
import { deflateSync, inflateSync } from "node:zlib";
import * as z from "zod";
import { RECORDING_FRAME_FILE, RECORDING_FRAME_MODULE } from "../../kernel/abi/recording.ts";
import { TRACE_MAX_PAYLOAD } from "../../kernel/abi/trace.ts";
import { makeFrame } from "../trace/frames.ts";

/** Readers refuse a file whose format is higher; it rises when the meaning of something in it changes. */
export const FILE_FORMAT = 1;

/** The JSON of the first frame. */
export const FILE_HEADER = z.object({
  format: z.number().int(),
  /** Version of Typevisor, and its commit if it was known. */
  version: z.string(),
  commit: z.string().optional(),
  /** SHA-256 of the WebAssembly module. */
  module: z.string(),
  /** Names of the intrinsics by their event number. */
  intrinsics: z.array(z.string()),
});
export type FileHeader = z.infer<typeof FILE_HEADER>;

export interface KernelModule {
  wasm: Buffer;
  /** Source map (JSON text), with the sources. */
  map: string;
}

export function moduleHash(wasm: Uint8Array): string {
  return createHash("sha256").update(wasm).digest("hex");
}

/** A whole file. `windows`: type and payload of each frame. */
export function makeFile(
  header: FileHeader,
  module: KernelModule,
  windows: Iterable<{ type: number; payload: Uint8Array }>,
): Buffer {
  const frames: Buffer[] = [];
  const add = (type: number, payload: Uint8Array) => frames.push(makeFrame(type, frames.length, payload));
  add(RECORDING_FRAME_FILE, Buffer.from(JSON.stringify(header)));
  const packed = packModule(module);
  for (let at = 0; at < packed.length; at += TRACE_MAX_PAYLOAD) {
    add(RECORDING_FRAME_MODULE, packed.subarray(at, at + TRACE_MAX_PAYLOAD));
  }
  for (const { type, payload } of windows) add(type, payload);
  return Buffer.concat(frames);
}

function packModule({ wasm, map }: KernelModule): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(wasm.length);
  return deflateSync(Buffer.concat([length, wasm, Buffer.from(map)]));
}

/** The module from the payloads of its frames. Throws when they are damaged. */
export function unpackModule(pieces: Buffer[]): KernelModule {
  const bytes = inflateSync(Buffer.concat(pieces));
  const end = 4 + bytes.readUInt32LE(0);
  return { wasm: bytes.subarray(4, end), map: bytes.subarray(end).toString("utf8") };
}

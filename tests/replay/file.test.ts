// Files that are damaged, foreign, or newer than this program: what is said, and that what comes before the damage is used.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  RECORDING_FRAME_GLOBALS,
  RECORDING_FRAME_LOG,
  RECORDING_FRAME_MEMORY,
  RECORDING_FRAME_WINDOW,
  WINDOW_WORDS,
} from "../../kernel/abi/recording.ts";
import { TRACE_BACKEND_SVM } from "../../kernel/abi/trace.ts";
import { UserError } from "../../tools/lib/user-error.ts";
import { FILE_FORMAT, makeFile, moduleHash } from "../../tools/replay/file.ts";
import { planRecording } from "../../tools/replay/plan.ts";
import { readRecording } from "../../tools/replay/reader.ts";
import { readTrace } from "../../tools/trace/reader.ts";
import { stream, svmSample, temporary } from "../trace/sample.ts";

const WASM = Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
const module = { wasm: WASM, map: '{"version":3,"sources":[],"names":[],"mappings":""}' };
const header = { format: FILE_FORMAT, version: "0", module: moduleHash(WASM), intrinsics: ["rdtsc"] };

function windowFrame(firstExit: number): { type: number; payload: Buffer } {
  const payload = Buffer.alloc(8 * WINDOW_WORDS);
  const words = [firstExit, 4096, 8192, 0, 65_536, 0, 0, 1e9, 5, TRACE_BACKEND_SVM, 2];
  words.forEach((word, i) => void payload.writeBigUInt64LE(BigInt(word), 8 * i));
  return { type: RECORDING_FRAME_WINDOW, payload };
}

function windows(): { type: number; payload: Buffer }[] {
  const memory = Buffer.concat([Buffer.from([0, 0x10, 0, 0]), Buffer.from("abc")]);
  const globals = Buffer.alloc(24);
  globals.writeBigUInt64LE(7n, 16);
  const frames = [
    { type: RECORDING_FRAME_MEMORY, payload: memory },
    { type: RECORDING_FRAME_GLOBALS, payload: globals },
    { type: RECORDING_FRAME_LOG, payload: Buffer.from([1, 2]) },
    { type: RECORDING_FRAME_LOG, payload: Buffer.from([3]) },
  ];
  return [windowFrame(4), ...frames, windowFrame(9), ...frames];
}

function written(bytes: Uint8Array): string {
  const path = join(temporary(), "a.rec");
  writeFileSync(path, bytes);
  return path;
}

const good = () => makeFile(header, module, windows());
const complaint = (bytes: Uint8Array) => {
  try {
    return readRecording(written(bytes)).error?.message;
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return (error as Error).message;
  }
};

describe("a recording's file", () => {
  test("is read as it was written", () => {
    const { error, windows, module: read } = readRecording(written(good()));
    expect(error).toBeUndefined();
    expect(windows.map(({ firstExit }) => firstExit)).toEqual([4, 9]);
    expect(windows[0]).toMatchObject({
      vcpu: 4096,
      cpuBase: 8192,
      memoryBytes: 65_536,
      backend: "svm",
      globals: [0n, 7n],
    });
    expect(windows[0]?.log).toEqual(Buffer.from([1, 2, 3]));
    expect(windows[0]?.memory).toEqual([{ address: 0x1000, bytes: Buffer.from("abc") }]);
    expect(read.wasm).toEqual(WASM);
  });

  test("that is cut off is used up to there", () => {
    const { error, windows } = readRecording(written(good().subarray(0, -5)));
    expect(error?.message).toMatch(/^byte \d+: the trace ends inside a frame/);
    expect(windows.map(({ log }) => [...log])).toEqual([
      [1, 2, 3],
      [1, 2],
    ]);
  });

  test("that is damaged is used up to there", () => {
    const bytes = good();
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 5) ^ 1, bytes.length - 5);
    const { error, windows } = readRecording(written(bytes));
    expect(error?.message).toMatch(/^byte \d+: the frame's checksum is wrong/);
    expect(windows[1]?.log).toEqual(Buffer.from([1, 2]));
  });

  test.each<[string, () => Uint8Array, RegExp]>([
    ["empty", () => Buffer.alloc(0), /this is not a Typevisor recording\.$/],
    [
      "something else",
      () => Buffer.from([0x7f, 0x45, 0x4c, 0x46]),
      /not a Typevisor recording: byte 0: neither/,
    ],
    ["a trace", () => stream(svmSample), /this is a trace, not a recording; `typevisor trace` shows it\.$/],
    [
      "of a newer format",
      () => makeFile({ ...header, format: 9 }, module, []),
      /format is 9; .* up to 1\. Use a newer/,
    ],
    [
      "with another module",
      () => makeFile({ ...header, module: "00" }, module, windows()),
      /module in it is not the one/,
    ],
    ["without a window", () => makeFile(header, module, []), /it holds no window: nothing was recorded\.$/],
    [
      "with memory beyond the hypervisor's",
      () =>
        makeFile(header, module, [
          windowFrame(0),
          { type: RECORDING_FRAME_MEMORY, payload: Buffer.from([0, 0, 1, 0, 1]) },
        ]),
      /^byte \d+: memory at 0x10000, beyond the hypervisor's$/,
    ],
    [
      "with too many globals",
      () =>
        makeFile(header, module, [
          windowFrame(0),
          { type: RECORDING_FRAME_GLOBALS, payload: Buffer.alloc(32) },
        ]),
      /^byte \d+: a frame of globals that the module does not have$/,
    ],
    [
      "with a frame of another kind",
      () => makeFile(header, module, [windowFrame(0), { type: 99, payload: Buffer.alloc(0) }]),
      /^byte \d+: frame of unknown type 99$/,
    ],
  ])("that is %s", (_what, bytes, words) => {
    expect(complaint(bytes())).toMatch(words);
  });

  test("that does not exist", () => {
    expect(() => readRecording("/nowhere/a.rec")).toThrow(
      /cannot read this file: no such file or directory\.$/,
    );
  });

  test("is told from a trace by `typevisor trace`", async () => {
    const error = await readTrace(written(good()), {});
    expect(error?.message).toBe("byte 0: this is a recording, not a trace; `typevisor replay` runs it");
  });
});

describe("--record", () => {
  test("becomes words of the hypervisor's command line", () => {
    expect(planRecording({})).toBeUndefined();
    expect(planRecording({ record: "x" })?.words).toEqual([`record.window=${4 << 20}`]);
    expect(
      planRecording({ record: "x", recordFrom: "7", recordExits: "2", recordWindow: "1M" })?.words,
    ).toEqual([`record.window=${1 << 18}`, "record.from=7", "record.exits=2"]);
  });

  test.each([
    [{ recordFrom: "7" }, /^--record-from says what --record FILE records/],
    [{ record: "x", recordFrom: "-1" }, /^--record-from -1: expected a whole number\.$/],
    [{ record: "x", recordExits: "0" }, /^--record-exits 0: expected a whole number, at least 1\.$/],
    [{ record: "x", recordWindow: "10K" }, /^--record-window 10K: at least 1M is needed\.$/],
    [{ record: "x", recordWindow: "much" }, /--record-window: "much" is not a memory size/],
  ])("with %o is refused", (options, words) => {
    expect(() => planRecording(options)).toThrow(words);
  });
});

// Recording: what reaches the file and the log, the filter's words, and what people are told.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { TRACE_CRC_BYTES, TRACE_FRAME_CUT, TRACE_HEADER_BYTES } from "../../kernel/abi/trace.ts";
import type { RunningMachine } from "../../tools/machines/machine.ts";
import { describeRecording, TraceRecorder } from "../../tools/machines/recorder.ts";
import { traceWords } from "../../tools/trace/filter.ts";
import { readTrace } from "../../tools/trace/reader.ts";
import { frame } from "./encode.ts";
import { stream, svmSample, temporary } from "./sample.ts";

const CUT_BYTES = TRACE_HEADER_BYTES + TRACE_CRC_BYTES;

function machine(log: PassThrough, trace?: PassThrough): RunningMachine {
  const exited = Promise.resolve({ code: 0, words: "" });
  return { console: new PassThrough(), log, trace, exited, kill: () => {} };
}

async function record(pieces: Buffer[]) {
  const path = join(temporary(), "run.trace");
  const recorder = new TraceRecorder(path);
  const port = new PassThrough();
  const { log, ended } = recorder.attach(machine(port));
  let text = "";
  log.on("data", (piece: Buffer) => (text += piece.toString()));
  const closed = new Promise((resolve) => log.once("close", resolve));
  for (const piece of pieces) port.write(piece);
  port.end();
  await ended;
  await closed;
  return { recorded: recorder.close(), file: readFileSync(path), text };
}

describe("a recording", () => {
  const bytes = stream(svmSample, { lost: 3n });

  test("takes the frames to the file and leaves the lines to the log, however they are cut", async () => {
    const mixed = Buffer.concat([
      Buffer.from("one line\r\n"),
      bytes,
      Buffer.from("typevisor: halt (status 0)\r\n"),
    ]);
    for (const size of [1, 7, mixed.length]) {
      const pieces = Array.from({ length: Math.ceil(mixed.length / size) }, (_, i) =>
        mixed.subarray(i * size, (i + 1) * size),
      );
      const { recorded, file, text } = await record(pieces);
      expect(file.equals(bytes)).toBe(true);
      expect(text).toBe("one line\r\ntypevisor: halt (status 0)\r\n");
      expect(recorded).toEqual({ exits: 6, lost: 3, bytes: bytes.length, complete: true });
    }
  });

  test("of a run that was killed ends with its last whole frame", async () => {
    const { recorded, file } = await record([bytes.subarray(0, -10)]);
    expect(recorded.complete).toBe(false);
    const cut = frame(TRACE_FRAME_CUT, file.readUInt32LE(file.length - CUT_BYTES + 8), Buffer.alloc(0));
    expect(cut.length).toBe(CUT_BYTES);
    expect(file.subarray(-CUT_BYTES).equals(cut)).toBe(true);
    const taken = file.subarray(0, -CUT_BYTES);
    expect(bytes.subarray(0, taken.length).equals(taken)).toBe(true);
    const path = join(temporary(), "cut.trace");
    writeFileSync(path, file);
    const ends: string[] = [];
    const error = await readTrace(path, {
      end: () => void ends.push("end"),
      cut: () => void ends.push("cut"),
    });
    expect([error, ends]).toEqual([null, ["cut"]]);
  });

  test("that is damaged keeps what came before, and the log goes on", async () => {
    const damaged = Buffer.from(bytes);
    const at = bytes.length - 30;
    damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
    const { recorded, text } = await record([damaged, Buffer.from("typevisor: halt (status 0)\r\n")]);
    expect(recorded).toMatchObject({ exits: 6, complete: false });
    expect(recorded.damage).toMatch(/^byte \d+: /);
    expect(text).toContain("typevisor: halt (status 0)\r\n");
  });

  test("has a stream of its own on machines that have one", async () => {
    const path = join(temporary(), "run.trace");
    const recorder = new TraceRecorder(path);
    const [port, own] = [new PassThrough(), new PassThrough()];
    const { log, ended } = recorder.attach(machine(port, own));
    expect(log).toBe(port);
    own.end(Buffer.concat([Buffer.from("words of the emulator\n"), bytes]));
    await ended;
    expect(recorder.close().exits).toBe(6);
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  test("is described with what is wrong with it", () => {
    const fine = { exits: 6, lost: 0, bytes: 2048, complete: true };
    expect(describeRecording("x", fine)).toEqual({ text: "Trace x: 6 exits, 2 KiB.", important: false });
    expect(describeRecording("x", { ...fine, lost: 5 })).toMatchObject({
      important: true,
      text: expect.stringContaining("5 exits are missing"),
    });
    expect(describeRecording("x", { ...fine, complete: false }).text).toContain("ended from outside");
    expect(describeRecording("x", { ...fine, damage: "byte 5: bad" })).toMatchObject({ important: true });
  });

  test("to a place that cannot be written", () => {
    expect(() => new TraceRecorder(join(temporary(), "none", "x"))).toThrow(
      /^--trace .*x: cannot write this file: no such file or directory\.$/,
    );
  });
});

describe("--trace-filter", () => {
  test("becomes words of the hypervisor's command line", () => {
    expect(traceWords([])).toEqual([]);
    expect(traceWords(["reason=npf,CPUID,0x72,vm=0", "port=0x3f8-0x3ff"])).toEqual([
      "trace.reason=npf,CPUID,0x72",
      "trace.vm=0",
      "trace.port=0x3f8-0x3ff",
    ]);
    expect(traceWords(["reason=UD_excp"])).toEqual(["trace.reason=UD_excp"]);
  });

  test.each([
    ["bogus=1", /no key "bogus"; there are vm, vcpu/],
    ["toString=1", /no key "toString"/],
    ["vm", /expected KEY=VALUE/],
    ["vm=x", /vm=x: expected a number/],
    ["port=9-3", /expected a number or FIRST-LAST/],
    ["reason=npf,nonsense", /expected exit reasons/],
    ["every=", /expected a number/],
  ])("%s is refused", (text, words) => {
    expect(() => traceWords([text])).toThrow(words);
  });
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as abi from "../../kernel/abi/trace.ts";
import { readTrace, type TraceVisitor } from "../../tools/trace/reader.ts";
import { exitsPayload, frame, type PlainRecord, startPayload } from "./encode.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "trace-test-"));
});
afterAll(() => rm(folder, { recursive: true }));

let files = 0;
async function read(bytes: Buffer, visitor: TraceVisitor = {}) {
  const path = join(folder, `${files++}.trace`);
  await writeFile(path, bytes);
  return readTrace(path, visitor);
}

/** A fixed pseudo-random sequence (xorshift), so that failures repeat. */
function random(seed: bigint) {
  return () => {
    seed ^= BigInt.asUintN(64, seed << 13n);
    seed ^= seed >> 7n;
    seed ^= BigInt.asUintN(64, seed << 17n);
    return seed;
  };
}

function someRecords(count: number, next = random(0x1234567n)): PlainRecord[] {
  let tsc = 1_000_000_000_000n;
  return Array.from({ length: count }, () => {
    const tscIn = (tsc += next() % 100_000n);
    const tscOut = (tsc += next() % 5_000n);
    const words = Object.fromEntries(
      [
        abi.RECORD_RIP,
        abi.RECORD_QUALIFICATION,
        abi.RECORD_INFO,
        abi.RECORD_GPA,
        abi.RECORD_RAX,
        abi.RECORD_DETAIL,
      ].map((offset) => [offset, next() % 3n === 0n ? next() : 0x10n]),
    );
    return {
      tscIn,
      tscOut,
      words,
      reason: Number(next() % 70n),
      kind: Number(next() % 37n),
      outcome: 1,
      vm: 2,
      vcpu: 3,
    };
  });
}

const start = (sequence = 0) =>
  frame(abi.TRACE_FRAME_START, sequence, startPayload(2_000_000_000n, 5n, abi.TRACE_BACKEND_SVM));

describe("reading a trace", () => {
  test("every field of every record comes back, over several frames with log text between them", async () => {
    const records = someRecords(60);
    const trace = Buffer.concat([
      Buffer.from("typevisor: a line of the log\r\n"),
      start(),
      frame(abi.TRACE_FRAME_EXITS, 1, exitsPayload(0, records.slice(0, 30))),
      Buffer.from("typevisor: another line\r\n"),
      frame(abi.TRACE_FRAME_EXITS, 2, exitsPayload(0, records.slice(30))),
    ]);
    const seen: PlainRecord[] = [];
    let text = "";
    const error = await read(trace, {
      exit: (r) =>
        seen.push({
          tscIn: BigInt(r.tscIn),
          tscOut: BigInt(r.tscOut),
          words: {
            [abi.RECORD_RIP]: r.rip,
            [abi.RECORD_QUALIFICATION]: r.qualification,
            [abi.RECORD_INFO]: r.info,
            [abi.RECORD_GPA]: r.gpa,
            [abi.RECORD_RAX]: r.rax,
            [abi.RECORD_DETAIL]: r.detail,
          },
          reason: r.reason,
          kind: r.kind,
          outcome: r.outcome,
          vm: r.vm,
          vcpu: r.vcpu,
        }),
      text: (bytes) => {
        text += bytes.toString();
      },
    });
    expect(error).toBeNull();
    expect(seen).toEqual(records);
    expect(text).toBe("typevisor: a line of the log\r\ntypevisor: another line\r\n");
  });

  test("the start frame tells the machine", async () => {
    let seen: unknown;
    await read(start(), { start: (s) => (seen = s) });
    expect(seen).toEqual({ tscHz: 2_000_000_000, tsc: 5, backend: "svm", cpus: 1, vms: 1 });
  });

  test("instruction bytes", async () => {
    const record = {
      tscIn: 1n,
      tscOut: 2n,
      reason: 0,
      kind: 1,
      words: { [abi.RECORD_BYTES_LOW]: 0xa20fn, [abi.RECORD_BYTES_HIGH]: 2n << 56n },
    };
    let bytes: Buffer | undefined;
    await read(Buffer.concat([start(), frame(abi.TRACE_FRAME_EXITS, 1, exitsPayload(0, [record]))]), {
      exit: (r) => (bytes = r.bytes),
    });
    expect(bytes).toEqual(Buffer.from([0x0f, 0xa2]));
  });
});

describe("a trace that cannot be read to its end", () => {
  const good = () =>
    Buffer.concat([start(), frame(abi.TRACE_FRAME_EXITS, 1, exitsPayload(0, someRecords(5)))]);
  const readCounting = async (bytes: Buffer) => {
    let exits = 0;
    const error = await read(bytes, { exit: () => exits++ });
    return { exits, error };
  };

  test("cut short: what came before is delivered, the error names the offset", async () => {
    const whole = good();
    const cut = Buffer.concat([
      whole,
      frame(abi.TRACE_FRAME_EXITS, 2, exitsPayload(0, someRecords(5))).subarray(0, -3),
    ]);
    const { exits, error } = await readCounting(cut);
    expect(exits).toBe(5);
    expect(error?.offset).toBe(whole.length);
    expect(error?.message).toContain("cut short");
  });

  test("any flipped bit of a frame is noticed", async () => {
    const first = start().length;
    const bytes = good();
    for (let at = first; at < bytes.length; at += 3) {
      const damaged = Buffer.from(bytes);
      damaged.writeUInt8(damaged.readUInt8(at) ^ 0x10, at);
      const { exits, error } = await readCounting(damaged);
      expect(error, `byte ${at}`).not.toBeNull();
      expect(exits).toBe(0);
    }
  });

  test("a missing frame", async () => {
    const bytes = Buffer.concat([start(), frame(abi.TRACE_FRAME_EXITS, 2, exitsPayload(0, someRecords(1)))]);
    expect((await readCounting(bytes)).error?.message).toContain("part of the trace is missing");
  });

  test("a newer version", async () => {
    const bytes = Buffer.concat([
      start(),
      frame(abi.TRACE_FRAME_EXITS, 1, Buffer.alloc(8), abi.TRACE_VERSION + 1),
    ]);
    const { error } = await readCounting(bytes);
    expect(error?.offset).toBe(start().length);
    expect(error?.message).toContain("newer Typevisor");
  });

  test("a foreign file", async () => {
    expect((await readCounting(Buffer.from("just some text\n"))).error?.message).toContain(
      "not a Typevisor trace",
    );
    expect((await readCounting(Buffer.from([0xf5, 1, 2, 3, 4]))).error?.message).toContain(
      "not a Typevisor trace",
    );
    expect((await readCounting(Buffer.alloc(0))).error?.message).toContain("no frame at all");
  });

  test("random bytes end in an error, never in an exception of another kind", async () => {
    const next = random(99n);
    for (let round = 0; round < 50; round++) {
      const noise = Buffer.from(Array.from({ length: 300 }, () => Number(next() & 0xffn)));
      const { error } = await readCounting(Buffer.concat([start(), Buffer.from([0xf5]), noise]));
      expect(error).not.toBeNull();
    }
  });
});

// Trace files for tests: whole streams built from plain records.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import * as exits from "../../kernel/abi/exits.ts";
import * as abi from "../../kernel/abi/trace.ts";
import { readTrace, type TraceStart } from "../../tools/trace/reader.ts";
import type { ExitRecord } from "../../tools/trace/record.ts";
import { exitsPayload, frame, type PlainRecord, startPayload } from "./encode.ts";

/** One tick is a nanosecond. */
export const HZ = 1_000_000_000n;
/** TSC at the start of every sample trace. */
export const START_TSC = 5_000n;
const RECORDS_A_FRAME = 30;

/** OUTCOME_ADVANCE and OUTCOME_HALT. */
export const ADVANCE = 1;
export const HALT = 3;

/** A private directory that goes with the test. */
export function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), "trace-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A record that came `at` ns after the start and took `took` ns. */
export function exitAt(
  at: number,
  took: number,
  fields: Partial<PlainRecord> & Pick<PlainRecord, "reason" | "kind">,
) {
  const tscIn = START_TSC + BigInt(at);
  return { outcome: ADVANCE, ...fields, tscIn, tscOut: tscIn + BigInt(took) };
}

export const detailWord = (value: bigint) => ({ [abi.RECORD_DETAIL]: value });

/** A whole stream. */
export function stream(
  records: PlainRecord[],
  options: { backend?: number; lost?: bigint; end?: boolean; filters?: Buffer[]; hz?: bigint } = {},
): Buffer {
  const { backend = abi.TRACE_BACKEND_SVM, lost = 0n, end = true, filters = [], hz = HZ } = options;
  let sequence = 0;
  const frames = [frame(abi.TRACE_FRAME_START, sequence++, startPayload(hz, START_TSC, backend))];
  for (const filter of filters) frames.push(frame(abi.TRACE_FRAME_FILTER, sequence++, filter));
  for (let at = 0; at < records.length; at += RECORDS_A_FRAME) {
    const payload = exitsPayload(0, records.slice(at, at + RECORDS_A_FRAME));
    frames.push(frame(abi.TRACE_FRAME_EXITS, sequence++, payload));
  }
  if (lost > 0n) frames.push(frame(abi.TRACE_FRAME_LOST, sequence++, words(0n, lost)));
  if (end) frames.push(frame(abi.TRACE_FRAME_END, sequence++, words(0n, BigInt(records.length), lost)));
  return Buffer.concat(frames);
}

function words(...values: bigint[]): Buffer {
  const payload = Buffer.alloc(8 * values.length);
  values.forEach((value, i) => void payload.writeBigUInt64LE(value, 8 * i));
  return payload;
}

/** Writes bytes to a file of the running test. */
export function traceFile(bytes: Buffer): string {
  const path = join(temporary(), "sample.trace");
  writeFileSync(path, bytes);
  return path;
}

/** Calls back with the reader's view of each record. */
export async function eachRecord(
  bytes: Buffer,
  visit: (record: ExitRecord, index: number, start: TraceStart) => void,
): Promise<void> {
  let start: TraceStart | undefined;
  let index = 0;
  const error = await readTrace(traceFile(bytes), {
    start: (seen) => {
      start = seen;
    },
    exit: (record) => visit(record, index++, start as TraceStart),
  });
  if (error !== null) throw error;
}

/** A little of everything, as AMD-V reports it. */
export const svmSample: PlainRecord[] = [
  exitAt(1_000, 2_000, {
    reason: 0x72,
    kind: exits.EXIT_CPUID,
    words: { [abi.RECORD_RIP]: 0x1000n, [abi.RECORD_RAX]: 0x4n, [abi.RECORD_RCX]: 0x2n },
  }),
  exitAt(10_000, 4_000, {
    reason: 0x7b,
    kind: exits.EXIT_IO,
    words: {
      ...detailWord(0x3f8n | (1n << 16n)),
      [abi.RECORD_RIP]: 0xffffffff81000010n,
      [abi.RECORD_RAX]: 0x1241n,
      [abi.RECORD_QUALIFICATION]: 0x03f80010n,
    },
  }),
  exitAt(20_000, 6_000, {
    reason: 0x7b,
    kind: exits.EXIT_IO,
    words: {
      ...detailWord(0x60n | (1n << 16n) | (BigInt(exits.IO_IN) << 24n)),
      [abi.RECORD_RIP]: 0xffffffff81000020n,
      [abi.RECORD_QUALIFICATION]: 0x00600011n,
    },
  }),
  exitAt(40_000, 8_000, {
    reason: 0x400,
    kind: exits.EXIT_NESTED_FAULT,
    words: {
      ...detailWord(BigInt(exits.ACCESS_WRITE) << 24n),
      [abi.RECORD_RIP]: 0xffffffff81000030n,
      [abi.RECORD_GPA]: 0xfec00010n,
      [abi.RECORD_QUALIFICATION]: 0x1_0000_0006n,
      // mov [rdi+10h], eax
      [abi.RECORD_BYTES_LOW]: 0x104789n,
      [abi.RECORD_BYTES_HIGH]: 3n << 56n,
    },
  }),
  exitAt(50_000, 1_000_000, { reason: 0x78, kind: exits.EXIT_HLT, outcome: HALT, vcpu: 1 }),
  exitAt(1_060_000, 3_000, {
    reason: 0x7c,
    kind: exits.EXIT_WRMSR,
    words: {
      ...detailWord(0x6e0n),
      [abi.RECORD_RIP]: 0x401000n,
      [abi.RECORD_RAX]: 0xdeadbeefn,
      [abi.RECORD_RDX]: 0x12n,
      [abi.RECORD_QUALIFICATION]: 1n,
    },
  }),
];

/** The same kinds of exit as VT-x reports them. */
export const vmxSample: PlainRecord[] = [
  exitAt(1_000, 2_000, {
    reason: 30,
    kind: exits.EXIT_IO,
    words: {
      ...detailWord(0x3f8n | (1n << 16n)),
      [abi.RECORD_QUALIFICATION]: 0x03f80000n,
      [abi.RECORD_RAX]: 0x41n,
    },
  }),
  exitAt(5_000, 1_000, {
    reason: 28,
    kind: exits.EXIT_CR,
    words: { ...detailWord(4n | (3n << 16n)), [abi.RECORD_QUALIFICATION]: 0x304n },
  }),
  exitAt(9_000, 3_000, {
    reason: 48,
    kind: exits.EXIT_NESTED_FAULT,
    words: {
      ...detailWord(BigInt(exits.ACCESS_READ | exits.ACCESS_PRESENT) << 24n),
      [abi.RECORD_GPA]: 0xfee00030n,
      [abi.RECORD_QUALIFICATION]: 0x189n,
    },
  }),
];

// A long trace that looks like a guest's: timer interrupts, MSR writes, port and device accesses from a few places.
import * as exits from "../../kernel/abi/exits.ts";
import * as abi from "../../kernel/abi/trace.ts";
import { exitsPayload, frame, type PlainRecord, startPayload } from "./encode.ts";

const RECORDS_A_FRAME = 100;
const HZ = 2_700_000_000n;

const KINDS = [
  { reason: 0x60, kind: exits.EXIT_EXTERNAL_INTERRUPT, outcome: 0, detail: 0n },
  { reason: 0x7c, kind: exits.EXIT_WRMSR, outcome: 1, detail: 0x80bn },
  { reason: 0x7c, kind: exits.EXIT_WRMSR, outcome: 1, detail: 0x6e0n },
  { reason: 0x7b, kind: exits.EXIT_IO, outcome: 1, detail: 0x1_03f8n },
  { reason: 0x400, kind: exits.EXIT_NESTED_FAULT, outcome: 1, detail: BigInt(exits.ACCESS_WRITE) << 24n },
];

/** Writes a trace of `count` exits, frame by frame. */
export async function writeLongTrace(count: number, write: (frame: Buffer) => unknown): Promise<void> {
  let sequence = 0;
  await write(frame(abi.TRACE_FRAME_START, sequence++, startPayload(HZ, 0n, abi.TRACE_BACKEND_SVM)));
  for (let at = 0; at < count; at += RECORDS_A_FRAME) {
    const length = Math.min(RECORDS_A_FRAME, count - at);
    const records = Array.from({ length }, (_, i) => record(at + i));
    await write(frame(abi.TRACE_FRAME_EXITS, sequence++, exitsPayload(0, records)));
  }
  const totals = Buffer.alloc(24);
  totals.writeBigUInt64LE(BigInt(count), 8);
  await write(frame(abi.TRACE_FRAME_END, sequence, totals));
}

function record(index: number): PlainRecord {
  const { reason, kind, outcome, detail } = KINDS[index % KINDS.length] as (typeof KINDS)[number];
  const tscIn = BigInt(1000 + index * 20_000 + ((index * 7919) % 5000));
  // Frames hold at most 4 KiB: what changes from exit to exit is kept small, as it is in real traces.
  return {
    tscIn,
    tscOut: tscIn + BigInt(2000 + ((index * 31) % 900)),
    reason,
    kind,
    outcome,
    words: {
      [abi.RECORD_RIP]: 0xffffffff81000000n + BigInt((index * 13) % 4096),
      [abi.RECORD_DETAIL]: detail,
      [abi.RECORD_GPA]: 0xfec00010n,
      [abi.RECORD_RAX]: BigInt(index & 0xff),
    },
  };
}

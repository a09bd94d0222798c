// Builds trace streams for tests, from the format's description alone: plain BigInt arithmetic, nothing shared with the
// reader but the constants.
import { crc32 } from "node:zlib";
import * as abi from "../../kernel/abi/trace.ts";

/** A record as words by offset (RECORD_*), with the one-byte fields apart. */
export interface PlainRecord {
  tscIn: bigint;
  tscOut: bigint;
  words?: Record<number, bigint>;
  reason: number;
  kind: number;
  outcome?: number;
  vm?: number;
  vcpu?: number;
}

export function leb128(value: bigint): number[] {
  const bytes: number[] = [];
  do {
    bytes.push(Number(value & 0x7fn) | (value > 0x7fn ? 0x80 : 0));
    value >>= 7n;
  } while (value !== 0n);
  return bytes;
}

function wordsOf(record: PlainRecord): bigint[] {
  const words = Array.from({ length: abi.RECORD_WORDS }, (_, i) => record.words?.[8 * i] ?? 0n);
  words[abi.RECORD_REASON / 8] =
    BigInt(record.reason) |
    (BigInt(record.kind) << 32n) |
    (BigInt(record.outcome ?? 0) << 40n) |
    (BigInt(record.vm ?? 0) << 48n) |
    (BigInt(record.vcpu ?? 0) << 56n);
  return words;
}

export function exitsPayload(cpu: number, records: PlainRecord[]): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(cpu, 0);
  head.writeUInt32LE(records.length, 4);
  const body: number[] = [];
  let previous = Array.from({ length: abi.RECORD_WORDS }, () => 0n);
  let previousOut = 0n;
  for (const record of records) {
    const words = wordsOf(record);
    const numbers = words.map((word, i) => word ^ (previous[i] as bigint));
    numbers[0] = record.tscIn - previousOut;
    numbers[1] = record.tscOut - record.tscIn;
    const mask = numbers.reduce((bits, number, i) => (number === 0n ? bits : bits | (1 << i)), 0);
    body.push(mask & 0xff, mask >> 8, ...numbers.filter((number) => number !== 0n).flatMap(leb128));
    previous = words;
    previousOut = record.tscOut;
  }
  return Buffer.concat([head, Buffer.from(body)]);
}

export function frame(type: number, sequence: number, payload: Buffer, version = abi.TRACE_VERSION): Buffer {
  const head = Buffer.alloc(abi.TRACE_HEADER_BYTES);
  head.set([abi.TRACE_MAGIC_0, abi.TRACE_MAGIC_1, abi.TRACE_MAGIC_2, abi.TRACE_MAGIC_3, type, version]);
  head.writeUInt16LE(payload.length, 6);
  head.writeUInt32LE(sequence, 8);
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(Buffer.concat([head.subarray(4), payload])), 0);
  return Buffer.concat([head, payload, sum]);
}

export function startPayload(tscHz: bigint, tsc: bigint, backend: number): Buffer {
  const payload = Buffer.alloc(32);
  payload.writeBigUInt64LE(tscHz, 0);
  payload.writeBigUInt64LE(tsc, 8);
  payload.writeUInt32LE(backend, 16);
  payload.writeUInt32LE(1, 20);
  payload.writeUInt32LE(1, 24);
  return payload;
}

/** Ranges by their place in the frame: RIP, port, MSR, leaf. */
export function filterPayload(
  every: number,
  reasons: number[],
  ranges: Record<number, [bigint, bigint]>,
): Buffer {
  const payload = Buffer.alloc(abi.TRACE_FILTER_REASONS + 4 * reasons.length);
  payload.writeUInt32LE(0xffff_ffff, 0);
  payload.writeUInt32LE(0xffff_ffff, 4);
  payload.writeUInt32LE(every, 8);
  payload.writeUInt32LE(reasons.length, 12);
  for (let i = 0; i < 4; i++) {
    const [first, last] = ranges[i] ?? [0n, 2n ** 64n - 1n];
    payload.writeBigUInt64LE(first, abi.TRACE_FILTER_RANGES + 16 * i);
    payload.writeBigUInt64LE(last, abi.TRACE_FILTER_RANGES + 16 * i + 8);
  }
  reasons.forEach((reason, i) => void payload.writeUInt32LE(reason, abi.TRACE_FILTER_REASONS + 4 * i));
  return payload;
}

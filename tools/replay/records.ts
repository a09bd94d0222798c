// Exit records as the replayed hypervisor has them in its memory, for the code that shows traces.
import { RECORD_TSC_IN, RECORD_WORDS } from "../../kernel/abi/trace.ts";
import { ExitRecord } from "../trace/record.ts";

/** @param words the record's u64 words. @param tscOut TSC of the entry after the exit; absent: there was none. */
export function decodeRecord(words: bigint[], tscOut: bigint | undefined): ExitRecord {
  const tscIn = words[RECORD_TSC_IN / 8] as bigint;
  const encoded = words.map((word, index) => (index === 1 ? (tscOut ?? tscIn) - tscIn : word));
  const record = new ExitRecord();
  // As the only record of a frame it is told against zeros.
  record.start(Buffer.concat([allWords(), ...encoded.map(leb128)]), 0);
  record.next();
  return record;
}

/** The u64 words of a record in memory. */
export function wordsOf(view: DataView): bigint[] {
  return Array.from({ length: RECORD_WORDS }, (_, index) => view.getBigUint64(8 * index, true));
}

/** The mask that says that every word is there. */
function allWords(): Buffer {
  const mask = Buffer.alloc(2);
  mask.writeUInt16LE((1 << RECORD_WORDS) - 1);
  return mask;
}

function leb128(value: bigint): Buffer {
  const bytes: number[] = [];
  while (value >= 0x80n) {
    bytes.push(Number(value & 0x7fn) | 0x80);
    value >>= 7n;
  }
  return Buffer.from([...bytes, Number(value)]);
}

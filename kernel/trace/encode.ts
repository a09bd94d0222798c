// Exit records in the compact form of a frame (kernel/abi/trace.ts, "one exit record in a frame").
import { RECORD_BYTES, RECORD_MAX_ENCODED, RECORD_TSC_IN, RECORD_TSC_OUT, RECORD_WORDS } from "../abi/trace";

/** The record before in the same frame. */
const previous = memory.data(RECORD_BYTES, 16);

/** Starts a frame: the first record is told against zeros. */
export function encodeStart(): void {
  memory.fill(previous, 0, RECORD_BYTES);
}

/**
 * Encodes the record at `record` to `output`, which has room for RECORD_MAX_ENCODED bytes. Returns the bytes written.
 */
export function encodeRecord(record: usize, output: usize): u32 {
  let mask: u32 = 0;
  let at = output + 2;
  for (let word: u32 = 0; word < RECORD_WORDS; word++) {
    const number = numberOf(record, word);
    if (number == 0) continue;
    mask |= 1 << word;
    at = leb128(at, number);
  }
  store<u16>(output, <u16>mask);
  memory.copy(previous, record, RECORD_BYTES);
  const length = <u32>(at - output);
  assert(length <= RECORD_MAX_ENCODED, "trace: encoded record too long");
  return length;
}

function numberOf(record: usize, word: u32): u64 {
  const offset = <usize>word * 8;
  if (offset == RECORD_TSC_IN)
    return load<u64>(record + RECORD_TSC_IN) - load<u64>(previous + RECORD_TSC_OUT);
  if (offset == RECORD_TSC_OUT) return load<u64>(record + RECORD_TSC_OUT) - load<u64>(record + RECORD_TSC_IN);
  return load<u64>(record + offset) ^ load<u64>(previous + offset);
}

/** Unsigned LEB128. Returns the address after it. */
function leb128(at: usize, value: u64): usize {
  while (value >= 0x80) {
    store<u8>(at++, <u8>(value | 0x80));
    value >>= 7;
  }
  store<u8>(at++, <u8>value);
  return at;
}

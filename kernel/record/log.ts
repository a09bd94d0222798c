// The log of a window: events as bytes (kernel/abi/recording.ts).
import { HEAD_WORDS } from "../abi/recording";
import { framePayload, logFlush, logRoom } from "./frames";
import { knownHead, recorder } from "./state";

/** Longest LEB128 form of 64 bits. */
const LONGEST_NUMBER: u32 = 10;
const HEAD_BYTES: usize = <usize>(HEAD_WORDS * 8);

/** Begins an event. False: nothing is being logged now. */
export function recordEvent(event: u32): bool {
  if (recorder().logging == 0) return false;
  recordByte(event);
  return true;
}

function recordByte(byte: u32): void {
  logRoom(1);
  const state = recorder();
  store<u8>(framePayload() + state.held++, <u8>byte);
}

/** The next number of the event. */
export function recordNumber(value: u64): void {
  logRoom(LONGEST_NUMBER);
  const state = recorder();
  const start = framePayload() + state.held;
  let at = start;
  while (value >= 0x80) {
    store<u8>(at++, <u8>(value | 0x80));
    value >>= 7;
  }
  store<u8>(at++, <u8>value);
  state.held += <u32>(at - start);
}

/** `length` bytes of linear memory. */
export function recordBytes(start: usize, length: u64): void {
  for (let i: u64 = 0; i < length; i++) recordByte(load<u8>(start + <usize>i));
}

/** Notes the vCPU's head: what the next `recordHead` is told against. */
export function recordHeadStart(vcpu: usize): void {
  memory.copy(knownHead(), vcpu, HEAD_BYTES);
}

/** Before an entry, and after the exit: a number with a bit for each word of the head that has changed, then these words. */
export function recordHead(vcpu: usize): void {
  let changed: u64 = 0;
  for (let i: u32 = 0; i < HEAD_WORDS; i++) {
    const at = <usize>i * 8;
    if (load<u64>(vcpu + at) != load<u64>(knownHead() + at)) changed |= (<u64>1) << i;
  }
  recordNumber(changed);
  for (let i: u32 = 0; i < HEAD_WORDS; i++) {
    if (((changed >> i) & 1) != 0) recordNumber(load<u64>(vcpu + <usize>i * 8));
  }
  recordHeadStart(vcpu);
}

/** Before the processor idles: a run that is ended from outside has sent all but its last moments. */
export function recordIdle(): void {
  if (recorder().logging != 0) logFlush();
}

// The filter in the words that set it: `vm=0 reason=io,cpuid port=0x70-0x71`.
import { logByte, logDecimal, logHex, logText } from "../lib/log";
import { backend } from "../vcpu/backend";
import { COUNTED_REASONS, reasonOfIndex } from "./counters";
import { ANY, filterIsOpen, filterTakesReason, rangeIsOpen, RANGES, traceFilter, traceRange } from "./filter";
import {
  isNamed,
  KEY_EVERY,
  KEY_RANGES,
  KEY_REASON,
  KEY_VCPU,
  KEY_VM,
  logKeyName,
  nameLetter,
} from "./options";

/** Logs what passes the filter, each condition after a blank. */
export function logFilter(): void {
  if (filterIsOpen()) {
    logText(" everything");
    return;
  }
  const filter = traceFilter();
  if (filter.vm != ANY) logNumber(KEY_VM, filter.vm);
  if (filter.vcpu != ANY) logNumber(KEY_VCPU, filter.vcpu);
  if (filter.every != 1) logNumber(KEY_EVERY, filter.every);
  if (filter.byReason != 0) logReasons();
  for (let i: u32 = 0; i < RANGES; i++) {
    if (!rangeIsOpen(i)) logRange(i);
  }
}

function logKey(key: i32): void {
  logByte(0x20);
  logKeyName(key);
  logByte(0x3d);
}

function logNumber(key: i32, value: u32): void {
  logKey(key);
  logDecimal(value);
}

function logRange(which: u32): void {
  const range = traceRange(which);
  logKey(KEY_RANGES + <i32>which);
  logHex(range.first);
  if (range.last == range.first) return;
  logByte(0x2d);
  logHex(range.last);
}

function logReasons(): void {
  logKey(KEY_REASON);
  let first = true;
  for (let i: u32 = 0; i < COUNTED_REASONS; i++) {
    if (!filterTakesReason(i)) continue;
    if (!first) logByte(0x2c);
    first = false;
    logReason(reasonOfIndex(i));
  }
}

/** By its name, as one word; by its number where the manual has no name for it. */
function logReason(reason: u32): void {
  const name = backend().reasonName(reason);
  if (!isNamed(name)) {
    logHex(reason);
    return;
  }
  for (let i = 0; i < name.length; i++) logByte(nameLetter(name, i));
}

// Which guest memory is taken while a VM is being loaded, so that kernel, initrd, modules and boot structures never
// overlap. Everything is placed below 4 GiB, where every boot protocol can name it.
import { LOG_INFO, logEnd, logHex, logStart, logText } from "../../lib/log";
import { EBDA, HIGH_MEMORY, LOW_MEMORY, ramBelow4G } from "../memory-map";
import { Vm } from "../vm";

/** Ranges that may be taken. */
const MAX_RANGES: u32 = 96;
/** Result of `placeHigh` when nothing fits. */
export const NO_PLACE: u64 = U64.MAX_VALUE;

const PLACED: u32 = 0;
const OUTSIDE_RAM: u32 = 1;
const TAKEN: u32 = 2;
const TOO_MANY: u32 = 3;

/** Taken ranges, sorted: start and end (exclusive) of each. */
const ranges = memory.data(MAX_RANGES * 16, 16);
let count: u32 = 0;
/** End of the RAM in which to place. */
let limit: u64 = 0;

function startOf(index: u32): u64 {
  return load<u64>(ranges + <usize>index * 16);
}

function endOf(index: u32): u64 {
  return load<u64>(ranges + <usize>index * 16, 8);
}

/** Starts over for a VM: what firmware uses is taken. */
export function placementStart(vm: Vm): void {
  count = 0;
  limit = ramBelow4G(vm);
  insert(0, 0, LOW_MEMORY);
  insert(1, EBDA, HIGH_MEMORY);
}

function insert(index: u32, start: u64, end: u64): void {
  const at = ranges + <usize>index * 16;
  memory.copy(at + 16, at, <usize>(count - index) * 16);
  store<u64>(at, start);
  store<u64>(at, end, 8);
  count += 1;
}

/** Takes [start, start + bytes). Returns null, or why not, for people. */
export function placeAt(start: u64, bytes: u64): string | null {
  switch (tryPlace(start, bytes)) {
    case PLACED:
      return null;
    case OUTSIDE_RAM:
      return "lies outside the VM's memory";
    case TAKEN:
      return "overlaps another part, or memory that the PC's firmware uses";
    default:
      return "is one part too many";
  }
}

function tryPlace(start: u64, bytes: u64): u32 {
  if (start > limit || bytes > limit - start) return OUTSIDE_RAM;
  if (bytes == 0) return PLACED;
  let index: u32 = 0;
  while (index < count && endOf(index) <= start) index++;
  if (index < count && startOf(index) < start + bytes) return TAKEN;
  if (count == MAX_RANGES) return TOO_MANY;
  insert(index, start, start + bytes);
  return PLACED;
}

/**
 * Takes `bytes` at the highest multiple of `align` (a power of two) that ends below `end`, exclusive.
 * Returns its address or NO_PLACE.
 */
export function placeHigh(bytes: u64, align: u64, end: u64): u64 {
  let top = min(end, limit);
  for (let index = <i32>count; index >= 0; index--) {
    const floor = index == 0 ? 0 : endOf(<u32>index - 1);
    if (top > floor && bytes <= top - floor) {
      const start = (top - bytes) & ~(align - 1);
      if (start >= floor && tryPlace(start, bytes) == PLACED) return start;
    }
    if (index != 0) top = min(top, startOf(<u32>index - 1));
  }
  return NO_PLACE;
}

/** The lowest multiple of `align` from `from` on where `bytes` are free, taken; or NO_PLACE. */
export function placeLow(bytes: u64, align: u64, from: u64): u64 {
  let start = (from + align - 1) & ~(align - 1);
  for (let index: u32 = 0; index <= count; index++) {
    if (tryPlace(start, bytes) == PLACED) return start;
    if (index < count && endOf(index) > start) start = (endOf(index) + align - 1) & ~(align - 1);
  }
  return NO_PLACE;
}

/** Bytes of the largest hole from HIGH_MEMORY on: for messages about what does not fit. */
export function largestHole(): u64 {
  let largest: u64 = 0;
  let floor = HIGH_MEMORY;
  for (let index: u32 = 0; index <= count; index++) {
    const top = index == count ? limit : startOf(index);
    if (top > floor && top - floor > largest) largest = top - floor;
    if (index < count && endOf(index) > floor) floor = endOf(index);
  }
  return largest;
}

/** Says in the log where something of a VM was put. */
export function logPlaced(what: string, start: u64, bytes: u64): void {
  if (!logStart(LOG_INFO)) return;
  logText(what);
  logText(" at ");
  logHex(start);
  logText("..");
  logHex(start + bytes - 1);
  logEnd();
}

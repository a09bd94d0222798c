// Which guest memory is taken while a VM is being loaded, so that kernel, initrd, modules and boot structures never
// overlap. Everything is placed below 4 GiB, where every boot protocol can name it.
import { arenaNewWithTail } from "../../lib/arena";
import { LOG_INFO, logEnd, logHex, logStart, logText } from "../../lib/log";
import { tailOf } from "../../lib/tail";
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

const RANGE_BYTES: usize = 16;

/** What is taken of one VM's memory. Ends in MAX_RANGES ranges, sorted: start and end (exclusive) of each. */
@unmanaged
export class Placement {
  /** End of the RAM in which to place. */
  limit: u64;
  /** Ranges taken. */
  count: u32;

  startOf(index: u32): u64 {
    return load<u64>(this.rangeAt(index));
  }

  endOf(index: u32): u64 {
    return load<u64>(this.rangeAt(index), 8);
  }

  insert(index: u32, start: u64, end: u64): void {
    assert(index <= this.count && this.count < MAX_RANGES, "placement: full");
    const at = this.rangeAt(index);
    memory.copy(at + RANGE_BYTES, at, <usize>(this.count - index) * RANGE_BYTES);
    store<u64>(at, start);
    store<u64>(at, end, 8);
    this.count += 1;
  }

  private rangeAt(index: u32): usize {
    return tailOf(this) + <usize>index * RANGE_BYTES;
  }
}

/** A VM's; boot time only. */
export function placementNew(): Placement {
  return arenaNewWithTail<Placement>(<usize>MAX_RANGES * RANGE_BYTES);
}

/** Starts over for a VM: what firmware uses is taken. */
export function placementStart(vm: Vm): void {
  const p = vm.placement;
  p.count = 0;
  p.limit = ramBelow4G(vm);
  p.insert(0, 0, LOW_MEMORY);
  p.insert(1, EBDA, HIGH_MEMORY);
}

/** Takes [start, start + bytes). Returns null, or why not, for people. */
export function placeAt(vm: Vm, start: u64, bytes: u64): string | null {
  switch (tryPlace(vm.placement, start, bytes)) {
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

function tryPlace(p: Placement, start: u64, bytes: u64): u32 {
  if (start > p.limit || bytes > p.limit - start) return OUTSIDE_RAM;
  if (bytes == 0) return PLACED;
  let index: u32 = 0;
  while (index < p.count && p.endOf(index) <= start) index++;
  if (index < p.count && p.startOf(index) < start + bytes) return TAKEN;
  if (p.count == MAX_RANGES) return TOO_MANY;
  p.insert(index, start, start + bytes);
  return PLACED;
}

/**
 * Takes `bytes` at the highest multiple of `align` (a power of two) that ends below `end`, exclusive.
 * Returns its address or NO_PLACE.
 */
export function placeHigh(vm: Vm, bytes: u64, align: u64, end: u64): u64 {
  const p = vm.placement;
  let top = min(end, p.limit);
  for (let index = <i32>p.count; index >= 0; index--) {
    const floor = index == 0 ? 0 : p.endOf(<u32>index - 1);
    if (top > floor && bytes <= top - floor) {
      const start = (top - bytes) & ~(align - 1);
      if (start >= floor && tryPlace(p, start, bytes) == PLACED) return start;
    }
    if (index != 0) top = min(top, p.startOf(<u32>index - 1));
  }
  return NO_PLACE;
}

/** The lowest multiple of `align` from `from` on where `bytes` are free, taken; or NO_PLACE. */
export function placeLow(vm: Vm, bytes: u64, align: u64, from: u64): u64 {
  const p = vm.placement;
  let start = (from + align - 1) & ~(align - 1);
  for (let index: u32 = 0; index <= p.count; index++) {
    if (tryPlace(p, start, bytes) == PLACED) return start;
    if (index < p.count && p.endOf(index) > start) start = (p.endOf(index) + align - 1) & ~(align - 1);
  }
  return NO_PLACE;
}

/** Bytes of the largest hole from HIGH_MEMORY on: for messages about what does not fit. */
export function largestHole(vm: Vm): u64 {
  const p = vm.placement;
  let largest: u64 = 0;
  let floor = HIGH_MEMORY;
  for (let index: u32 = 0; index <= p.count; index++) {
    const top = index == p.count ? p.limit : p.startOf(index);
    if (top > floor && top - floor > largest) largest = top - floor;
    if (index < p.count && p.endOf(index) > floor) floor = p.endOf(index);
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

// Physical memory in frames of 4 KiB: the free ranges, sorted by address, in a static table. First fit from below. Made for
// few, large, long-lived allocations (guest RAM) and single frames for tables; a table of ranges needs no memory of its own
// per frame and gives contiguous memory of any size.
import { phys_fill } from "../arch/intrinsics";
import { MAX_FREE_RANGES } from "../lib/limits";

export const FRAME_BYTES: u64 = 4096;
/** Returned when there is no such memory. */
export const NO_HPA: u64 = U64.MAX_VALUE;
/** Memory below is left alone: firmware tables, and the real-mode start code of application processors. */
const LOWEST_FRAME: u64 = 1 << 20;

/** Free memory from `start` up to, not including, `end`; both multiples of FRAME_BYTES. */
@unmanaged
class FreeRange {
  start: u64;
  end: u64;
}

const RANGE_BYTES: usize = 16;
const table = memory.data(MAX_FREE_RANGES * 16, 16);
let count: u32 = 0;
let freeBytes: u64 = 0;
let totalBytes: u64 = 0;

function rangeAt(index: u32): FreeRange {
  assert(index < count, "frames: range index");
  return changetype<FreeRange>(table + index * RANGE_BYTES);
}

function insertRange(index: u32, start: u64, end: u64): void {
  assert(count < MAX_FREE_RANGES, "frames: memory is too fragmented");
  assert(index <= count, "frames: range index");
  assert(start < end && ((start | end) & (FRAME_BYTES - 1)) == 0, "frames: a range is whole frames");
  const at = table + index * RANGE_BYTES;
  memory.copy(at + RANGE_BYTES, at, (count - index) * RANGE_BYTES);
  count++;
  rangeAt(index).start = start;
  rangeAt(index).end = end;
}

function removeRange(index: u32): void {
  assert(index < count, "frames: range index");
  const at = table + index * RANGE_BYTES;
  count--;
  memory.copy(at, at + RANGE_BYTES, (count - index) * RANGE_BYTES);
}

/** Makes usable RAM available, less the part below 1 MiB. Ranges of the loader may overlap; partial frames are dropped. */
export function framesAdd(start: u64, bytes: u64): void {
  const limit = start + bytes < start ? U64.MAX_VALUE : start + bytes;
  const first = max<u64>((start + FRAME_BYTES - 1) & ~(FRAME_BYTES - 1), LOWEST_FRAME);
  const end = limit & ~(FRAME_BYTES - 1);
  if (first >= end || first < start) return;
  framesReserve(first, end - first);
  release(first, end);
  totalBytes += end - first;
  assert(freeBytes <= totalBytes, "frames: more free than there is");
}

/** Takes whatever is free in the range out of the allocator: partial frames count as taken. */
export function framesReserve(start: u64, bytes: u64): void {
  if (bytes == 0) return;
  const first = start & ~(FRAME_BYTES - 1);
  const end = (start + bytes + FRAME_BYTES - 1) & ~(FRAME_BYTES - 1);
  for (let i: u32 = 0; i < count; ) {
    const range = rangeAt(i);
    if (range.end <= first || range.start >= end) i++;
    else i = carve(i, max(range.start, first), min(range.end, end));
  }
}

/** Takes [start, end), which lies inside range `index`. Returns the index of the first range that may follow it. */
function carve(index: u32, start: u64, end: u64): u32 {
  const range = rangeAt(index);
  assert(start >= range.start && start < end && end <= range.end, "frames: carved from elsewhere");
  freeBytes -= end - start;
  assert(freeBytes <= totalBytes, "frames: more free than there is");
  if (range.start == start && range.end == end) {
    removeRange(index);
    return index;
  }
  if (range.start == start) {
    range.start = end;
    return index + 1;
  }
  if (range.end != end) insertRange(index + 1, end, range.end);
  range.end = start;
  return index + 1;
}

/**
 * Allocates `frames` contiguous frames at a multiple of `alignment` bytes (a power of two, at least 4096).
 * Returns the host-physical address, or NO_HPA when no free range is large enough. Contents are undefined.
 */
export function frameAlloc(frames: u64, alignment: u64): u64 {
  assert(frames != 0 && frames <= U64.MAX_VALUE / FRAME_BYTES, "frames: size");
  assert(alignment >= FRAME_BYTES && (alignment & (alignment - 1)) == 0, "frames: alignment");
  const bytes = frames * FRAME_BYTES;
  for (let i: u32 = 0; i < count; i++) {
    const range = rangeAt(i);
    const start = (range.start + alignment - 1) & ~(alignment - 1);
    if (start < range.start || start >= range.end || range.end - start < bytes) continue;
    carve(i, start, start + bytes);
    return start;
  }
  return NO_HPA;
}

/** The same, filled with zeros. */
export function frameAllocZeroed(frames: u64, alignment: u64): u64 {
  const start = frameAlloc(frames, alignment);
  if (start != NO_HPA) phys_fill(start, 0, frames * FRAME_BYTES);
  return start;
}

/** Gives frames back. Freeing what is free already is a bug and panics. */
export function frameFree(start: u64, frames: u64): void {
  assert((start & (FRAME_BYTES - 1)) == 0 && frames != 0, "frames: free of a partial frame");
  assert(frames <= (U64.MAX_VALUE - start) / FRAME_BYTES, "frames: size");
  release(start, start + frames * FRAME_BYTES);
}

/** Puts [start, end) into the table, joined with its neighbours. */
function release(start: u64, end: u64): void {
  assert(start < end, "frames: a range is whole frames");
  let index: u32 = 0;
  while (index < count && rangeAt(index).start < start) index++;
  assert(index == 0 || rangeAt(index - 1).end <= start, "frames: freed twice");
  assert(index == count || end <= rangeAt(index).start, "frames: freed twice");
  freeBytes += end - start;
  const joinsBelow = index != 0 && rangeAt(index - 1).end == start;
  const joinsAbove = index != count && rangeAt(index).start == end;
  if (joinsBelow && joinsAbove) {
    rangeAt(index - 1).end = rangeAt(index).end;
    removeRange(index);
  } else if (joinsBelow) rangeAt(index - 1).end = end;
  else if (joinsAbove) rangeAt(index).start = start;
  else insertRange(index, start, end);
}

/** Bytes that are free now. */
export function framesFree(): u64 {
  assert(freeBytes <= totalBytes, "frames: more free than there is");
  return freeBytes;
}

/** Bytes of RAM above 1 MiB that the loader reported, free or not. */
export function framesTotal(): u64 {
  assert((totalBytes & (FRAME_BYTES - 1)) == 0, "frames: whole frames");
  return totalBytes;
}

/** Bytes of the largest free range: the upper limit of a contiguous allocation. */
export function framesLargest(): u64 {
  let largest: u64 = 0;
  for (let i: u32 = 0; i < count; i++) largest = max(largest, rangeAt(i).end - rangeAt(i).start);
  assert(largest <= freeBytes, "frames: more free than there is");
  return largest;
}

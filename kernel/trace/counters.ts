// Always-on counters: for each vCPU and exit reason how often, how long (from the exit to the next entry), and how the
// durations spread; and a second level by what the exits were about (details.ts). Less than 30 instructions an exit, so
// they need no switch.
//
// The time of an exit is known when the guest has been entered again, so an exit is accounted at the next one.
import { arenaAlloc } from "../lib/arena";
import { DETAIL_ENTRIES } from "../lib/limits";
import { CountersLink } from "../lib/links";
import { DETAIL_INDEX_OFFSET, Vcpu } from "../vcpu/vcpu";
import {
  DetailCounters,
  detailAt,
  detailFind,
  detailIs,
  detailLast,
  detailUsed,
  DETAILS_BYTES,
  detailsClear,
  ReasonRow,
} from "./details";

/** Buckets of the histogram: bucket n counts durations of 2^n .. 2^(n+1) - 1 ticks; 0 and 1 tick share the first. */
export const HISTOGRAM_BUCKETS: u32 = 64;

/**
 * One exit reason. The exits whose place in the second level another key has taken follow, then the histogram's u64 buckets. TSC
 * ticks.
 */
@unmanaged
export class ReasonCounters extends ReasonRow {
  shortest: u64;
  longest: u64;

  /** The exits whose place in the second level another key has taken. */
  get displaced(): DetailCounters {
    return changetype<DetailCounters>(changetype<usize>(this) + DISPLACED_OFFSET);
  }

  /** Exits: the histogram has each of them once. */
  get count(): u64 {
    if (this.shortest == U64.MAX_VALUE) return 0;
    let sum: u64 = 0;
    for (let i: u32 = 0; i < HISTOGRAM_BUCKETS; i++) sum += histogramBucket(this, i);
    return sum;
  }
}

/** Exit reasons have two ranges: 0..255, and AMD-V's 0x400..0x403. */
const LOW_REASONS: u32 = 256;
const HIGH_REASONS: u32 = 8;
const HIGH_BASE: u32 = 0x400;
/** Rows of tables by exit reason. */
export const COUNTED_REASONS: u32 = 263;
/** What is accounted to no exit: the time before the first entry. Its row is the last. */
const NO_REASON: u32 = 0x407;
const ROWS: u32 = COUNTED_REASONS + 1;
const DISPLACED_OFFSET: usize = offsetof<ReasonCounters>();
const HISTOGRAM_OFFSET: usize = DISPLACED_OFFSET + offsetof<DetailCounters>();
const ROW_BYTES: usize = HISTOGRAM_OFFSET + 64 * 8;

/** What one vCPU has: the rows by reason, then the second level. */
const DETAILS_OFFSET: usize = ROWS * ROW_BYTES;
const COUNTERS_BYTES: usize = DETAILS_OFFSET + DETAILS_BYTES;

/** Storage for a vCPU's counters; boot time only. */
export function countersCreate(vcpu: Vcpu): void {
  vcpu.counters = changetype<CountersLink>(arenaAlloc(COUNTERS_BYTES, 64));
  countersClear(vcpu);
}

/** Starts again from zero. */
export function countersClear(vcpu: Vcpu): void {
  memory.fill(changetype<usize>(vcpu.counters), 0, COUNTERS_BYTES);
  for (let i: u32 = 0; i < ROWS; i++) rowAt(vcpu, i).shortest = U64.MAX_VALUE;
  detailsClear(countersDetails(vcpu), detailIndex(vcpu));
  vcpu.openTsc = 0;
  vcpu.openDetail = findDetail(vcpu, (<u64>NO_REASON) << 32);
}

/** Entry of the exit that is not accounted yet. */
function openDetail(vcpu: Vcpu): DetailCounters {
  return changetype<DetailCounters>(vcpu.openDetail);
}

/** Linear address of the index of a vCPU's second level. */
function detailIndex(vcpu: Vcpu): usize {
  return changetype<usize>(vcpu) + DETAIL_INDEX_OFFSET;
}

/** Linear address of a vCPU's second level. */
function countersDetails(vcpu: Vcpu): usize {
  return changetype<usize>(vcpu.counters) + DETAILS_OFFSET;
}

function rowAt(vcpu: Vcpu, index: u32): ReasonCounters {
  return changetype<ReasonCounters>(changetype<usize>(vcpu.counters) + index * ROW_BYTES);
}

/** Place of an exit reason in tables of COUNTED_REASONS rows. */
export function reasonIndex(reason: u32): u32 {
  if (reason < LOW_REASONS) return reason;
  return LOW_REASONS + (reason & (HIGH_REASONS - 1));
}

/** The exit reason at place `index` of such a table. */
export function reasonOfIndex(index: u32): u32 {
  return index < LOW_REASONS ? index : HIGH_BASE + (index - LOW_REASONS);
}

/** One reason's row. The exit that is being handled is not in it yet. */
export function reasonCounters(vcpu: Vcpu, reason: u32): ReasonCounters {
  return rowAt(vcpu, reasonIndex(reason));
}

/** Bucket `bucket` of a row's histogram. */
export function histogramBucket(row: ReasonCounters, bucket: u32): u64 {
  return load<u64>(changetype<usize>(row) + bucket * 8, HISTOGRAM_OFFSET);
}

/** Right after an exit: accounts the one before and opens this one. */
export function countExit(vcpu: Vcpu): void {
  account(openDetail(vcpu), vcpu.tscEntry - vcpu.openTsc);
  vcpu.openTsc = vcpu.tscExit;
  const key = vcpu.exit.key;
  const last = detailLast(detailIndex(vcpu), key);
  vcpu.openDetail = detailIs(last, key) ? last : findDetail(vcpu, key);
}

/** The open exit, whose detail is `detail`, took `ticks`. */
function account(detail: DetailCounters, ticks: u64): void {
  // The entry knows its reason's row: a load instead of five instructions to compute it.
  const row = changetype<ReasonCounters>(detail.row);
  if (ticks < row.shortest) row.shortest = ticks;
  if (ticks > row.longest) row.longest = ticks;
  const bucket = changetype<usize>(row) + HISTOGRAM_OFFSET + ((<usize>(63 - clz(ticks | 1))) << 3);
  store<u64>(bucket, load<u64>(bucket) + 1);
  detail.count += 1;
  detail.total += ticks;
}

/** The entry of the second level for a key that was not the last with its place in the index. */
function findDetail(vcpu: Vcpu, key: u64): DetailCounters {
  const row = rowAt(vcpu, reasonIndex(<u32>(key >> 32)));
  const entry = detailFind(countersDetails(vcpu), key, row, DISPLACED_OFFSET);
  detailUsed(detailIndex(vcpu), key, entry);
  return entry;
}

/** Leaves `ticks` out of the time of the exit that is being handled: they were spent on observing it. */
export function countersExclude(vcpu: Vcpu, ticks: u64): void {
  vcpu.openTsc += ticks;
}

/** Exits of one reason, with the one that is being handled. */
export function exitsOf(vcpu: Vcpu, reason: u32): u64 {
  const open: u64 = openDetail(vcpu).reason == reason ? 1 : 0;
  return reasonCounters(vcpu, reason).count + open;
}

/** All exits of a vCPU, with the one that is being handled. */
export function totalExits(vcpu: Vcpu): u64 {
  let sum: u64 = openDetail(vcpu).reason == NO_REASON ? 0 : 1;
  for (let i: u32 = 0; i < COUNTED_REASONS; i++) sum += rowAt(vcpu, i).count;
  return sum;
}

/** Ticks from exits of one reason to the next entries. */
export function ticksOf(vcpu: Vcpu, reason: u32): u64 {
  const row = reasonCounters(vcpu, reason);
  if (row.shortest == U64.MAX_VALUE) return 0;
  let sum = row.displaced.total;
  for (let i: u32 = 0; i < DETAIL_ENTRIES; i++) {
    const entry = detailCounters(vcpu, i);
    if (entry.count != 0 && entry.reason == reason) sum += entry.total;
  }
  return sum;
}

/** Ticks from exits to entries of a vCPU, all reasons. */
export function totalTicks(vcpu: Vcpu): u64 {
  let sum: u64 = 0;
  for (let i: u32 = 0; i < COUNTED_REASONS; i++) sum += rowAt(vcpu, i).displaced.total;
  for (let i: u32 = 0; i < DETAIL_ENTRIES; i++) {
    const entry = detailCounters(vcpu, i);
    if (entry.reason != NO_REASON) sum += entry.total;
  }
  return sum;
}

/** Ticks in the guest up to the last exit: all since the first entry, whose time is the spare row's, but those of exits. */
export function guestTicks(vcpu: Vcpu): u64 {
  return vcpu.openTsc - ticksOf(vcpu, NO_REASON) - totalTicks(vcpu);
}

/** Entry `index` of the second level, 0 .. DETAIL_ENTRIES - 1. Free: `count` is 0. */
export function detailCounters(vcpu: Vcpu, index: u32): DetailCounters {
  return detailAt(countersDetails(vcpu), index);
}

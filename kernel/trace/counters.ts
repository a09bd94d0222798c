// Always-on counters: for each vCPU and exit reason how often, how long (from the exit to the next entry), and how the
// durations spread. About 30 instructions an exit, so they need no switch.
//
// The time of an exit is known when the guest has been entered again, so an exit is accounted at the next one.
import { arenaAlloc } from "../lib/arena";
import { Vcpu } from "../vcpu/vcpu";

/** Buckets of the histogram: bucket n counts durations of 2^n .. 2^(n+1) - 1 ticks; 0 and 1 tick share the first. */
export const HISTOGRAM_BUCKETS: u32 = 64;

/** One exit reason. The histogram's u32 buckets follow. */
@unmanaged
export class ReasonCounters {
  count: u64;
  /** Ticks of the TSC. */
  total: u64;
  shortest: u64;
  longest: u64;
}

/** Exit reasons have two ranges: 0..255, and AMD-V's 0x400..0x403. */
const LOW_REASONS: u32 = 256;
const HIGH_REASONS: u32 = 4;
const HIGH_BASE: u32 = 0x400;
/** Rows of tables by exit reason. */
export const COUNTED_REASONS: u32 = 260;
const ROWS: u32 = COUNTED_REASONS + 1;
const ROW_BYTES: usize = 32 + 64 * 4;

/** What one vCPU has; the rows follow. */
@unmanaged
export class VcpuCounters {
  /** Row and time of the exit that is not accounted yet: at first those of a spare row, for the time before the first entry. */
  openRow: usize;
  openTsc: u64;
}

/** Storage for a vCPU's counters; boot time only. */
export function countersCreate(vcpu: Vcpu): void {
  const counters = arenaAlloc(offsetof<VcpuCounters>() + ROWS * ROW_BYTES, 64);
  vcpu.counters = counters;
  countersClear(vcpu);
}

/** Starts again from zero. */
export function countersClear(vcpu: Vcpu): void {
  const counters = countersOf(vcpu);
  memory.fill(changetype<usize>(counters), 0, offsetof<VcpuCounters>() + ROWS * ROW_BYTES);
  for (let i: u32 = 0; i < ROWS; i++) rowAt(counters, i).shortest = U64.MAX_VALUE;
  counters.openRow = changetype<usize>(rowAt(counters, COUNTED_REASONS));
}

/** The counters of a vCPU that `countersCreate` has seen. */
export function countersOf(vcpu: Vcpu): VcpuCounters {
  return changetype<VcpuCounters>(vcpu.counters);
}

function rowAt(counters: VcpuCounters, index: u32): ReasonCounters {
  return changetype<ReasonCounters>(
    changetype<usize>(counters) + offsetof<VcpuCounters>() + index * ROW_BYTES,
  );
}

/** Place of an exit reason in tables of COUNTED_REASONS rows. */
export function reasonIndex(reason: u32): u32 {
  if (reason < HIGH_BASE) return reason & (LOW_REASONS - 1);
  return LOW_REASONS + (reason & (HIGH_REASONS - 1));
}

/** The exit reason at place `index` of such a table. */
export function reasonOfIndex(index: u32): u32 {
  return index < LOW_REASONS ? index : HIGH_BASE + (index - LOW_REASONS);
}

/** One reason's row. */
export function reasonCounters(vcpu: Vcpu, reason: u32): ReasonCounters {
  return rowAt(countersOf(vcpu), reasonIndex(reason));
}

/** Whether the row counts an exit whose time is not known yet. */
export function isOpen(vcpu: Vcpu, row: ReasonCounters): bool {
  return countersOf(vcpu).openRow == changetype<usize>(row);
}

/** Bucket `bucket` of a row's histogram. In memory they run from the longest durations down: leading zeros index them. */
export function histogramBucket(row: ReasonCounters, bucket: u32): u32 {
  return load<u32>(bucketAddress(row, HISTOGRAM_BUCKETS - 1 - bucket));
}

function bucketAddress(row: ReasonCounters, leadingZeros: u32): usize {
  return changetype<usize>(row) + offsetof<ReasonCounters>() + leadingZeros * 4;
}

/** Right after an exit: accounts the one before and opens this one. */
export function countExit(vcpu: Vcpu): void {
  const counters = countersOf(vcpu);
  const entered = vcpu.tscEntry;
  const exited = vcpu.tscExit;
  account(changetype<ReasonCounters>(counters.openRow), entered - counters.openTsc);
  const row = rowAt(counters, reasonIndex(vcpu.exit.reason));
  row.count++;
  counters.openRow = changetype<usize>(row);
  counters.openTsc = exited;
}

/** Leaves `ticks` out of the time of the exit that is being handled: they were spent on observing it. */
export function countersExclude(vcpu: Vcpu, ticks: u64): void {
  countersOf(vcpu).openTsc += ticks;
}

function account(row: ReasonCounters, ticks: u64): void {
  row.total += ticks;
  if (ticks < row.shortest) row.shortest = ticks;
  if (ticks > row.longest) row.longest = ticks;
  const bucket = bucketAddress(row, <u32>clz(ticks | 1));
  store<u32>(bucket, load<u32>(bucket) + 1);
}

/** All exits of a vCPU. */
export function totalExits(vcpu: Vcpu): u64 {
  let sum: u64 = 0;
  for (let i: u32 = 0; i < COUNTED_REASONS; i++) sum += rowAt(countersOf(vcpu), i).count;
  return sum;
}

/** Ticks from exits to entries of a vCPU, all reasons. */
export function totalTicks(vcpu: Vcpu): u64 {
  let sum: u64 = 0;
  for (let i: u32 = 0; i < COUNTED_REASONS; i++) sum += rowAt(countersOf(vcpu), i).total;
  return sum;
}

/** Ticks in the guest up to the last exit: all since the first entry (the spare row) but those from exits to entries. */
export function guestTicks(vcpu: Vcpu): u64 {
  const counters = countersOf(vcpu);
  return counters.openTsc - rowAt(counters, COUNTED_REASONS).total - totalTicks(vcpu);
}

// Always-on counters: for each vCPU and exit reason how often, how long (from the exit to the next entry), and how the
// durations spread. About 30 instructions an exit, so they need no switch.
//
// The time of an exit is known when the guest has been entered again, so an exit is accounted at the next one.
import { arenaAlloc } from "../lib/arena";
import { MAX_VCPUS_PER_VM, MAX_VMS } from "../lib/limits";
import { Vcpu } from "../vcpu/vcpu";

/** Buckets of the histogram: durations of 2^n .. 2^(n+1) - 1 ticks, n from 0; the last holds all longer ones. */
export const HISTOGRAM_BUCKETS: u32 = 32;

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
export const COUNTED_REASONS: u32 = 260;
const ROW_BYTES: usize = 32 + 32 * 4;

/** What one vCPU has; the rows follow. */
@unmanaged
export class VcpuCounters {
  /** Row and exit time of the exit that is not accounted yet; row 0: there is none. */
  openRow: usize;
  openTsc: u64;
  /** Ticks spent in the guest. */
  guestTicks: u64;
}

const tables = memory.data(MAX_VMS * MAX_VCPUS_PER_VM * 4, 16);

function slotOf(vcpu: Vcpu): usize {
  return tables + <usize>(vcpu.vmIndex * MAX_VCPUS_PER_VM + vcpu.index) * 4;
}

/** Storage for a vCPU's counters; boot time only. */
export function countersCreate(vcpu: Vcpu): void {
  const counters = arenaAlloc(offsetof<VcpuCounters>() + COUNTED_REASONS * ROW_BYTES, 64);
  store<u32>(slotOf(vcpu), <u32>counters);
  countersClear(vcpu);
}

/** Starts again from zero. */
export function countersClear(vcpu: Vcpu): void {
  const counters = countersOf(vcpu);
  memory.fill(changetype<usize>(counters), 0, offsetof<VcpuCounters>() + COUNTED_REASONS * ROW_BYTES);
  for (let i: u32 = 0; i < COUNTED_REASONS; i++) rowAt(counters, i).shortest = U64.MAX_VALUE;
}

/** The counters of a vCPU that `countersCreate` has seen. */
export function countersOf(vcpu: Vcpu): VcpuCounters {
  return changetype<VcpuCounters>(load<u32>(slotOf(vcpu)));
}

function rowAt(counters: VcpuCounters, index: u32): ReasonCounters {
  return changetype<ReasonCounters>(changetype<usize>(counters) + offsetof<VcpuCounters>() + index * ROW_BYTES);
}

function indexOf(reason: u32): u32 {
  if (reason < HIGH_BASE) return reason & (LOW_REASONS - 1);
  return LOW_REASONS + (reason & (HIGH_REASONS - 1));
}

/** One reason's row. */
export function reasonCounters(vcpu: Vcpu, reason: u32): ReasonCounters {
  return rowAt(countersOf(vcpu), indexOf(reason));
}

/** Bucket `bucket` of a row's histogram. */
export function histogramBucket(row: ReasonCounters, bucket: u32): u32 {
  return load<u32>(changetype<usize>(row) + offsetof<ReasonCounters>() + (bucket & (HISTOGRAM_BUCKETS - 1)) * 4);
}

/** Right after an exit: accounts the one before and opens this one. */
export function countExit(vcpu: Vcpu): void {
  const counters = countersOf(vcpu);
  const entered = vcpu.tscEntry;
  const exited = vcpu.tscExit;
  counters.guestTicks += exited - entered;
  const open = counters.openRow;
  if (open != 0) account(changetype<ReasonCounters>(open), entered - counters.openTsc);
  const row = rowAt(counters, indexOf(vcpu.exit.reason));
  row.count++;
  counters.openRow = changetype<usize>(row);
  counters.openTsc = exited;
}

function account(row: ReasonCounters, ticks: u64): void {
  row.total += ticks;
  if (ticks < row.shortest) row.shortest = ticks;
  if (ticks > row.longest) row.longest = ticks;
  const magnitude = <u32>(63 - clz(ticks | 1));
  const bucket = changetype<usize>(row) + offsetof<ReasonCounters>() + min(magnitude, HISTOGRAM_BUCKETS - 1) * 4;
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

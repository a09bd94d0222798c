// Which exits are traced. All conditions must hold; each is open until set. Cheap enough for every exit while tracing is
// on, and not looked at while it is off.
import { TRACE_FILTER_RANGES, TRACE_FILTER_REASONS } from "../abi/trace";
import { EXIT_CPUID, EXIT_IO, EXIT_RDMSR, EXIT_WRMSR } from "../vcpu/exit";
import { Vcpu } from "../vcpu/vcpu";
import { COUNTED_REASONS, reasonIndex, reasonOfIndex } from "./counters";

/** Matches any VM or vCPU. */
export const ANY: u32 = 0xffffffff;

/** An inclusive range of numbers; the whole range of u64 is open. */
@unmanaged
export class TraceRange {
  first: u64;
  last: u64;
}

@unmanaged
class TraceFilter {
  vm: u32;
  vcpu: u32;
  /** Every Nth of the exits that pass all else. */
  every: u32;
  /** Exits passed since the last one taken. */
  skipped: u32;
  /** 1: only the reasons in the set. */
  byReason: u32;
  reserved: u32;
}

/** Bytes of a TraceFilter, and of the ranges behind it; the reasons follow, a byte each. */
const STATE_BYTES: u32 = 24;
const RANGES_BYTES: u32 = 4 * 16;
const FILTER_BYTES: u32 = 24 + 4 * 16 + COUNTED_REASONS;

const state = memory.data(24 + 4 * 16 + COUNTED_REASONS, 16);
const ranges: usize = state + STATE_BYTES;
const reasons: usize = ranges + RANGES_BYTES;
/** The filter as it was when `filterKeep` was called. */
const kept = memory.data(24 + 4 * 16 + COUNTED_REASONS, 16);

const RANGE_RIP: u32 = 0;
export const RANGE_PORT: u32 = 1;
const RANGE_MSR: u32 = 2;
const RANGE_LEAF: u32 = 3;
export const RANGES: u32 = 4;

export function traceFilter(): TraceFilter {
  return changetype<TraceFilter>(state);
}

/** Range `which` (RANGE_*). A port, MSR or leaf range that is set lets only exits of that kind pass. */
export function traceRange(which: u32): TraceRange {
  assert(which < RANGES, "trace: no such range");
  return changetype<TraceRange>(ranges + <usize>which * offsetof<TraceRange>());
}

/** Remembers the filter, for `filterRestore` to bring back when a new one turns out to be none. */
export function filterKeep(): void {
  memory.copy(kept, state, FILTER_BYTES);
}

export function filterRestore(): void {
  memory.copy(state, kept, FILTER_BYTES);
}

/** Lets everything pass. */
export function filterReset(): void {
  const filter = traceFilter();
  filter.vm = ANY;
  filter.vcpu = ANY;
  filter.every = 1;
  filter.skipped = 0;
  filter.byReason = 0;
  memory.fill(reasons, 0, COUNTED_REASONS);
  for (let i: u32 = 0; i < RANGES; i++) {
    traceRange(i).first = 0;
    traceRange(i).last = U64.MAX_VALUE;
  }
}

/** From the first call on, only reasons added so pass. */
export function filterAddReason(reason: u32): void {
  traceFilter().byReason = 1;
  store<u8>(reasons + <usize>reasonIndex(reason), 1);
}

/** Whether a filter by reason takes the one at place `index` of the counters' tables. */
export function filterTakesReason(index: u32): bool {
  assert(index < COUNTED_REASONS, "trace: no such reason");
  return load<u8>(reasons + <usize>index) != 0;
}

/** Whether the vCPU's last exit is to be traced. */
export function filterPasses(vcpu: Vcpu): bool {
  const filter = traceFilter();
  if (filter.vm != ANY && filter.vm != vcpu.vmIndex) return false;
  if (filter.vcpu != ANY && filter.vcpu != vcpu.index) return false;
  const exit = vcpu.exit;
  if (filter.byReason != 0 && load<u8>(reasons + <usize>reasonIndex(exit.reason)) == 0) return false;
  if (!within(RANGE_RIP, exit.rip)) return false;
  if (!detailPasses(vcpu)) return false;
  if (++filter.skipped < filter.every) return false;
  filter.skipped = 0;
  return true;
}

/** A range that is set speaks of one kind of exit; others do not pass it. */
function detailPasses(vcpu: Vcpu): bool {
  const exit = vcpu.exit;
  const isMsr = exit.kind == EXIT_RDMSR || exit.kind == EXIT_WRMSR;
  return (
    only(RANGE_PORT, exit.kind == EXIT_IO, exit.detail) &&
    only(RANGE_MSR, isMsr, exit.detail) &&
    only(RANGE_LEAF, exit.kind == EXIT_CPUID, <u32>vcpu.rax)
  );
}

function only(which: u32, applies: bool, value: u64): bool {
  if (rangeIsOpen(which)) return true;
  return applies && within(which, value);
}

function within(which: u32, value: u64): bool {
  const range = traceRange(which);
  return value >= range.first && value <= range.last;
}

export function rangeIsOpen(which: u32): bool {
  const range = traceRange(which);
  return range.first == 0 && range.last == U64.MAX_VALUE;
}

/** Whether everything passes. */
export function filterIsOpen(): bool {
  const filter = traceFilter();
  if (filter.vm != ANY || filter.vcpu != ANY || filter.every != 1 || filter.byReason != 0) return false;
  for (let i: u32 = 0; i < RANGES; i++) {
    if (!rangeIsOpen(i)) return false;
  }
  return true;
}

/** Writes the filter in the form of a frame (kernel/abi/trace.ts) to `output`. Returns its bytes. */
export function filterDescribe(output: usize): u32 {
  const filter = traceFilter();
  store<u32>(output, filter.vm);
  store<u32>(output + 4, filter.vcpu);
  store<u32>(output + 8, filter.every);
  memory.copy(output + TRACE_FILTER_RANGES, ranges, RANGES * offsetof<TraceRange>());
  let count: u32 = 0;
  for (let i: u32 = 0; filter.byReason != 0 && i < COUNTED_REASONS; i++) {
    if (!filterTakesReason(i)) continue;
    store<u32>(output + TRACE_FILTER_REASONS + <usize>count * 4, reasonOfIndex(i));
    count++;
  }
  store<u32>(output + 12, count);
  return TRACE_FILTER_REASONS + count * 4;
}

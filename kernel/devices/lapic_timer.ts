// The local APIC's timer (Intel SDM volume 3, "APIC Timer"): one-shot, periodic and TSC-deadline modes.
// Everything is computed from the VM time of the next expiry; nothing counts.
import { div_wide, mul_high } from "../arch/intrinsics";
import { MIN_TIMER_PERIOD_NS } from "../lib/limits";
import { Lapic, lapicDeliver, LVT_MASKED, LVT_VECTOR } from "./lapic_state";

/**
 * Timer input clock, hertz, before the divide configuration register. One tick is one nanosecond of VM time.
 */
export const LAPIC_TIMER_HZ: u64 = 1_000_000_000;

const MODE_MASK: u32 = 3 << 17;
const MODE_PERIODIC: u32 = 1 << 17;
const MODE_TSC_DEADLINE: u32 = 2 << 17;

/** Writable bits of the divide configuration register: 3, 1 and 0. */
export const DIVIDE_WRITABLE: u32 = 0x0b;

/** log2 of the divisor: bits 3, 1, 0 of the register, with 111b meaning 1. */
function divideShift(l: Lapic): u64 {
  if (isDefined(CHECKED)) assert((l.divide & ~DIVIDE_WRITABLE) == 0, "lapic timer: divide configuration");
  const code = ((l.divide >> 1) & 4) | (l.divide & 3);
  return (code + 1) & 7;
}

function inTscDeadlineMode(l: Lapic): bool {
  if (isDefined(CHECKED)) assert(l.lvtTimer >> 19 == 0, "lapic timer: local vector table");
  return (l.lvtTimer & MODE_MASK) == MODE_TSC_DEADLINE;
}

/** Nanoseconds from the initial count to zero. */
function periodNs(l: Lapic): u64 {
  return (<u64>l.initialCount) << divideShift(l);
}

/** Current count register. */
export function timerCurrentCount(l: Lapic, now: u64): u32 {
  if (!l.timerArmed || inTscDeadlineMode(l) || l.timerExpiry <= now) return 0;
  if (isDefined(CHECKED)) assert(l.initialCount != 0, "lapic timer: armed without a count");
  const shift = divideShift(l);
  const count = (l.timerExpiry - now + (((<u64>1) << shift) - 1)) >> shift;
  return <u32>min<u64>(count, l.initialCount);
}

/** Writing the initial count starts the timer, zero stops it; TSC-deadline mode ignores it. */
export function timerSetInitialCount(l: Lapic, value: u32, now: u64): void {
  if (isDefined(CHECKED)) assert(!l.timerArmed || l.timerExpiry > now, "lapic timer: not up to date");
  if (inTscDeadlineMode(l)) return;
  if (isDefined(CHECKED)) assert(l.tscDeadline == 0, "lapic timer: a deadline in another mode");
  l.initialCount = value;
  l.timerArmed = value != 0;
  l.timerExpiry = now + periodNs(l);
}

/** A new divisor applies to what is left of the count. */
export function timerSetDivide(l: Lapic, value: u32, now: u64): void {
  if (isDefined(CHECKED)) assert(!l.timerArmed || l.timerExpiry > now, "lapic timer: not up to date");
  const left = timerCurrentCount(l, now);
  l.divide = value & DIVIDE_WRITABLE;
  if (l.timerArmed && !inTscDeadlineMode(l)) l.timerExpiry = now + ((<u64>left) << divideShift(l));
}

/** Changing to or from TSC-deadline mode disarms the timer. */
export function timerSetLvt(l: Lapic, value: u32): void {
  if (isDefined(CHECKED)) assert(value >> 19 == 0, "lapic timer: local vector table");
  const wasDeadline = inTscDeadlineMode(l);
  l.lvtTimer = value;
  if (wasDeadline == inTscDeadlineMode(l)) return;
  l.timerArmed = false;
  l.tscDeadline = 0;
  l.initialCount = 0;
}

/** IA32_TSC_DEADLINE: zero unless armed. */
export function lapicTscDeadline(l: Lapic, now: u64): u64 {
  if (isDefined(CHECKED))
    assert(l.tscDeadline == 0 || inTscDeadlineMode(l), "lapic timer: a deadline in another mode");
  lapicAdvance(l, now);
  return l.tscDeadline;
}

/**
 * Write of IA32_TSC_DEADLINE, or with the value held before, a change of the guest's TSC.
 * @param tsc the guest's TSC at VM time `now`; `tscHz`: its rate.
 */
export function lapicSetTscDeadline(l: Lapic, value: u64, tsc: u64, tscHz: u64, now: u64): void {
  if (isDefined(CHECKED)) assert(tscHz != 0, "lapic timer: TSC rate");
  if (!inTscDeadlineMode(l)) return;
  l.tscDeadline = value;
  l.timerArmed = value != 0;
  l.timerExpiry = value <= tsc ? now : nsAfter(now, value - tsc, tscHz);
  lapicAdvance(l, now);
}

/** VM time `ticks` of the TSC after `now`, rounded up; U64.MAX_VALUE if out of reach. */
function nsAfter(now: u64, ticks: u64, tscHz: u64): u64 {
  if (isDefined(CHECKED)) assert(tscHz != 0 && ticks != 0, "lapic timer: TSC rate");
  const high = mul_high(ticks, LAPIC_TIMER_HZ);
  if (high >= tscHz) return u64.MAX_VALUE;
  const ns = div_wide(high, ticks * LAPIC_TIMER_HZ, tscHz);
  return ns >= u64.MAX_VALUE - now - 1 ? u64.MAX_VALUE : now + ns + 1;
}

/** Next timer interrupt, VM time in ns, or U64.MAX_VALUE. A masked timer runs on but needs no attention. */
export function lapicDeadline(l: Lapic, _now: u64): u64 {
  if (isDefined(CHECKED)) assert(l.tscDeadline == 0 || l.timerArmed, "lapic timer: a deadline but no timer");
  return l.timerArmed && (l.lvtTimer & LVT_MASKED) == 0 ? l.timerExpiry : u64.MAX_VALUE;
}

/** Lets the timer expire if it is due. Periods missed meanwhile merge into one interrupt, as in the IRR. */
export function lapicAdvance(l: Lapic, now: u64): void {
  if (!l.timerArmed || now < l.timerExpiry) return;
  if ((l.lvtTimer & MODE_MASK) == MODE_PERIODIC) {
    const period = max<u64>(periodNs(l), MIN_TIMER_PERIOD_NS);
    l.timerExpiry += ((now - l.timerExpiry) / period + 1) * period;
  } else {
    l.timerArmed = false;
    l.tscDeadline = 0;
  }
  if (isDefined(CHECKED)) assert(!l.timerArmed || l.timerExpiry > now, "lapic timer: the expiry is to come");
  if ((l.lvtTimer & LVT_MASKED) == 0) lapicDeliver(l, l.lvtTimer & LVT_VECTOR, false);
}

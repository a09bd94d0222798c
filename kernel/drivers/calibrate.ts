// The rates of the TSC and of the local APIC's timer, measured against a clock of known rate: the ACPI power-management
// timer, or the 8254 on computers without one. CPUID's own figures count only when the measurement confirms them.
import { cpuidHasLeaf, cpuidRegister, EAX, EBX, ECX, underHypervisor } from "../arch/cpuid";
import { div_wide, mul_high, rdtsc } from "../arch/intrinsics";
import { APIC_TIMER_CURRENT, apicRead } from "./apic";
import { PM_TIMER_HZ, PM_TIMER_MASK, pmTimerPort, pmTimerRead } from "./fadt";
import { PIT_HZ, pitRead, pitStart } from "./pit";

/** Fraction of a second that a measurement takes: 1/100. Two readings at its ends, each good to a microsecond: 100 ppm. */
const WINDOWS_PER_SECOND: u64 = 100;
/** A stated rate is believed when it is within 1/128 of the measured one. */
const AGREEMENT_SHIFT: u64 = 7;
/** Readings at each end, of which the quickest counts. */
const READINGS: u32 = 4;
/** Reads of the reference clock without a change before it counts as dead. */
const PATIENCE: u32 = 1_000_000;

const LEAF_TSC: u32 = 0x15;
const LEAF_HYPERVISOR_TSC: u32 = 0x40000010;

/** One moment, on all three clocks. */
@unmanaged
class Moment {
  tsc: u64;
  reference: u32;
  apicTimer: u32;
}

const first = changetype<Moment>(memory.data(16, 16));
const last = changetype<Moment>(memory.data(16, 16));

let tscRate: u64 = 0;
let apicTimerRate: u64 = 0;
let usesPmTimer: bool = false;

/**
 * Measures both rates. The APIC timer must be counting down. False: the reference clock does not move, so the rates are
 * unknown.
 */
export function calibrate(): bool {
  usesPmTimer = pmTimerPort() != 0;
  if (!usesPmTimer) pitStart();
  if (!sample(first)) return false;
  const window = <u32>(referenceHz() / WINDOWS_PER_SECOND);
  for (let polls: u32 = 0; elapsed(first.reference, reference()) < window; polls++) {
    if (polls == PATIENCE) return false;
  }
  if (!sample(last)) return false;
  const ticks: u64 = elapsed(first.reference, last.reference);
  tscRate = confirmed(div_wide(0, (last.tsc - first.tsc) * referenceHz(), ticks));
  apicTimerRate = div_wide(0, <u64>(first.apicTimer - last.apicTimer) * referenceHz(), ticks);
  return tscRate != 0;
}

/** TSC ticks per second. */
export function calibratedTscHz(): u64 {
  return tscRate;
}

/** Ticks per second of the APIC timer at the divider it ran with; 0 when it does not count. */
export function calibratedApicTimerHz(): u64 {
  return apicTimerRate;
}

/** "PM timer" or "PIT", for people. */
export function calibrationReference(): string {
  return usesPmTimer ? "PM timer" : "PIT";
}

/** Reads all clocks right after a tick of the reference; the quickest of a few readings. False: the reference stands still. */
function sample(moment: Moment): bool {
  let best = U64.MAX_VALUE;
  for (let i: u32 = 0; i < READINGS; i++) {
    const before = reference();
    let now = before;
    let start: u64 = 0;
    for (let polls: u32 = 0; now == before; polls++) {
      if (polls == PATIENCE) return false;
      start = rdtsc();
      now = reference();
    }
    const end = rdtsc();
    const timer = apicRead(APIC_TIMER_CURRENT);
    if (end - start >= best) continue;
    best = end - start;
    moment.tsc = start + (best >> 1);
    moment.reference = now;
    moment.apicTimer = timer;
  }
  return true;
}

function referenceHz(): u64 {
  return usesPmTimer ? PM_TIMER_HZ : PIT_HZ;
}

function reference(): u32 {
  return usesPmTimer ? pmTimerRead() : pitRead();
}

function elapsed(from: u32, to: u32): u32 {
  return (to - from) & (usesPmTimer ? PM_TIMER_MASK : 0xffff);
}

/** The rate that CPUID states, when it states one and the measurement agrees; else the measured one. */
function confirmed(measured: u64): u64 {
  const stated = underHypervisor() ? hypervisorRate() : crystalRate();
  const difference = stated > measured ? stated - measured : measured - stated;
  return stated != 0 && difference <= measured >> AGREEMENT_SHIFT ? stated : measured;
}

/** SDM, CPUID leaf 15H: core crystal clock in hertz (ECX) times EBX / EAX. */
function crystalRate(): u64 {
  if (!cpuidHasLeaf(LEAF_TSC)) return 0;
  const denominator: u64 = cpuidRegister(LEAF_TSC, 0, EAX);
  const numerator: u64 = cpuidRegister(LEAF_TSC, 0, EBX);
  const crystal: u64 = cpuidRegister(LEAF_TSC, 0, ECX);
  if (denominator == 0 || mul_high(crystal, numerator) != 0) return 0;
  return (crystal * numerator) / denominator;
}

/** The leaf of VMware's interface that other hypervisors share: TSC in kilohertz. */
function hypervisorRate(): u64 {
  return cpuidHasLeaf(LEAF_HYPERVISOR_TSC) ? <u64>cpuidRegister(LEAF_HYPERVISOR_TSC, 0, EAX) * 1000 : 0;
}

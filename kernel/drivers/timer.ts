// The timer that takes a CPU back from its guest or wakes it from idling: the local APIC's, in TSC-deadline mode where the
// CPU has it, else counting down.
import { cpuidFeature, ECX } from "../arch/cpuid";
import { tscHz } from "../arch/clock";
import { waitForInterrupt } from "../arch/gate";
import { mfence, mul_shift32, div_wide, rdtsc, wrmsr } from "../arch/intrinsics";
import { IA32_TSC_DEADLINE } from "../arch/msr";
import { thisCpu } from "../arch/percpu";
import { APIC_LVT_TIMER, APIC_TIMER_DIVIDE, APIC_TIMER_INITIAL, apicWrite, LVT_MASKED } from "./apic";

/** Vector of the host timer: the highest class below the spurious vector's, so that nothing delays it. */
export const TIMER_VECTOR: u32 = 0xec;

const DIVIDE_BY_1: u32 = 0x0b;
const LVT_TSC_DEADLINE: u32 = 2 << 17;
/** Shortest interval: an earlier moment fires as soon as interrupts are let in. */
const SHORTEST_COUNT: u64 = 1;

/** U64.MAX_VALUE in `PerCpu.timerTsc`. */
const OFF: u64 = U64.MAX_VALUE;

let deadlineMode: bool = false;
/** APIC timer ticks per TSC tick, times 2^32. */
let countsPerTick: u64 = 0;

/** Lets the timer count from its maximum, masked, so that its rate can be measured. */
export function hostTimerStartCounting(): void {
  apicWrite(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
  apicWrite(APIC_LVT_TIMER, LVT_MASKED);
  apicWrite(APIC_TIMER_INITIAL, U32.MAX_VALUE);
}

/** Makes the timer ready, off. `apicTimerHz`: its rate at divider 1, used when the CPU has no TSC-deadline mode. */
export function hostTimerStart(apicTimerHz: u64): void {
  deadlineMode = cpuidFeature(1, 0, ECX, 24);
  apicWrite(APIC_TIMER_INITIAL, 0);
  apicWrite(APIC_LVT_TIMER, TIMER_VECTOR | (deadlineMode ? LVT_TSC_DEADLINE : 0));
  // SDM, "TSC-Deadline Mode": the switch of mode must be complete before the deadline is written.
  mfence();
  countsPerTick = div_wide(apicTimerHz >> 32, apicTimerHz << 32, tscHz());
  thisCpu().timerTsc = OFF;
}

/** TSC-deadline mode, for the log. */
export function hostTimerUsesDeadline(): bool {
  return deadlineMode;
}

/** Interrupts this CPU (TIMER_VECTOR) when its TSC reaches `tsc`; at once if it has. U64.MAX_VALUE: switches the timer off. */
export function hostTimerArm(tsc: u64): void {
  const cpu = thisCpu();
  if (tsc == cpu.timerTsc) return;
  cpu.timerTsc = tsc;
  if (deadlineMode) wrmsr(IA32_TSC_DEADLINE, tsc == OFF ? 0 : tsc);
  else apicWrite(APIC_TIMER_INITIAL, tsc == OFF ? 0 : countUntil(tsc));
}

/** The timer's interrupt: it is off now. */
export function hostTimerFired(): void {
  thisCpu().timerTsc = OFF;
}

/** APIC timer ticks from now until `tsc`: at least one, at most what the counter holds (the timer then fires early). */
function countUntil(tsc: u64): u32 {
  const now = rdtsc();
  if (tsc <= now) return <u32>SHORTEST_COUNT;
  const ticks = min<u64>(tsc - now, LONGEST_TICKS);
  return <u32>min<u64>(max(mul_shift32(ticks, countsPerTick), SHORTEST_COUNT), U32.MAX_VALUE);
}

/** Keeps the product in `countUntil` within 64 bits whatever the rates; minutes at least. */
const LONGEST_TICKS: u64 = 1 << 40;

/** Waits for an interrupt, at the latest until TSC `tsc` (U64.MAX_VALUE: for ever); its handler has run on return. */
export function hostIdle(tsc: u64): void {
  hostTimerArm(tsc);
  waitForInterrupt();
}

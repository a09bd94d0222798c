// Time stamp counter and nanoseconds: two fixed-point factors with 32 fraction bits, set once at boot.
import { div_wide, mul_shift32 } from "./intrinsics";

const NS_PER_SECOND: u64 = 1_000_000_000;

let frequency: u64 = NS_PER_SECOND;
/** Nanoseconds per tick, and ticks per nanosecond, times 2^32. */
let nsPerTick: u64 = 1 << 32;
let ticksPerNs: u64 = 1 << 32;
/** The longest times whose conversion fits into 64 bits. */
let longestTicks: u64 = U64.MAX_VALUE;
let longestNs: u64 = U64.MAX_VALUE;

/**
 * Sets the rate of the TSC, in hertz (1 MHz to 1 THz). With 32 fraction bits a conversion is exact to better than 1 ppm
 * over that range, and to 1 ppb at the usual gigahertz.
 */
export function clockSet(hz: u64): void {
  assert(hz >= 1_000_000 && hz <= 1_000_000_000_000, "clock: TSC rate out of range");
  frequency = hz;
  nsPerTick = shiftedQuotient(NS_PER_SECOND, hz);
  ticksPerNs = shiftedQuotient(hz, NS_PER_SECOND);
  longestTicks = longestFor(nsPerTick);
  longestNs = longestFor(ticksPerNs);
}

/** Ticks of the TSC per second. */
export function tscHz(): u64 {
  return frequency;
}

/** Nanoseconds that `ticks` of the TSC take; U64.MAX_VALUE when they are more than that. */
export function nsFromTsc(ticks: u64): u64 {
  return ticks > longestTicks ? U64.MAX_VALUE : mul_shift32(ticks, nsPerTick);
}

/** The same for ticks that have passed: 584 years fit, so that the question is saved, 2 instructions on every look at a clock. */
export function nsPassed(ticks: u64): u64 {
  return mul_shift32(ticks, nsPerTick);
}

/** Ticks of the TSC in `ns` nanoseconds; U64.MAX_VALUE when they are more than that. */
export function tscFromNs(ns: u64): u64 {
  return ns > longestNs ? U64.MAX_VALUE : mul_shift32(ns, ticksPerNs);
}

/** TSC at which `ns` nanoseconds have surely passed since it was `start`. U64.MAX_VALUE means never, for both. */
export function tscAfter(start: u64, ns: u64): u64 {
  if (ns == U64.MAX_VALUE) return ns;
  const ticks = tscFromNs(ns); // rounded down
  return ticks >= U64.MAX_VALUE - start ? U64.MAX_VALUE : start + ticks + 1;
}

/** The largest number whose product with `factor`, over 2^32, fits into 64 bits. */
function longestFor(factor: u64): u64 {
  return factor <= 1 << 32 ? U64.MAX_VALUE : div_wide((1 << 32) - 1, U64.MAX_VALUE, factor);
}

/** (numerator << 32) / denominator, rounded to nearest. */
function shiftedQuotient(numerator: u64, denominator: u64): u64 {
  const low = numerator << 32;
  const half = denominator >> 1;
  const carry: u64 = low + half < low ? 1 : 0;
  return div_wide((numerator >> 32) + carry, low + half, denominator);
}

// Time stamp counter and nanoseconds: two fixed-point factors with 32 fraction bits, set once at boot.
import { div_wide, mul_shift32 } from "./intrinsics";

const NS_PER_SECOND: u64 = 1_000_000_000;

let frequency: u64 = NS_PER_SECOND;
/** Nanoseconds per tick, and ticks per nanosecond, times 2^32. */
let nsPerTick: u64 = 1 << 32;
let ticksPerNs: u64 = 1 << 32;

/**
 * Sets the rate of the TSC, in hertz (1 MHz to 1 THz). With 32 fraction bits a conversion is exact to better than 1 ppm
 * over that range, and to 1 ppb at the usual gigahertz.
 */
export function clockSet(hz: u64): void {
  assert(hz >= 1_000_000 && hz <= 1_000_000_000_000, "clock: TSC rate out of range");
  frequency = hz;
  nsPerTick = shiftedQuotient(NS_PER_SECOND, hz);
  ticksPerNs = shiftedQuotient(hz, NS_PER_SECOND);
}

/** Ticks of the TSC per second. */
export function tscHz(): u64 {
  return frequency;
}

/** Nanoseconds that `ticks` of the TSC take. */
export function nsFromTsc(ticks: u64): u64 {
  return mul_shift32(ticks, nsPerTick);
}

/** Ticks of the TSC in `ns` nanoseconds. */
export function tscFromNs(ns: u64): u64 {
  return mul_shift32(ns, ticksPerNs);
}

/** (numerator << 32) / denominator, rounded to nearest. */
function shiftedQuotient(numerator: u64, denominator: u64): u64 {
  const low = numerator << 32;
  const half = denominator >> 1;
  const carry: u64 = low + half < low ? 1 : 0;
  return div_wide((numerator >> 32) + carry, low + half, denominator);
}

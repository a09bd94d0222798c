// The paravirtual clock that Linux knows as kvm-clock (Linux documentation, "KVM-specific MSRs"): the guest
// computes its time from its TSC with a factor that the hypervisor states once, so that reading the clock
// never exits.
//
// System time, 32 bytes:                          Wall clock, 12 bytes:
//   0  u32 version: odd while being written         0  u32 version
//   4  u32 zero                                     4  u32 seconds
//   8  u64 TSC at the update                        8  u32 nanoseconds
//   16 u64 nanoseconds at the update
//   24 u32 multiplier: ns = (ticks << shift) * multiplier >> 32
//   28 s8  shift    29 u8 flags    30 u16 zero
import { div_wide } from "../arch/intrinsics";
import { arenaNewWithTail } from "../lib/arena";
import { tailOf } from "../lib/tail";

export const MSR_KVM_WALL_CLOCK: u32 = 0x11;
export const MSR_KVM_SYSTEM_TIME: u32 = 0x12;
export const MSR_KVM_WALL_CLOCK_NEW: u32 = 0x4b564d00;
export const MSR_KVM_SYSTEM_TIME_NEW: u32 = 0x4b564d01;
/** Bytes of the two structures in guest memory. */
export const KVM_SYSTEM_TIME_BYTES: u32 = 32;
export const KVM_WALL_CLOCK_BYTES: u32 = 12;

/** The TSCs of all vCPUs are in step: the guest need not compare them. */
const FLAG_TSC_STABLE: u32 = 1 << 0;
const SECOND: u64 = 1_000_000_000;

/** The kvm-clock of one vCPU. Ends in room for a structure on its way to guest memory. */
@unmanaged
export class KvmClock {
  /** MSR_KVM_SYSTEM_TIME as written: guest-physical address, a multiple of 4, and in bit 0 whether it is in use. */
  systemTimeMsr: u64;
  /** Rate of the guest's TSC, and what it makes of it. */
  tscHz: u64;
  multiplier: u32;
  shift: i32;
  /** Version of the last structures written: even. */
  version: u32;
  wallVersion: u32;
}

/** Storage for one; boot time only. */
export function kvmClockNew(): KvmClock {
  return arenaNewWithTail<KvmClock>(KVM_SYSTEM_TIME_BYTES);
}

/** Linear address of KVM_SYSTEM_TIME_BYTES bytes in which to fill one of the structures. */
export function kvmClockRoom(c: KvmClock): usize {
  return tailOf(c);
}

/** Off, for a guest TSC of `tscHz` (not zero). */
export function kvmClockReset(c: KvmClock, tscHz: u64): void {
  assert(tscHz != 0, "kvmclock: TSC rate");
  c.systemTimeMsr = 0;
  c.tscHz = tscHz;
  c.version = 0;
  c.wallVersion = 0;
  scale(c);
}

/**
 * Nanoseconds per tick as multiplier * 2^(shift - 32), with the multiplier's top bit set: bring the rate into
 * (SECOND, 2 * SECOND] by doubling or halving, then divide.
 */
function scale(c: KvmClock): void {
  let hz = c.tscHz;
  let shift: i32 = 0;
  while (hz > 2 * SECOND) {
    hz >>= 1;
    shift -= 1;
  }
  while (hz <= SECOND) {
    hz <<= 1;
    shift += 1;
  }
  assert(hz > SECOND && hz <= 2 * SECOND, "kvmclock: rate");
  assert(shift > -32 && shift < 32, "kvmclock: shift");
  c.shift = shift;
  // SECOND / (tscHz << shift) in 32-bit fixed point, from the exact rate.
  c.multiplier =
    shift >= 0
      ? <u32>((SECOND << 32) / (c.tscHz << (<u64>shift)))
      : <u32>div_wide(SECOND >> <u64>(32 + shift), SECOND << (<u64>(32 - shift)), c.tscHz);
}

/**
 * Fills the 32 bytes at `buffer` for the guest's TSC value `tsc` at VM time `now`. The version is even:
 * whoever copies them must write an odd version to guest memory before, and the version last (the fields need
 * no other order).
 */
export function kvmClockFill(c: KvmClock, buffer: usize, tsc: u64, now: u64): void {
  assert((c.version & 1) == 0, "kvmclock: a version is even");
  assert(c.multiplier != 0, "kvmclock: the rate has not been set");
  c.version += 2;
  store<u32>(buffer, c.version, 0);
  store<u32>(buffer, 0, 4);
  store<u64>(buffer, tsc, 8);
  store<u64>(buffer, now, 16);
  store<u32>(buffer, c.multiplier, 24);
  store<u32>(buffer, (c.shift & 0xff) | (FLAG_TSC_STABLE << 8), 28);
}

/** Fills the 12 bytes at `buffer`: the date at VM time 0, in nanoseconds since 1970. */
export function kvmWallClockFill(c: KvmClock, buffer: usize, bootUnixNs: u64): void {
  assert((c.wallVersion & 1) == 0, "kvmclock: a version is even");
  c.wallVersion += 2;
  store<u32>(buffer, c.wallVersion, 0);
  store<u32>(buffer, <u32>(bootUnixNs / SECOND), 4);
  store<u32>(buffer, <u32>(bootUnixNs % SECOND), 8);
}

// The kvm-clock.
import { arenaNew } from "../lib/arena";

export const MSR_KVM_WALL_CLOCK: u32 = 0x11;
export const MSR_KVM_SYSTEM_TIME: u32 = 0x12;
export const MSR_KVM_WALL_CLOCK_NEW: u32 = 0x4b564d00;
export const MSR_KVM_SYSTEM_TIME_NEW: u32 = 0x4b564d01;
/** Bytes of the two structures in guest memory. */
export const KVM_SYSTEM_TIME_BYTES: u32 = 32;
export const KVM_WALL_CLOCK_BYTES: u32 = 12;

/** The kvm-clock of one vCPU. */
@unmanaged
export class KvmClock {
  /** MSR_KVM_SYSTEM_TIME as written: guest-physical address | enable (bit 0). */
  systemTimeMsr: u64;
  tscHz: u64;
}

/** Storage for one; boot time only. */
export function kvmClockNew(): KvmClock { return arenaNew<KvmClock>(); }
export function kvmClockReset(_c: KvmClock, _tscHz: u64): void {}
/** Fills 32 bytes at `buffer` for the guest's TSC value `tsc` at VM time `now`; even version: ready to copy as a whole. */
export function kvmClockFill(_c: KvmClock, _buffer: usize, _tsc: u64, _now: u64): void {}
/** Fills 12 bytes at `buffer`: the wall-clock time at VM time 0, in nanoseconds since 1970. */
export function kvmWallClockFill(_c: KvmClock, _buffer: usize, _bootUnixNs: u64): void {}

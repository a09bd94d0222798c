// The MC146818 real-time clock with CMOS RAM.
import { arenaNew } from "../lib/arena";

@unmanaged
export class Rtc {
  /** Port 70h bit 7: NMI is masked. */
  nmiMasked: bool;
}

/** Storage for one; boot time only. */
export function rtcNew(): Rtc { return arenaNew<Rtc>(); }
/** Power-on state. Offsets: 0 index (70h), 1 data (71h). */
export function rtcReset(_d: Rtc): void {}
/** Sets the clock so that it shows `unixSeconds` (UTC) at `now`. */
export function rtcSetTime(_d: Rtc, _unixSeconds: u64, _now: u64): void {}
/** Fills the CMOS bytes in which firmware tells memory sizes: bytes of RAM below and from 4 GiB on. */
export function rtcSetMemory(_d: Rtc, _bytesBelow4G: u64, _bytesAbove4G: u64): void {}
export function rtcRead(_d: Rtc, _offset: u32, _size: u32, _now: u64): u32 { return 0xffffffff; }
export function rtcWrite(_d: Rtc, _offset: u32, _size: u32, _value: u32, _now: u64): void {}
/** IRQ (8). */
export function rtcLine(_d: Rtc, _now: u64): bool { return false; }
export function rtcDeadline(_d: Rtc, _now: u64): u64 { return u64.MAX_VALUE; }
export function rtcAdvance(_d: Rtc, _now: u64): void {}

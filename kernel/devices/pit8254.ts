// The 8254 interval timer of a PC with port 61h.
import { arenaNew } from "../lib/arena";

// Offsets; the platform maps ports to them. Counters 0..2 and the control word are offsets 0..3 (40h-43h).
/** System control port B (61h): gate of counter 2, speaker, OUT of counter 2, refresh toggle. */
export const PIT_PORT_B: u32 = 4;

@unmanaged
export class Pit8254 {
  reserved: u64;
}

/** Storage for one; boot time only. */
export function pit8254New(): Pit8254 { return arenaNew<Pit8254>(); }
export function pit8254Reset(_d: Pit8254): void {}
export function pit8254Read(_d: Pit8254, _offset: u32, _size: u32, _now: u64): u32 { return 0xffffffff; }
export function pit8254Write(_d: Pit8254, _offset: u32, _size: u32, _value: u32, _now: u64): void {}
/** OUT of counter 0 (IRQ 0). */
export function pit8254Line(_d: Pit8254, _now: u64): bool { return false; }
/** Rising edges of OUT 0 up to the last `pit8254Advance`, once: pulse IRQ 0 (low, high) if not zero, then set it to the line. */
export function pit8254TakeEdges(_d: Pit8254): u32 { return 0; }
/** Next rising edge of OUT 0. */
export function pit8254Deadline(_d: Pit8254, _now: u64): u64 { return u64.MAX_VALUE; }
export function pit8254Advance(_d: Pit8254, _now: u64): void {}

// The keyboard controller, without keyboard or mouse, and system control port A.
import { arenaNew } from "../lib/arena";

// Offsets; the platform maps ports to them.
/** Data port, 60h. */
export const I8042_DATA: u32 = 0;
/** Status and command port, 64h. */
export const I8042_COMMAND: u32 = 4;
/** System control port A, 92h: A20 gate and fast reset. */
export const I8042_PORT_A: u32 = 8;

@unmanaged
export class I8042 {
  /** The guest asked for a reset (command FEh, output port bit 0, port A bit 0). */
  resetRequested: bool;
  /** State of the A20 gate: for reading back only; addresses are never masked. */
  a20: bool;
}

/** Storage for one; boot time only. */
export function i8042New(): I8042 { return arenaNew<I8042>(); }
export function i8042Reset(_d: I8042): void {}
export function i8042Read(_d: I8042, _offset: u32, _size: u32, _now: u64): u32 { return 0xffffffff; }
export function i8042Write(_d: I8042, _offset: u32, _size: u32, _value: u32, _now: u64): void {}
/** IRQ 1. */
export function i8042Line(_d: I8042, _now: u64): bool { return false; }
export function i8042Deadline(_d: I8042, _now: u64): u64 { return u64.MAX_VALUE; }
export function i8042Advance(_d: I8042, _now: u64): void {}

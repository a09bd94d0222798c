// The pair of 8259A interrupt controllers of a PC.
import { arenaNew } from "../lib/arena";

// Offsets of the register groups; the platform maps ports to them.
/** 20h and 21h. */
export const PIC_MASTER: u32 = 0;
/** A0h and A1h. */
export const PIC_SLAVE: u32 = 2;
/** Edge/level control registers, 4D0h and 4D1h. */
export const PIC_ELCR: u32 = 4;

@unmanaged
export class Pic8259 {
  reserved: u64;
}

/** Storage for one pair; boot time only. */
export function pic8259New(): Pic8259 { return arenaNew<Pic8259>(); }
export function pic8259Reset(_d: Pic8259): void {}
export function pic8259Read(_d: Pic8259, _offset: u32, _size: u32, _now: u64): u32 { return 0xffffffff; }
export function pic8259Write(_d: Pic8259, _offset: u32, _size: u32, _value: u32, _now: u64): void {}
/** Level of interrupt request `irq` 0..15 (2 is the cascade and ignored). */
export function pic8259SetPin(_d: Pic8259, _irq: u32, _level: bool): void {}
/** INTR: an unmasked request of sufficient priority waits. */
export function pic8259Line(_d: Pic8259, _now: u64): bool { return false; }
/** The CPU's interrupt-acknowledge cycle: returns the vector (IRQ 7's or 15's if the request went away). */
export function pic8259Acknowledge(_d: Pic8259): u32 { return 7; }
export function pic8259Deadline(_d: Pic8259, _now: u64): u64 { return u64.MAX_VALUE; }
export function pic8259Advance(_d: Pic8259, _now: u64): void {}

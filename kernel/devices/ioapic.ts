// The I/O APIC (82093AA, version 20h): 24 input pins.
import { arenaNew } from "../lib/arena";

export const IOAPIC_PINS: u32 = 24;
/** Result of `ioapicTakePending` when no pin has a message to send. */
export const NO_PIN: i32 = -1;

@unmanaged
export class Ioapic {
  reserved: u64;
}

/** Storage for one; boot time only. */
export function ioapicNew(): Ioapic { return arenaNew<Ioapic>(); }
export function ioapicReset(_d: Ioapic): void {}
/** MMIO; `offset` from the IOAPIC's base. */
export function ioapicRead(_d: Ioapic, _offset: u32, _size: u32, _now: u64): u32 { return 0xffffffff; }
export function ioapicWrite(_d: Ioapic, _offset: u32, _size: u32, _value: u32, _now: u64): void {}
/** Level of input `pin` 0..23, asserted = true whatever the polarity bit says. */
export function ioapicSetPin(_d: Ioapic, _pin: u32, _asserted: bool): void {}
/** Pin whose interrupt message is to be sent now (its redirection entry tells which), or NO_PIN; call until NO_PIN. */
export function ioapicTakePending(_d: Ioapic): i32 { return NO_PIN; }
/** Redirection entry of `pin`: bits 7:0 vector, 10:8 delivery mode, 11 logical, 15 level, 63:56 destination. */
export function ioapicEntry(_d: Ioapic, _pin: u32): u64 { return 0; }
/** EOI of `vector` broadcast by a local APIC: level-triggered pins with that vector may fire again. */
export function ioapicEoi(_d: Ioapic, _vector: u32): void {}
/** Whether an unmasked ExtINT entry passes its asserted pin (the PIC's INTR) to the CPU. */
export function ioapicExtIntPending(_d: Ioapic): bool { return false; }
/** Whether `ioapicTakePending` would give a pin. */
export function ioapicLine(_d: Ioapic, _now: u64): bool { return false; }
export function ioapicDeadline(_d: Ioapic, _now: u64): u64 { return u64.MAX_VALUE; }
export function ioapicAdvance(_d: Ioapic, _now: u64): void {}

// ACPI fixed hardware.
import { arenaNew } from "../lib/arena";

// Offsets of the register blocks from the base port; FADT lengths in bytes.
export const PM1_EVENT: u32 = 0x00;
export const PM1_EVENT_BYTES: u32 = 4;
export const PM1_CONTROL: u32 = 0x04;
export const PM1_CONTROL_BYTES: u32 = 2;
export const PM_TIMER: u32 = 0x08;
export const PM_TIMER_BYTES: u32 = 4;
export const GPE0: u32 = 0x0c;
export const GPE0_BYTES: u32 = 4;
/** Ports to claim from the base on. */
export const ACPI_PM_BYTES: u32 = 0x10;
/** SLP_TYPa of \_S5. */
export const SLEEP_TYPE_S5: u32 = 5;

@unmanaged
export class AcpiPm {
  /** The guest entered S5; the platform acts on it. */
  powerOffRequested: bool;
}

/** Storage for one; boot time only. */
export function acpiPmNew(): AcpiPm { return arenaNew<AcpiPm>(); }
export function acpiPmReset(_d: AcpiPm): void {}
export function acpiPmRead(_d: AcpiPm, _offset: u32, _size: u32, _now: u64): u32 { return 0xffffffff; }
export function acpiPmWrite(_d: AcpiPm, _offset: u32, _size: u32, _value: u32, _now: u64): void {}
/** SCI. */
export function acpiPmLine(_d: AcpiPm, _now: u64): bool { return false; }
export function acpiPmDeadline(_d: AcpiPm, _now: u64): u64 { return u64.MAX_VALUE; }
export function acpiPmAdvance(_d: AcpiPm, _now: u64): void {}
/** The power button: asks the guest to shut down. */
export function acpiPmPressPowerButton(_d: AcpiPm): void {}
/** Raises general-purpose event `event` (0..15). */
export function acpiPmRaiseGpe(_d: AcpiPm, _event: u32): void {}

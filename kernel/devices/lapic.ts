// The local APIC: registers.
import { arenaNew } from "../lib/arena";

/** Timer input clock, hertz (before the divide configuration register). */
export const LAPIC_TIMER_HZ: u64 = 1_000_000_000;
/** Result of `lapicHighestPending` and `lapicTakeEoi` when there is none. */
export const NO_VECTOR: i32 = -1;
/** Result of `lapicTakeIpi` when there is none. */
export const NO_IPI: u64 = u64.MAX_VALUE;

// Delivery modes of interrupt messages, ICR and redirection entries.
export const DELIVERY_FIXED: u32 = 0;
export const DELIVERY_LOWEST: u32 = 1;
export const DELIVERY_SMI: u32 = 2;
export const DELIVERY_NMI: u32 = 4;
export const DELIVERY_INIT: u32 = 5;
export const DELIVERY_STARTUP: u32 = 6;
export const DELIVERY_EXTINT: u32 = 7;

@unmanaged
export class Lapic {
  apicId: u32;
  /** NMI to deliver to the CPU; the platform clears it. */
  nmiPending: bool;
  /** INIT to deliver; the platform clears it. */
  initPending: bool;
  /** SIPI to deliver, with its vector in `sipiVector`; the platform clears it. */
  sipiPending: bool;
  sipiVector: u32;
}

/** Storage for one; boot time only. */
export function lapicNew(): Lapic { return arenaNew<Lapic>(); }
/** Power-up state. `apicId`: initial local APIC ID; `bootCpu`: sets the BSP flag. `x2apicAllowed`: CPUID offers x2APIC. */
export function lapicReset(_l: Lapic, _apicId: u32, _bootCpu: bool): void {}
/** State after INIT: as after power-up but for APIC ID and IA32_APIC_BASE. */
export function lapicInit(_l: Lapic): void {}
/** xAPIC MMIO; `offset` 0..FFFh from the APIC base. Accesses are 32-bit at multiples of 16; others do as hardware does. */
export function lapicRead(_l: Lapic, _offset: u32, _size: u32, _now: u64): u32 { return 0; }
export function lapicWrite(_l: Lapic, _offset: u32, _size: u32, _value: u32, _now: u64): void {}
/** x2APIC MSRs 800h-8FFh: stores the value at `result`. False: #GP. */
export function lapicMsrRead(_l: Lapic, _msr: u32, _result: usize, _now: u64): bool { return false; }
export function lapicMsrWrite(_l: Lapic, _msr: u32, _value: u64, _now: u64): bool { return false; }
/** IA32_APIC_BASE. */
export function lapicBase(_l: Lapic): u64 { return 0; }
/** False: #GP (reserved bits, bad mode transition). */
export function lapicSetBase(_l: Lapic, _value: u64): bool { return false; }
/** IA32_TSC_DEADLINE; `tsc` is the guest's TSC at `now`, `tscHz` its rate. */
export function lapicTscDeadline(_l: Lapic, _now: u64): u64 { return 0; }
export function lapicSetTscDeadline(_l: Lapic, _value: u64, _tsc: u64, _tscHz: u64, _now: u64): void {}
/** Task-priority class 0..15, as CR8. */
export function lapicTprClass(_l: Lapic): u32 { return 0; }
export function lapicSetTprClass(_l: Lapic, _value: u32): void {}
/** Accepts a fixed interrupt; `level`: trigger mode is level. */
export function lapicDeliver(_l: Lapic, _vector: u32, _level: bool): void {}
/** Accepts an interrupt message of any delivery mode (from IOAPIC, MSI or another CPU's ICR). */
export function lapicMessage(_l: Lapic, _mode: u32, _vector: u32, _level: bool): void {}
/** Whether a message to `destination` (8-bit xAPIC or 32-bit x2APIC; `logical`: destination mode) is for this APIC. */
export function lapicMatches(_l: Lapic, _destination: u32, _logical: bool): bool { return false; }
/** Vector that the CPU would take now if it could, or NO_VECTOR. */
export function lapicHighestPending(_l: Lapic): i32 { return NO_VECTOR; }
/** Moves the highest pending vector into service and returns it; the spurious vector if there is none any more. */
export function lapicAcknowledge(_l: Lapic): u32 { return 0; }
/** Vector of a level-triggered interrupt whose EOI is to be broadcast to the IOAPICs, once, or NO_VECTOR. */
export function lapicTakeEoi(_l: Lapic): i32 { return NO_VECTOR; }
/** An ICR command whose targets may include other CPUs, once, or NO_IPI. Its effects on this CPU are done already. */
export function lapicTakeIpi(_l: Lapic): u64 { return NO_IPI; }
/** Whether the ICR command `icr` written by `source` is for `target` (not `source` itself). Deliver it with `lapicIpi`. */
export function lapicIpiMatches(_icr: u64, _source: Lapic, _target: Lapic): bool { return false; }
export function lapicIpi(_target: Lapic, _icr: u64): void {}
/** Level of input pin LINT0 or LINT1 (`pin` 0 or 1). LINT0 is the PIC's INTR, LINT1 the NMI. */
export function lapicSetLint(_l: Lapic, _pin: u32, _level: bool): void {}
/** Whether the PIC's INTR on LINT0 reaches the CPU as ExtINT (or the APIC is off). Then the vector comes from the PIC. */
export function lapicExtIntPending(_l: Lapic): bool { return false; }
/** Next timer interrupt, ns, or U64.MAX_VALUE. */
export function lapicDeadline(_l: Lapic, _now: u64): u64 { return u64.MAX_VALUE; }
export function lapicAdvance(_l: Lapic, _now: u64): void {}
/** Whether any vector can be taken. */
export function lapicLine(_l: Lapic, _now: u64): bool { return false; }

// The local APIC: its state, and the three 256-bit registers that hold accepted interrupts (Intel SDM volume
// 3, "Advanced Programmable Interrupt Controller"). kernel/devices/lapic.ts is the face that the platform
// uses.
import { LapicLink } from "../lib/links";
import { tailOf } from "../lib/tail";

/** Result of `lapicHighestPending` and `lapicTakeEoi` when there is none. */
export const NO_VECTOR: i32 = -1;
/** Lowest vector that an interrupt may have. */
export const FIRST_LEGAL_VECTOR: u32 = 16;

// IA32_APIC_BASE:
//
//   51..12        11      10    9  8    7..0
//   base address  enable  EXTD  0  BSP  0
export const BASE_BSP: u64 = 1 << 8;
export const BASE_X2APIC: u64 = 1 << 10;
export const BASE_ENABLE: u64 = 1 << 11;
/** The address of the registers after reset. */
export const BASE_DEFAULT: u64 = 0xfee00000;

// Spurious-interrupt vector register:
//
//   31..13  12                      11..10  9      8                7..0
//   0       suppress EOI broadcast  0       focus  software enable  vector
export const SVR_ENABLE: u32 = 1 << 8;
export const SVR_SUPPRESS_EOI: u32 = 1 << 12;

// Local vector table entries:
//
//   18..17      16    15     14          13        12      10..8          7..0
//   timer mode  mask  level  remote IRR  polarity  status  delivery mode  vector
export const LVT_VECTOR: u32 = 0xff;
export const LVT_MODE_SHIFT: u32 = 8;
export const LVT_REMOTE_IRR: u32 = 1 << 14;
export const LVT_LEVEL: u32 = 1 << 15;
export const LVT_MASKED: u32 = 1 << 16;

// Error status register.
export const ESR_SEND_ILLEGAL_VECTOR: u32 = 1 << 5;
const ESR_RECEIVE_ILLEGAL_VECTOR: u32 = 1 << 6;
export const ESR_ILLEGAL_REGISTER: u32 = 1 << 7;

// Delivery modes of interrupt messages, ICR and redirection entries.
export const DELIVERY_FIXED: u32 = 0;
export const DELIVERY_LOWEST: u32 = 1;
export const DELIVERY_SMI: u32 = 2;
export const DELIVERY_NMI: u32 = 4;
export const DELIVERY_INIT: u32 = 5;
export const DELIVERY_STARTUP: u32 = 6;
export const DELIVERY_EXTINT: u32 = 7;

/** Bytes of one 256-bit register and its summary, a bit for each word that is not zero. IRR, ISR and TMR follow the structure. */
export const SET_BYTES: usize = 36;
const SUMMARY: usize = 32;
export const IRR: usize = 0 * SET_BYTES;
export const ISR: usize = 1 * SET_BYTES;
export const TMR: usize = 2 * SET_BYTES;

/** Ends in IRR, ISR and TMR. */
@unmanaged
export class Lapic extends LapicLink {
  /** IA32_APIC_BASE. */
  base: u64;
  apicId: u32;
  tpr: u32;
  /** Logical destination and destination format registers (xAPIC mode). */
  ldr: u32;
  dfr: u32;
  svr: u32;
  /** Error status as latched by the last write to it, and the errors since. */
  esr: u32;
  newErrors: u32;
  /** Interrupt command register; in xAPIC mode its halves are at 310h and 300h. */
  icr: u64;
  /** An ICR command waits for the platform to carry it to other CPUs. */
  ipiPending: bool;
  /** Vector whose EOI waits to be broadcast to the IOAPICs, or NO_VECTOR. */
  eoiVector: i32;
  lvtTimer: u32;
  lvtThermal: u32;
  lvtCounters: u32;
  lvtLint0: u32;
  lvtLint1: u32;
  lvtError: u32;
  /** Levels of LINT0 (bit 0) and LINT1 (bit 1). */
  lintLevels: u32;
  /** Divide configuration and initial count of the timer. */
  divide: u32;
  initialCount: u32;
  timerArmed: bool;
  /** VM time of the timer's next expiry, while armed. */
  timerExpiry: u64;
  /** IA32_TSC_DEADLINE while armed in that mode. */
  tscDeadline: u64;
  /** What waits for the CPU beside interrupts (SIGNAL_*); the platform takes it. */
  signals: u32;
  /** Vector of the last SIPI. */
  sipiVector: u32;
}

export const SIGNAL_NMI: u32 = 1 << 0;
export const SIGNAL_INIT: u32 = 1 << 1;
export const SIGNAL_SIPI: u32 = 1 << 2;

/** Whether the APIC is enabled in IA32_APIC_BASE. */
export function hardwareEnabled(l: Lapic): bool {
  if (isDefined(CHECKED))
    assert((l.base & (BASE_ENABLE | BASE_X2APIC)) != BASE_X2APIC, "lapic: x2APIC mode while disabled");
  return (l.base & BASE_ENABLE) != 0;
}

export function softwareEnabled(l: Lapic): bool {
  if (isDefined(CHECKED)) assert(l.svr >> 13 == 0, "lapic: spurious vector");
  return (l.svr & SVR_ENABLE) != 0;
}

export function inX2apicMode(l: Lapic): bool {
  return (l.base & (BASE_ENABLE | BASE_X2APIC)) == (BASE_ENABLE | BASE_X2APIC);
}

export function inXapicMode(l: Lapic): bool {
  return (l.base & (BASE_ENABLE | BASE_X2APIC)) == BASE_ENABLE;
}

/** 32 bits of a 256-bit register as the guest reads them: `word` 0..7. */
export function setWord(l: Lapic, which: usize, word: u32): u32 {
  if (isDefined(CHECKED)) assert(word < 8 && which <= TMR, "lapic: word of a set");
  return load<u32>(tailOf(l) + which + <usize>(word << 2));
}

export function setHas(l: Lapic, which: usize, vector: u32): bool {
  if (isDefined(CHECKED)) assert(vector <= 0xff, "lapic: vector");
  return ((setWord(l, which, vector >> 5) >> (vector & 31)) & 1) != 0;
}

export function setAdd(l: Lapic, which: usize, vector: u32): void {
  if (isDefined(CHECKED)) assert(vector <= 0xff && which <= TMR, "lapic: vector");
  if (isDefined(CHECKED)) assert(which == TMR || vector >= FIRST_LEGAL_VECTOR, "lapic: vector");
  const set = tailOf(l) + which;
  const word = set + <usize>((vector >> 5) << 2);
  store<u32>(word, load<u32>(word) | (1 << (vector & 31)));
  store<u32>(set, load<u32>(set, SUMMARY) | (1 << (vector >> 5)), SUMMARY);
}

export function setRemove(l: Lapic, which: usize, vector: u32): void {
  if (isDefined(CHECKED)) assert(vector <= 0xff && which <= TMR, "lapic: vector");
  const set = tailOf(l) + which;
  const word = set + <usize>((vector >> 5) << 2);
  const rest = load<u32>(word) & ~(1 << (vector & 31));
  store<u32>(word, rest);
  if (rest == 0) store<u32>(set, load<u32>(set, SUMMARY) & ~(1 << (vector >> 5)), SUMMARY);
}

/** The highest vector in a 256-bit register, or NO_VECTOR. */
export function setHighest(l: Lapic, which: usize): i32 {
  const set = tailOf(l) + which;
  const summary = load<u32>(set, SUMMARY);
  if (summary == 0) return NO_VECTOR;
  const word = 31 - <u32>clz(summary);
  if (isDefined(CHECKED))
    assert(load<u32>(set + (word << 2)) != 0, "lapic: the summary tells what the set has not");
  return <i32>((word << 5) + 31 - clz(load<u32>(set + (word << 2))));
}

/** Records an error; an unmasked error entry of the local vector table interrupts. */
export function lapicRaiseError(l: Lapic, error: u32): void {
  if (isDefined(CHECKED)) assert(error != 0 && error <= 0xff, "lapic: error");
  l.newErrors |= error;
  if ((l.lvtError & LVT_MASKED) != 0 || (l.lvtError & LVT_VECTOR) < FIRST_LEGAL_VECTOR) return;
  lapicDeliver(l, l.lvtError & LVT_VECTOR, false);
}

/**
 * Accepts a fixed interrupt. A disabled APIC accepts none; a vector below 16 is an error instead.
 * @param level whether the trigger mode is level: its EOI is then broadcast to the IOAPICs.
 */
export function lapicDeliver(l: Lapic, vector: u32, level: bool): void {
  if (isDefined(CHECKED)) assert(vector <= 0xff, "lapic: vector");
  if (!hardwareEnabled(l) || !softwareEnabled(l)) return;
  if (vector < FIRST_LEGAL_VECTOR) {
    lapicRaiseError(l, ESR_RECEIVE_ILLEGAL_VECTOR);
    return;
  }
  setAdd(l, IRR, vector & 0xff);
  if (level) setAdd(l, TMR, vector & 0xff);
  else setRemove(l, TMR, vector & 0xff);
}

/** Processor priority: the higher of the task priority and the class of the interrupt in service. */
export function processorPriority(l: Lapic): u32 {
  if (isDefined(CHECKED)) assert(l.tpr <= 0xff, "lapic: task priority");
  const highest = setHighest(l, ISR);
  const inService: u32 = highest < 0 ? 0 : <u32>highest & 0xf0;
  return (l.tpr & 0xf0) >= inService ? l.tpr : inService;
}

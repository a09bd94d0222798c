// ACPI fixed hardware (ACPI specification, "ACPI Hardware Specification"): power management 1 events and
// control, the power management timer, general-purpose event block 0. The machine is always in ACPI mode:
// SCI_EN reads as 1, and the FADT names no SMI command port.
import { div_wide, mul_high } from "../arch/intrinsics";
import { arenaNew } from "../lib/arena";
import { isPortSize } from "../lib/sizes";

// Offsets of the register blocks from the base port, and their lengths in bytes for the FADT.
/** Status (2 bytes), then enable (2 bytes). */
export const PM1_EVENT: u32 = 0x00;
export const PM1_EVENT_BYTES: u32 = 4;
export const PM1_CONTROL: u32 = 0x04;
export const PM1_CONTROL_BYTES: u32 = 2;
/** 32 bits wide (FADT flag TMR_VAL_EXT). */
export const PM_TIMER: u32 = 0x08;
export const PM_TIMER_BYTES: u32 = 4;
/** Status (2 bytes), then enable (2 bytes). */
export const GPE0: u32 = 0x0c;
export const GPE0_BYTES: u32 = 4;
/** Ports to claim from the base on. */
export const ACPI_PM_BYTES: u32 = 0x10;

/** PM timer clock, hertz. */
const PM_TIMER_HZ: u64 = 3_579_545;
/** SLP_TYPa of \_S5. */
export const SLEEP_TYPE_S5: u32 = 5;

// PM1 status and enable.
const TIMER: u32 = 1 << 0;
const GLOBAL: u32 = 1 << 5;
const POWER_BUTTON: u32 = 1 << 8;
const SLEEP_BUTTON: u32 = 1 << 9;
const RTC: u32 = 1 << 10;
const ENABLE_WRITABLE: u32 = TIMER | GLOBAL | POWER_BUTTON | SLEEP_BUTTON | RTC;

// PM1 control:
//
//   15..14  13      12..10   9..3  2        1       0
//   0       SLP_EN  SLP_TYP  0     GBL_RLS  BM_RLD  SCI_EN
const SCI_ENABLED: u32 = 1 << 0;
const SLEEP_ENABLE: u32 = 1 << 13;
const SLEEP_TYPE_SHIFT: u32 = 10;
const CONTROL_WRITABLE: u32 = (7 << SLEEP_TYPE_SHIFT) | (1 << 1);

const SECOND: u64 = 1_000_000_000;
/** The timer's status bit rises whenever bit 31 of the count changes. */
const TIMER_TOGGLE_SHIFT: u64 = 31;

@unmanaged
export class AcpiPm {
  status: u32;
  enable: u32;
  control: u32;
  gpeStatus: u32;
  gpeEnable: u32;
  /** The RTC's interrupt signal, as told last. */
  rtcSignal: bool;
  /** The guest entered S5; the platform acts on it. */
  powerOffRequested: bool;
  /** Changes of the timer's top bit seen so far. */
  toggles: u64;
}

/** Storage for one; boot time only. */
export function acpiPmNew(): AcpiPm {
  return arenaNew<AcpiPm>();
}

export function acpiPmReset(d: AcpiPm): void {
  d.status = 0;
  d.enable = 0;
  d.control = 0;
  d.gpeStatus = 0;
  d.gpeEnable = 0;
  d.rtcSignal = false;
  d.powerOffRequested = false;
}

/** Port read at `offset` from the base port, of any width. */
export function acpiPmRead(d: AcpiPm, offset: u32, size: u32, now: u64): u32 {
  if (isDefined(CHECKED)) assert(offset < ACPI_PM_BYTES, "acpi_pm: port");
  assert(isPortSize(size), "acpi_pm: bytes of an access");
  acpiPmAdvance(d, now);
  const timer = <u32>ticksAt(now);
  let value: u32 = 0;
  for (let i: u32 = 0; i < size; i++) value |= readByte(d, offset + i, timer) << (i * 8);
  return value;
}

/** Port write of any width. Status bits are cleared by writing ones; the timer is read-only. */
export function acpiPmWrite(d: AcpiPm, offset: u32, size: u32, value: u32, now: u64): void {
  if (isDefined(CHECKED)) assert(offset < ACPI_PM_BYTES, "acpi_pm: port");
  assert(isPortSize(size), "acpi_pm: bytes of an access");
  acpiPmAdvance(d, now);
  for (let i: u32 = 0; i < size; i++) writeByte(d, offset + i, (value >> (i * 8)) & 0xff);
}

/** The system control interrupt: an enabled event has happened. */
export function acpiPmLine(d: AcpiPm, now: u64): bool {
  assert((d.enable & ~ENABLE_WRITABLE) == 0, "acpi_pm: an event that there is not is enabled");
  acpiPmAdvance(d, now);
  return ((d.status & d.enable) | (d.gpeStatus & d.gpeEnable)) != 0;
}

/** Next change of the timer's top bit if that can interrupt, or U64.MAX_VALUE. */
export function acpiPmDeadline(d: AcpiPm, now: u64): u64 {
  acpiPmAdvance(d, now);
  if ((d.enable & TIMER) == 0 || (d.status & TIMER) != 0) return u64.MAX_VALUE;
  const due = nsAt((d.toggles + 1) << TIMER_TOGGLE_SHIFT);
  if (isDefined(CHECKED)) assert(due >= now, "acpi_pm: the change is to come");
  return due;
}

export function acpiPmAdvance(d: AcpiPm, now: u64): void {
  assert((d.control & ~CONTROL_WRITABLE) == 0, "acpi_pm: control");
  const toggles = ticksAt(now) >> TIMER_TOGGLE_SHIFT;
  if (toggles == d.toggles) return;
  d.toggles = toggles;
  d.status |= TIMER;
}

/**
 * Level of the RTC's interrupt signal, whose rise is the RTC alarm event, which wakes a guest that sleeps in S0. Returns
 * whether an event has happened.
 */
export function acpiPmSetRtcSignal(d: AcpiPm, level: bool): bool {
  if (isDefined(CHECKED)) assert((d.status & ~ENABLE_WRITABLE) == 0, "acpi_pm: an event that there is not");
  const rises = level && !d.rtcSignal;
  d.rtcSignal = level;
  if (rises) d.status |= RTC;
  return rises;
}

/** PM timer ticks up to VM time `now`. */
function ticksAt(now: u64): u64 {
  if (isDefined(CHECKED)) assert(mul_high(now, PM_TIMER_HZ) < SECOND, "acpi_pm: ticks have 64 bits");
  return div_wide(mul_high(now, PM_TIMER_HZ), now * PM_TIMER_HZ, SECOND);
}

/** First VM time at which `tick` has come, or U64.MAX_VALUE. */
function nsAt(tick: u64): u64 {
  if (isDefined(CHECKED)) assert(tick != 0, "acpi_pm: VM time 0 is no deadline");
  const high = mul_high(tick, SECOND);
  if (high >= PM_TIMER_HZ) return u64.MAX_VALUE;
  return div_wide(high, tick * SECOND, PM_TIMER_HZ) + 1;
}

function byteOf(value: u32, index: u32): u32 {
  assert(index < 4, "acpi_pm: byte of a register");
  return (value >> (index * 8)) & 0xff;
}

function readByte(d: AcpiPm, offset: u32, timer: u32): u32 {
  switch (offset) {
    case PM1_EVENT:
    case PM1_EVENT + 1:
      return byteOf(d.status, offset - PM1_EVENT);
    case PM1_EVENT + 2:
    case PM1_EVENT + 3:
      return byteOf(d.enable, offset - PM1_EVENT - 2);
    case PM1_CONTROL:
    case PM1_CONTROL + 1:
      return byteOf(d.control | SCI_ENABLED, offset - PM1_CONTROL);
    case PM_TIMER:
    case PM_TIMER + 1:
    case PM_TIMER + 2:
    case PM_TIMER + 3:
      return byteOf(timer, offset - PM_TIMER);
    case GPE0:
    case GPE0 + 1:
      return byteOf(d.gpeStatus, offset - GPE0);
    case GPE0 + 2:
    case GPE0 + 3:
      return byteOf(d.gpeEnable, offset - GPE0 - 2);
    default:
      return offset < ACPI_PM_BYTES ? 0 : 0xff;
  }
}

function writeByte(d: AcpiPm, offset: u32, byte: u32): void {
  assert(byte <= 0xff, "acpi_pm: a byte");
  switch (offset) {
    case PM1_EVENT:
    case PM1_EVENT + 1:
      d.status &= ~(byte << ((offset - PM1_EVENT) * 8));
      break;
    case PM1_EVENT + 2:
    case PM1_EVENT + 3:
      d.enable = replaceByte(d.enable, offset - PM1_EVENT - 2, byte) & ENABLE_WRITABLE;
      break;
    case PM1_CONTROL:
      d.control = replaceByte(d.control, 0, byte) & CONTROL_WRITABLE;
      break;
    case PM1_CONTROL + 1:
      d.control = replaceByte(d.control, 1, byte) & CONTROL_WRITABLE;
      if ((byte & (SLEEP_ENABLE >> 8)) != 0) sleep(d);
      break;
    case GPE0:
    case GPE0 + 1:
      d.gpeStatus &= ~(byte << ((offset - GPE0) * 8));
      break;
    case GPE0 + 2:
    case GPE0 + 3:
      d.gpeEnable = replaceByte(d.gpeEnable, offset - GPE0 - 2, byte);
      break;
    default:
      break;
  }
}

function replaceByte(value: u32, index: u32, byte: u32): u32 {
  assert(index < 4 && byte <= 0xff, "acpi_pm: byte of a register");
  return (value & ~(0xff << (index * 8))) | (byte << (index * 8));
}

/** SLP_EN with SLP_TYP: only S5 exists. */
function sleep(d: AcpiPm): void {
  if (isDefined(CHECKED)) assert((d.control & SLEEP_ENABLE) == 0, "acpi_pm: SLP_EN is not kept");
  if (((d.control >> SLEEP_TYPE_SHIFT) & 7) == SLEEP_TYPE_S5) d.powerOffRequested = true;
}

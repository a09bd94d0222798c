// The real-time clock of a PC with its CMOS RAM (Motorola "MC146818A Real-Time Clock Plus RAM"). The time of
// day is VM time plus an offset; registers are made from it when they are read. The divider chain runs at
// 32768 Hz.
import { arenaNewWithTail } from "../lib/arena";
import { tailOf } from "../lib/tail";
import { CalendarDate, dateFromDays, daysFromDate, weekdayOf } from "./calendar";
import { isPortSize } from "../lib/sizes";

const CMOS_BYTES: u32 = 128;
/** Index port (70h): register in 6..0, NMI mask in 7. Data port (71h): offset 1. */
const INDEX: u32 = 0;
const DATA: u32 = 1;
const INDEX_NMI_MASK: u32 = 1 << 7;

const SECONDS: u32 = 0x00;
const SECONDS_ALARM: u32 = 0x01;
const MINUTES: u32 = 0x02;
const MINUTES_ALARM: u32 = 0x03;
const HOURS: u32 = 0x04;
const HOURS_ALARM: u32 = 0x05;
const WEEKDAY: u32 = 0x06;
const DAY: u32 = 0x07;
const MONTH: u32 = 0x08;
const YEAR: u32 = 0x09;
const REGISTER_A: u32 = 0x0a;
const REGISTER_B: u32 = 0x0b;
const REGISTER_C: u32 = 0x0c;
const REGISTER_D: u32 = 0x0d;
/** Where PC firmware keeps the century (named in the ACPI FADT). */
export const RTC_CENTURY: u32 = 0x32;

// A: 7 update in progress | 6..4 divider (11x: held in reset) | 3..0 periodic rate.
const A_UPDATING: u32 = 1 << 7;
const A_DIVIDER_RESET: u32 = 3 << 5;
const A_POWER_ON: u32 = 0x26;
const B_SET: u32 = 1 << 7;
const B_PERIODIC: u32 = 1 << 6;
const B_ALARM: u32 = 1 << 5;
const B_UPDATE: u32 = 1 << 4;
const B_BINARY: u32 = 1 << 2;
const B_24_HOURS: u32 = 1 << 1;
/** C: 7 any enabled flag | 6 periodic | 5 alarm | 4 update ended, at the places of their enables in B. */
const C_INTERRUPT: u32 = 1 << 7;
const C_FLAGS: u32 = B_PERIODIC | B_ALARM | B_UPDATE;
/** D: RAM and time are valid. */
const D_VALID: u32 = 1 << 7;

const HOURS_PM: u32 = 1 << 7;
/** Alarm bytes from here on match anything. */
const ALARM_ANY: u32 = 0xc0;

const SECOND: u64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;
/** UIP is up for 244 µs before an update cycle of 1984 µs. */
const UPDATE_NS: u64 = 2_228_000;
/** After a reset of the divider chain the first update comes half a second later. */
const AFTER_DIVIDER_RESET: u64 = SECOND / 2;
const CHAIN_HZ_SHIFT: u64 = 15;
/** One tick of 32768 Hz is 1953125 / 64 ns. */
const TICK_NUMERATOR: u64 = 1_953_125;
const TICK_DENOMINATOR: u64 = 64;

/** Ends in the 128 bytes of CMOS and a date for calendar calculations. */
@unmanaged
export class Rtc {
  /** Unix time at the divider chain's zero; the chain's time is VM time + `phase` (ns below one second). */
  base: i64;
  phase: u64;
  /** Chain tick up to which flags have been raised. */
  seenTick: u64;
  index: u32;
  /** Port 70h bit 7: NMI is masked. */
  nmiMasked: bool;
}

/** Storage for one; boot time only. */
export function rtcNew(): Rtc {
  return arenaNewWithTail<Rtc>(<usize>CMOS_BYTES + offsetof<CalendarDate>());
}

/** As firmware leaves it: running, BCD, 24 hours, no interrupts. Time and RAM live on their battery. */
export function rtcReset(d: Rtc): void {
  d.index = 0;
  d.nmiMasked = false;
  setCmos(d, REGISTER_A, A_POWER_ON);
  setCmos(d, REGISTER_B, B_24_HOURS);
  setCmos(d, REGISTER_C, 0);
  setCmos(d, REGISTER_D, D_VALID);
  assert(!interrupting(d), "rtc: no interrupts after a reset");
}

/** Sets the clock so that it shows `unixSeconds` (UTC), just begun, at `now`. */
export function rtcSetTime(d: Rtc, unixSeconds: u64, now: u64): void {
  assert(unixSeconds <= <u64>i64.MAX_VALUE, "rtc: time");
  setClock(d, <i64>unixSeconds, 0, now);
}

/** Fills the CMOS bytes in which firmware tells memory sizes: bytes of RAM below and from 4 GiB on. */
export function rtcSetMemory(d: Rtc, bytesBelow4G: u64, bytesAbove4G: u64): void {
  assert(bytesBelow4G <= (<u64>1) << 32, "rtc: memory below 4 GiB");
  assert(bytesAbove4G >> 40 == 0, "rtc: the bytes tell up to 1 TiB");
  const kib = bytesBelow4G >> 10;
  const extended = kib > 1024 ? min<u64>(kib - 1024, 0xffff) : 0;
  const above16M = bytesBelow4G > 16 << 20 ? min<u64>((bytesBelow4G - (16 << 20)) >> 16, 0xffff) : 0;
  setWord(d, 0x15, min<u64>(kib, 640));
  setWord(d, 0x17, extended);
  setWord(d, 0x30, extended);
  setWord(d, 0x34, above16M);
  setWord(d, 0x5b, bytesAbove4G >> 16);
  setCmos(d, 0x5d, <u32>(bytesAbove4G >> 32) & 0xff);
  let sum: u32 = 0;
  for (let i: u32 = 0x10; i < 0x2e; i++) sum += cmos(d, i);
  setCmos(d, 0x2e, (sum >> 8) & 0xff);
  setCmos(d, 0x2f, sum & 0xff);
}

/** Port read; the index port cannot be read. A wider access reads the next port too. */
export function rtcRead(d: Rtc, offset: u32, size: u32, now: u64): u32 {
  if (isDefined(CHECKED)) assert(offset <= DATA, "rtc: port");
  assert(isPortSize(size), "rtc: bytes of an access");
  rtcAdvance(d, now);
  assert(d.phase < SECOND, "rtc: phase");
  let value: u32 = 0;
  for (let i: u32 = 0; i < size; i++)
    value |= (offset + i == DATA ? readRegister(d, d.index, now) : 0xff) << (i * 8);
  return value;
}

/** Port write; a wider access writes the next port too. */
export function rtcWrite(d: Rtc, offset: u32, size: u32, value: u32, now: u64): void {
  if (isDefined(CHECKED)) assert(offset <= DATA, "rtc: port");
  assert(isPortSize(size), "rtc: bytes of an access");
  rtcAdvance(d, now);
  for (let i: u32 = 0; i < size; i++) {
    const byte = (value >> (i * 8)) & 0xff;
    if (offset + i == INDEX) {
      d.index = byte & (CMOS_BYTES - 1);
      d.nmiMasked = (byte & INDEX_NMI_MASK) != 0;
    } else if (offset + i == DATA) {
      writeRegister(d, d.index, byte, now);
    }
  }
}

/** IRQ 8: an enabled flag is up, until register C is read. */
export function rtcLine(d: Rtc, now: u64): bool {
  if (isDefined(CHECKED)) assert(d.phase < SECOND, "rtc: phase");
  rtcAdvance(d, now);
  return interrupting(d);
}

/** Next enabled event, or U64.MAX_VALUE; none while the line is up, since nothing changes then. */
export function rtcDeadline(d: Rtc, now: u64): u64 {
  assert(d.phase < SECOND, "rtc: phase");
  rtcAdvance(d, now);
  if (dividerReset(d) || interrupting(d)) return u64.MAX_VALUE;
  const enabled = cmos(d, REGISTER_B);
  const chain = now + d.phase;
  let next = u64.MAX_VALUE;
  if ((enabled & (B_UPDATE | B_SET)) == B_UPDATE) next = (chain / SECOND + 1) * SECOND;
  if ((enabled & (B_ALARM | B_SET)) == B_ALARM) next = min<u64>(next, nextAlarm(d, chain));
  const period = periodTicks(d);
  if ((enabled & B_PERIODIC) != 0 && period != 0) {
    next = min<u64>(next, chainTime((tickAt(chain) / period + 1) * period));
  }
  if (isDefined(CHECKED)) assert(next > chain, "rtc: the event is to come");
  return next == u64.MAX_VALUE ? next : next - d.phase;
}

/** Raises the flags of events up to `now`. */
export function rtcAdvance(d: Rtc, now: u64): void {
  if (isDefined(CHECKED)) assert((cmos(d, REGISTER_C) & ~C_FLAGS) == 0, "rtc: flags");
  if (dividerReset(d)) return;
  const from = d.seenTick;
  const tick = tickAt(now + d.phase);
  if (tick <= from) return;
  d.seenTick = tick;
  let flags: u32 = 0;
  const period = periodTicks(d);
  if (period != 0 && tick / period != from / period) flags |= B_PERIODIC;
  if (!isHeld(d) && tick >> CHAIN_HZ_SHIFT != from >> CHAIN_HZ_SHIFT) {
    flags |= B_UPDATE;
    if (nextAlarm(d, (from >> CHAIN_HZ_SHIFT) * SECOND) <= now + d.phase) flags |= B_ALARM;
  }
  if (flags != 0) setCmos(d, REGISTER_C, cmos(d, REGISTER_C) | flags);
}

function cmos(d: Rtc, index: u32): u32 {
  assert(index < CMOS_BYTES, "rtc: register");
  return load<u8>(tailOf(d) + <usize>index);
}

function setCmos(d: Rtc, index: u32, value: u32): void {
  assert(index < CMOS_BYTES, "rtc: register");
  assert(value <= 0xff, "rtc: a byte");
  store<u8>(tailOf(d) + <usize>index, <u8>value);
}

function setWord(d: Rtc, index: u32, value: u64): void {
  assert(index < CMOS_BYTES - 1, "rtc: register");
  setCmos(d, index, <u32>value & 0xff);
  setCmos(d, index + 1, <u32>(value >> 8) & 0xff);
}

/** Whether software has stopped the clock: to set it, or by holding the divider chain in reset. */
function isHeld(d: Rtc): bool {
  if (isDefined(CHECKED))
    assert(
      (cmos(d, REGISTER_B) & (B_SET | B_UPDATE)) != (B_SET | B_UPDATE),
      "rtc: a stopped clock ends no updates",
    );
  return (cmos(d, REGISTER_B) & B_SET) != 0 || dividerReset(d);
}

function dividerReset(d: Rtc): bool {
  if (isDefined(CHECKED)) assert((cmos(d, REGISTER_A) & A_UPDATING) == 0, "rtc: UIP is made when it is read");
  return (cmos(d, REGISTER_A) & A_DIVIDER_RESET) == A_DIVIDER_RESET;
}

function interrupting(d: Rtc): bool {
  if (isDefined(CHECKED)) assert((cmos(d, REGISTER_C) & ~C_FLAGS) == 0, "rtc: flags");
  return (cmos(d, REGISTER_C) & cmos(d, REGISTER_B) & C_FLAGS) != 0;
}

/** Ticks of 32768 Hz in `ns` of chain time. */
function tickAt(ns: u64): u64 {
  return ((ns / SECOND) << CHAIN_HZ_SHIFT) + ((ns % SECOND) * TICK_DENOMINATOR) / TICK_NUMERATOR;
}

/** First chain time, ns, at which `tick` has come. */
function chainTime(tick: u64): u64 {
  const part = tick & ((1 << CHAIN_HZ_SHIFT) - 1);
  return (
    (tick >> CHAIN_HZ_SHIFT) * SECOND + (part * TICK_NUMERATOR + TICK_DENOMINATOR - 1) / TICK_DENOMINATOR
  );
}

/**
 * Ticks of the periodic interrupt as register A selects it: 3 is 8192 Hz … 15 is 2 Hz; 1 and 2 are 256 and
 * 128 Hz; 0 none.
 */
function periodTicks(d: Rtc): u64 {
  const rate = cmos(d, REGISTER_A) & 15;
  if (rate == 0) return 0;
  return (<u64>1) << (rate <= 2 ? rate + 6 : rate - 1);
}

/** Makes the clock show `seconds` plus `part` ns at `now`. */
function setClock(d: Rtc, seconds: i64, part: u64, now: u64): void {
  assert(part < SECOND, "rtc: part of a second");
  d.phase = (part + SECOND - (now % SECOND)) % SECOND;
  d.base = seconds - <i64>((now + d.phase) / SECOND);
  d.seenTick = tickAt(now + d.phase);
  assert((now + d.phase) % SECOND == part, "rtc: the second begins elsewhere");
}

function readRegister(d: Rtc, index: u32, now: u64): u32 {
  assert(index < CMOS_BYTES, "rtc: register");
  switch (index) {
    case SECONDS:
    case MINUTES:
    case HOURS:
    case WEEKDAY:
    case DAY:
    case MONTH:
    case YEAR:
    case RTC_CENTURY:
      if (!isHeld(d)) showTime(d, now);
      return cmos(d, index);
    case REGISTER_A:
      return cmos(d, REGISTER_A) | (isUpdating(d, now) ? A_UPDATING : 0);
    case REGISTER_C:
      return takeFlags(d);
    default:
      return cmos(d, index);
  }
}

/** Reading register C acknowledges every interrupt. */
function takeFlags(d: Rtc): u32 {
  assert((cmos(d, REGISTER_C) & ~C_FLAGS) == 0, "rtc: flags");
  const flags = cmos(d, REGISTER_C) | (interrupting(d) ? C_INTERRUPT : 0);
  setCmos(d, REGISTER_C, 0);
  return flags;
}

function isUpdating(d: Rtc, now: u64): bool {
  if (isDefined(CHECKED)) assert(d.phase < SECOND, "rtc: phase");
  return !isHeld(d) && (now + d.phase) % SECOND >= SECOND - UPDATE_NS;
}

function writeRegister(d: Rtc, index: u32, value: u32, now: u64): void {
  assert(index < CMOS_BYTES && value <= 0xff, "rtc: register");
  switch (index) {
    case SECONDS:
    case MINUTES:
    case HOURS:
    case WEEKDAY:
    case DAY:
    case MONTH:
    case YEAR:
    case RTC_CENTURY:
      writeTime(d, index, value, now);
      break;
    case REGISTER_A:
      writeControl(d, REGISTER_A, value & ~A_UPDATING, now);
      break;
    case REGISTER_B: // stopping the clock also turns the update-ended interrupt off
      writeControl(d, REGISTER_B, (value & B_SET) != 0 ? value & ~B_UPDATE : value, now);
      break;
    case REGISTER_C:
    case REGISTER_D:
      break;
    default:
      setCmos(d, index, value);
      break;
  }
}

/** A stopped clock takes bytes as they come; a running one goes on from the new time. */
function writeTime(d: Rtc, index: u32, value: u32, now: u64): void {
  assert(index != REGISTER_A && index != REGISTER_B, "rtc: register");
  if (isHeld(d)) {
    setCmos(d, index, value);
    return;
  }
  showTime(d, now);
  setCmos(d, index, value);
  takeTime(d, (now + d.phase) % SECOND, now);
}

/**
 * Registers A and B can stop the clock, with the time in its registers, and start it again from what they
 * hold.
 */
function writeControl(d: Rtc, index: u32, value: u32, now: u64): void {
  assert(index == REGISTER_A || index == REGISTER_B, "rtc: register");
  const wasHeld = isHeld(d);
  const wasReset = dividerReset(d);
  if (!wasHeld) showTime(d, now);
  setCmos(d, index, value);
  if (wasReset && !dividerReset(d)) d.phase = (AFTER_DIVIDER_RESET + SECOND - (now % SECOND)) % SECOND;
  if (wasHeld && !isHeld(d)) takeTime(d, (now + d.phase) % SECOND, now);
}

/** Writes the time at `now` into the time registers, in the format that register B asks for. */
function showTime(d: Rtc, now: u64): void {
  assert(!isHeld(d), "rtc: a stopped clock shows what was written");
  const seconds = d.base + <i64>((now + d.phase) / SECOND);
  let days = seconds / DAY_SECONDS;
  let rest = seconds % DAY_SECONDS;
  if (rest < 0) {
    rest += DAY_SECONDS;
    days -= 1;
  }
  assert(rest >= 0 && rest < DAY_SECONDS, "rtc: second of a day");
  const date = changetype<CalendarDate>(tailOf(d) + <usize>CMOS_BYTES);
  dateFromDays(days, date);
  setCmos(d, SECONDS, encode(d, <u32>(rest % 60)));
  setCmos(d, MINUTES, encode(d, <u32>(rest / 60) % 60));
  setCmos(d, HOURS, encodeHour(d, <u32>(rest / 3600)));
  setCmos(d, WEEKDAY, encode(d, weekdayOf(days)));
  setCmos(d, DAY, encode(d, date.day));
  setCmos(d, MONTH, encode(d, date.month));
  setCmos(d, YEAR, encode(d, date.year % 100));
  setCmos(d, RTC_CENTURY, encode(d, (date.year / 100) % 100));
}

/** Sets the clock to what the time registers hold, `part` ns into that second. */
function takeTime(d: Rtc, part: u64, now: u64): void {
  assert(!isHeld(d), "rtc: a stopped clock keeps its time");
  assert(part < SECOND, "rtc: part of a second");
  const year = decode(d, cmos(d, RTC_CENTURY)) * 100 + decode(d, cmos(d, YEAR));
  const month = min<u32>(max<u32>(decode(d, cmos(d, MONTH)), 1), 12);
  const days = daysFromDate(year, month, decode(d, cmos(d, DAY)));
  const hour = decodeHour(d, cmos(d, HOURS));
  const seconds = <i64>(hour * 3600 + decode(d, cmos(d, MINUTES)) * 60 + decode(d, cmos(d, SECONDS)));
  setClock(d, days * DAY_SECONDS + seconds, part, now);
}

function encode(d: Rtc, value: u32): u32 {
  assert(value < 100, "rtc: two digits");
  return (cmos(d, REGISTER_B) & B_BINARY) != 0 ? value : ((value / 10) << 4) | (value % 10);
}

function decode(d: Rtc, byte: u32): u32 {
  assert(byte <= 0xff, "rtc: a byte");
  return (cmos(d, REGISTER_B) & B_BINARY) != 0 ? byte : (byte >> 4) * 10 + (byte & 15);
}

/** Hours 0..23; in 12-hour mode 12, 1..11, with bit 7 for the afternoon. */
function encodeHour(d: Rtc, hour: u32): u32 {
  assert(hour < 24, "rtc: hour");
  if ((cmos(d, REGISTER_B) & B_24_HOURS) != 0) return encode(d, hour);
  const shown = hour % 12 == 0 ? 12 : hour % 12;
  return encode(d, shown) | (hour >= 12 ? HOURS_PM : 0);
}

function decodeHour(d: Rtc, byte: u32): u32 {
  assert(byte <= 0xff, "rtc: a byte");
  if ((cmos(d, REGISTER_B) & B_24_HOURS) != 0) return decode(d, byte);
  return (decode(d, byte & ~HOURS_PM) % 12) + ((byte & HOURS_PM) != 0 ? 12 : 0);
}

/**
 * First chain time after `chain`, ns, at which a second begins that the alarm bytes match, or U64.MAX_VALUE.
 */
function nextAlarm(d: Rtc, chain: u64): u64 {
  const second = chain / SECOND + 1;
  let start = (d.base + <i64>second) % DAY_SECONDS;
  if (start < 0) start += DAY_SECONDS;
  let match = alarmFrom(d, <u32>start);
  if (match < 0) {
    match = alarmFrom(d, 0);
    if (match < 0) return u64.MAX_VALUE;
    match += <i32>DAY_SECONDS;
  }
  assert(match >= <i32>start, "rtc: the alarm is to come");
  return (second + <u64>(match - <i32>start)) * SECOND;
}

/** First second of the day from `start` on that the alarm bytes match, or -1. At most 24 + 2 * 60 steps. */
function alarmFrom(d: Rtc, start: u32): i32 {
  assert(start < <u32>DAY_SECONDS, "rtc: second of a day");
  const hourByte = cmos(d, HOURS_ALARM);
  let minute = (start / 60) % 60;
  let second = start % 60;
  for (let hour = start / 3600; hour < 24; hour++) {
    if (hourByte < ALARM_ANY && decodeHour(d, hourByte) != hour) {
      minute = 0;
      second = 0;
      continue;
    }
    const inHour = alarmInHour(d, minute, second);
    if (inHour >= 0) return <i32>(hour * 3600) + inHour;
    if (minute == 0 && second == 0) return -1; // no minute and second match at all
    minute = 0;
    second = 0;
  }
  return -1;
}

function alarmInHour(d: Rtc, fromMinute: u32, fromSecond: u32): i32 {
  assert(fromMinute < 60 && fromSecond < 60, "rtc: minute and second");
  const minuteByte = cmos(d, MINUTES_ALARM);
  const secondByte = cmos(d, SECONDS_ALARM);
  const wanted = decode(d, secondByte);
  const anySecond = secondByte >= ALARM_ANY;
  let earliest = fromSecond;
  for (let minute = fromMinute; minute < 60; minute++) {
    if (minuteByte >= ALARM_ANY || decode(d, minuteByte) == minute) {
      if (anySecond) return <i32>(minute * 60 + earliest);
      if (wanted >= earliest && wanted < 60) return <i32>(minute * 60 + wanted);
    }
    earliest = 0;
  }
  return -1;
}

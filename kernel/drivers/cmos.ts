// The computer's real-time clock: the date, once, at boot. (Motorola MC146818A data sheet, "Address Map".)
import { in8, out8 } from "../arch/intrinsics";

const INDEX: u32 = 0x70;
const DATA: u32 = 0x71;
/** Bit 7 of the index keeps NMIs off; it stays clear. */
const SECONDS: u32 = 0x00;
const MINUTES: u32 = 0x02;
const HOURS: u32 = 0x04;
const DAY: u32 = 0x07;
const MONTH: u32 = 0x08;
const YEAR: u32 = 0x09;
const STATUS_A: u32 = 0x0a;
const STATUS_B: u32 = 0x0b;
const UPDATE_IN_PROGRESS: u32 = 1 << 7;
const BINARY: u32 = 1 << 2;
const HOURS_24: u32 = 1 << 1;
const PM: u32 = 1 << 7;

/** Polls for the end of an update, and readings until two agree. */
const PATIENCE: u32 = 100_000;
const ATTEMPTS: u32 = 10;

const NS_PER_SECOND: u64 = 1_000_000_000;

/** Nanoseconds since 1970 by the computer's clock, taken as UTC, to the second. */
export function cmosUnixNs(): u64 {
  let seconds = readOnce();
  for (let i: u32 = 0; i < ATTEMPTS; i++) {
    const again = readOnce();
    if (again == seconds) break;
    seconds = again;
  }
  return seconds * NS_PER_SECOND;
}

function readOnce(): u64 {
  for (let polls: u32 = 0; polls < PATIENCE && (read(STATUS_A) & UPDATE_IN_PROGRESS) != 0; polls++) {}
  const form = read(STATUS_B);
  const hours = read(HOURS);
  const days = daysSince1970(
    2000 + number(read(YEAR), form),
    number(read(MONTH), form),
    number(read(DAY), form),
  );
  return (
    ((days * 24 + hourOfDay(hours, form)) * 60 + number(read(MINUTES), form)) * 60 +
    number(read(SECONDS), form)
  );
}

function read(register: u32): u32 {
  out8(INDEX, register);
  return in8(DATA);
}

/** Binary, or binary-coded decimal. */
function number(value: u32, form: u32): u32 {
  return (form & BINARY) != 0 ? value : (value >> 4) * 10 + (value & 15);
}

function hourOfDay(value: u32, form: u32): u64 {
  if ((form & HOURS_24) != 0) return number(value, form);
  const hour = number(value & ~PM, form) % 12;
  return (value & PM) != 0 ? hour + 12 : hour;
}

/** Days from 1970-01-01 to a date of the Gregorian calendar, which years counted from March make regular. */
function daysSince1970(year: u64, month: u64, day: u64): u64 {
  const shifted = month > 2 ? month - 3 : month + 9;
  const years = month > 2 ? year : year - 1;
  const dayOfYear = (153 * shifted + 2) / 5 + day - 1;
  return years * 365 + years / 4 - years / 100 + years / 400 + dayOfYear - DAYS_TO_1970;
}

/** From 1 March of year 0 to 1970-01-01. */
const DAYS_TO_1970: u64 = 719_468;

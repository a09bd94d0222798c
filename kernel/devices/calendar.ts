// The proleptic Gregorian calendar in integers: days since 1970-01-01 to a date and back, for years 0 to
// 9999.

const DAYS_PER_ERA: i64 = 146_097; // 400 years
const DAYS_BEFORE_1970: i64 = 719_468; // from 0000-03-01: years that begin in March end with the leap day

@unmanaged
export class CalendarDate {
  year: u32;
  /** 1..12 */
  month: u32;
  /** 1..31 */
  day: u32;
}

/** Days from 1970-01-01 to a date; out-of-range months and days count on into the next ones. */
export function daysFromDate(year: u32, month: u32, day: u32): i64 {
  const marchYear: i64 = <i64>year - (month <= 2 ? 1 : 0);
  const era: i64 = (marchYear >= 0 ? marchYear : marchYear - 399) / 400;
  const yearOfEra = marchYear - era * 400;
  assert(yearOfEra >= 0 && yearOfEra < 400, "calendar: year of an era");
  const monthFromMarch: i64 = (<i64>month + 9) % 12;
  const dayOfYear = (153 * monthFromMarch + 2) / 5 + <i64>day - 1;
  const dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear;
  return era * DAYS_PER_ERA + dayOfEra - DAYS_BEFORE_1970;
}

/** The date `days` after 1970-01-01 (from year 0 on). */
export function dateFromDays(days: i64, date: CalendarDate): void {
  const shifted = days + DAYS_BEFORE_1970;
  const era = (shifted >= 0 ? shifted : shifted - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
  const dayOfEra = shifted - era * DAYS_PER_ERA;
  const yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365;
  const dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
  const monthFromMarch = (5 * dayOfYear + 2) / 153;
  assert(dayOfYear >= 0 && dayOfYear < 366, "calendar: day of a year");
  date.day = <u32>(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1);
  date.month = <u32>(monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9);
  assert(date.month >= 1 && date.month <= 12 && date.day >= 1 && date.day <= 31, "calendar: date");
  date.year = <u32>(yearOfEra + era * 400 + (date.month <= 2 ? 1 : 0));
}

/** Day of the week, 1 = Sunday … 7 = Saturday, of the day `days` after 1970-01-01 (a Thursday). */
export function weekdayOf(days: i64): u32 {
  const weekday = (days + 4) % 7;
  assert(weekday > -7 && weekday < 7, "calendar: day of a week");
  return <u32>(weekday < 0 ? weekday + 7 : weekday) + 1;
}

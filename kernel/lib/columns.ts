// Tables on the log: text and numbers in columns, right-aligned.
import { logDecimal, logText, logWord } from "./log";

/** `text`, right-aligned in `width` characters. */
export function columnText(text: string, width: i32): void {
  blanks(width - text.length);
  logText(text);
}

/** The blank-separated `words`, each in a column of `width`. */
export function columnHeads(words: string, width: i32): void {
  let start = 0;
  for (let i: u32 = 0; start < words.length; i++) {
    let end = start;
    while (end < words.length && words.charCodeAt(end) != 0x20) end++;
    blanks(width - (end - start));
    logWord(words, i);
    start = end + 1;
  }
}

/** A decimal number. */
export function columnDecimal(value: u64, width: i32): void {
  blanks(width - digits(value));
  logDecimal(value);
}

/** `hundredths` of a unit, with two decimals and the unit. */
export function columnHundredths(hundredths: u64, unit: string, width: i32): void {
  blanks(width - digits(hundredths / 100) - 3 - unit.length);
  logHundredths(hundredths);
  logText(unit);
}

/** The same without a column. */
export function logHundredths(hundredths: u64): void {
  logDecimal(hundredths / 100);
  logText(hundredths % 100 < 10 ? ".0" : ".");
  logDecimal(hundredths % 100);
}

/** `part` of `whole` in hundredths of a percent; both below 2^63. */
export function percent(part: u64, whole: u64): u64 {
  while (part >= SAFE) {
    part >>= 1;
    whole >>= 1;
  }
  return whole == 0 ? 0 : (part * 10_000) / whole;
}

/** Times 10,000 it fits into 64 bits. */
const SAFE: u64 = 1 << 50;

/** `count` blanks; none if it is negative. */
export function blanks(count: i32): void {
  while (count-- > 0) logText(" ");
}

function digits(value: u64): i32 {
  let count = 1;
  while (value >= 10) {
    value /= 10;
    count++;
  }
  return count;
}

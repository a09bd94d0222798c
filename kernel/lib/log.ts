// The hypervisor's log: readable lines, without allocation. A line is built by calls:
//
//   if (logStart(LOG_INFO)) { logText("guest RAM "); logDecimal(bytes >> 20); logText(" MiB"); logEnd(); }

export const LOG_ERROR: u32 = 0;
export const LOG_WARN: u32 = 1;
export const LOG_INFO: u32 = 2;
export const LOG_DEBUG: u32 = 3;

let threshold: u32 = LOG_INFO;
let sink: (byte: u32) => void = discard;
/** Where lines go when they are not diverted. */
let port: (byte: u32) => void = discard;
/** Lines begin with the name of who speaks. */
let prefixed: bool = true;
/** A line has been started and not ended. */
let open: bool = false;

function discard(_byte: u32): void {}

/** Sends the log's bytes to `write`, which must not fail and must not log. */
export function logSetSink(write: (byte: u32) => void): void {
  sink = write;
  port = write;
}

/** Until `logRestore`, lines go to `write` instead, without prefixes: for a person who has asked for them. */
export function logDivert(write: (byte: u32) => void): void {
  sink = write;
  prefixed = false;
}

export function logRestore(): void {
  sink = port;
  prefixed = true;
}

/** Lines of a higher level than `level` (LOG_*) are dropped. */
export function logSetLevel(level: u32): void {
  threshold = level;
}

/** Starts a line with its prefix. False: the level is filtered; print nothing more. */
export function logStart(level: u32): bool {
  if (level > threshold) return false;
  open = true;
  if (!prefixed) return true;
  logText("typevisor: ");
  if (level == LOG_ERROR) logText("error: ");
  if (level == LOG_WARN) logText("warning: ");
  return true;
}

/** Ends the line. */
export function logEnd(): void {
  open = false;
  sink(0x0d);
  sink(0x0a);
}

/** Ends a line that somebody else has left unfinished, and lets lines of all levels up to `info` through: for last words. */
export function logInterrupt(): void {
  if (open) logEnd();
  logRestore();
  threshold = max(threshold, LOG_INFO);
}

/** A whole line. */
export function logLine(level: u32, text: string): void {
  if (!logStart(level)) return;
  logText(text);
  logEnd();
}

/** A whole line `<text><value in decimal><unit>`. */
export function logValue(level: u32, text: string, value: u64, unit: string): void {
  if (!logStart(level)) return;
  logText(text);
  logDecimal(value);
  logText(unit);
  logEnd();
}

/** Characters beyond ASCII are printed as `?`. */
export function logText(text: string): void {
  for (let i = 0, n = text.length; i < n; i++) {
    const code: u32 = load<u16>(changetype<usize>(text) + ((<usize>i) << 1));
    sink(code < 0x80 ? code : 0x3f);
  }
}

/** Word number `index` of `words`, which blanks separate: a table of names that costs no more than its letters. */
export function logWord(words: string, index: u32): void {
  for (let i = 0, n = words.length; i < n; i++) {
    const code: u32 = load<u16>(changetype<usize>(words) + ((<usize>i) << 1));
    if (code == BLANK) {
      if (index-- == 0) return;
    } else if (index == 0) sink(code);
  }
}

const BLANK: u32 = 0x20;

/** Bytes up to a zero or `limit`, as left by loaders and firmware; unprintable ones become `?`. */
export function logBytes(address: usize, limit: u32): void {
  for (let i: u32 = 0; i < limit; i++) {
    const byte: u32 = load<u8>(address + i);
    if (byte == 0) return;
    logByte(byte);
  }
}

/** One character of ASCII; what is not printable becomes `?`. */
export function logByte(byte: u32): void {
  sink(byte >= 0x20 && byte < 0x7f ? byte : 0x3f);
}

/** `0x` and the hexadecimal digits, without leading zeros. */
export function logHex(value: u64): void {
  logText("0x");
  let shift: u32 = 60;
  while (shift > 0 && value >> shift == 0) shift -= 4;
  logDigits(value, shift);
}

/** Exactly `digits` hexadecimal digits (1..16), without `0x`: for tables and dumps. */
export function logHexFixed(value: u64, digits: u32): void {
  logDigits(value, (digits - 1) << 2);
}

/** The hexadecimal digits of `value` from bit `shift` down. */
function logDigits(value: u64, shift: u32): void {
  for (let at = <i32>shift; at >= 0; at -= 4) {
    const digit = <u32>(value >> at) & 15;
    sink(digit < 10 ? 0x30 + digit : 0x57 + digit);
  }
}

/** Unsigned decimal. */
export function logDecimal(value: u64): void {
  let divisor: u64 = 1;
  while (value / divisor >= 10) divisor *= 10;
  while (divisor != 0) {
    sink(0x30 + <u32>((value / divisor) % 10));
    divisor /= 10;
  }
}

// Options on the hypervisor's command line: words `key=value` separated by white space (kernel/lib/bootinfo.ts).
// Of several words with the same key the last counts. Reading is cheap enough to need no table.
import { commandLine } from "./bootinfo";

const SPACE: u32 = 0x20;
const EQUALS: u32 = 0x3d;

/** Linear address of the value of `key`, which ends at white space or zero; 0 when the option is absent. */
export function optionValue(key: string): usize {
  let found: usize = 0;
  let at = commandLine();
  while (true) {
    while (isBlank(load<u8>(at))) at++;
    if (load<u8>(at) == 0) return found;
    const value = matchKey(at, key);
    if (value != 0) found = value;
    while (load<u8>(at) > SPACE) at++;
  }
}

/** True when option `key` is present with exactly `value`. */
export function optionIs(key: string, value: string): bool {
  const start = optionValue(key);
  return start != 0 && wordIs(start, value);
}

/** True when the word at linear address `at` (up to white space or zero) is exactly `text`. */
export function wordIs(at: usize, text: string): bool {
  const length = text.length;
  for (let i = 0; i < length; i++) {
    if (<u32>load<u8>(at + i) != character(text, i)) return false;
  }
  return load<u8>(at + length) <= SPACE;
}

/** Result of `parseNumber` for text that is not a number. */
export const NOT_A_NUMBER: u64 = U64.MAX_VALUE;

/** Linear address of the end of the word at `at`: white space or zero. */
export function wordEnd(at: usize): usize {
  while (load<u8>(at) > SPACE) at++;
  return at;
}

/**
 * The number at linear address `at`, decimal or hexadecimal with `0x`, with an optional suffix K, M or G (powers of
 * 1024), ended by white space or zero. NOT_A_NUMBER when it is anything else or does not fit in 64 bits.
 */
export function parseNumber(at: usize): u64 {
  return parseNumberUpTo(at, wordEnd(at));
}

/** The same for a number that ends before linear address `end`. */
export function parseNumberUpTo(at: usize, end: usize): u64 {
  const hexadecimal = end - at > 2 && load<u8>(at) == 0x30 && (load<u8>(at + 1) | 0x20) == 0x78;
  const base: u64 = hexadecimal ? 16 : 10;
  if (hexadecimal) at += 2;
  const first = at;
  let value: u64 = 0;
  while (at < end && <u64>digitOf(load<u8>(at)) < base) {
    const digit = digitOf(load<u8>(at++));
    if (value > (U64.MAX_VALUE - digit) / base) return NOT_A_NUMBER;
    value = value * base + digit;
  }
  if (at == first) return NOT_A_NUMBER;
  const shift = at < end ? suffixShift(load<u8>(at)) : 0;
  if (shift != 0) at++;
  if (at != end || (shift != 0 && value >> (64 - shift) != 0)) return NOT_A_NUMBER;
  return value << shift;
}

/** The number given by option `key`; `fallback` when the option is absent; NOT_A_NUMBER when it is malformed. */
export function optionNumber(key: string, fallback: u64): u64 {
  const at = optionValue(key);
  return at == 0 ? fallback : parseNumber(at);
}

/** Linear address after `key=` when the word at `at` starts so, else 0. */
function matchKey(at: usize, key: string): usize {
  const length = key.length;
  for (let i = 0; i < length; i++) {
    if (<u32>load<u8>(at + i) != character(key, i)) return 0;
  }
  return load<u8>(at + length) == EQUALS ? at + length + 1 : 0;
}

function character(text: string, index: i32): u32 {
  return load<u16>(changetype<usize>(text) + ((<usize>index) << 1));
}

function isBlank(byte: u32): bool {
  return byte != 0 && byte <= SPACE;
}

function digitOf(byte: u32): u32 {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : U32.MAX_VALUE;
}

function suffixShift(byte: u32): u32 {
  switch (byte | 0x20) {
    case 0x6b:
      return 10;
    case 0x6d:
      return 20;
    case 0x67:
      return 30;
    default:
      return 0;
  }
}

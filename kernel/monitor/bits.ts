// Words whose bits have names.
import { logText, logWord } from "../lib/log";

/** Logs the names of the bits of `value` that are set, each after a blank. `names`: from bit 0 up; `-` has none. */
export function logBits(value: u64, names: string): void {
  let start = 0;
  for (let bit: u32 = 0; start < names.length; bit++) {
    const isNamed = names.charCodeAt(start) != 0x2d;
    if (isNamed && ((value >> bit) & 1) != 0) {
      logText(" ");
      logWord(names, bit);
    }
    while (start < names.length && names.charCodeAt(start) != 0x20) start++;
    start++;
  }
}

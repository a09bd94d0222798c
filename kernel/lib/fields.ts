// Fields of a processor's control structure on the log: a name in a column, the value, and its set bits by name.
//
// Names are packed into one string, `|` between them: a string of its own costs 20 bytes more. Names of bits go from bit 0
// up; a digit skips as many bits without a name, and `~` stands for " exiting".
import { logByte, logDecimal, logHex, logText } from "./log";

const SEPARATOR: u32 = 0x7c;
const EXITING: u32 = 0x7e;
const DIGIT_0: u32 = 0x30;
/** Column of the values. */
const WIDTH: i32 = 36;

/** Event information: the valid bit, where the type is, that there is an error code. The same on VT-x and AMD-V. */
const EVENT_VALID: u64 = 1 << 31;
const EVENT_TYPE_SHIFT: u64 = 8;
const EVENT_ERROR_CODE: u64 = 1 << 11;

/** Access rights as VT-x has them (SDM volume 3, "Guest Register State"), without type and DPL. */
const RIGHTS: string = "4|S|2|P|4|AVL|L|D/B|G|Segment unusable";
const RIGHTS_TYPE: u32 = 0xf;
const RIGHTS_DPL_SHIFT: u32 = 5;
const RIGHTS_NUMBERS: u32 = 0x6f;

/** Vectors, for bitmaps of exceptions. */
export const EXCEPTIONS: string =
  "#DE|#DB|NMI|#BP|#OF|#BR|#UD|#NM|#DF|1|#TS|#NP|#SS|#GP|#PF|1|#MF|#AC|#MC|#XM|#VE|#CP|6|#HV|#VC|#SX";

/** Logs the field's name that begins at `start` of `names`, and blanks. Returns where the next one begins. */
export function logFieldName(names: string, start: i32): i32 {
  const next = logName(names, start, true);
  for (let column = next - 1 - start; column < WIDTH; column++) logText(" ");
  return next;
}

/** Logs the bits of `value` that are set: `: NAME, NAME, others 0x…`; nothing when there are none. */
export function logFlags(value: u64, names: string): void {
  let separator = ": ";
  let rest = value;
  let bit: u64 = 0;
  for (let at = 0; at < names.length; ) {
    const skipped = <u32>names.charCodeAt(at) - DIGIT_0;
    if (skipped < 10) {
      bit += skipped;
      at += 2;
      continue;
    }
    const isSet = ((rest >> bit) & 1) != 0;
    if (isSet) {
      logText(separator);
      separator = ", ";
      rest &= ~((<u64>1) << bit);
    }
    bit++;
    at = logName(names, at, isSet);
  }
  if (rest == 0) return;
  logText(separator);
  logText("others ");
  logHex(rest);
}

/** Logs what `value` is, one of 64 at most: `: NAME`. */
export function logChoice(value: u64, names: string): void {
  if (value < 64) logFlags((<u64>1) << value, names);
}

/** Logs an event that is valid: `: TYPE, vector N, error code`. `types`: names of the types, by number. */
export function logEvent(event: u64, types: string): void {
  if ((event & EVENT_VALID) == 0) return;
  logChoice((event >> EVENT_TYPE_SHIFT) & 7, types);
  logText(", vector ");
  logDecimal(event & 0xff);
  if ((event & EVENT_ERROR_CODE) != 0) logText(", error code");
}

/** Logs a segment's access rights: ` type N DPL N: NAME, NAME`. */
export function logRights(rights: u32): void {
  logText(" type ");
  logDecimal(rights & RIGHTS_TYPE);
  logText(" DPL ");
  logDecimal((rights >> RIGHTS_DPL_SHIFT) & 3);
  logFlags(rights & ~RIGHTS_NUMBERS, RIGHTS);
}

/** Goes over the name that begins at `start`, and logs it if it is to be `shown`. Returns where the next one begins. */
function logName(names: string, start: i32, shown: bool): i32 {
  let at = start;
  for (; at < names.length; at++) {
    const letter: u32 = names.charCodeAt(at);
    if (letter == SEPARATOR) break;
    if (!shown) continue;
    if (letter == EXITING) logText(" exiting");
    else logByte(letter);
  }
  return at + 1;
}

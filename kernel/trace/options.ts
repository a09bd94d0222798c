// Tracing as the command line asks for it:
//
//   trace=com2|e9               where the stream goes; without this option nothing is recorded
//   trace.vm=N  trace.vcpu=N    only this VM, this vCPU
//   trace.reason=A,B            only these exit reasons: names as in the log, or numbers
//   trace.rip=FIRST-LAST        only exits in this range of addresses; also trace.port, trace.msr, trace.leaf
//   trace.every=N               every Nth of what passes
//
//   exitlog=off|summary|exits   on the log: nothing; counts and times when a VM ends; each exit that passes the filter too
import { LOG_WARN, logByte, logBytes, logEnd, logStart, logText } from "../lib/log";
import { NOT_A_NUMBER, optionIs, optionValue, parseNumberUpTo, wordEnd } from "../lib/options";
import { backend } from "../vcpu/backend";
import { COUNTED_REASONS, reasonIndex, reasonOfIndex } from "./counters";
import { ANY, filterAddReason, traceFilter, TraceRange, traceRange } from "./filter";

export const EXIT_LOG_OFF: u32 = 0;
const EXIT_LOG_SUMMARY: u32 = 1;
export const EXIT_LOG_EXITS: u32 = 2;

const COMMA: u32 = 0x2c;
const DASH: u32 = 0x2d;
const EQUALS: u32 = 0x3d;

/** Whether tracing was asked for. */
export function traceWanted(): bool {
  return optionIs("trace", "com2") || optionIs("trace", "e9");
}

/** How much about exits the log is to say: EXIT_LOG_*. */
export function exitLogLevel(): u32 {
  if (optionIs("exitlog", "exits")) return EXIT_LOG_EXITS;
  if (optionIs("exitlog", "summary")) return EXIT_LOG_SUMMARY;
  if (optionValue("exitlog") != 0 && !optionIs("exitlog", "off")) complain("exitlog");
  return EXIT_LOG_OFF;
}

/** Keys of the filter, as the boot loader's command line has them; the monitor leaves `trace.` out. */
const KEYS: StaticArray<string> = [
  "trace.vm",
  "trace.vcpu",
  "trace.every",
  "trace.reason",
  "trace.rip",
  "trace.port",
  "trace.msr",
  "trace.leaf",
];
export const KEY_VM: i32 = 0;
export const KEY_VCPU: i32 = 1;
export const KEY_EVERY: i32 = 2;
export const KEY_REASON: i32 = 3;
/** Ranges follow, in the order of RANGE_*. */
export const KEY_RANGES: i32 = 4;
const PREFIX: i32 = 6;

/** What `filterAdd` says of a condition. */
export const FILTER_ADDED: u32 = 0;
export const FILTER_NO_KEY: u32 = 1;
const FILTER_NO_VALUE: u32 = 2;

/** Logs a key's name as the monitor has it. */
export function logKeyName(key: i32): void {
  const name = KEYS[key];
  for (let i = PREFIX; i < name.length; i++) logByte(name.charCodeAt(i));
}

/** Sets the filter. An option that cannot be read is named in the log and left open. */
export function traceReadOptions(): void {
  if (optionValue("trace") != 0 && !traceWanted() && !optionIs("trace", "off")) complain("trace");
  for (let i = 0; i < KEYS.length; i++) {
    const value = optionValue(KEYS[i]);
    if (value != 0 && !setFilter(i, value, wordEnd(value))) complain(KEYS[i]);
  }
}

function complain(key: string): void {
  logStart(LOG_WARN);
  logText("option ");
  logText(key);
  logText(" is ignored: its value cannot be read: ");
  const value = optionValue(key);
  logBytes(value, <u32>(wordEnd(value) - value));
  logEnd();
}

/** Adds the condition `KEY=VALUE` in [at, end) to the filter. Returns FILTER_*. */
export function filterAdd(at: usize, end: usize): u32 {
  for (let i = 0; i < KEYS.length; i++) {
    const key = KEYS[i];
    let j = PREFIX;
    while (j < key.length && load<u8>(at + j - PREFIX) == key.charCodeAt(j)) j++;
    const equals = at + j - PREFIX;
    if (j == key.length && load<u8>(equals) == EQUALS) {
      return setFilter(i, equals + 1, end) ? FILTER_ADDED : FILTER_NO_VALUE;
    }
  }
  return FILTER_NO_KEY;
}

function setFilter(key: i32, at: usize, end: usize): bool {
  if (key == KEY_REASON) return addReasons(at, end);
  if (key >= KEY_RANGES) return setRange(traceRange(key - KEY_RANGES), at, end);
  const value = parseNumberUpTo(at, end);
  if (value > ANY) return false;
  const filter = traceFilter();
  if (key == KEY_VM) filter.vm = <u32>value;
  if (key == KEY_VCPU) filter.vcpu = <u32>value;
  if (key == KEY_EVERY) filter.every = max<u32>(<u32>value, 1);
  return true;
}

/** `N` or `FIRST-LAST`. */
function setRange(range: TraceRange, at: usize, end: usize): bool {
  let dash = at;
  while (dash < end && load<u8>(dash) != DASH) dash++;
  const first = parseNumberUpTo(at, dash);
  const last = dash < end ? parseNumberUpTo(dash + 1, end) : first;
  if (first == NOT_A_NUMBER || last == NOT_A_NUMBER || first > last) return false;
  range.first = first;
  range.last = last;
  return true;
}

/** Reasons separated by commas. */
function addReasons(at: usize, end: usize): bool {
  let good = at < end;
  for (let start = at; start < end; ) {
    let stop = start;
    while (stop < end && load<u8>(stop) != COMMA) stop++;
    good = addReason(start, stop) && good;
    start = stop + 1;
  }
  return good;
}

/** One reason, by number or by name. */
function addReason(start: usize, end: usize): bool {
  const number = parseNumberUpTo(start, end);
  if (number != NOT_A_NUMBER) {
    // A number that no counter has would stand for another reason.
    if (number > U32.MAX_VALUE || reasonOfIndex(reasonIndex(<u32>number)) != number) return false;
    filterAddReason(<u32>number);
    return true;
  }
  let found = false;
  for (let i = reasonCalled(start, end, 0); i < COUNTED_REASONS; i = reasonCalled(start, end, i + 1)) {
    filterAddReason(reasonOfIndex(i));
    found = true;
  }
  return found;
}

/**
 * The first place from `index` on (kernel/trace/counters.ts, reasonIndex) whose reason has the name in [start, end), without
 * regard to case, blanks as `_`; COUNTED_REASONS: there is none.
 */
export function reasonCalled(start: usize, end: usize, index: u32): u32 {
  for (let i = index; i < COUNTED_REASONS; i++) {
    if (sameName(backend().reasonName(reasonOfIndex(i)), start, end)) return i;
  }
  return COUNTED_REASONS;
}

function sameName(name: string, start: usize, end: usize): bool {
  if (<usize>name.length != end - start) return false;
  for (let i = 0; i < name.length; i++) {
    if (foldedLetter(nameLetter(name, i)) != foldedLetter(load<u8>(start + i))) return false;
  }
  return true;
}

/** Letter `at` of a reason's name, blanks as `_`; 0 behind its end. */
export function nameLetter(name: string, at: u32): u32 {
  if (at >= <u32>name.length) return 0;
  const letter: u32 = name.charCodeAt(at);
  return letter == 0x20 ? 0x5f : letter;
}

/** Upper and lower case are one. */
export function foldedLetter(letter: u32): u32 {
  return letter >= 0x41 && letter <= 0x5a ? letter + 0x20 : letter;
}

/** The backends' tables (kernel/abi) name what the manual leaves undefined so. */
export function isNamed(name: string): bool {
  return name != "unknown" && !name.startsWith("UNDEFINED");
}

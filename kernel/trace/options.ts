// Tracing as the command line asks for it:
//
//   trace=com2|e9               where the stream goes; without this option nothing is recorded
//   trace.vm=N  trace.vcpu=N    only this VM, this vCPU
//   trace.reason=A,B            only these exit reasons: names as in the log, or numbers
//   trace.rip=FIRST-LAST        only exits in this range of addresses; also trace.port, trace.msr, trace.leaf
//   trace.every=N               every Nth of what passes
//
//   exitlog=off|summary|exits   on the log: nothing; counts and times when a VM ends; each exit that passes the filter too
import { LOG_WARN, logBytes, logEnd, logStart, logText } from "../lib/log";
import { NOT_A_NUMBER, optionIs, optionNumber, optionValue, parseNumberUpTo, wordEnd } from "../lib/options";
import { backend } from "../vcpu/backend";
import { COUNTED_REASONS, reasonOfIndex } from "./counters";
import {
  ANY,
  filterAddReason,
  RANGE_LEAF,
  RANGE_MSR,
  RANGE_PORT,
  RANGE_RIP,
  traceFilter,
  traceRange,
} from "./filter";

export const EXIT_LOG_OFF: u32 = 0;
export const EXIT_LOG_SUMMARY: u32 = 1;
export const EXIT_LOG_EXITS: u32 = 2;

const COMMA: u32 = 0x2c;
const DASH: u32 = 0x2d;

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

/** Sets the filter. An option that cannot be read is named in the log and left open. */
export function traceReadOptions(): void {
  const filter = traceFilter();
  if (optionValue("trace") != 0 && !traceWanted() && !optionIs("trace", "off")) complain("trace");
  filter.vm = smallOption("trace.vm", ANY);
  filter.vcpu = smallOption("trace.vcpu", ANY);
  filter.every = max<u32>(smallOption("trace.every", 1), 1);
  rangeOption("trace.rip", RANGE_RIP);
  rangeOption("trace.port", RANGE_PORT);
  rangeOption("trace.msr", RANGE_MSR);
  rangeOption("trace.leaf", RANGE_LEAF);
  reasonOption();
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

function smallOption(key: string, fallback: u32): u32 {
  const value = optionNumber(key, fallback);
  if (value <= ANY) return <u32>value;
  complain(key);
  return fallback;
}

/** `N` or `FIRST-LAST`. */
function rangeOption(key: string, which: u32): void {
  const at = optionValue(key);
  if (at == 0) return;
  const end = wordEnd(at);
  let dash = at;
  while (dash < end && load<u8>(dash) != DASH) dash++;
  const first = parseNumberUpTo(at, dash);
  const last = dash < end ? parseNumberUpTo(dash + 1, end) : first;
  if (first == NOT_A_NUMBER || last == NOT_A_NUMBER || first > last) return complain(key);
  traceRange(which).first = first;
  traceRange(which).last = last;
}

function reasonOption(): void {
  const at = optionValue("trace.reason");
  if (at == 0) return;
  const end = wordEnd(at);
  let start = at;
  while (start < end) {
    let stop = start;
    while (stop < end && load<u8>(stop) != COMMA) stop++;
    if (!addReason(start, stop)) complain("trace.reason");
    start = stop + 1;
  }
}

/** One reason, by number or by name. */
function addReason(start: usize, end: usize): bool {
  const number = parseNumberUpTo(start, end);
  if (number != NOT_A_NUMBER) {
    if (number > 0xffffffff) return false;
    filterAddReason(<u32>number);
    return true;
  }
  let found = false;
  for (let i: u32 = 0; i < COUNTED_REASONS; i++) {
    const reason = reasonOfIndex(i);
    if (!sameName(backend().reasonName(reason), start, end)) continue;
    filterAddReason(reason);
    found = true;
  }
  return found;
}

/** Compares without regard to case; blanks in names are written as `_`. */
function sameName(name: string, start: usize, end: usize): bool {
  if (<usize>name.length != end - start) return false;
  for (let i = 0; i < name.length; i++) {
    const letter = folded(name.charCodeAt(i));
    if (letter != folded(load<u8>(start + i))) return false;
  }
  return true;
}

function folded(character: u32): u32 {
  if (character == 0x20) return 0x5f;
  return character >= 0x41 && character <= 0x5a ? character + 0x20 : character;
}

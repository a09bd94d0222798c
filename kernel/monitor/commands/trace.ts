// `trace on|off`: whether exits are recorded; `trace filter`: which of them, `trace filter KEY=VALUE,...`: from now on these,
// `trace filter all`: every one. They go where the boot loader's
// command line sends the trace; if it does not say, to the log as text.
import { rdtsc } from "../../arch/intrinsics";
import { logBytes, logEnd, logText } from "../../lib/log";
import { wordEnd, wordIs } from "../../lib/options";
import { filterKeep, filterReset, filterRestore } from "../../trace/filter";
import { logFilter } from "../../trace/filter-text";
import { FILTER_ADDED, FILTER_NO_KEY, filterAdd } from "../../trace/options";
import { SINK_LOG, SINK_STREAM, traceClose, traceSetSinks, traceSinks } from "../../trace/ring";
import { traceHasStream, traceTellFilter } from "../../trace/stream";
import { Vcpu } from "../../vcpu/vcpu";
import { STAY } from "../command";
import { complain, isEnd, nextWord } from "../words";

const COMMA: u32 = 0x2c;
const EQUALS: u32 = 0x3d;

export function trace(_vcpu: Vcpu, args: usize): u32 {
  if (wordIs(args, "filter")) return filter(nextWord(args));
  if (wordIs(args, "on")) traceSetSinks(traceHasStream() ? SINK_STREAM : SINK_LOG);
  else if (wordIs(args, "off")) switchOff();
  else if (!isEnd(args)) return complain("expected on, off or filter", args);
  return status();
}

/** The exit that is being handled is not recorded any more. */
function switchOff(): void {
  traceSetSinks(0);
  traceClose(rdtsc());
}

function status(): u32 {
  const sinks = traceSinks();
  logText("trace is ");
  if (sinks == 0) logText("off");
  if ((sinks & SINK_STREAM) != 0) logText("on, to the trace port ");
  if ((sinks & SINK_LOG) != 0) logText("on, to the log");
  logEnd();
  return STAY;
}

function filter(at: usize): u32 {
  if (!isEnd(at) && !changeFilter(at)) return STAY;
  logText("traced:");
  logFilter();
  logEnd();
  return STAY;
}

/** False: a condition cannot be read, and the filter stays as it was. */
function changeFilter(at: usize): bool {
  filterKeep();
  filterReset();
  if (!(wordIs(at, "all") && isEnd(nextWord(at))) && !addConditions(at)) {
    filterRestore();
    return false;
  }
  // What the stream holds from here on has passed the new filter; it says so.
  traceTellFilter();
  return true;
}

/** Conditions are separated by commas or blanks; a part without `=` belongs to the value before it. */
function addConditions(at: usize): bool {
  while (!isEnd(at)) {
    const end = conditionEnd(at);
    const answer = filterAdd(at, end);
    if (answer != FILTER_ADDED) return refuse(answer, at, end);
    at = load<u8>(end) == COMMA ? end + 1 : nextWord(at);
  }
  return true;
}

/** Says what is wrong with the condition in [at, end). Returns false. */
function refuse(answer: u32, at: usize, end: usize): bool {
  logText("the filter stays as it was: ");
  logText(answer == FILTER_NO_KEY ? "there is no such key" : "this value cannot be read");
  logText(", see `help trace`: ");
  logBytes(at, <u32>(end - at));
  logEnd();
  return false;
}

/** Of the condition at `at`: the end of its word, or a comma before the next `KEY=`. */
function conditionEnd(at: usize): usize {
  const end = wordEnd(at);
  let comma: usize = 0;
  for (let i = at; i < end; i++) {
    const byte: u32 = load<u8>(i);
    if (byte == COMMA) comma = i;
    if (byte == EQUALS && comma != 0) return comma;
  }
  return end;
}

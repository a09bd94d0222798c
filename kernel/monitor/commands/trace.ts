// `trace on|off`: whether exits are recorded; `trace filter KEY=VALUE,...`: which of them. They go where the boot loader's
// command line sends the trace; if it does not say, to the log as text.
import { rdtsc } from "../../arch/intrinsics";
import { logEnd, logText } from "../../lib/log";
import { wordEnd, wordIs } from "../../lib/options";
import { filterReset } from "../../trace/filter";
import { filterAdd } from "../../trace/options";
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

/** What the stream holds from here on has passed the new filter; it says so. */
function filter(at: usize): u32 {
  const next = setFilter(at);
  traceTellFilter();
  return next;
}

/** Conditions are separated by commas or blanks; a part without `=` belongs to the value before it. */
function setFilter(at: usize): u32 {
  filterReset();
  while (!isEnd(at)) {
    const end = conditionEnd(at);
    if (!filterAdd(at, end)) {
      filterReset();
      return complain("this cannot be read, so every exit passes", at);
    }
    at = load<u8>(end) == COMMA ? end + 1 : nextWord(at);
  }
  return STAY;
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

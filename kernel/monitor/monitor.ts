// The console monitor: a prompt on the serial console, while the guest stands still and its clocks with it. The time counts
// for no exit.
import { rdtsc } from "../arch/intrinsics";
import { skipTime } from "../guest/vm";
import { logDecimal, logDivert, logEnd, logHex, logRestore, logText } from "../lib/log";
import { traceExclude, traceSinks } from "../trace/ring";
import { REQUEST_STOP, Vcpu } from "../vcpu/vcpu";
import { commandCalled, LEAVE, STAY } from "./command";
import { commandsPrepare } from "./commands";
import { readLine } from "./line";
import { put } from "./terminal";
import { complain, isEnd, nextWord, wordAt } from "./words";

/** Serves commands until one of them lets the guest run on. Returns LEAVE or WATCH. */
export function monitorOpen(vcpu: Vcpu): u32 {
  const before = rdtsc();
  const traced = traceSinks() != 0;
  commandsPrepare();
  logDivert(put);
  greet(vcpu);
  let next = STAY;
  while (next == STAY) next = serveLine(vcpu);
  logRestore();
  // What happens at an exit is chosen when the run loop is entered.
  if (traced != (traceSinks() != 0)) vcpu.request(REQUEST_STOP);
  monitorExclude(vcpu, rdtsc() - before);
  return next;
}

/** Leaves `ticks` out of the exit's time and of the guest's clocks. */
export function monitorExclude(vcpu: Vcpu, ticks: u64): void {
  traceExclude(vcpu, ticks);
  skipTime(vcpu, ticks);
}

function greet(vcpu: Vcpu): void {
  logText("\r\nvm");
  logDecimal(vcpu.vmIndex);
  logText(" vcpu");
  logDecimal(vcpu.index);
  logText(" paused at ");
  logHex(vcpu.rip);
  logText(". `help` lists the commands; Ctrl-D continues.");
  logEnd();
}

function serveLine(vcpu: Vcpu): u32 {
  const line = readLine();
  if (line == 0) {
    logEnd();
    return LEAVE;
  }
  const name = wordAt(line);
  if (isEnd(name)) return STAY;
  const command = commandCalled(name);
  if (command === null) return complain("there is no such command, see `help`", name);
  return command.run(vcpu, nextWord(name));
}

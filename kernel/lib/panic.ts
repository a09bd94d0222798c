// The end of the road for bugs: an assertion or `throw` in TypeScript calls `abort`, which asc fills with the message and
// the place; traps and exceptions arrive through kernel/arch/fault.ts. Each lands in one report on the log port, with a
// stack trace, and stops the machine.
import { STATUS_HYPERVISOR_BUG } from "../abi/status";
import { halt_forever, read_rip, read_rsp } from "../arch/intrinsics";
import { LOG_INFO, logDecimal, logEnd, logInterrupt, logLine, logStart, logText } from "./log";
import { printStackTrace } from "./stacktrace";

let stop: (status: u32) => void = haltForever;
let panicking: bool = false;

function haltForever(_status: u32): void {
  halt_forever();
}

/** How the machine is stopped after a report: `machineStop`, once there is one. */
export function panicSetStop(stopMachine: (status: u32) => void): void {
  stop = stopMachine;
}

/** asc's hook for `assert` and `throw new Error(…)`. Does not return. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  panicStart();
  logText(message !== null ? message : "assertion failed");
  if (file !== null) printPlace(file, line, column);
  logEnd();
  printStackTrace(read_rip(), read_rsp());
  panicEnd();
}

function printPlace(file: string, line: u32, column: u32): void {
  logText(" (");
  logText(file);
  logText(":");
  logDecimal(line);
  logText(":");
  logDecimal(column);
  logText(")");
}

/** Starts the report's first line, which the caller goes on with. A failure while reporting another ends at once. */
export function panicStart(): void {
  logInterrupt();
  if (panicking) {
    logLine(LOG_INFO, "panic: a second failure while reporting the first");
    panicEnd();
  }
  panicking = true;
  logStart(LOG_INFO);
  logText("panic: ");
}

/** Ends the report and stops the machine. Does not return. */
export function panicEnd(): void {
  stop(STATUS_HYPERVISOR_BUG);
  halt_forever();
}

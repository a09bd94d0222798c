// Why a VM cannot be built, for people: one paragraph that says what is wrong, where, and what to do.
import { LOG_ERROR, logDecimal, logEnd, logStart, logText } from "../lib/log";
import { Vm } from "./vm";

const MIB_SHIFT: u64 = 20;

/** Starts the paragraph; finish it with `problemEnd`. */
export function problemStart(vm: Vm): void {
  logStart(LOG_ERROR);
  logText("vm");
  logDecimal(vm.index);
  logText(": ");
}

/** Ends the paragraph with what to do. Returns false, so that a check can `return problemEnd(…)`. */
export function problemEnd(advice: string): bool {
  logText(". ");
  logText(advice);
  logText(".");
  logEnd();
  return false;
}

/** A whole paragraph: `what` is wrong, and `advice`; each without its final full stop. Returns false. */
export function problem(vm: Vm, what: string, advice: string): bool {
  problemStart(vm);
  logText(what);
  return problemEnd(advice);
}

/** Inside a paragraph: a number of bytes, as MiB where it is a whole number of them. */
export function problemBytes(bytes: u64): void {
  const whole = bytes != 0 && (bytes & ((1 << MIB_SHIFT) - 1)) == 0;
  logDecimal(whole ? bytes >> MIB_SHIFT : bytes);
  logText(whole ? " MiB" : " bytes");
}

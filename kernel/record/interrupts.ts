// Interrupts and exceptions of the host, logged: in the recording image these take the place of kernel/main.ts's exports without
// the `record_`.
import { EVENT_EXCEPTION, EVENT_INTERRUPT, EVENT_INTERRUPT_DONE } from "../abi/recording";
import { reportFault } from "../arch/fault";
import { hostInterrupt } from "../drivers/interrupts";
import { logFlush } from "./frames";
import { recordEvent, recordNumber } from "./log";

export function record_interrupt(vector: u32): void {
  if (recordEvent(EVENT_INTERRUPT)) recordNumber(vector);
  hostInterrupt(vector);
  recordEvent(EVENT_INTERRUPT_DONE);
}

export function record_exception(vector: u32, frame: u64): void {
  if (recordEvent(EVENT_EXCEPTION)) {
    recordNumber(vector);
    logFlush();
  }
  reportFault(vector, frame);
}

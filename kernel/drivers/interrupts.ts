// Interrupts of the computer itself: who they are for, and their end.
import { thisCpu } from "../arch/percpu";
import { LOG_WARN, logValue } from "../lib/log";
import { apicAcceptPic, apicEnd, apicId, SPURIOUS_VECTOR } from "./apic";
import { CONSOLE_IRQ, consoleInterrupt } from "./console";
import { ioApicRouteIsa, ioApicStart } from "./ioapic";
import { picEnd, picOwns, picStart, PIC_VECTOR, picUnmask } from "./pic";
import { hostTimerFired, TIMER_VECTOR } from "./timer";

/** Vector of the console's interrupt when it comes through an I/O APIC. */
const CONSOLE_VECTOR: u32 = 0x40;

let unexpected: u64 = 0;

/** Masks every line of every controller; `apicStart` comes first. */
export function interruptsStart(): void {
  picStart();
  ioApicStart();
}

/** Lets the console's line through: by an I/O APIC if there is one, else by the 8259 pair. */
export function interruptsRouteConsole(): void {
  if (ioApicRouteIsa(CONSOLE_IRQ, CONSOLE_VECTOR, apicId())) return;
  picUnmask(CONSOLE_IRQ);
  apicAcceptPic();
}

/** Serves interrupt `vector` and ends it. Called from the interrupt stub, or with the vector of a VM exit. */
export function hostInterrupt(vector: u32): void {
  thisCpu().interrupts++;
  if (vector == SPURIOUS_VECTOR) return;
  if (vector == TIMER_VECTOR) hostTimerFired();
  else if (vector == CONSOLE_VECTOR || vector == PIC_VECTOR + CONSOLE_IRQ) consoleInterrupt();
  else reportUnexpected(vector);
  if (picOwns(vector)) picEnd(vector);
  else apicEnd();
}

/** Once per power of two, so that a storm cannot drown the log. */
function reportUnexpected(vector: u32): void {
  unexpected++;
  if ((unexpected & (unexpected - 1)) == 0) logValue(LOG_WARN, "unexpected interrupt, vector ", vector, "");
}

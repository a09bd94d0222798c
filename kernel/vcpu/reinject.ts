// Events whose delivery was interrupted by an exit are delivered again at the next entry. When the exit's handler raised an
// exception meanwhile, the two combine by the manual's rules (SDM, "Interrupt 8—Double Fault Exception (#DF)"; APM,
// "#DF—Double-Fault Exception").
import {
  raiseWithError,
  VECTOR_DE,
  VECTOR_DF,
  VECTOR_GP,
  VECTOR_NP,
  VECTOR_PF,
  VECTOR_SS,
  VECTOR_TS,
} from "./raise";
import { EVENT_EXCEPTION, EVENT_TYPE_MASK, EVENT_VALID, REQUEST_EVENT, Vcpu } from "./vcpu";

const VECTOR_CP: u32 = 21;
const CONTRIBUTORY: u32 =
  (1 << VECTOR_DE) |
  (1 << VECTOR_TS) |
  (1 << VECTOR_NP) |
  (1 << VECTOR_SS) |
  (1 << VECTOR_GP) |
  (1 << VECTOR_CP);
const PAGE_FAULT: u32 = 1 << VECTOR_PF;

/** Bit of an exception's vector; 0 for events that are no exceptions: they combine with nothing. */
function exceptionBit(event: u32): u32 {
  if (isDefined(CHECKED))
    assert(
      (event & EVENT_TYPE_MASK) != EVENT_EXCEPTION || (event & 0xff) < 32,
      "reinject: exceptions are vectors below 32",
    );
  if (isDefined(CHECKED)) assert((event & EVENT_VALID) != 0, "reinject: there is no event");
  return (event & EVENT_TYPE_MASK) == EVENT_EXCEPTION ? 1 << (event & 31) : 0;
}

/** Two exceptions, the second while the first was being delivered, are a double fault. */
function isDoubleFault(first: u32, second: u32): bool {
  assert((first & second & EVENT_VALID) != 0, "reinject: two events combine");
  const one = exceptionBit(first);
  const two = exceptionBit(second);
  if ((one & CONTRIBUTORY) != 0) return (two & CONTRIBUTORY) != 0;
  return (one & PAGE_FAULT) != 0 && (two & (CONTRIBUTORY | PAGE_FAULT)) != 0;
}

/** The second while a double fault was being delivered shuts the processor down. */
function isTripleFault(first: u32, second: u32): bool {
  assert((first & second & EVENT_VALID) != 0, "reinject: two events combine");
  return exceptionBit(first) == 1 << VECTOR_DF && (exceptionBit(second) & (CONTRIBUTORY | PAGE_FAULT)) != 0;
}

/**
 * Settles what is delivered next after an exit that interrupted the delivery of an event. An interrupt or NMI that gives
 * way to an exception is kept in `deferredEvent`. False: triple fault.
 */
export function reinject(vcpu: Vcpu): bool {
  const exit = vcpu.exit;
  const first = exit.interruptedEvent;
  assert((first & EVENT_VALID) != 0, "reinject: nothing was interrupted");
  if ((vcpu.event & EVENT_VALID) == 0) {
    vcpu.event = first;
    vcpu.eventError = exit.interruptedError;
    vcpu.eventLength = exit.interruptedLength;
    vcpu.requests |= REQUEST_EVENT;
    return true;
  }
  if (isTripleFault(first, vcpu.event)) return false;
  if (isDoubleFault(first, vcpu.event)) raiseWithError(vcpu, VECTOR_DF, 0);
  else if (exceptionBit(first) == 0) vcpu.deferredEvent = first;
  return true;
}

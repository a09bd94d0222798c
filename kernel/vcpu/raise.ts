// Exceptions raised by handlers on behalf of the guest's instruction.
import { RFLAGS_RF } from "../arch/cr";
import { change } from "./backend";
import { OUTCOME_INJECT } from "./outcome";
import { GROUP_STACK_FLAGS } from "./registers";
import { EVENT_EXCEPTION, EVENT_HAS_ERROR, EVENT_VALID, REQUEST_EVENT, Vcpu } from "./vcpu";

export const VECTOR_DE: u32 = 0;
export const VECTOR_DB: u32 = 1;
export const VECTOR_NMI: u32 = 2;
export const VECTOR_BP: u32 = 3;
export const VECTOR_OF: u32 = 4;
export const VECTOR_BR: u32 = 5;
export const VECTOR_UD: u32 = 6;
export const VECTOR_NM: u32 = 7;
export const VECTOR_DF: u32 = 8;
export const VECTOR_TS: u32 = 10;
export const VECTOR_NP: u32 = 11;
export const VECTOR_SS: u32 = 12;
export const VECTOR_GP: u32 = 13;
export const VECTOR_PF: u32 = 14;
export const VECTOR_MF: u32 = 16;
export const VECTOR_AC: u32 = 17;
export const VECTOR_MC: u32 = 18;

/** Exceptions that are no faults (SDM, "Interrupt and Exception Behavior"): their handlers do not return to the instruction. */
const NO_FAULTS: u32 =
  (1 << VECTOR_DB) | (1 << VECTOR_BP) | (1 << VECTOR_OF) | (1 << VECTOR_DF) | (1 << VECTOR_MC);

/**
 * "For any fault-class exception except a debug exception generated in response to an instruction breakpoint, the value pushed
 * for RF is 1" (SDM, "Instruction-Breakpoint Exception Condition"): the instruction that is returned to has met its own already.
 */
function passBreakpoint(vcpu: Vcpu, vector: u32): void {
  if (isDefined(CHECKED))
    assert(vector < 32 && vector != VECTOR_NMI, "raise: exceptions are vectors below 32");
  if (((NO_FAULTS >> vector) & 1) != 0) return;
  change(vcpu, GROUP_STACK_FLAGS);
  vcpu.rflags |= RFLAGS_RF;
}

/** #GP, #SS, #PF … with an error code. Returns OUTCOME_INJECT, so that a handler can `return raiseWithError(…)`. */
export function raiseWithError(vcpu: Vcpu, vector: u32, error: u32): u32 {
  if (isDefined(CHECKED))
    assert(vector != VECTOR_UD && vector != VECTOR_DE && vector != VECTOR_DB, "raise: it has no error code");
  passBreakpoint(vcpu, vector);
  vcpu.event = EVENT_VALID | EVENT_EXCEPTION | EVENT_HAS_ERROR | vector;
  vcpu.eventError = error;
  vcpu.requests |= REQUEST_EVENT;
  return OUTCOME_INJECT;
}

/** #UD, #DB and others without an error code. */
export function raise(vcpu: Vcpu, vector: u32): u32 {
  if (isDefined(CHECKED))
    assert(vector != VECTOR_GP && vector != VECTOR_PF && vector != VECTOR_SS, "raise: it has an error code");
  passBreakpoint(vcpu, vector);
  vcpu.event = EVENT_VALID | EVENT_EXCEPTION | vector;
  vcpu.eventError = 0;
  vcpu.requests |= REQUEST_EVENT;
  return OUTCOME_INJECT;
}

/** #GP(0). */
export function raiseGp(vcpu: Vcpu): u32 {
  return raiseWithError(vcpu, VECTOR_GP, 0);
}

// What an exit handler wants done. Handlers only return it; the run loop alone acts on it.

/** Enter again at the same instruction. */
export const OUTCOME_RESUME: u32 = 0;
/** Skip the instruction, then enter. */
export const OUTCOME_ADVANCE: u32 = 1;
/** Deliver the exception in `vcpu.event` (set by `raise`). RIP stays at the instruction. */
export const OUTCOME_INJECT: u32 = 2;
/** Skip the instruction and wait until an event arrives. */
export const OUTCOME_HALT: u32 = 3;
/** This VM stops, for the reason in `vm.stopStatus` (set by `stopVm`), or is reset: the vCPU does not go on. */
export const OUTCOME_STOP: u32 = 4;
/** The instruction has been skipped, and there is nothing else to do. */
export const OUTCOME_DONE: u32 = 6;

/** An outcome as records have it: it does not matter to them who has moved RIP. */
export function outcomeForRecord(outcome: u32): u32 {
  if (isDefined(CHECKED))
    assert(outcome <= OUTCOME_STOP || outcome == OUTCOME_DONE, "outcome: no such outcome");
  return outcome == OUTCOME_DONE ? OUTCOME_ADVANCE : outcome;
}

// What an exit handler wants done. Handlers only return it; the run loop alone acts on it.

/** Enter again at the same instruction. */
export const OUTCOME_RESUME: u32 = 0;
/** Skip the instruction, then enter. */
export const OUTCOME_ADVANCE: u32 = 1;
/** Deliver the exception in `vcpu.event` (set by `raise`). RIP stays at the instruction. */
export const OUTCOME_INJECT: u32 = 2;
/** Skip the instruction and wait until an event arrives. */
export const OUTCOME_HALT: u32 = 3;
/** Stop this VM; the reason is in `vm.stopStatus` (set by `stopVm`). */
export const OUTCOME_STOP: u32 = 4;
/** Reset this VM. */
export const OUTCOME_RESET: u32 = 5;
/** The instruction has been skipped, and there is nothing else to do. */
export const OUTCOME_DONE: u32 = 6;

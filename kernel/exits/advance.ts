// Past an instruction: what the processor does when an instruction completes, done for one that a handler completed.
import { RFLAGS_RF, RFLAGS_TF } from "../arch/cr";
import { change, need } from "../vcpu/backend";
import { OUTCOME_ADVANCE, OUTCOME_DONE, OUTCOME_RESUME } from "../vcpu/outcome";
import { raise, VECTOR_DB } from "../vcpu/raise";
import {
  BLOCKED_BY_MOV_SS,
  BLOCKED_BY_STI,
  GROUP_INTERRUPTIBILITY,
  GROUP_RIP,
  GROUP_STACK_FLAGS,
  GROUP_SYSTEM,
} from "../vcpu/registers";
import { Vcpu } from "../vcpu/vcpu";
import { startEmulator } from "./emulate/emulator";
import { fetchInstruction, wrapRip } from "./emulate/fetch";

/** DR6.BS: the debug exception is a single step. */
export const DR6_SINGLE_STEP: u64 = 1 << 14;

const SHADOWS: u32 = BLOCKED_BY_STI | BLOCKED_BY_MOV_SS;
const TRACED: u64 = RFLAGS_TF | RFLAGS_RF;
/** With these at hand, nothing has to be read. */
const AT_HAND: u32 = GROUP_INTERRUPTIBILITY | GROUP_STACK_FLAGS;

/**
 * Moves RIP past the instruction of the last exit: its length comes from the processor, or from decoding the bytes. Ends
 * the shadow of STI and MOV SS, and raises the single-step trap when TF is set. The run loop calls this for
 * OUTCOME_ADVANCE and OUTCOME_HALT. Returns OUTCOME_RESUME, OUTCOME_INJECT with an event pending, or OUTCOME_STOP.
 */
export function advance(vcpu: Vcpu): u32 {
  const exit = vcpu.exit;
  if (exit.plainRip != 0) {
    vcpu.rip = exit.plainRip;
    return OUTCOME_RESUME;
  }
  const next = exit.nextRip;
  if (next == 0) return advanceDecoding(vcpu);
  // Within one 4 GiB half a sum cannot have left the width of any code segment but a 16-bit one's, which faults by itself.
  if ((next ^ exit.rip) >> 32 != 0) return advanceDecoding(vcpu);
  vcpu.rip = next;
  vcpu.dirty |= GROUP_RIP;
  const effects = <u64>((vcpu.interruptibility & SHADOWS) | (~vcpu.valid & AT_HAND)) | (vcpu.rflags & TRACED);
  return effects == 0 ? OUTCOME_RESUME : complete(vcpu);
}

/**
 * The end of a handler that has completed the instruction: RIP moves past it at once if that is all. Returns OUTCOME_DONE, or
 * OUTCOME_ADVANCE: `advance` is to be called.
 */
export function finish(vcpu: Vcpu): u32 {
  const next = vcpu.exit.plainRip;
  if (next == 0) return OUTCOME_ADVANCE;
  vcpu.rip = next;
  return OUTCOME_DONE;
}

/** The length is not known, or the sum needs the width of the code segment. */
function advanceDecoding(vcpu: Vcpu): u32 {
  const e = startEmulator(vcpu);
  let next = vcpu.exit.nextRip;
  if (next != 0) {
    next = wrapRip(e, next);
  } else {
    if (!fetchInstruction(e)) return e.outcome;
    next = e.nextRip;
  }
  vcpu.rip = next;
  vcpu.dirty |= GROUP_RIP;
  return complete(vcpu);
}

/** The effects of completing an instruction but for RIP. */
function complete(vcpu: Vcpu): u32 {
  // Where interruptibility is not read with every exit, the backend ends the shadows itself when RIP changes.
  if ((vcpu.valid & GROUP_INTERRUPTIBILITY) != 0 && (vcpu.interruptibility & SHADOWS) != 0) {
    vcpu.interruptibility &= ~SHADOWS;
    vcpu.dirty |= GROUP_INTERRUPTIBILITY;
  }
  need(vcpu, GROUP_STACK_FLAGS);
  if ((vcpu.rflags & TRACED) == 0) return OUTCOME_RESUME;
  return completeTraced(vcpu);
}

function completeTraced(vcpu: Vcpu): u32 {
  vcpu.rflags &= ~RFLAGS_RF;
  vcpu.dirty |= GROUP_STACK_FLAGS;
  if ((vcpu.rflags & RFLAGS_TF) == 0) return OUTCOME_RESUME;
  change(vcpu, GROUP_SYSTEM);
  vcpu.dr6 |= DR6_SINGLE_STEP;
  return raise(vcpu, VECTOR_DB);
}

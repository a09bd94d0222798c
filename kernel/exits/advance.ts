// Past an instruction: what the processor does when an instruction completes, done for one that a handler completed. The only
// place that decides on it.
//
// Debug conditions of one instruction are reported together, by one #DB (SDM, "Debug Exception Conditions"): those that waited
// behind MOV SS, the breakpoints that its accesses met, the single step. They are traps on the previous instruction, so that they
// come before NMIs, interrupts and whatever the next instruction may cause (SDM, "Order of Priority"): as `vcpu.event` holds one
// event, those find it taken.
import { RFLAGS_RF, RFLAGS_TF } from "../arch/cr";
import { DEBUGCTL_BTF } from "../arch/msr";
import { need } from "../vcpu/backend";
import { DR6_SINGLE_STEP, raiseDebug, setResumeFlag } from "../vcpu/debug";
import { EXIT_NESTED_FAULT } from "../vcpu/exit";
import { OUTCOME_ADVANCE, OUTCOME_DONE, OUTCOME_RESUME } from "../vcpu/outcome";
import {
  BLOCKED_BY_MOV_SS,
  BLOCKED_BY_STI,
  GROUP_INTERRUPTIBILITY,
  GROUP_RIP,
  GROUP_STACK_FLAGS,
  GROUP_SYSTEM,
} from "../vcpu/registers";
import { Vcpu } from "../vcpu/vcpu";
import { emulatedInstruction, startEmulator } from "./emulate/emulator";
import { fetchInstruction, wrapRip } from "./emulate/fetch";
import {
  OP_CALL,
  OP_CALL_FAR,
  OP_CALL_RELATIVE,
  OP_JMP,
  OP_JMP_FAR,
  OP_RET,
  OP_RET_FAR,
} from "./emulate/instruction";

const SHADOWS: u32 = BLOCKED_BY_STI | BLOCKED_BY_MOV_SS;
const TRACED: u64 = RFLAGS_TF | RFLAGS_RF;
/** What decides about the rest. */
const AT_HAND: u32 = GROUP_INTERRUPTIBILITY | GROUP_STACK_FLAGS;

/**
 * Moves RIP past the instruction of the last exit: its length comes from the processor, or from decoding the bytes. Ends
 * the shadow of STI and MOV SS, and raises #DB for all debug conditions that the instruction has met. The run loop calls this for
 * OUTCOME_ADVANCE and OUTCOME_HALT. Returns OUTCOME_RESUME, OUTCOME_INJECT with an event pending, or OUTCOME_STOP.
 */
export function advance(vcpu: Vcpu): u32 {
  const exit = vcpu.exit;
  if (exit.plainLength != 0) {
    vcpu.rip += exit.plainLength;
    return OUTCOME_RESUME;
  }
  // Before RIP moves: what is read of the shadows is that of the instruction.
  need(vcpu, AT_HAND);
  const next = exit.nextRip;
  if (next == 0) return advanceDecoding(vcpu);
  // Within one 4 GiB half a sum cannot have left the width of any code segment but a 16-bit one's, which faults by itself.
  if ((next ^ exit.rip) >> 32 != 0) return advanceDecoding(vcpu);
  return complete(vcpu, next);
}

/**
 * The end of a handler that has completed the instruction: RIP moves past it at once if that is all. Returns OUTCOME_DONE, or
 * OUTCOME_ADVANCE: `advance` is to be called.
 */
export function finish(vcpu: Vcpu): u32 {
  const length = vcpu.exit.plainLength;
  if (length == 0) return OUTCOME_ADVANCE;
  vcpu.rip += length;
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
  return complete(vcpu, next);
}

/** The effects of completing the instruction, in one place: RIP, the end of the shadows and of RF, #DB. */
function complete(vcpu: Vcpu, next: u64): u32 {
  const exit = vcpu.exit;
  vcpu.rip = next;
  vcpu.dirty |= GROUP_RIP;
  if ((vcpu.interruptibility & SHADOWS) != 0) {
    vcpu.interruptibility &= ~SHADOWS;
    vcpu.dirty |= GROUP_INTERRUPTIBILITY;
  }
  if (((vcpu.rflags & TRACED) | vcpu.pendingDebug | exit.met) == 0) return OUTCOME_RESUME;
  return completeWatched(vcpu);
}

/**
 * The end of an emulated MOV SS or POP SS, whose next instruction is at `next`: interrupts, NMIs and the single step wait until
 * that one is over, but not behind another that made them wait. A breakpoint on the operand does not wait: AMD-V has no place to
 * keep it. Returns the outcome of the exit.
 */
export function completeStackSegment(vcpu: Vcpu, next: u64): u32 {
  need(vcpu, AT_HAND);
  if ((vcpu.interruptibility & BLOCKED_BY_MOV_SS) != 0 || vcpu.exit.met != 0) {
    const ended = complete(vcpu, next);
    return ended == OUTCOME_RESUME ? OUTCOME_DONE : ended;
  }
  setResumeFlag(vcpu, false);
  vcpu.rip = next;
  vcpu.interruptibility = (vcpu.interruptibility & ~SHADOWS) | BLOCKED_BY_MOV_SS;
  vcpu.pendingDebug = (vcpu.rflags & RFLAGS_TF) != 0 && isStep(vcpu) ? DR6_SINGLE_STEP : 0;
  vcpu.dirty |= GROUP_RIP | GROUP_INTERRUPTIBILITY;
  return OUTCOME_DONE;
}

function completeWatched(vcpu: Vcpu): u32 {
  const exit = vcpu.exit;
  assert(exit.plainLength == 0, "advance: the debug conditions are an earlier exit's");
  let conditions = vcpu.pendingDebug | exit.met;
  if ((vcpu.rflags & RFLAGS_TF) != 0 && isStep(vcpu)) conditions |= DR6_SINGLE_STEP;
  setResumeFlag(vcpu, vcpu.rip == exit.rip && !isBranch(vcpu));
  if (vcpu.pendingDebug != 0) {
    vcpu.pendingDebug = 0;
    vcpu.dirty |= GROUP_INTERRUPTIBILITY;
  }
  return conditions == 0 ? OUTCOME_RESUME : raiseDebug(vcpu, conditions);
}

/** With DEBUGCTL.BTF only a branch ends a step. */
function isStep(vcpu: Vcpu): bool {
  need(vcpu, GROUP_SYSTEM);
  return (vcpu.debugctl & DEBUGCTL_BTF) == 0 || isBranch(vcpu);
}

/** Of what handlers complete. */
function isBranch(vcpu: Vcpu): bool {
  if (vcpu.exit.kind != EXIT_NESTED_FAULT) return false;
  const operation = emulatedInstruction(vcpu).operation;
  switch (operation) {
    case OP_CALL:
    case OP_CALL_FAR:
    case OP_CALL_RELATIVE:
    case OP_JMP:
    case OP_JMP_FAR:
    case OP_RET:
    case OP_RET_FAR:
      return true;
    default:
      return false;
  }
}

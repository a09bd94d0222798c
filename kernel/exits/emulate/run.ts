// The emulation of any instruction once it has been fetched. A file of its own, since it is kept out of the exit path
// (tools/image/hot.ts): drivers' MOVs are done before they come here.
import { OUTCOME_ADVANCE, OUTCOME_INJECT } from "../../vcpu/outcome";
import { GROUP_STACK_FLAGS } from "../../vcpu/registers";
import { EVENT_VALID, Vcpu } from "../../vcpu/vcpu";
import { Emulator, NO_GPA, startEmulator, watchAccesses } from "./emulator";
import { execute } from "./execute";
import { fetchInstruction } from "./fetch";
import {
  OP_CALL,
  OP_MOVS,
  OP_OTHER,
  OP_OUTS,
  OP_POP,
  OP_PUSH,
  OP_PUSHA,
  OP_UNDEFINED,
  OP_XLAT,
} from "./instruction";
import { runString } from "./string";

/**
 * Emulates the instruction at RIP when the fault was not at an operand: the processor could not fetch the instruction from RAM,
 * or could not walk the page tables to it or to its operands.
 */
export function emulateAnywhere(vcpu: Vcpu): u32 {
  const e = startEmulator(vcpu);
  if (!fetchInstruction(e)) return e.outcome;
  watchAccesses(e);
  return runInstruction(e);
}

/** Executes the instruction that has been fetched, whatever it is, and returns the outcome of the exit. */
export function runInstruction(e: Emulator): u32 {
  assert(e.instruction.length != 0 && e.instruction.length <= 15, "run: length of an instruction");
  const vcpu = e.vcpu;
  const operation = e.instruction.operation;
  assert(e.instruction.mode == e.mode, "run: decoded for another mode");
  if (operation >= OP_MOVS && operation <= OP_OUTS) return runString(e);
  if (usesStack(operation) || operation >= OP_PUSHA) e.faultGpa = NO_GPA;
  if (!execute(e)) {
    if (isDefined(CHECKED))
      assert(
        e.outcome != OUTCOME_INJECT || (vcpu.event & EVENT_VALID) != 0,
        "run: there is nothing to inject",
      );
    return e.outcome;
  }
  if (vcpu.rflags != e.flags) {
    vcpu.rflags = e.flags;
    vcpu.dirty |= GROUP_STACK_FLAGS;
  }
  vcpu.exit.nextRip = e.nextRip;
  return OUTCOME_ADVANCE;
}

/** The stack is a second place in memory. */
function usesStack(operation: u32): bool {
  return operation == OP_PUSH || operation == OP_POP || operation == OP_CALL;
}

/** Whether it has an operand in memory; else it cannot be what has faulted. */
export function touchesMemory(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(i.operation != OP_UNDEFINED, "run: its #UD was the decoder's");
  if (i.operation >= OP_MOVS && i.operation <= OP_OUTS) return true;
  if (i.operation >= OP_PUSHA && i.operation <= OP_XLAT) return true;
  return i.memory || i.operation == OP_OTHER || usesStack(i.operation);
}

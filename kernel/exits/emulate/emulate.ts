// One instruction of the guest executed in software: the one at RIP, which touched memory that is not RAM.
import { OUTCOME_ADVANCE, OUTCOME_RESUME } from "../../vcpu/outcome";
import { GROUP_STACK_FLAGS } from "../../vcpu/registers";
import { Vcpu } from "../../vcpu/vcpu";
import { Emulator, startEmulator } from "./emulator";
import { execute } from "./execute";
import { fetchInstruction } from "./fetch";
import { OP_CALL, OP_MOVS, OP_OTHER, OP_OUTS, OP_POP, OP_PUSH } from "./instruction";
import { runString } from "./string";

/**
 * Emulates the instruction at RIP. `gpa`: the guest-physical address that its access faulted at, `write`: whether that
 * was a write. Returns the outcome of the exit; with OUTCOME_ADVANCE, `exit.nextRip` is where to go on.
 */
export function emulateAccess(vcpu: Vcpu, gpa: u64, write: bool): u32 {
  const e = startEmulator(vcpu);
  if (!fetchInstruction(e)) return e.outcome;
  const i = e.instruction;
  if (i.operation >= OP_MOVS && i.operation <= OP_OUTS) return runString(e);
  // Registers only: another CPU of the guest has changed the bytes since the fault. Run what is there now.
  if (!touchesMemory(e)) return OUTCOME_RESUME;
  if (!hasTwoAddresses(i.operation)) {
    e.faultGpa = gpa;
    e.faultWrite = write;
  }
  if (!execute(e)) return e.outcome;
  if (vcpu.rflags != e.flags) {
    vcpu.rflags = e.flags;
    vcpu.dirty |= GROUP_STACK_FLAGS;
  }
  vcpu.exit.nextRip = e.nextRip;
  return OUTCOME_ADVANCE;
}

/** The stack is a second place in memory. */
function hasTwoAddresses(operation: u32): bool {
  return operation == OP_PUSH || operation == OP_POP || operation == OP_CALL;
}

function touchesMemory(e: Emulator): bool {
  const i = e.instruction;
  return i.memory || i.operation == OP_OTHER || hasTwoAddresses(i.operation);
}

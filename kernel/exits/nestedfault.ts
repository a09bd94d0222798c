// EPT violations and nested page faults: RAM that is not mapped yet, or the registers of a device. Whatever a guest does there, a
// computer would go on somehow, and so does its VM: code and page tables outside RAM are all ones, and an event that cannot be
// delivered through them turns into an exception.
import { STATUS_NO_MEMORY } from "../abi/status";
import { LOG_ERROR, logEnd, logHex, logStart, logText } from "../lib/log";
import {
  ACCESS_FETCH,
  ACCESS_PAGE_WALK,
  ACCESS_PRESENT,
  ACCESS_WRITE,
  MOVE_IMMEDIATE,
  MOVE_REGISTER_SHIFT,
  MOVE_WRITE,
} from "../vcpu/exit";
import { machine, POPULATE_DONE, POPULATE_NO_MEMORY } from "../vcpu/machine";
import { OUTCOME_RESUME } from "../vcpu/outcome";
import { Vcpu } from "../vcpu/vcpu";
import { finish } from "./advance";
import { failDelivery } from "./delivery";
import { emulateAccess } from "./emulate/emulate";
import { emulateAnywhere } from "./emulate/run";

const LOW_HALF: u64 = 0xffffffff;

export function handleNestedFault(vcpu: Vcpu): u32 {
  const exit = vcpu.exit;
  if (exit.move != 0) return moveKnown(vcpu, exit.move);
  if ((exit.flags & ACCESS_PRESENT) == 0) {
    const result = machine().populate(vcpu, exit.gpa);
    if (result == POPULATE_DONE) return OUTCOME_RESUME;
    if (result == POPULATE_NO_MEMORY) return stopWithoutTables(vcpu);
  }
  if (exit.interruptedEvent != 0) return failDelivery(vcpu);
  if ((exit.flags & (ACCESS_FETCH | ACCESS_PAGE_WALK)) != 0) return emulateAnywhere(vcpu);
  return emulateAccess(vcpu, exit.gpa, (exit.flags & ACCESS_WRITE) != 0);
}

/** A MOV of four bytes between a register, or an immediate, and a device's register. */
function moveKnown(vcpu: Vcpu, move: u32): u32 {
  const exit = vcpu.exit;
  const register = (move >> MOVE_REGISTER_SHIFT) & 15;
  if ((move & MOVE_WRITE) == 0) {
    vcpu.setGpr(register, machine().mmioRead(vcpu, exit.gpa, 4) & LOW_HALF);
    return finish(vcpu);
  }
  const value = (move & MOVE_IMMEDIATE) != 0 ? <u64>exit.moveValue : vcpu.gpr(register);
  machine().mmioWrite(vcpu, exit.gpa, 4, value & LOW_HALF);
  return finish(vcpu);
}

/** RAM that cannot be mapped must not turn into a device: its reads would be ones, and its writes lost. */
function stopWithoutTables(vcpu: Vcpu): u32 {
  if (logStart(LOG_ERROR)) {
    logText("no memory is left for the page tables that map the VM's RAM at guest-physical ");
    logHex(vcpu.exit.gpa);
    logText(": give the VM less memory, or the machine a few MiB more than its VMs");
    logEnd();
  }
  return machine().stop(vcpu, STATUS_NO_MEMORY);
}

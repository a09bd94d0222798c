// The end of a VM that did what is not handled: everything known about it goes to the log, then it stops. Other VMs go on.
import { STATUS_ENTRY_FAILURE, STATUS_UNHANDLED_EXIT } from "../abi/status";
import { LOG_ERROR, logDecimal, logEnd, logHex, logStart, logText } from "../lib/log";
import { takeMachineCheck } from "../arch/machinecheck";
import { backend } from "../vcpu/backend";
import { machine } from "../vcpu/machine";
import { Vcpu } from "../vcpu/vcpu";

/** Logs `what` with the exit's own fields and the whole state. */
function report(vcpu: Vcpu, what: string): void {
  const exit = vcpu.exit;
  if (logStart(LOG_ERROR)) {
    logText("vm");
    logDecimal(vcpu.vmIndex);
    logText(" vcpu");
    logDecimal(vcpu.index);
    logText(": ");
    logText(what);
    logText(": exit ");
    logText(backend().reasonName(exit.reason));
    logText(" (");
    logHex(exit.reason);
    logText("), qualification ");
    logHex(exit.qualification);
    logText(", RIP ");
    logHex(exit.rip);
    logEnd();
  }
  backend().dump(vcpu);
}

/** An exit, or a form of one, that no handler knows. */
export function dumpAndStop(vcpu: Vcpu, what: string): u32 {
  report(vcpu, what);
  return machine().stop(vcpu, STATUS_UNHANDLED_EXIT);
}

export function handleUnknown(vcpu: Vcpu): u32 {
  return dumpAndStop(vcpu, "unexpected exit");
}

/** The guest's processor found no way to deliver an exception, three deep (SDM, "Interrupt 8—Double Fault Exception"). */
export function handleTripleFault(vcpu: Vcpu): u32 {
  report(vcpu, "triple fault: the guest's processor has shut down");
  return machine().shutDown(vcpu);
}

export function handleNestedMisconfig(vcpu: Vcpu): u32 {
  if (logStart(LOG_ERROR)) {
    logText("nested paging: malformed entry for guest-physical ");
    logHex(vcpu.exit.gpa);
    logText(" (a bug in the hypervisor's tables)");
    logEnd();
  }
  return dumpAndStop(vcpu, "nested paging entry is malformed");
}

/** The processor refused the guest's state: says which rule of the manual it breaks. */
export function handleEntryFailure(vcpu: Vcpu): u32 {
  backend().explainEntryFailure(vcpu);
  report(vcpu, "VM entry failed");
  return machine().stop(vcpu, STATUS_ENTRY_FAILURE);
}

/** An error of the computer's hardware, while this guest ran: the guest is not told, since nobody knows what of it is intact. */
export function handleMachineCheck(vcpu: Vcpu): u32 {
  if (!takeMachineCheck()) throw new Error("machine check: the processor's state is lost");
  return dumpAndStop(vcpu, "machine check or system-management event while the guest ran");
}

// Exits that are not about the guest: physical interrupts and NMIs, windows for the guest's own, the deadline.
import { takeInterrupts } from "../arch/gate";
import { backend, need } from "../vcpu/backend";
import { NO_VECTOR } from "../vcpu/exit";
import { OUTCOME_RESUME } from "../vcpu/outcome";
import { BLOCKED_BY_NMI, GROUP_INTERRUPTIBILITY } from "../vcpu/registers";
import { REQUEST_INTERRUPT, REQUEST_NMI, REQUEST_SAMPLE, Vcpu } from "../vcpu/vcpu";

/** Takes the interrupt through the host's own table, unless the run loop is to deliver an acknowledged vector. */
export function handleExternalInterrupt(vcpu: Vcpu): u32 {
  if (vcpu.exit.vector == NO_VECTOR) takeInterrupts();
  vcpu.request(REQUEST_SAMPLE);
  return OUTCOME_RESUME;
}

/** The backend has delivered the NMI to the host. It may have been sent to make this vCPU look at its requests. */
export function handleNmi(vcpu: Vcpu): u32 {
  vcpu.request(REQUEST_SAMPLE);
  return OUTCOME_RESUME;
}

export function handleInterruptWindow(vcpu: Vcpu): u32 {
  vcpu.interruptWindow = 0;
  backend().updateWindows(vcpu);
  vcpu.request(REQUEST_INTERRUPT);
  return OUTCOME_RESUME;
}

/** AMD-V comes here at the guest's IRET, when NMIs are still blocked, and again after it. */
export function handleNmiWindow(vcpu: Vcpu): u32 {
  if (vcpu.nmiWindow == 0) return OUTCOME_RESUME;
  need(vcpu, GROUP_INTERRUPTIBILITY);
  if ((vcpu.interruptibility & BLOCKED_BY_NMI) == 0) {
    vcpu.nmiWindow = 0;
    vcpu.request(REQUEST_NMI);
  }
  backend().updateWindows(vcpu);
  return OUTCOME_RESUME;
}

/** Interrupts of the host are let in: an emulated processor may keep them back while the guest has interrupts off (Bochs). */
export function handleDeadline(vcpu: Vcpu): u32 {
  takeInterrupts();
  vcpu.request(REQUEST_SAMPLE);
  return OUTCOME_RESUME;
}

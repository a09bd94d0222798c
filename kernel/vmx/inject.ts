// Delivering events at VM entry, and asking for an exit when the guest becomes able to take one (SDM volume 3, "Event
// Injection" and "VM-Execution Control Fields"). The neutral event has the form of the VM-entry interruption information.
import { CR0_PE } from "../arch/cr";
import { vmread, vmwrite } from "../arch/intrinsics";
import {
  EVENT_EXCEPTION,
  EVENT_EXTERNAL,
  EVENT_HAS_ERROR,
  EVENT_NMI,
  EVENT_SOFT_INTERRUPT,
  EVENT_TYPE_MASK,
  Vcpu,
} from "../vcpu/vcpu";
import { PRIMARY_INTERRUPT_WINDOW_EXITING, PRIMARY_NMI_WINDOW_EXITING } from "./controls";
import {
  ENTRY_EXCEPTION_ERROR_CODE,
  ENTRY_INSTRUCTION_LENGTH,
  ENTRY_INTERRUPTION_INFO,
  GUEST_CR0,
  GUEST_INTERRUPTIBILITY,
  GUEST_PENDING_DEBUG,
} from "./fields";
import { INTERRUPTIBILITY_NMI, INTERRUPTIBILITY_SHADOWS } from "./state";
import { setPrimary, vmxOf } from "./vmcs";

/** Puts `vcpu.event` into the current VMCS, and takes it from the vCPU. */
export function injectEvent(vcpu: Vcpu): void {
  let event = vcpu.event;
  const type = event & EVENT_TYPE_MASK;
  if ((event & EVENT_HAS_ERROR) != 0) {
    // Real mode pushes no error codes.
    if ((vmread(GUEST_CR0) & CR0_PE) == 0) event &= ~EVENT_HAS_ERROR;
    else vmwrite(ENTRY_EXCEPTION_ERROR_CODE, vcpu.eventError & 0xffff);
  }
  if (type >= EVENT_SOFT_INTERRUPT) vmwrite(ENTRY_INSTRUCTION_LENGTH, vcpu.eventLength);
  if (type != EVENT_EXTERNAL) unblock(type);
  vmwrite(ENTRY_INTERRUPTION_INFO, event);
  vcpu.event = 0;
}

/**
 * Delivery ends the shadows of STI and MOV SS, and an exception is the end of what waited behind MOV SS (SDM, "Delivery of
 * Pending Debug Exceptions after VM Entry"). An NMI delivered again was blocked by its own first attempt.
 */
function unblock(type: u32): void {
  const mask: u32 =
    type == EVENT_NMI ? INTERRUPTIBILITY_SHADOWS | INTERRUPTIBILITY_NMI : INTERRUPTIBILITY_SHADOWS;
  const state = <u32>vmread(GUEST_INTERRUPTIBILITY);
  if ((state & mask) == 0) return;
  vmwrite(GUEST_INTERRUPTIBILITY, state & ~mask);
  if (type == EVENT_EXCEPTION) vmwrite(GUEST_PENDING_DEBUG, 0);
}

/** Turns interrupt-window and NMI-window exiting on or off, as the vCPU's flags say. */
export function updateWindows(vcpu: Vcpu): void {
  const vmx = vmxOf(vcpu);
  setPrimary(vmx, PRIMARY_INTERRUPT_WINDOW_EXITING, vcpu.interruptWindow != 0);
  setPrimary(vmx, PRIMARY_NMI_WINDOW_EXITING, vcpu.nmiWindow != 0);
}

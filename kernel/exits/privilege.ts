// The checks of the processor that an intercept may come before. VT-x makes all of them first (SDM, "Relative Priority of Faults
// and VM Exits"). AMD-V does for most (APM, "Instruction Intercepts"), but not for XSETBV: KVM, too, checks the privilege of that
// one itself. What is rare enough is checked whatever the manual says: a nested hypervisor with another order changes nothing.
import { need } from "../vcpu/backend";
import { GROUP_CONTROL, GROUP_STACK_FLAGS } from "../vcpu/registers";
import { Vcpu } from "../vcpu/vcpu";
import { privilegeLevel } from "./emulate/emulator";

/** Whether the guest executes at CPL 0; else the instruction is #GP(0). */
export function isPrivileged(vcpu: Vcpu): bool {
  need(vcpu, GROUP_CONTROL | GROUP_STACK_FLAGS);
  return privilegeLevel(vcpu) == 0;
}

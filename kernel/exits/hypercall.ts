// VMCALL and VMMCALL.
import { machine } from "../vcpu/machine";
import { OUTCOME_ADVANCE } from "../vcpu/outcome";
import { Vcpu } from "../vcpu/vcpu";

export function handleHypercall(vcpu: Vcpu): u32 {
  machine().hypercall(vcpu);
  return OUTCOME_ADVANCE;
}

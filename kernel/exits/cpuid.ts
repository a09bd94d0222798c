// CPUID (SDM and APM, "CPUID—CPU Identification"): what the guest sees is the policy of kernel/guest.
import { cpuidSlot, LEAF_PLAIN } from "../vcpu/cpuid";
import { machine } from "../vcpu/machine";
import { OUTCOME_ADVANCE } from "../vcpu/outcome";
import { Vcpu } from "../vcpu/vcpu";
import { finish } from "./advance";

export function handleCpuid(vcpu: Vcpu): u32 {
  const leaf = <u32>vcpu.rax;
  const slot = cpuidSlot(vcpu.cpuid, leaf);
  if (slot.kind != LEAF_PLAIN) {
    machine().cpuid(vcpu, leaf, <u32>vcpu.rcx);
    return OUTCOME_ADVANCE;
  }
  vcpu.rax = slot.eax;
  vcpu.rbx = slot.ebx;
  vcpu.rcx = slot.ecx;
  vcpu.rdx = slot.edx;
  return finish(vcpu);
}

// CPUID (SDM and APM, "CPUID—CPU Identification"): what the guest sees is the policy of kernel/guest.
import { machine } from "../vcpu/machine";
import { OUTCOME_ADVANCE } from "../vcpu/outcome";
import { Vcpu } from "../vcpu/vcpu";

export function handleCpuid(vcpu: Vcpu): u32 {
  machine().cpuid(vcpu, <u32>vcpu.rax, <u32>vcpu.rcx);
  return OUTCOME_ADVANCE;
}

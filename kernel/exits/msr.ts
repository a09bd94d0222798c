// RDMSR and WRMSR (SDM, "RDMSR—Read From Model Specific Register"): the registers themselves are the policy of kernel/guest.
import { machine } from "../vcpu/machine";
import { OUTCOME_ADVANCE } from "../vcpu/outcome";
import { raiseGp } from "../vcpu/raise";
import { Vcpu } from "../vcpu/vcpu";

const LOW_HALF: u64 = 0xffffffff;

export function handleRdmsr(vcpu: Vcpu): u32 {
  const before = vcpu.rax;
  // The value goes where RAX is kept, so that no buffer is shared between CPUs.
  if (!machine().msrRead(vcpu, vcpu.exit.msr, changetype<usize>(vcpu) + offsetof<Vcpu>("rax"))) {
    vcpu.rax = before;
    return raiseGp(vcpu);
  }
  const value = vcpu.rax;
  vcpu.rax = value & LOW_HALF;
  vcpu.rdx = value >> 32;
  return OUTCOME_ADVANCE;
}

export function handleWrmsr(vcpu: Vcpu): u32 {
  const value = (vcpu.rdx << 32) | (vcpu.rax & LOW_HALF);
  if (!machine().msrWrite(vcpu, vcpu.exit.msr, value)) return raiseGp(vcpu);
  return OUTCOME_ADVANCE;
}

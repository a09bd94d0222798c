// RDMSR and WRMSR (SDM, "RDMSR—Read From Model Specific Register"): the registers themselves are the policy of kernel/guest.
import { machine } from "../vcpu/machine";
import { raiseGp } from "../vcpu/raise";
import { Vcpu } from "../vcpu/vcpu";
import { finish } from "./advance";

const LOW_HALF: u64 = 0xffffffff;

export function handleRdmsr(vcpu: Vcpu): u32 {
  const result = changetype<usize>(vcpu) + offsetof<Vcpu>("msrValue");
  if (!machine().msrRead(vcpu, vcpu.exit.msr, result)) return raiseGp(vcpu);
  const value = vcpu.msrValue;
  vcpu.rax = value & LOW_HALF;
  vcpu.rdx = value >> 32;
  return finish(vcpu);
}

export function handleWrmsr(vcpu: Vcpu): u32 {
  const value = (vcpu.rdx << 32) | (vcpu.rax & LOW_HALF);
  if (!machine().msrWrite(vcpu, vcpu.exit.msr, value)) return raiseGp(vcpu);
  return finish(vcpu);
}

// RDMSR and WRMSR (SDM, "RDMSR—Read From Model Specific Register"): the registers themselves are the policy of kernel/guest.
import { machine } from "../vcpu/machine";
import { knownMsr, MSR_READ, MSR_WRITE_SAME, MSR_WRITE_ZERO } from "../vcpu/msrs";
import { raiseGp } from "../vcpu/raise";
import { Vcpu } from "../vcpu/vcpu";
import { finish } from "./advance";

const LOW_HALF: u64 = 0xffffffff;

export function handleRdmsr(vcpu: Vcpu): u32 {
  const msr = vcpu.exit.msr;
  const known = knownMsr(vcpu.msrs, msr);
  if (known.msr != msr || (known.flags & MSR_READ) == 0) return readOther(vcpu, msr);
  vcpu.setEdxEax(load<u64>(known.address));
  return finish(vcpu);
}

function readOther(vcpu: Vcpu, msr: u32): u32 {
  return machine().msrRead(vcpu, msr) ? finish(vcpu) : raiseGp(vcpu);
}

export function handleWrmsr(vcpu: Vcpu): u32 {
  const msr = vcpu.exit.msr;
  const value = (vcpu.rdx << 32) | (vcpu.rax & LOW_HALF);
  const known = knownMsr(vcpu.msrs, msr);
  const same = value == 0 ? MSR_WRITE_SAME | MSR_WRITE_ZERO : MSR_WRITE_SAME;
  if (known.msr == msr && (known.flags & same) != 0 && load<u64>(known.address) == value) return finish(vcpu);
  if (!machine().msrWrite(vcpu, msr, value)) return raiseGp(vcpu);
  return finish(vcpu);
}

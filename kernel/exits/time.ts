// RDTSC, RDTSCP and RDPMC, when they exit. The processor has checked CR4.TSD and CR4.PCE before.
import { rdtsc } from "../arch/intrinsics";
import { OUTCOME_ADVANCE } from "../vcpu/outcome";
import { raiseGp } from "../vcpu/raise";
import { Vcpu } from "../vcpu/vcpu";

const LOW_HALF: u64 = 0xffffffff;

function readTsc(vcpu: Vcpu): void {
  vcpu.setEdxEax(rdtsc() + vcpu.tscOffset);
}

export function handleRdtsc(vcpu: Vcpu): u32 {
  readTsc(vcpu);
  return OUTCOME_ADVANCE;
}

export function handleRdtscp(vcpu: Vcpu): u32 {
  readTsc(vcpu);
  vcpu.rcx = vcpu.tscAux & LOW_HALF;
  return OUTCOME_ADVANCE;
}

/** The guest's CPUID offers no performance counters: every counter number is invalid. */
export function handleRdpmc(vcpu: Vcpu): u32 {
  return raiseGp(vcpu);
}

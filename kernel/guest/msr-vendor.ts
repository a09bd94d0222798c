// MSRs that only one vendor's processors have, and controls of speculation, which CPUID announces.
import { rdmsr_safe, wrmsr_safe } from "../arch/intrinsics";
import { FLUSH_CMD, IA32_ARCH_CAPABILITIES, IA32_MISC_ENABLE, PRED_CMD, SPEC_CTRL } from "../arch/msr";
import { Vcpu } from "../vcpu/vcpu";
import { fixedMsrRead, fixedMsrWrite } from "./msr-fixed";
import { MISC_FAST_STRINGS, MISC_FIXED, giveMsr, stateOf } from "./msr-state";

/** All bits that some processor defines (SDM volume 4, "IA32_MISC_ENABLE"); the others are reserved. */
const MISC_DEFINED: u64 = 0xe4_01dd_3fdd;

/** What only one vendor's processors have, and speculation controls, which both have by CPUID. */
export function readVendor(vcpu: Vcpu, msr: u32): bool {
  const state = stateOf(vcpu);
  if (msr == SPEC_CTRL) return state.speculationControl && readSpecCtrl(vcpu);
  if (msr == IA32_ARCH_CAPABILITIES)
    return state.hasArchCapabilities && giveMsr(vcpu, state.archCapabilities);
  if (msr == IA32_MISC_ENABLE && !state.amd) return giveMsr(vcpu, vcpu.miscEnable);
  return fixedMsrRead(vcpu, msr, state.amd);
}

/** The processor has the guest's. */
function readSpecCtrl(vcpu: Vcpu): bool {
  if (rdmsr_safe(SPEC_CTRL, changetype<usize>(vcpu) + offsetof<Vcpu>("specCtrl")) == 0) return false;
  return giveMsr(vcpu, vcpu.specCtrl);
}

export function writeVendor(vcpu: Vcpu, msr: u32, value: u64): bool {
  const state = stateOf(vcpu);
  switch (msr) {
    case SPEC_CTRL:
      return state.speculationControl && wrmsr_safe(msr, value) != 0;
    case PRED_CMD:
      return state.predictorBarrier && wrmsr_safe(msr, value) != 0;
    case FLUSH_CMD:
      return state.flushCommand && wrmsr_safe(msr, value) != 0;
    default:
      break;
  }
  if (msr == IA32_MISC_ENABLE && !state.amd) return writeMiscEnable(vcpu, value);
  return fixedMsrWrite(msr, state.amd, value);
}

/** Of what processors define here a guest has fast strings; the rest is without function and stays as it is. */
function writeMiscEnable(vcpu: Vcpu, value: u64): bool {
  if ((value & ~MISC_DEFINED) != 0) return false;
  vcpu.miscEnable = (value & MISC_FAST_STRINGS) | MISC_FIXED;
  return true;
}

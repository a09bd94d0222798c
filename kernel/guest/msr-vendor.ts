// MSRs that only one vendor's processors have, and controls of speculation, which CPUID announces.
import { rdmsr_safe, wrmsr_safe } from "../arch/intrinsics";
import { FLUSH_CMD, IA32_ARCH_CAPABILITIES, IA32_MISC_ENABLE, PRED_CMD, SPEC_CTRL } from "../arch/msr";
import { Vcpu } from "../vcpu/vcpu";
import { fixedMsrRead, fixedMsrWrite } from "./msr-fixed";
import { MISC_FAST_STRINGS, MISC_FIXED, stateOf } from "./msr-state";

/** All bits that some processor defines (SDM volume 4, "IA32_MISC_ENABLE"); the others are reserved. */
const MISC_DEFINED: u64 = 0xe4_01dd_3fdd;

/** What only one vendor's processors have, and speculation controls, which both have by CPUID. */
export function readVendor(vcpu: Vcpu, msr: u32, result: usize): bool {
  const state = stateOf(vcpu);
  if (msr == SPEC_CTRL) return state.speculationControl && rdmsr_safe(msr, result) != 0;
  if (msr == IA32_ARCH_CAPABILITIES) {
    store<u64>(result, state.archCapabilities);
    return state.hasArchCapabilities;
  }
  if (msr == IA32_MISC_ENABLE && !state.amd) {
    store<u64>(result, vcpu.miscEnable);
    return true;
  }
  return fixedMsrRead(msr, state.amd, result);
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

// What this CPU offers of AMD-V, and what to tell people when it is not enough (APM, "Enabling SVM", "CPUID Feature
// Identification").
import { cpuidFeature, cpuidHasLeaf, cpuidRegister, EBX, ECX, EDX } from "../arch/cpuid";
import { rdmsr } from "../arch/intrinsics";
import { AMD_VM_CR, VM_CR_SVM_LOCK, VM_CR_SVMDIS } from "../arch/msr";

const LEAF_EXTENDED_FEATURES: u32 = 0x80000001;
const LEAF_SVM: u32 = 0x8000000a;
/** Bit of LEAF_EXTENDED_FEATURES ECX. */
const FEATURE_SVM_BIT: u32 = 2;
/** Bits of LEAF_EXTENDED_FEATURES EDX, LEAF_CAPACITY EBX. */
const FEATURE_HUGE_PAGES_BIT: u32 = 26;
const LEAF_CAPACITY: u32 = 0x80000008;
const FEATURE_RDPRU_BIT: u32 = 4;
const FEATURE_INVLPGB_BIT: u32 = 3;
const FEATURE_MCOMMIT_BIT: u32 = 8;

// LEAF_SVM EDX.
const SVM_NESTED_PAGING: u32 = 1 << 0;
const SVM_LBR_VIRTUALIZATION: u32 = 1 << 1;
export const SVM_NRIP_SAVE: u32 = 1 << 3;
export const SVM_CLEAN_BITS: u32 = 1 << 5;
export const SVM_FLUSH_BY_ASID: u32 = 1 << 6;
export const SVM_DECODE_ASSISTS: u32 = 1 << 7;
export const SVM_PAUSE_FILTER: u32 = 1 << 10;

/** CPUID 0x8000000A EDX. */
export function svmFeatures(): u32 {
  return cpuidHasLeaf(LEAF_SVM) ? cpuidRegister(LEAF_SVM, 0, EDX) : 0;
}

/** Address-space identifiers, the host's 0 included. */
export function svmAsidCount(): u32 {
  return cpuidHasLeaf(LEAF_SVM) ? cpuidRegister(LEAF_SVM, 0, EBX) : 0;
}

/** DEBUGCTL and the last-branch records can be the guest's own. */
export function hasLbrVirtualization(): bool {
  return (svmFeatures() & SVM_LBR_VIRTUALIZATION) != 0;
}

/** 1 GiB pages, in nested tables too. */
export function hasHugePages(): bool {
  return cpuidFeature(LEAF_EXTENDED_FEATURES, 0, EDX, FEATURE_HUGE_PAGES_BIT);
}

export function hasRdpru(): bool {
  return cpuidFeature(LEAF_CAPACITY, 0, EBX, FEATURE_RDPRU_BIT);
}

export function hasInvlpgb(): bool {
  return cpuidFeature(LEAF_CAPACITY, 0, EBX, FEATURE_INVLPGB_BIT);
}

export function hasMcommit(): bool {
  return cpuidFeature(LEAF_CAPACITY, 0, EBX, FEATURE_MCOMMIT_BIT);
}

/** Null when AMD-V with nested paging can be used; else what is missing and what to do about it. */
export function svmMissing(): string | null {
  if (!cpuidFeature(LEAF_EXTENDED_FEATURES, 0, ECX, FEATURE_SVM_BIT)) {
    return "the processor has no AMD-V (CPUID 0x80000001 ECX bit 2 is 0): use an AMD-V capable CPU, or an emulator that shows it";
  }
  const control = rdmsr(AMD_VM_CR);
  if ((control & VM_CR_SVMDIS) != 0) {
    if ((control & VM_CR_SVM_LOCK) != 0) {
      return "firmware has switched AMD-V off and locked it (VM_CR.SVMDIS): enable SVM in the firmware's setup";
    }
    return "AMD-V is switched off (VM_CR.SVMDIS): enable SVM in the firmware's setup";
  }
  if ((svmFeatures() & SVM_NESTED_PAGING) == 0) {
    return "the processor's AMD-V has no nested paging (CPUID 0x8000000A EDX bit 0 is 0): use a CPU model that has NPT";
  }
  if (svmAsidCount() < 2)
    return "the processor offers no address-space identifier for guests (CPUID 0x8000000A EBX)";
  return null;
}

// Features that a guest may see in CPUID, and what each announces: MSRs, bits of CR4, EFER and XCR0. One table decides what
// CPUID shows and what the registers then accept, so that neither can promise what the other refuses. A bit of which
// something cannot be provided on this host is not shown; a bit in no row is never shown.
// Sources: SDM, "CPUID—CPU Identification"; APM volume 3, "Obtaining Processor Information Via the CPUID Instruction";
// Linux, "KVM-specific CPUID bits" (Documentation/virt/kvm/x86/cpuid.rst).
import {
  CR4_DE,
  CR4_FSGSBASE,
  CR4_MCE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_OSXSAVE,
  CR4_PAE,
  CR4_PCIDE,
  CR4_PGE,
} from "../arch/cr";
import { CR4_PKE, CR4_PSE, CR4_PVI, CR4_SMAP, CR4_SMEP, CR4_TSD, CR4_UMIP, CR4_VME } from "../arch/cr";
import {
  XCR0_AVX,
  XCR0_HI16_ZMM,
  XCR0_OPMASK,
  XCR0_PKRU,
  XCR0_SSE,
  XCR0_X87,
  XCR0_ZMM_HI256,
} from "../arch/cr";
import { EAX, EBX, ECX, EDX, cpuidFeature, cpuidHasLeaf, cpuidRegister } from "../arch/cpuid";
import { rdmsr_safe, wrmsr_safe } from "../arch/intrinsics";
import {
  EFER_FFXSR,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
  FLUSH_CMD,
  IA32_APIC_BASE,
  IA32_ARCH_CAPABILITIES,
  IA32_MCG_CAP,
  IA32_MTRRCAP,
  IA32_PAT,
  IA32_SYSENTER_CS,
  IA32_TSC,
  IA32_TSC_ADJUST,
  IA32_TSC_AUX,
  IA32_TSC_DEADLINE,
  IA32_X2APIC_BASE,
  PRED_CMD,
  SPEC_CTRL,
} from "../arch/msr";
import { MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME_NEW } from "../devices/kvmclock";

// --- what a bit announces --------------------------------------------------------------------------------------------------
/** Instructions, or a fact about the processor: nothing that the hypervisor has to provide. */
const ANNOUNCES_NOTHING: u32 = 0;
/** Bits of CR4. */
export const ANNOUNCES_CR4: u32 = 1;
/** State components: all of them must be the host's. */
export const ANNOUNCES_XCR0: u32 = 2;
/** Bits of EFER; those that only AMD's processors have. */
export const ANNOUNCES_EFER: u32 = 3;
export const ANNOUNCES_AMD_EFER: u32 = 4;
/** An MSR of the host's processor that can be read, and one that can only be written. */
export const ANNOUNCES_HOST_MSR: u32 = 5;
export const ANNOUNCES_HOST_COMMAND: u32 = 6;
/** An MSR that the hypervisor itself provides, where the host has the bit. */
const ANNOUNCES_MSR: u32 = 7;
/** Shown on every host: the hypervisor provides all of it; with the first MSR, or 0. */
const ANNOUNCES_OURS: u32 = 8;

/** Bit of leaf 1, ECX; and the leaf that describes it. */
const XSAVE: u32 = 26;
const LEAF_XSAVE: u32 = 0x0d;
const AVX512: u32 = <u32>(XCR0_SSE | XCR0_AVX | XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM);
const AVX: u32 = <u32>(XCR0_SSE | XCR0_AVX);

/** leaf, register, bits, what they announce, which. Subleaf 0. A bit may be in several rows. */
// biome-ignore format: one row a line
const FEATURES: StaticArray<u32> = [
  // SSE3, PCLMULQDQ, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, MOVBE, POPCNT, AESNI, RDRAND. Not DTES64, MONITOR, VMX, SMX, EST, TM2,
  // PDCM; OSXSAVE follows CR4.
  0x01, ECX, 1 << 0 | 1 << 1 | 1 << 9 | 1 << 13 | 1 << 19 | 1 << 20 | 1 << 22 | 1 << 23 | 1 << 25 | 1 << 30, ANNOUNCES_NOTHING, 0,
  0x01, ECX, 1 << 12 | 1 << 28 | 1 << 29, ANNOUNCES_XCR0, AVX, // FMA, AVX, F16C
  0x01, ECX, 1 << 17, ANNOUNCES_CR4, <u32>CR4_PCIDE,
  0x01, ECX, 1 << 21, ANNOUNCES_OURS, IA32_X2APIC_BASE,
  0x01, ECX, 1 << 24, ANNOUNCES_OURS, IA32_TSC_DEADLINE,
  0x01, ECX, 1 << 26, ANNOUNCES_CR4, <u32>CR4_OSXSAVE,
  0x01, ECX, 1 << 26, ANNOUNCES_XCR0, <u32>(XCR0_X87 | XCR0_SSE),
  0x01, ECX, 1 << 31, ANNOUNCES_OURS, 0, // a hypervisor is there
  // FPU, MSR, CX8, CMOV, PSE-36, CLFSH, MMX, SSE2, SS. Not PSN, DS, ACPI, TM, PBE; HTT by topology.
  0x01, EDX, 1 << 0 | 1 << 5 | 1 << 8 | 1 << 15 | 1 << 17 | 1 << 19 | 1 << 23 | 1 << 26 | 1 << 27, ANNOUNCES_NOTHING, 0,
  0x01, EDX, 1 << 1, ANNOUNCES_CR4, <u32>(CR4_VME | CR4_PVI),
  0x01, EDX, 1 << 2, ANNOUNCES_CR4, <u32>CR4_DE,
  0x01, EDX, 1 << 3, ANNOUNCES_CR4, <u32>CR4_PSE,
  0x01, EDX, 1 << 4, ANNOUNCES_CR4, <u32>CR4_TSD,
  0x01, EDX, 1 << 4, ANNOUNCES_MSR, IA32_TSC,
  0x01, EDX, 1 << 6, ANNOUNCES_CR4, <u32>CR4_PAE,
  0x01, EDX, 1 << 7, ANNOUNCES_CR4, <u32>CR4_MCE,
  0x01, EDX, 1 << 9, ANNOUNCES_MSR, IA32_APIC_BASE,
  0x01, EDX, 1 << 11, ANNOUNCES_MSR, IA32_SYSENTER_CS,
  0x01, EDX, 1 << 12, ANNOUNCES_MSR, IA32_MTRRCAP,
  0x01, EDX, 1 << 13, ANNOUNCES_CR4, <u32>CR4_PGE,
  0x01, EDX, 1 << 14, ANNOUNCES_MSR, IA32_MCG_CAP,
  0x01, EDX, 1 << 16, ANNOUNCES_MSR, IA32_PAT,
  0x01, EDX, 1 << 24, ANNOUNCES_CR4, <u32>CR4_OSFXSR,
  0x01, EDX, 1 << 25, ANNOUNCES_CR4, <u32>(CR4_OSFXSR | CR4_OSXMMEXCPT),
  0x06, EAX, 1 << 2, ANNOUNCES_OURS, 0, // ARAT: the local APIC's timer runs in every C-state
  // BMI1, FDP_EXCPTN_ONLY, BMI2, ERMS, INVPCID, FCS/FDS deprecation, RDSEED, ADX, CLFLUSHOPT, CLWB, SHA. Not SGX, HLE, RTM, RDT,
  // MPX, processor trace.
  0x07, EBX, 1 << 3 | 1 << 6 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 13 | 1 << 18 | 1 << 19, ANNOUNCES_NOTHING, 0,
  0x07, EBX, 1 << 23 | 1 << 24 | 1 << 29, ANNOUNCES_NOTHING, 0,
  0x07, EBX, 1 << 0, ANNOUNCES_CR4, <u32>CR4_FSGSBASE,
  0x07, EBX, 1 << 1, ANNOUNCES_OURS, IA32_TSC_ADJUST,
  0x07, EBX, 1 << 5, ANNOUNCES_XCR0, AVX, // AVX2
  0x07, EBX, 1 << 7, ANNOUNCES_CR4, <u32>CR4_SMEP,
  0x07, EBX, 1 << 20, ANNOUNCES_CR4, <u32>CR4_SMAP,
  0x07, EBX, 1 << 16 | 1 << 17 | 1 << 21 | 1 << 28 | 1 << 30 | 1 << 31, ANNOUNCES_XCR0, AVX512, // F, DQ, IFMA, CD, BW, VL
  // GFNI. Not WAITPKG, CET, LA57; OSPKE follows CR4.
  0x07, ECX, 1 << 8, ANNOUNCES_NOTHING, 0,
  0x07, ECX, 1 << 1 | 1 << 6 | 1 << 11 | 1 << 12 | 1 << 14, ANNOUNCES_XCR0, AVX512, // VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ
  0x07, ECX, 1 << 2, ANNOUNCES_CR4, <u32>CR4_UMIP,
  0x07, ECX, 1 << 3, ANNOUNCES_CR4, <u32>CR4_PKE,
  0x07, ECX, 1 << 3, ANNOUNCES_XCR0, <u32>XCR0_PKRU,
  0x07, ECX, 1 << 9 | 1 << 10, ANNOUNCES_XCR0, AVX, // VAES, VPCLMULQDQ
  0x07, ECX, 1 << 22, ANNOUNCES_HOST_MSR, IA32_TSC_AUX, // RDPID
  0x07, EDX, 1 << 4 | 1 << 10 | 1 << 14, ANNOUNCES_NOTHING, 0, // FSRM, MD_CLEAR, SERIALIZE
  0x07, EDX, 1 << 26 | 1 << 27 | 1 << 31, ANNOUNCES_HOST_MSR, SPEC_CTRL, // IBRS and IBPB, STIBP, SSBD
  0x07, EDX, 1 << 26, ANNOUNCES_HOST_COMMAND, PRED_CMD,
  0x07, EDX, 1 << 28, ANNOUNCES_HOST_COMMAND, FLUSH_CMD,
  0x07, EDX, 1 << 29, ANNOUNCES_HOST_MSR, IA32_ARCH_CAPABILITIES,
  0x40000001, EAX, 1 << 0, ANNOUNCES_OURS, MSR_KVM_SYSTEM_TIME, // CLOCKSOURCE
  0x40000001, EAX, 1 << 1, ANNOUNCES_OURS, 0, // NOP_IO_DELAY
  0x40000001, EAX, 1 << 3, ANNOUNCES_OURS, MSR_KVM_SYSTEM_TIME_NEW, // CLOCKSOURCE2
  0x40000001, EAX, 1 << 24, ANNOUNCES_OURS, 0, // CLOCKSOURCE_STABLE
  // LAHF/SAHF, LZCNT, SSE4A, MISALIGNSSE, PREFETCHW, TBM. Not SVM, EXTAPIC, OSVW, IBS, TOPOEXT, counters, MWAITX.
  0x80000001, ECX, 1 << 0 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 21, ANNOUNCES_NOTHING, 0,
  0x80000001, ECX, 1 << 11 | 1 << 16, ANNOUNCES_XCR0, AVX, // XOP, FMA4
  // AMD repeats leaf 1 here; MMXEXT, 1 GiB pages, 3DNow!.
  0x80000001, EDX, 0x0183f3ff | 1 << 22 | 1 << 26 | 3 << 30, ANNOUNCES_NOTHING, 0,
  0x80000001, EDX, 1 << 11, ANNOUNCES_EFER, <u32>EFER_SCE, // SYSCALL
  0x80000001, EDX, 1 << 20, ANNOUNCES_EFER, <u32>EFER_NXE,
  0x80000001, EDX, 1 << 25, ANNOUNCES_AMD_EFER, <u32>EFER_FFXSR,
  0x80000001, EDX, 1 << 27, ANNOUNCES_HOST_MSR, IA32_TSC_AUX, // RDTSCP
  0x80000001, EDX, 1 << 29, ANNOUNCES_EFER, <u32>(EFER_LME | EFER_LMA),
  0x80000007, EDX, 1 << 8, ANNOUNCES_NOTHING, 0, // the TSC's rate never changes
  0x80000008, EBX, 1 << 0 | 1 << 2 | 1 << 9, ANNOUNCES_NOTHING, 0, // CLZERO, FP error pointers, WBNOINVD
  0x80000008, EBX, 1 << 12, ANNOUNCES_HOST_COMMAND, PRED_CMD, // IBPB
  0x80000008, EBX, 1 << 14 | 1 << 15 | 1 << 24, ANNOUNCES_HOST_MSR, SPEC_CTRL, // IBRS, STIBP, SSBD
];
/** Numbers in the table, and in a row: rows start at multiples of the latter. */
export const FEATURES_END: i32 = FEATURES.length;
export const FEATURES_ROW: i32 = 5;

/** The parts of the row that starts at number `row`. */
export function featureLeaf(row: i32): u32 {
  return FEATURES[row];
}

export function featureRegister(row: i32): u32 {
  return FEATURES[row + 1];
}

export function featureBits(row: i32): u32 {
  return FEATURES[row + 2];
}

/** ANNOUNCES_*. */
export function featureKind(row: i32): u32 {
  return FEATURES[row + 3];
}

/** The MSR, or the bits of the register, that the row's kind tells. */
export function featureWhich(row: i32): u32 {
  return FEATURES[row + 4];
}

/** The row's bits that the host has, or that are the hypervisor's own. */
export function featureOffer(row: i32): u32 {
  if (featureKind(row) == ANNOUNCES_OURS) return featureBits(row);
  const leaf = featureLeaf(row);
  return cpuidHasLeaf(leaf) ? cpuidRegister(leaf, 0, featureRegister(row)) & featureBits(row) : 0;
}

/**
 * Whether what the row announces can be provided on this host, to a guest whose vendor is AMD or not. Commands may be tried:
 * with value 0 they do nothing.
 * @param room linear address of 8 bytes that an MSR may be read to.
 */
export function featureProvided(row: i32, amd: bool, room: usize): bool {
  const which = featureWhich(row);
  switch (featureKind(row)) {
    case ANNOUNCES_XCR0:
      return cpuidFeature(1, 0, ECX, XSAVE) && (cpuidRegister(LEAF_XSAVE, 0, EAX) & which) == which;
    case ANNOUNCES_AMD_EFER:
      return amd;
    case ANNOUNCES_HOST_MSR:
      return rdmsr_safe(which, room) != 0;
    case ANNOUNCES_HOST_COMMAND:
      return wrmsr_safe(which, 0) != 0;
    default:
      return true;
  }
}

// What CPUID tells a guest, as a table: each row is (host's value AND mask) OR fixed, for one register of one leaf. What
// is in no row reads as zero. Leaves that depend on the VM, the vCPU or the guest's own state are completed in cpuid.ts.
// Sources: SDM, "CPUID—CPU Identification"; APM volume 3, "Obtaining Processor Information Via the CPUID Instruction";
// Linux, "KVM-specific CPUID bits" (Documentation/virt/kvm/x86/cpuid.rst).
import { EAX, EBX, ECX, EDX } from "../arch/cpuid";
import { LAPIC_TIMER_HZ } from "../devices/lapic";

const ALL: u32 = 0xffffffff;
const ANY: u32 = 0;

/** Highest leaf of each range that a guest sees. */
export const HIGHEST_BASIC: u32 = 0x0d;
export const HIGHEST_HYPERVISOR: u32 = 0x40000010;
export const HIGHEST_EXTENDED: u32 = 0x80000008;

// --- leaf 1 --------------------------------------------------------------------------------------------------------------
const SSE3: u32 = 1 << 0;
const PCLMULQDQ: u32 = 1 << 1;
const SSSE3: u32 = 1 << 9;
const FMA: u32 = 1 << 12;
const CMPXCHG16B: u32 = 1 << 13;
const PCID: u32 = 1 << 17;
const SSE4_1: u32 = 1 << 19;
const SSE4_2: u32 = 1 << 20;
const X2APIC: u32 = 1 << 21;
const MOVBE: u32 = 1 << 22;
const POPCNT: u32 = 1 << 23;
const TSC_DEADLINE: u32 = 1 << 24;
const AES: u32 = 1 << 25;
const XSAVE: u32 = 1 << 26;
const AVX: u32 = 1 << 28;
const F16C: u32 = 1 << 29;
const RDRAND: u32 = 1 << 30;
const HYPERVISOR: u32 = 1 << 31;
/** Not here: DTES64, MONITOR, VMX, SMX, EST, TM2, PDCM (what they announce is not virtualized); OSXSAVE (dynamic). */
const LEAF1_ECX: u32 =
  SSE3 |
  PCLMULQDQ |
  SSSE3 |
  FMA |
  CMPXCHG16B |
  PCID |
  SSE4_1 |
  SSE4_2 |
  MOVBE |
  POPCNT |
  AES |
  XSAVE |
  AVX |
  F16C |
  RDRAND;
/** Ours, whatever the host has: the local APIC is emulated. */
const LEAF1_ECX_FIXED: u32 = X2APIC | TSC_DEADLINE | HYPERVISOR;
/** FPU to CX8, APIC, SEP to PSE36, CLFSH, MMX to SS. Not PSN, DS, ACPI, HTT (by topology), TM, PBE. */
const LEAF1_EDX: u32 = 0x0f8bfbff;
const CLFLUSH_AND_BRAND: u32 = 0x0000ffff;

// --- leaf 6 ----------------------------------------------------------------------------------------------------------------
/** The local APIC's timer runs in every C-state. */
const ARAT: u32 = 1 << 2;

// --- leaf 7 ----------------------------------------------------------------------------------------------------------------
const TSC_ADJUST: u32 = 1 << 1;
/**
 * FSGSBASE, BMI1, AVX2, FDP_EXCPTN_ONLY, SMEP, BMI2, ERMS, INVPCID, FCS/FDS deprecation, AVX512F, DQ, RDSEED, ADX, SMAP,
 * IFMA, CLFLUSHOPT, CLWB, CD, SHA, BW, VL. Not SGX, HLE, RTM, RDT, MPX, processor trace.
 */
// biome-ignore format: a list of bits
const LEAF7_EBX: u32 =
  (1 << 0) | (1 << 3) | (1 << 5) | (1 << 6) | (1 << 7) | (1 << 8) | (1 << 9) | (1 << 10) | (1 << 13) | (1 << 16) |
  (1 << 17) | (1 << 18) | (1 << 19) | (1 << 20) | (1 << 21) | (1 << 23) | (1 << 24) | (1 << 28) | (1 << 29) |
  (1 << 30) | (1 << 31);
/** VBMI, UMIP, PKU, VBMI2, GFNI, VAES, VPCLMULQDQ, VNNI, BITALG, VPOPCNTDQ, RDPID. Not WAITPKG, CET, LA57; OSPKE is dynamic. */
// biome-ignore format: a list of bits
const LEAF7_ECX: u32 =
  (1 << 1) | (1 << 2) | (1 << 3) | (1 << 6) | (1 << 8) | (1 << 9) | (1 << 10) | (1 << 11) | (1 << 12) | (1 << 14) |
  (1 << 22);
export const IBRS_IBPB: u32 = 1 << 26;
export const STIBP: u32 = 1 << 27;
export const L1D_FLUSH: u32 = 1 << 28;
export const ARCH_CAPABILITIES: u32 = 1 << 29;
export const SSBD: u32 = 1 << 31;
/** FSRM, MD_CLEAR, SERIALIZE and the controls of speculation. */
const LEAF7_EDX: u32 =
  (1 << 4) | (1 << 10) | (1 << 14) | IBRS_IBPB | STIBP | L1D_FLUSH | ARCH_CAPABILITIES | SSBD;

// --- extended leaves ---------------------------------------------------------------------------------------------------------
/** LAHF/SAHF, LZCNT, SSE4A, MISALIGNSSE, PREFETCHW, XOP, FMA4, TBM. Not SVM, EXTAPIC, OSVW, IBS, TOPOEXT, counters, MWAITX. */
const EXTENDED_ECX: u32 =
  (1 << 0) | (1 << 5) | (1 << 6) | (1 << 7) | (1 << 8) | (1 << 11) | (1 << 16) | (1 << 21);
const SYSCALL: u32 = 1 << 11;
const NX: u32 = 1 << 20;
export const RDTSCP: u32 = 1 << 27;
/** AMD repeats leaf 1's bits here; then SYSCALL, NX, MMXEXT, FXSR optimizations, 1 GiB pages, RDTSCP, LM, 3DNow!. */
const EXTENDED_EDX: u32 =
  0x0183f3ff | SYSCALL | NX | (1 << 22) | (1 << 25) | (1 << 26) | RDTSCP | (1 << 29) | (3 << 30);
const INVARIANT_TSC: u32 = 1 << 8;
/** CLZERO, FP error pointers, WBNOINVD, IBPB, IBRS, STIBP, SSBD. */
export const AMD_IBPB: u32 = 1 << 12;
export const AMD_IBRS: u32 = 1 << 14;
export const AMD_STIBP: u32 = 1 << 15;
export const AMD_SSBD: u32 = 1 << 24;
const ADDRESS_EBX: u32 = (1 << 0) | (1 << 2) | (1 << 9) | AMD_IBPB | AMD_IBRS | AMD_STIBP | AMD_SSBD;
/** Widths of physical and linear addresses. */
const ADDRESS_WIDTHS: u32 = 0x0000ffff;

// --- hypervisor leaves ---------------------------------------------------------------------------------------------------------
const KVM_FEATURE_CLOCKSOURCE: u32 = 1 << 0;
const KVM_FEATURE_NOP_IO_DELAY: u32 = 1 << 1;
const KVM_FEATURE_CLOCKSOURCE2: u32 = 1 << 3;
const KVM_FEATURE_CLOCKSOURCE_STABLE: u32 = 1 << 24;
export const KVM_FEATURES: u32 =
  KVM_FEATURE_CLOCKSOURCE |
  KVM_FEATURE_NOP_IO_DELAY |
  KVM_FEATURE_CLOCKSOURCE2 |
  KVM_FEATURE_CLOCKSOURCE_STABLE;

/** leaf, subleaf, register, mask, fixed */
// biome-ignore format: one row a line
export const CPUID_POLICY: StaticArray<u32> = [
  0x00, ANY, EAX, 0, HIGHEST_BASIC,
  0x00, ANY, EBX, ALL, 0,
  0x00, ANY, ECX, ALL, 0,
  0x00, ANY, EDX, ALL, 0,
  0x01, ANY, EAX, ALL, 0,
  0x01, ANY, EBX, CLFLUSH_AND_BRAND, 0,
  0x01, ANY, ECX, LEAF1_ECX, LEAF1_ECX_FIXED,
  0x01, ANY, EDX, LEAF1_EDX, 0,
  0x02, ANY, EAX, ALL, 0,
  0x02, ANY, EBX, ALL, 0,
  0x02, ANY, ECX, ALL, 0,
  0x02, ANY, EDX, ALL, 0,
  0x06, ANY, EAX, 0, ARAT,
  0x07, 0, EBX, LEAF7_EBX, TSC_ADJUST,
  0x07, 0, ECX, LEAF7_ECX, 0,
  0x07, 0, EDX, LEAF7_EDX, 0,
  0x40000000, ANY, EAX, 0, HIGHEST_HYPERVISOR,
  0x40000000, ANY, EBX, 0, 0x4b4d564b, // "KVMK"
  0x40000000, ANY, ECX, 0, 0x564b4d56, // "VMKV"
  0x40000000, ANY, EDX, 0, 0x0000004d, // "M"
  0x40000001, ANY, EAX, 0, KVM_FEATURES,
  0x40000010, ANY, EBX, 0, <u32>(LAPIC_TIMER_HZ / 1000),
  0x80000000, ANY, EAX, 0, HIGHEST_EXTENDED,
  0x80000000, ANY, EBX, ALL, 0,
  0x80000000, ANY, ECX, ALL, 0,
  0x80000000, ANY, EDX, ALL, 0,
  0x80000001, ANY, EAX, ALL, 0,
  0x80000001, ANY, ECX, EXTENDED_ECX, 0,
  0x80000001, ANY, EDX, EXTENDED_EDX, 0,
  0x80000002, ANY, EAX, ALL, 0,
  0x80000002, ANY, EBX, ALL, 0,
  0x80000002, ANY, ECX, ALL, 0,
  0x80000002, ANY, EDX, ALL, 0,
  0x80000003, ANY, EAX, ALL, 0,
  0x80000003, ANY, EBX, ALL, 0,
  0x80000003, ANY, ECX, ALL, 0,
  0x80000003, ANY, EDX, ALL, 0,
  0x80000004, ANY, EAX, ALL, 0,
  0x80000004, ANY, EBX, ALL, 0,
  0x80000004, ANY, ECX, ALL, 0,
  0x80000004, ANY, EDX, ALL, 0,
  0x80000005, ANY, EAX, ALL, 0,
  0x80000005, ANY, EBX, ALL, 0,
  0x80000005, ANY, ECX, ALL, 0,
  0x80000005, ANY, EDX, ALL, 0,
  0x80000006, ANY, EAX, ALL, 0,
  0x80000006, ANY, EBX, ALL, 0,
  0x80000006, ANY, ECX, ALL, 0,
  0x80000006, ANY, EDX, ALL, 0,
  0x80000007, ANY, EDX, INVARIANT_TSC, 0,
  0x80000008, ANY, EAX, ADDRESS_WIDTHS, 0,
  0x80000008, ANY, EBX, ADDRESS_EBX, 0,
];
/** Numbers in a row. */
export const CPUID_POLICY_COLUMNS: u32 = 5;

// Model-specific registers by number (SDM, "Model-Specific Registers"; APM, "MSR Cross-Reference").

// --- architectural ------------------------------------------------------------------------------------------------------
export const IA32_TSC: u32 = 0x10;
export const IA32_APIC_BASE: u32 = 0x1b;
export const IA32_FEATURE_CONTROL: u32 = 0x3a;
export const IA32_TSC_ADJUST: u32 = 0x3b;
export const SPEC_CTRL: u32 = 0x48;
export const PRED_CMD: u32 = 0x49;
export const IA32_BIOS_SIGN_ID: u32 = 0x8b;
export const IA32_SPEC_CTRL: u32 = 0x48;
export const IA32_PRED_CMD: u32 = 0x49;
export const IA32_MTRRCAP: u32 = 0xfe;
export const IA32_ARCH_CAPABILITIES: u32 = 0x10a;
export const FLUSH_CMD: u32 = 0x10b;
export const IA32_SYSENTER_CS: u32 = 0x174;
export const IA32_SYSENTER_ESP: u32 = 0x175;
export const IA32_SYSENTER_EIP: u32 = 0x176;
export const IA32_MCG_CAP: u32 = 0x179;
export const IA32_MCG_STATUS: u32 = 0x17a;
/** First of the banks' registers: CTL, STATUS, ADDR, MISC, four MSRs a bank. */
export const IA32_MC0_STATUS: u32 = 0x401;
export const IA32_MISC_ENABLE: u32 = 0x1a0;
export const IA32_DEBUGCTL: u32 = 0x1d9;
export const IA32_MTRR_PHYSBASE0: u32 = 0x200;
export const IA32_PAT: u32 = 0x277;
export const IA32_MTRR_DEF_TYPE: u32 = 0x2ff;
export const IA32_PERF_GLOBAL_CTRL: u32 = 0x38f;
export const IA32_TSC_DEADLINE: u32 = 0x6e0;
export const IA32_XSS: u32 = 0xda0;
/** First of the local APIC's registers in x2APIC mode: MSR = 0x800 + (MMIO offset >> 4). */
export const IA32_X2APIC_BASE: u32 = 0x800;

// --- long mode ----------------------------------------------------------------------------------------------------------
export const IA32_EFER: u32 = 0xc0000080;
export const IA32_STAR: u32 = 0xc0000081;
export const IA32_LSTAR: u32 = 0xc0000082;
export const IA32_CSTAR: u32 = 0xc0000083;
export const IA32_FMASK: u32 = 0xc0000084;
export const IA32_FS_BASE: u32 = 0xc0000100;
export const IA32_GS_BASE: u32 = 0xc0000101;
export const IA32_KERNEL_GS_BASE: u32 = 0xc0000102;
export const IA32_TSC_AUX: u32 = 0xc0000103;

// --- VT-x capabilities (SDM, "VMX Capability Reporting Facility") ----------------------------------------------------------
export const IA32_VMX_BASIC: u32 = 0x480;
export const IA32_VMX_PINBASED_CTLS: u32 = 0x481;
export const IA32_VMX_PROCBASED_CTLS: u32 = 0x482;
export const IA32_VMX_EXIT_CTLS: u32 = 0x483;
export const IA32_VMX_ENTRY_CTLS: u32 = 0x484;
export const IA32_VMX_MISC: u32 = 0x485;
export const IA32_VMX_CR0_FIXED0: u32 = 0x486;
export const IA32_VMX_CR0_FIXED1: u32 = 0x487;
export const IA32_VMX_CR4_FIXED0: u32 = 0x488;
export const IA32_VMX_CR4_FIXED1: u32 = 0x489;
export const IA32_VMX_PROCBASED_CTLS2: u32 = 0x48b;
export const IA32_VMX_EPT_VPID_CAP: u32 = 0x48c;
export const IA32_VMX_TRUE_PINBASED_CTLS: u32 = 0x48d;
export const IA32_VMX_TRUE_PROCBASED_CTLS: u32 = 0x48e;
export const IA32_VMX_TRUE_EXIT_CTLS: u32 = 0x48f;
export const IA32_VMX_TRUE_ENTRY_CTLS: u32 = 0x490;

// --- AMD-V (APM, "SVM Related MSRs") ---------------------------------------------------------------------------------------
export const AMD_VM_CR: u32 = 0xc0010114;
export const AMD_VM_HSAVE_PA: u32 = 0xc0010117;

// --- bits -----------------------------------------------------------------------------------------------------------------
export const APIC_BASE_BSP: u64 = 1 << 8;
export const APIC_BASE_X2APIC: u64 = 1 << 10;
export const APIC_BASE_ENABLE: u64 = 1 << 11;
export const APIC_BASE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;

export const FEATURE_CONTROL_LOCK: u64 = 1 << 0;
export const FEATURE_CONTROL_VMX_OUTSIDE_SMX: u64 = 1 << 2;

export const DEBUGCTL_LBR: u64 = 1 << 0;
export const DEBUGCTL_BTF: u64 = 1 << 1;

export const PRED_CMD_IBPB: u64 = 1 << 0;

export const EFER_SCE: u64 = 1 << 0;
export const EFER_LME: u64 = 1 << 8;
export const EFER_LMA: u64 = 1 << 10;
export const EFER_NXE: u64 = 1 << 11;
export const EFER_SVME: u64 = 1 << 12;
export const EFER_LMSLE: u64 = 1 << 13;
export const EFER_FFXSR: u64 = 1 << 14;
export const EFER_TCE: u64 = 1 << 15;

export const VM_CR_SVM_LOCK: u64 = 1 << 3;
export const VM_CR_SVMDIS: u64 = 1 << 4;

/** Power-up value of IA32_PAT: WB, WT, UC-, UC, twice. */
export const PAT_RESET: u64 = 0x0007_0406_0007_0406;

// biome-ignore-all format: an aligned table.
//
// Basic exit reasons in the manual's order (SDM volume 3, appendix "VMX Basic Exit Reasons"), with the names that Linux's
// kvm_exit tracepoint prints where it has one.

export const REASON_EXCEPTION_NMI: u32       = 0;
export const REASON_EXTERNAL_INTERRUPT: u32  = 1;
export const REASON_TRIPLE_FAULT: u32        = 2;
export const REASON_INIT_SIGNAL: u32         = 3;
export const REASON_SIPI_SIGNAL: u32         = 4;
export const REASON_IO_SMI: u32              = 5;
export const REASON_OTHER_SMI: u32           = 6;
export const REASON_INTERRUPT_WINDOW: u32    = 7;
export const REASON_NMI_WINDOW: u32          = 8;
export const REASON_TASK_SWITCH: u32         = 9;
export const REASON_CPUID: u32               = 10;
export const REASON_GETSEC: u32              = 11;
export const REASON_HLT: u32                 = 12;
export const REASON_INVD: u32                = 13;
export const REASON_INVLPG: u32              = 14;
export const REASON_RDPMC: u32               = 15;
export const REASON_RDTSC: u32               = 16;
export const REASON_RSM: u32                 = 17;
export const REASON_VMCALL: u32              = 18;
export const REASON_VMCLEAR: u32             = 19;
export const REASON_VMLAUNCH: u32            = 20;
export const REASON_VMPTRLD: u32             = 21;
export const REASON_VMPTRST: u32             = 22;
export const REASON_VMREAD: u32              = 23;
export const REASON_VMRESUME: u32            = 24;
export const REASON_VMWRITE: u32             = 25;
export const REASON_VMOFF: u32               = 26;
export const REASON_VMON: u32                = 27;
export const REASON_CR_ACCESS: u32           = 28;
export const REASON_DR_ACCESS: u32           = 29;
export const REASON_IO_INSTRUCTION: u32      = 30;
export const REASON_MSR_READ: u32            = 31;
export const REASON_MSR_WRITE: u32           = 32;
export const REASON_INVALID_STATE: u32       = 33;
export const REASON_MSR_LOAD_FAIL: u32       = 34;
export const REASON_MWAIT_INSTRUCTION: u32   = 36;
export const REASON_MONITOR_TRAP_FLAG: u32   = 37;
export const REASON_MONITOR_INSTRUCTION: u32 = 39;
export const REASON_PAUSE_INSTRUCTION: u32   = 40;
export const REASON_MCE_DURING_VMENTRY: u32  = 41;
export const REASON_TPR_BELOW_THRESHOLD: u32 = 43;
export const REASON_APIC_ACCESS: u32         = 44;
export const REASON_EOI_INDUCED: u32         = 45;
export const REASON_GDTR_IDTR: u32           = 46;
export const REASON_LDTR_TR: u32             = 47;
export const REASON_EPT_VIOLATION: u32       = 48;
export const REASON_EPT_MISCONFIG: u32       = 49;
export const REASON_INVEPT: u32              = 50;
export const REASON_RDTSCP: u32              = 51;
export const REASON_PREEMPTION_TIMER: u32    = 52;
export const REASON_INVVPID: u32             = 53;
export const REASON_WBINVD: u32              = 54;
export const REASON_XSETBV: u32              = 55;
export const REASON_APIC_WRITE: u32          = 56;
export const REASON_RDRAND: u32              = 57;
export const REASON_INVPCID: u32             = 58;
export const REASON_VMFUNC: u32              = 59;
export const REASON_ENCLS: u32               = 60;
export const REASON_RDSEED: u32              = 61;
export const REASON_PML_FULL: u32            = 62;
export const REASON_XSAVES: u32              = 63;
export const REASON_XRSTORS: u32             = 64;
export const REASON_PCONFIG: u32             = 65;
export const REASON_SPP_EVENT: u32           = 66;
export const REASON_UMWAIT: u32              = 67;
export const REASON_TPAUSE: u32              = 68;
export const REASON_LOADIWKEY: u32           = 69;
export const REASON_ENCLV: u32               = 70;
export const REASON_ENQCMD_PASID: u32        = 72;
export const REASON_ENQCMDS_PASID: u32       = 73;
export const REASON_BUS_LOCK: u32            = 74;
export const REASON_NOTIFY: u32              = 75;
export const REASON_SEAMCALL: u32            = 76;
export const REASON_TDCALL: u32              = 77;

/** Bit 31 of the exit-reason field: VM entry failed, the guest did not run. */
export const REASON_ENTRY_FAILED: u32 = 1 << 31;
/** Not a reason of the processor's: VMLAUNCH or VMRESUME itself failed; the qualification is the VM-instruction error. */
export const REASON_VMFAIL: u32 = 0xffffffff;

/** Indexed by basic exit reason; gaps are reasons that the manual does not define. */
const NAMES: StaticArray<string> = [
  "EXCEPTION_NMI", "EXTERNAL_INTERRUPT", "TRIPLE_FAULT", "INIT_SIGNAL", "SIPI_SIGNAL", "IO_SMI", "OTHER_SMI",
  "INTERRUPT_WINDOW", "NMI_WINDOW", "TASK_SWITCH", "CPUID", "GETSEC", "HLT", "INVD", "INVLPG", "RDPMC",
  "RDTSC", "RSM", "VMCALL", "VMCLEAR", "VMLAUNCH", "VMPTRLD", "VMPTRST", "VMREAD", "VMRESUME", "VMWRITE",
  "VMOFF", "VMON", "CR_ACCESS", "DR_ACCESS", "IO_INSTRUCTION", "MSR_READ", "MSR_WRITE", "INVALID_STATE",
  "MSR_LOAD_FAIL", "UNDEFINED_35", "MWAIT_INSTRUCTION", "MONITOR_TRAP_FLAG", "UNDEFINED_38",
  "MONITOR_INSTRUCTION", "PAUSE_INSTRUCTION", "MCE_DURING_VMENTRY", "UNDEFINED_42", "TPR_BELOW_THRESHOLD",
  "APIC_ACCESS", "EOI_INDUCED", "GDTR_IDTR", "LDTR_TR", "EPT_VIOLATION", "EPT_MISCONFIG", "INVEPT", "RDTSCP",
  "PREEMPTION_TIMER", "INVVPID", "WBINVD", "XSETBV", "APIC_WRITE", "RDRAND", "INVPCID", "VMFUNC", "ENCLS",
  "RDSEED", "PML_FULL", "XSAVES", "XRSTORS", "PCONFIG", "SPP_EVENT", "UMWAIT", "TPAUSE", "LOADIWKEY", "ENCLV",
  "UNDEFINED_71", "ENQCMD_PASID", "ENQCMDS_PASID", "BUS_LOCK", "NOTIFY", "SEAMCALL", "TDCALL",
];

/** Name of an exit reason (the whole 32-bit field), for people and for the trace. */
export function reasonName(reason: u32): string {
  if (reason == REASON_VMFAIL) return "VMFAIL";
  const basic = reason & 0xffff;
  return basic < <u32>NAMES.length ? <string>NAMES[basic] : "UNDEFINED";
}

/** Indexed by VM-instruction error number (SDM volume 3, "VM Instruction Error Numbers"). */
const INSTRUCTION_ERRORS: StaticArray<string> = [
  "no error",
  "VMCALL executed in VMX root operation",
  "VMCLEAR with invalid physical address",
  "VMCLEAR with VMXON pointer",
  "VMLAUNCH with non-clear VMCS",
  "VMRESUME with non-launched VMCS",
  "VMRESUME after VMXOFF",
  "VM entry with invalid control fields",
  "VM entry with invalid host-state fields",
  "VMPTRLD with invalid physical address",
  "VMPTRLD with VMXON pointer",
  "VMPTRLD with incorrect VMCS revision identifier",
  "VMREAD or VMWRITE of an unsupported VMCS component",
  "VMWRITE to a read-only VMCS component",
  "undefined error 14",
  "VMXON executed in VMX root operation",
  "VM entry with invalid executive-VMCS pointer",
  "VM entry with non-launched executive VMCS",
  "VM entry with executive-VMCS pointer that is not the VMXON pointer",
  "VMCALL with non-clear VMCS",
  "VMCALL with invalid VM-exit control fields",
  "undefined error 21",
  "VMCALL with incorrect MSEG revision identifier",
  "VMXOFF under dual-monitor treatment of SMIs and SMM",
  "VMCALL with invalid SMM-monitor features",
  "VM entry with invalid VM-execution control fields in executive VMCS",
  "VM entry with events blocked by MOV SS",
  "undefined error 27",
  "invalid operand to INVEPT or INVVPID",
];

/** What a VM-instruction error number means. */
export function instructionErrorName(error: u32): string {
  return error < <u32>INSTRUCTION_ERRORS.length ? <string>INSTRUCTION_ERRORS[error] : "undefined error";
}

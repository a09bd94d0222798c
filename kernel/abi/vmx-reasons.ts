// biome-ignore-all format: an aligned table.
//
// Basic exit reasons in the manual's order (SDM volume 3, appendix "VMX Basic Exit Reasons"), with the names that Linux's
// kvm_exit tracepoint prints where it has one.

export const REASON_MSR_LOAD_FAIL: u32       = 34;
export const REASON_MCE_DURING_VMENTRY: u32  = 41;

/** Bit 31 of the exit-reason field: VM entry failed, the guest did not run. */
export const REASON_ENTRY_FAILED: u32 = 1 << 31;
/** Not a reason of the processor's: VMLAUNCH or VMRESUME itself failed; the qualification is the VM-instruction error. */
export const REASON_VMFAIL: u32 = 0xffffffff;

/** Indexed by basic exit reason: the number of a row's first is beside it. UNDEFINED: the manual does not define it. */
const NAMES: StaticArray<string> = [
  "EXCEPTION_NMI", "EXTERNAL_INTERRUPT", "TRIPLE_FAULT", "INIT_SIGNAL",                               // 0
  "SIPI_SIGNAL", "IO_SMI", "OTHER_SMI", "INTERRUPT_WINDOW",                                           // 4
  "NMI_WINDOW", "TASK_SWITCH", "CPUID", "GETSEC",                                                     // 8
  "HLT", "INVD", "INVLPG", "RDPMC",                                                                   // 12
  "RDTSC", "RSM", "VMCALL", "VMCLEAR",                                                                // 16
  "VMLAUNCH", "VMPTRLD", "VMPTRST", "VMREAD",                                                         // 20
  "VMRESUME", "VMWRITE", "VMOFF", "VMON",                                                             // 24
  "CR_ACCESS", "DR_ACCESS", "IO_INSTRUCTION", "MSR_READ",                                             // 28
  "MSR_WRITE", "INVALID_STATE", "MSR_LOAD_FAIL", "UNDEFINED_35",                                      // 32
  "MWAIT_INSTRUCTION", "MONITOR_TRAP_FLAG", "UNDEFINED_38", "MONITOR_INSTRUCTION",                    // 36
  "PAUSE_INSTRUCTION", "MCE_DURING_VMENTRY", "UNDEFINED_42", "TPR_BELOW_THRESHOLD",                   // 40
  "APIC_ACCESS", "EOI_INDUCED", "GDTR_IDTR", "LDTR_TR",                                               // 44
  "EPT_VIOLATION", "EPT_MISCONFIG", "INVEPT", "RDTSCP",                                               // 48
  "PREEMPTION_TIMER", "INVVPID", "WBINVD", "XSETBV",                                                  // 52
  "APIC_WRITE", "RDRAND", "INVPCID", "VMFUNC",                                                        // 56
  "ENCLS", "RDSEED", "PML_FULL", "XSAVES",                                                            // 60
  "XRSTORS", "PCONFIG", "SPP_EVENT", "UMWAIT",                                                        // 64
  "TPAUSE", "LOADIWKEY", "ENCLV", "UNDEFINED_71",                                                     // 68
  "ENQCMD_PASID", "ENQCMDS_PASID", "BUS_LOCK", "NOTIFY",                                              // 72
  "SEAMCALL", "TDCALL",                                                                               // 76
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

// biome-ignore-all format: aligned tables.
//
// Names of the exit codes as Linux's kvm_exit trace event prints them for AMD-V, less the common prefix SVM_EXIT_.

/** First exit code of the nested-paging and AVIC range, and VMEXIT_INVALID (low 32 bits). */
const EXITCODE_NPF: u32 = 0x400;
const EXITCODE_INVALID: u32 = 0xffffffff;

const controlRegisters: StaticArray<string> = [
  "read_cr0", "read_cr1", "read_cr2", "read_cr3", "read_cr4", "read_cr5", "read_cr6", "read_cr7",
  "read_cr8", "read_cr9", "read_cr10", "read_cr11", "read_cr12", "read_cr13", "read_cr14", "read_cr15",
  "write_cr0", "write_cr1", "write_cr2", "write_cr3", "write_cr4", "write_cr5", "write_cr6", "write_cr7",
  "write_cr8", "write_cr9", "write_cr10", "write_cr11", "write_cr12", "write_cr13", "write_cr14", "write_cr15",
  "read_dr0", "read_dr1", "read_dr2", "read_dr3", "read_dr4", "read_dr5", "read_dr6", "read_dr7",
  "read_dr8", "read_dr9", "read_dr10", "read_dr11", "read_dr12", "read_dr13", "read_dr14", "read_dr15",
  "write_dr0", "write_dr1", "write_dr2", "write_dr3", "write_dr4", "write_dr5", "write_dr6", "write_dr7",
  "write_dr8", "write_dr9", "write_dr10", "write_dr11", "write_dr12", "write_dr13", "write_dr14", "write_dr15",
];

const exceptions: StaticArray<string> = [
  "DE excp", "DB excp", "NMI excp", "BP excp", "OF excp", "BR excp", "UD excp", "NM excp",
  "DF excp", "CSO excp", "TS excp", "NP excp", "SS excp", "GP excp", "PF excp", "excp 15",
  "MF excp", "AC excp", "MC excp", "XF excp", "VE excp", "CP excp", "excp 22", "excp 23",
  "excp 24", "excp 25", "excp 26", "excp 27", "HV excp", "VC excp", "SX excp", "excp 31",
];

/** From 0x60 on. */
const events: StaticArray<string> = [
  "interrupt", "nmi", "smi", "init", "vintr", "cr0_sel_write", "read_idtr", "read_gdtr",
  "read_ldtr", "read_tr", "write_idtr", "write_gdtr", "write_ldtr", "write_tr", "rdtsc", "rdpmc",
  "pushf", "popf", "cpuid", "rsm", "iret", "swint", "invd", "pause",
  "hlt", "invlpg", "invlpga", "io", "msr", "task_switch", "ferr_freeze", "shutdown",
  "vmrun", "hypercall", "vmload", "vmsave", "stgi", "clgi", "skinit", "rdtscp",
  "icebp", "wbinvd", "monitor", "mwait", "mwait_cond", "xsetbv", "rdpru", "efer_write_trap",
  "cr0_write_trap", "cr1_write_trap", "cr2_write_trap", "cr3_write_trap", "cr4_write_trap", "cr5_write_trap",
  "cr6_write_trap", "cr7_write_trap", "cr8_write_trap", "cr9_write_trap", "cr10_write_trap", "cr11_write_trap",
  "cr12_write_trap", "cr13_write_trap", "cr14_write_trap", "cr15_write_trap",
  "invlpgb", "invlpgb_illegal", "invpcid", "mcommit", "tlbsync", "bus_lock", "idle_hlt",
];

/** From 0x400 on. */
const nested: StaticArray<string> = ["npf", "avic_incomplete_ipi", "avic_unaccelerated_access", "vmgexit"];

/** The exit code's name; "unknown" for what the manual does not define. */
export function exitName(code: u32): string {
  if (code < 0x40) return <string>controlRegisters[code];
  if (code < 0x60) return <string>exceptions[code - 0x40];
  if (code - 0x60 < <u32>events.length) return <string>events[code - 0x60];
  if (code >= EXITCODE_NPF && code - EXITCODE_NPF < <u32>nested.length) return <string>nested[code - EXITCODE_NPF];
  return code == EXITCODE_INVALID ? "invalid_guest_state" : "unknown";
}

// Classes of exits and what their fields mean, in the neutral form that both backends fill in (kernel/vcpu/exit.ts) and that
// traces carry. Valid for asc and for tsc.

// --- classes of exits: dense, so that dispatch is a jump table -----------------------------------------------------------
export const EXIT_UNKNOWN: u32 = 0;
export const EXIT_CPUID: u32 = 1;
/** RDMSR: `msr`. */
export const EXIT_RDMSR: u32 = 2;
/** WRMSR: `msr`, value in EDX:EAX. */
export const EXIT_WRMSR: u32 = 3;
/** IN, OUT, INS, OUTS: `port`, `size`, `flags`. */
export const EXIT_IO: u32 = 4;
/** MOV to/from CR, CLTS, LMSW: `crNumber`, `crAccess`, `gpr`. */
export const EXIT_CR: u32 = 5;
/** MOV to/from DR: `crNumber`, `gpr`, `crAccess`. */
export const EXIT_DR: u32 = 6;
/** EPT violation or nested page fault: `gpa`, `flags` (ACCESS_*), maybe `gva`, maybe instruction bytes. */
export const EXIT_NESTED_FAULT: u32 = 7;
export const EXIT_HLT: u32 = 8;
/** VMCALL or VMMCALL. */
export const EXIT_HYPERCALL: u32 = 9;
/** A physical interrupt: `vector` when the backend acknowledged it (VT-x), else NO_VECTOR (AMD-V: take it through the IDT). */
export const EXIT_EXTERNAL_INTERRUPT: u32 = 10;
export const EXIT_NMI: u32 = 11;
export const EXIT_INTERRUPT_WINDOW: u32 = 12;
export const EXIT_NMI_WINDOW: u32 = 13;
/** The vCPU's deadline passed (VMX-preemption timer). */
export const EXIT_DEADLINE: u32 = 14;
/** Guest exception: `vector`, `errorCode`. */
export const EXIT_EXCEPTION: u32 = 15;
export const EXIT_TRIPLE_FAULT: u32 = 16;
export const EXIT_PAUSE: u32 = 17;
export const EXIT_RDTSC: u32 = 18;
export const EXIT_RDTSCP: u32 = 19;
export const EXIT_RDPMC: u32 = 20;
export const EXIT_XSETBV: u32 = 21;
export const EXIT_INVD: u32 = 22;
export const EXIT_WBINVD: u32 = 23;
export const EXIT_INVLPG: u32 = 24;
export const EXIT_MONITOR: u32 = 25;
export const EXIT_MWAIT: u32 = 26;
export const EXIT_TASK_SWITCH: u32 = 27;
export const EXIT_INIT: u32 = 28;
export const EXIT_SIPI: u32 = 29;
/** Instructions of nested virtualization (VMXON …, VMRUN …), GETSEC, RSM, ENCLS: #UD to the guest. */
export const EXIT_NESTED_VIRTUALIZATION: u32 = 30;
/** Descriptor-table access (LGDT, SIDT, LLDT …): intercepted on request only. */
export const EXIT_DESCRIPTOR: u32 = 31;
export const EXIT_MTF: u32 = 32;
/** EPT misconfiguration, or nested tables with reserved bits: a bug in the hypervisor's tables. */
export const EXIT_NESTED_MISCONFIG: u32 = 33;
/** VM entry failed on the guest state. */
export const EXIT_ENTRY_FAILURE: u32 = 34;
/** Machine check during entry, SMI, and whatever else stops the VM. */
export const EXIT_MACHINE_CHECK: u32 = 35;
/** RDRAND/RDSEED, INVPCID, XSAVES … when intercepted. */
export const EXIT_OTHER_INSTRUCTION: u32 = 36;
export const EXIT_CLASSES: u32 = 37;

/** Names of the classes, by EXIT_*, for people: separated by blanks. */
export const EXIT_NAMES: string =
  "unknown cpuid rdmsr wrmsr io cr dr nested_fault hlt hypercall external_interrupt nmi interrupt_window nmi_window deadline " +
  "exception triple_fault pause rdtsc rdtscp rdpmc xsetbv invd wbinvd invlpg monitor mwait task_switch init sipi " +
  "nested_virtualization descriptor mtf nested_misconfig entry_failure machine_check other_instruction";
/** What the hypervisor decided, by OUTCOME_* (kernel/vcpu/outcome.ts): separated by blanks. */
export const OUTCOME_NAMES: string = "resume advance inject halt stop reset";

// --- flags: I/O ----------------------------------------------------------------------------------------------------------
export const IO_IN: u32 = 1 << 0;
export const IO_STRING: u32 = 1 << 2;
export const IO_REP: u32 = 1 << 3;
/** `segment` and `addressSize` were reported by the processor; else the handler decodes the instruction. */
export const IO_DECODED: u32 = 1 << 1;

// --- flags: nested fault ---------------------------------------------------------------------------------------------------
export const ACCESS_READ: u32 = 1 << 0;
export const ACCESS_WRITE: u32 = 1 << 1;
export const ACCESS_FETCH: u32 = 1 << 2;
/** The translation exists and forbids the access (else: not present). */
export const ACCESS_PRESENT: u32 = 1 << 3;
/** The access was to the guest's own paging structures, not to the final address. */
export const ACCESS_PAGE_WALK: u32 = 1 << 4;
/** `gva` holds the guest-linear address. */
export const ACCESS_GVA_VALID: u32 = 1 << 5;

// --- CR and DR accesses ------------------------------------------------------------------------------------------------------
export const CR_WRITE: u32 = 0;
export const CR_READ: u32 = 1;
export const CR_CLTS: u32 = 2;
/** LMSW: the 16-bit source operand is in `info` bits 15..0 (register or memory already read). */
export const CR_LMSW: u32 = 3;
/** The processor did not say which register: the handler decodes the instruction (AMD-V without decode assists). */
export const CR_UNDECODED: u32 = 4;

/** `vector` when there is none. */
export const NO_VECTOR: u32 = 0xffffffff;

// biome-ignore-all format: aligned tables.
//
// Exit codes of #VMEXIT (APM volume 2, appendix "SVM Intercept Exit Codes"), in the manual's order, and what each is to the
// exit handlers.
import {
  EXIT_CR,
  EXIT_CPUID,
  EXIT_DESCRIPTOR,
  EXIT_DR,
  EXIT_ENTRY_FAILURE,
  EXIT_EXCEPTION,
  EXIT_EXTERNAL_INTERRUPT,
  EXIT_HLT,
  EXIT_HYPERCALL,
  EXIT_INIT,
  EXIT_INTERRUPT_WINDOW,
  EXIT_INVD,
  EXIT_INVLPG,
  EXIT_IO,
  EXIT_MACHINE_CHECK,
  EXIT_MONITOR,
  EXIT_MWAIT,
  EXIT_NESTED_FAULT,
  EXIT_NESTED_VIRTUALIZATION,
  EXIT_NMI,
  EXIT_NMI_WINDOW,
  EXIT_OTHER_INSTRUCTION,
  EXIT_PAUSE,
  EXIT_RDMSR,
  EXIT_RDPMC,
  EXIT_RDTSC,
  EXIT_RDTSCP,
  EXIT_TASK_SWITCH,
  EXIT_TRIPLE_FAULT,
  EXIT_UNKNOWN,
  EXIT_WBINVD,
  EXIT_XSETBV,
} from "../vcpu/exit";

export const EXITCODE_CR_WRITE: u32 = 0x10;
const EXITCODE_DR_READ: u32 = 0x20;
export const EXITCODE_DR_WRITE: u32 = 0x30;
export const EXITCODE_EXCEPTION: u32 = 0x40;
const EXITCODE_INTR: u32 = 0x60;
export const EXITCODE_CR0_SEL_WRITE: u32 = 0x65;
export const EXITCODE_IOIO: u32 = 0x7b;
export const EXITCODE_NPF: u32 = 0x400;
/** VMEXIT_INVALID is -1. QEMU leaves the upper half of the field zero, so the low 32 bits decide. */
const EXITCODE_INVALID: u32 = 0xffffffff;

/** EXIT_* of the codes from EXITCODE_INTR on. */
const kinds: StaticArray<u32> = [
  EXIT_EXTERNAL_INTERRUPT,    // 0x60 INTR
  EXIT_NMI,                   // 0x61 NMI
  EXIT_MACHINE_CHECK,         // 0x62 SMI
  EXIT_INIT,                  // 0x63 INIT
  EXIT_INTERRUPT_WINDOW,      // 0x64 VINTR
  EXIT_CR,                    // 0x65 CR0_SEL_WRITE
  EXIT_DESCRIPTOR,            // 0x66 IDTR_READ
  EXIT_DESCRIPTOR,            // 0x67 GDTR_READ
  EXIT_DESCRIPTOR,            // 0x68 LDTR_READ
  EXIT_DESCRIPTOR,            // 0x69 TR_READ
  EXIT_DESCRIPTOR,            // 0x6a IDTR_WRITE
  EXIT_DESCRIPTOR,            // 0x6b GDTR_WRITE
  EXIT_DESCRIPTOR,            // 0x6c LDTR_WRITE
  EXIT_DESCRIPTOR,            // 0x6d TR_WRITE
  EXIT_RDTSC,                 // 0x6e RDTSC
  EXIT_RDPMC,                 // 0x6f RDPMC
  EXIT_OTHER_INSTRUCTION,     // 0x70 PUSHF
  EXIT_OTHER_INSTRUCTION,     // 0x71 POPF
  EXIT_CPUID,                 // 0x72 CPUID
  EXIT_NESTED_VIRTUALIZATION, // 0x73 RSM
  EXIT_NMI_WINDOW,            // 0x74 IRET
  EXIT_OTHER_INSTRUCTION,     // 0x75 SWINT
  EXIT_INVD,                  // 0x76 INVD
  EXIT_PAUSE,                 // 0x77 PAUSE
  EXIT_HLT,                   // 0x78 HLT
  EXIT_INVLPG,                // 0x79 INVLPG
  EXIT_NESTED_VIRTUALIZATION, // 0x7a INVLPGA
  EXIT_IO,                    // 0x7b IOIO
  EXIT_RDMSR,                 // 0x7c MSR
  EXIT_TASK_SWITCH,           // 0x7d TASK_SWITCH
  EXIT_UNKNOWN,               // 0x7e FERR_FREEZE
  EXIT_TRIPLE_FAULT,          // 0x7f SHUTDOWN
  EXIT_NESTED_VIRTUALIZATION, // 0x80 VMRUN
  EXIT_HYPERCALL,             // 0x81 VMMCALL
  EXIT_NESTED_VIRTUALIZATION, // 0x82 VMLOAD
  EXIT_NESTED_VIRTUALIZATION, // 0x83 VMSAVE
  EXIT_NESTED_VIRTUALIZATION, // 0x84 STGI
  EXIT_NESTED_VIRTUALIZATION, // 0x85 CLGI
  EXIT_NESTED_VIRTUALIZATION, // 0x86 SKINIT
  EXIT_RDTSCP,                // 0x87 RDTSCP
  EXIT_OTHER_INSTRUCTION,     // 0x88 ICEBP
  EXIT_WBINVD,                // 0x89 WBINVD
  EXIT_MONITOR,               // 0x8a MONITOR
  EXIT_MWAIT,                 // 0x8b MWAIT
  EXIT_MWAIT,                 // 0x8c MWAIT_CONDITIONAL
  EXIT_XSETBV,                // 0x8d XSETBV
  EXIT_NESTED_VIRTUALIZATION, // 0x8e RDPRU: hidden from guests, #UD
  EXIT_UNKNOWN,               // 0x8f EFER_WRITE_TRAP
  // 0x90 traps after writes of CR0..15: never asked for
  EXIT_UNKNOWN, EXIT_UNKNOWN, EXIT_UNKNOWN, EXIT_UNKNOWN, EXIT_UNKNOWN, EXIT_UNKNOWN, EXIT_UNKNOWN, EXIT_UNKNOWN,
  EXIT_UNKNOWN, EXIT_UNKNOWN, EXIT_UNKNOWN, EXIT_UNKNOWN, EXIT_UNKNOWN, EXIT_UNKNOWN, EXIT_UNKNOWN, EXIT_UNKNOWN,
  EXIT_NESTED_VIRTUALIZATION, // 0xa0 INVLPGB: hidden from guests, #UD
  EXIT_NESTED_VIRTUALIZATION, // 0xa1 INVLPGB_ILLEGAL
  EXIT_NESTED_VIRTUALIZATION, // 0xa2 INVPCID
  EXIT_NESTED_VIRTUALIZATION, // 0xa3 MCOMMIT
  EXIT_NESTED_VIRTUALIZATION, // 0xa4 TLBSYNC
  EXIT_UNKNOWN,               // 0xa5 BUS_LOCK
  EXIT_UNKNOWN,               // 0xa6 IDLE_HLT
  EXIT_UNKNOWN,               // 0xa7 reserved
];

/** What an exit code is to the exit handlers: EXIT_*. MSR is a read here: EXITINFO1 tells. */
export function exitKind(code: u32): u32 {
  const index = code - EXITCODE_INTR;
  if (index < <u32>kinds.length) return unchecked(kinds[index]);
  if (code == EXITCODE_NPF) return EXIT_NESTED_FAULT;
  if (code < EXITCODE_DR_READ) return EXIT_CR;
  if (code < EXITCODE_EXCEPTION) return EXIT_DR;
  if (code < EXITCODE_INTR) return EXIT_EXCEPTION;
  return code == EXITCODE_INVALID ? EXIT_ENTRY_FAILURE : EXIT_UNKNOWN;
}

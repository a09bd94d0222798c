// The guest's registers in the neutral form that exit handlers work on. The backends copy them from and to the VMCS or
// VMCB by group, on demand: reading a group marks it valid, changing one marks it dirty, entry writes dirty groups back.

/** General-purpose registers by their encoding in ModRM and REX, as indices into `Vcpu`'s head. */
export const RAX: u32 = 0;
export const RCX: u32 = 1;
export const RDX: u32 = 2;
export const RBX: u32 = 3;
export const RSP: u32 = 4;
export const RBP: u32 = 5;
export const RSI: u32 = 6;
export const RDI: u32 = 7;
/** Their names, by encoding: separated by blanks. */
export const GPR_NAMES: string = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15";

// Groups of guest state, as bits of `Vcpu.valid` and `Vcpu.dirty`. RIP is always valid after an exit.

/** RIP. Decode always reads it and every entry writes it: as a dirty bit it says that the shadows of STI and MOV SS are over. */
export const GROUP_RIP: u32 = 1 << 0;
/** RSP (register 4) and RFLAGS. SVM: RAX too, but its backend keeps that for itself. */
export const GROUP_STACK_FLAGS: u32 = 1 << 1;
/** ES, CS, SS, DS, FS, GS, LDTR, TR. */
export const GROUP_SEGMENTS: u32 = 1 << 2;
/** GDTR and IDTR. */
export const GROUP_TABLES: u32 = 1 << 3;
/** CR0, CR3, CR4 as the guest sees them, and EFER. */
export const GROUP_CONTROL: u32 = 1 << 4;
/** DR7, CR2, PAT, SYSENTER_*, STAR, LSTAR, CSTAR, FMASK, KERNEL_GS_BASE, DEBUGCTL. */
export const GROUP_SYSTEM: u32 = 1 << 5;
/** Interruptibility: shadow of STI/MOV SS, blocking by NMI; debug exceptions that wait behind MOV SS. */
export const GROUP_INTERRUPTIBILITY: u32 = 1 << 6;
/** PDPTEs of PAE paging, which the processor keeps once they are loaded. AMD-V keeps none: there the group is never valid. */
export const GROUP_PDPTES: u32 = 1 << 7;

/**
 * One segment register alone, for handlers that look at one or two: to read only. It is subsumed in GROUP_SEGMENTS, so ask
 * for it only while that group is not valid.
 */
export function segmentGroup(index: u32): u32 {
  if (isDefined(CHECKED)) assert(index <= SEG_TR, "registers: no such segment register");
  return 1 << (GROUP_SEGMENT_SHIFT + index);
}
export const GROUP_SEGMENT_SHIFT: u32 = 8;
/** Any of the eight. */
export const GROUP_SINGLE_SEGMENTS: u32 = 0xff << GROUP_SEGMENT_SHIFT;

/** Bits of `Vcpu.interruptibility`. */
export const BLOCKED_BY_STI: u32 = 1 << 0;
export const BLOCKED_BY_MOV_SS: u32 = 1 << 1;
export const BLOCKED_BY_NMI: u32 = 1 << 2;

/**
 * One segment register with its hidden part, in the access-rights form of VT-x (SDM, "Guest Register State"):
 *
 *   31..17    16     15  14  13   12   11..8   7    6..5   4   3..0
 *   reserved unusable G  D/B  L   AVL    0     P    DPL    S   type
 */
@unmanaged
export class Segment {
  base: u64;
  limit: u32;
  access: u32;
  selector: u32;
  reserved: u32;
}

export const SEGMENT_UNUSABLE: u32 = 1 << 16;
export const SEGMENT_GRANULARITY: u32 = 1 << 15;
export const SEGMENT_DEFAULT_BIG: u32 = 1 << 14;
export const SEGMENT_LONG: u32 = 1 << 13;
export const SEGMENT_PRESENT: u32 = 1 << 7;
export const SEGMENT_DPL_SHIFT: u32 = 5;
export const SEGMENT_CODE_OR_DATA: u32 = 1 << 4;
export const SEGMENT_TYPE_MASK: u32 = 0xf;

// Segment registers by their encoding in instructions; LDTR and TR follow.
export const SEG_ES: u32 = 0;
export const SEG_CS: u32 = 1;
export const SEG_SS: u32 = 2;
export const SEG_DS: u32 = 3;
export const SEG_FS: u32 = 4;
export const SEG_GS: u32 = 5;
export const SEG_LDTR: u32 = 6;
export const SEG_TR: u32 = 7;
/** Bytes from one Segment to the next. */
export const SEGMENT_STRIDE: u32 = 24;

// RFLAGS: bits by their names in the manuals (SDM, "EFLAGS Register" and "System Flags and Fields in the EFLAGS Register").

export const RFLAGS_CF: u64 = 1 << 0;
/** Bit 1 reads as 1. */
export const RFLAGS_FIXED: u64 = 1 << 1;
export const RFLAGS_PF: u64 = 1 << 2;
export const RFLAGS_AF: u64 = 1 << 4;
export const RFLAGS_ZF: u64 = 1 << 6;
export const RFLAGS_SF: u64 = 1 << 7;
/** Trap: single step. */
export const RFLAGS_TF: u64 = 1 << 8;
/** Interrupts enabled. */
export const RFLAGS_IF: u64 = 1 << 9;
/** Direction of string instructions: downwards. */
export const RFLAGS_DF: u64 = 1 << 10;
export const RFLAGS_OF: u64 = 1 << 11;
export const RFLAGS_IOPL_SHIFT: u64 = 12;
/** Nested task. */
export const RFLAGS_NT: u64 = 1 << 14;
/** Resume: suppresses instruction breakpoints once. */
export const RFLAGS_RF: u64 = 1 << 16;
/** Virtual-8086 mode. */
export const RFLAGS_VM: u64 = 1 << 17;
/** Alignment check; with SMAP, access to user pages allowed. */
export const RFLAGS_AC: u64 = 1 << 18;
export const RFLAGS_ID: u64 = 1 << 21;

/** The six arithmetic flags. */
export const RFLAGS_ARITHMETIC: u64 = RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF;

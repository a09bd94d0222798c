// Bits of the control registers and of RFLAGS (SDM, "Control Registers", "EFLAGS Register").

export const CR0_PE: u64 = 1 << 0;
export const CR0_MP: u64 = 1 << 1;
export const CR0_EM: u64 = 1 << 2;
export const CR0_TS: u64 = 1 << 3;
export const CR0_ET: u64 = 1 << 4;
export const CR0_NE: u64 = 1 << 5;
export const CR0_WP: u64 = 1 << 16;
export const CR0_AM: u64 = 1 << 18;
export const CR0_NW: u64 = 1 << 29;
export const CR0_CD: u64 = 1 << 30;
export const CR0_PG: u64 = 1 << 31;

export const CR4_VME: u64 = 1 << 0;
export const CR4_PVI: u64 = 1 << 1;
export const CR4_TSD: u64 = 1 << 2;
export const CR4_DE: u64 = 1 << 3;
export const CR4_PSE: u64 = 1 << 4;
export const CR4_PAE: u64 = 1 << 5;
export const CR4_MCE: u64 = 1 << 6;
export const CR4_PGE: u64 = 1 << 7;
export const CR4_PCE: u64 = 1 << 8;
export const CR4_OSFXSR: u64 = 1 << 9;
export const CR4_OSXMMEXCPT: u64 = 1 << 10;
export const CR4_UMIP: u64 = 1 << 11;
export const CR4_LA57: u64 = 1 << 12;
export const CR4_VMXE: u64 = 1 << 13;
export const CR4_SMXE: u64 = 1 << 14;
export const CR4_FSGSBASE: u64 = 1 << 16;
export const CR4_PCIDE: u64 = 1 << 17;
export const CR4_OSXSAVE: u64 = 1 << 18;
export const CR4_SMEP: u64 = 1 << 20;
export const CR4_SMAP: u64 = 1 << 21;
export const CR4_PKE: u64 = 1 << 22;
export const CR4_CET: u64 = 1 << 23;
export const CR4_PKS: u64 = 1 << 24;

export const RFLAGS_CF: u64 = 1 << 0;
/** Bit 1 always reads as one. */
export const RFLAGS_RESERVED_ONE: u64 = 1 << 1;
export const RFLAGS_PF: u64 = 1 << 2;
export const RFLAGS_AF: u64 = 1 << 4;
export const RFLAGS_ZF: u64 = 1 << 6;
export const RFLAGS_SF: u64 = 1 << 7;
export const RFLAGS_TF: u64 = 1 << 8;
export const RFLAGS_IF: u64 = 1 << 9;
export const RFLAGS_DF: u64 = 1 << 10;
export const RFLAGS_OF: u64 = 1 << 11;
export const RFLAGS_IOPL: u64 = 3 << 12;
export const RFLAGS_NT: u64 = 1 << 14;
export const RFLAGS_RF: u64 = 1 << 16;
export const RFLAGS_VM: u64 = 1 << 17;
export const RFLAGS_AC: u64 = 1 << 18;
export const RFLAGS_VIF: u64 = 1 << 19;
export const RFLAGS_VIP: u64 = 1 << 20;
export const RFLAGS_ID: u64 = 1 << 21;

/** Components of XCR0 (SDM, "XSAVE-Supported Features and State-Component Bitmaps"). */
export const XCR0_X87: u64 = 1 << 0;
export const XCR0_SSE: u64 = 1 << 1;
export const XCR0_AVX: u64 = 1 << 2;
export const XCR0_BNDREGS: u64 = 1 << 3;
export const XCR0_BNDCSR: u64 = 1 << 4;
export const XCR0_OPMASK: u64 = 1 << 5;
export const XCR0_ZMM_HI256: u64 = 1 << 6;
export const XCR0_HI16_ZMM: u64 = 1 << 7;
export const XCR0_PKRU: u64 = 1 << 9;
export const XCR0_TILECFG: u64 = 1 << 17;
export const XCR0_TILEDATA: u64 = 1 << 18;

/** The six flags that arithmetic sets. */
export const RFLAGS_ARITHMETIC: u64 = RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF;
/** All that can be set: the other bits are fixed. */
export const RFLAGS_DEFINED: u64 =
  RFLAGS_ARITHMETIC |
  RFLAGS_TF |
  RFLAGS_IF |
  RFLAGS_DF |
  RFLAGS_IOPL |
  RFLAGS_NT |
  RFLAGS_RF |
  RFLAGS_VM |
  RFLAGS_AC |
  RFLAGS_VIF |
  RFLAGS_VIP |
  RFLAGS_ID;

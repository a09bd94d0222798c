// Control registers, EFER and XCR0: bits by their names in the manuals (SDM, "Control Registers"; APM, "System-Control
// Registers" and "Extended Feature Enable Register").

/** Protection enable. */
export const CR0_PE: u64 = 1 << 0;
export const CR0_MP: u64 = 1 << 1;
export const CR0_EM: u64 = 1 << 2;
/** Task switched. */
export const CR0_TS: u64 = 1 << 3;
/** Extension type: always 1. */
export const CR0_ET: u64 = 1 << 4;
export const CR0_NE: u64 = 1 << 5;
/** Write protect. */
export const CR0_WP: u64 = 1 << 16;
/** Alignment mask. */
export const CR0_AM: u64 = 1 << 18;
/** Not write-through. */
export const CR0_NW: u64 = 1 << 29;
/** Cache disable. */
export const CR0_CD: u64 = 1 << 30;
/** Paging. */
export const CR0_PG: u64 = 1 << 31;

export const CR4_VME: u64 = 1 << 0;
export const CR4_PVI: u64 = 1 << 1;
/** Time-stamp disable. */
export const CR4_TSD: u64 = 1 << 2;
/** Debugging extensions. */
export const CR4_DE: u64 = 1 << 3;
/** Page-size extensions. */
export const CR4_PSE: u64 = 1 << 4;
/** Physical-address extension. */
export const CR4_PAE: u64 = 1 << 5;
export const CR4_MCE: u64 = 1 << 6;
/** Page-global enable. */
export const CR4_PGE: u64 = 1 << 7;
export const CR4_PCE: u64 = 1 << 8;
export const CR4_OSFXSR: u64 = 1 << 9;
export const CR4_OSXMMEXCPT: u64 = 1 << 10;
/** User-mode instruction prevention. */
export const CR4_UMIP: u64 = 1 << 11;
/** 57-bit linear addresses. */
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

/** SYSCALL enable. */
export const EFER_SCE: u64 = 1 << 0;
/** Long mode enable. */
export const EFER_LME: u64 = 1 << 8;
/** Long mode active. */
export const EFER_LMA: u64 = 1 << 10;
/** No-execute enable. */
export const EFER_NXE: u64 = 1 << 11;
/** Secure virtual machine enable (AMD-V). */
export const EFER_SVME: u64 = 1 << 12;

export const XCR0_X87: u64 = 1 << 0;
export const XCR0_SSE: u64 = 1 << 1;
export const XCR0_AVX: u64 = 1 << 2;
/** Bound registers and bound configuration: both or neither. */
export const XCR0_MPX: u64 = 3 << 3;
/** Opmask, upper halves of ZMM0-15, ZMM16-31: all or none. */
export const XCR0_AVX512: u64 = 7 << 5;
export const XCR0_PKRU: u64 = 1 << 9;
/** Tile configuration and tile data: both or neither. */
export const XCR0_AMX: u64 = 3 << 17;

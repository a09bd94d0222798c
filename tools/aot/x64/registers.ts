/** The general registers by hardware number, in every width. */
const NAMES: readonly (readonly [string, string, string, string])[] = [
  ["al", "ax", "eax", "rax"],
  ["cl", "cx", "ecx", "rcx"],
  ["dl", "dx", "edx", "rdx"],
  ["bl", "bx", "ebx", "rbx"],
  ["spl", "sp", "esp", "rsp"],
  ["bpl", "bp", "ebp", "rbp"],
  ["sil", "si", "esi", "rsi"],
  ["dil", "di", "edi", "rdi"],
  ["r8b", "r8w", "r8d", "r8"],
  ["r9b", "r9w", "r9d", "r9"],
  ["r10b", "r10w", "r10d", "r10"],
  ["r11b", "r11w", "r11d", "r11"],
  ["r12b", "r12w", "r12d", "r12"],
  ["r13b", "r13w", "r13d", "r13"],
  ["r14b", "r14w", "r14d", "r14"],
  ["r15b", "r15w", "r15d", "r15"],
];

export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RBX = 3;
export const RSP = 4;
export const RBP = 5;
export const RSI = 6;
export const RDI = 7;
export const R8 = 8;
export const R9 = 9;
export const R10 = 10;
export const R11 = 11;
export const R12 = 12;
export const R13 = 13;
export const R14 = 14;
export const R15 = 15;

/** Registers with smaller numbers are the machine's; larger numbers are virtual registers. */
export const FIRST_VIRTUAL = 16;

export type Width = 1 | 2 | 4 | 8;

const WIDTH_COLUMN: Record<Width, 0 | 1 | 2 | 3> = { 1: 0, 2: 1, 4: 2, 8: 3 };

export function registerName(reg: number, width: Width): string {
  if (reg >= FIRST_VIRTUAL) return `v${reg}${["b", "w", "d", ""][WIDTH_COLUMN[width]]}`;
  return NAMES[reg]![WIDTH_COLUMN[width]];
}

// System V AMD64 ABI, "Function Calling Sequence". The stack pointer is kept aligned to 8 bytes only:
// generated code never uses vector registers.
export const ARGUMENT_REGISTERS = [RDI, RSI, RDX, RCX, R8, R9] as const;
export const RESULT_REGISTERS = [RAX, RDX] as const;
export const CALLER_SAVED = [RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11] as const;
export const CALLEE_SAVED = [RBX, RBP, R12, R13, R14, R15] as const;

/** Registers that allocation may use, the cheapest first: no save, then short encodings. */
export const ALLOCATION_ORDER = [
  RAX,
  RCX,
  RDX,
  RSI,
  RDI,
  R8,
  R9,
  R10,
  R11,
  RBX,
  RBP,
  R14,
  R15,
  R12,
  R13,
] as const;

// One decoded x86 instruction, and the words in which the opcode tables describe it (SDM, "Instruction Format" and
// "Opcode Map"; APM, "Instruction Encoding").

// --- code sizes and operand sizes, in bytes -----------------------------------------------------------------------------
export const CODE_16: u32 = 2;
export const CODE_32: u32 = 4;
export const CODE_64: u32 = 8;

// --- prefixes, bits of `Instruction.prefixes` -----------------------------------------------------------------------------
export const PREFIX_LOCK: u32 = 1 << 0;
/** F3: REP or REPE. */
export const PREFIX_REP: u32 = 1 << 1;
/** F2: REPNE. The later of F2 and F3 wins. */
export const PREFIX_REPNE: u32 = 1 << 2;
export const PREFIX_OPERAND: u32 = 1 << 3;
export const PREFIX_ADDRESS: u32 = 1 << 4;
export const PREFIX_SEGMENT: u32 = 1 << 5;

// REX: 0100WRXB.
export const REX_PRESENT: u32 = 0x40;
export const REX_W: u32 = 8;
export const REX_R: u32 = 4;
export const REX_X: u32 = 2;
export const REX_B: u32 = 1;

// VEX, but for what it has in common with REX: bits 3..0 are the register `vvvv`.
export const VEX_PRESENT: u32 = 1 << 8;
export const VEX_L: u32 = 1 << 4;
/** Bits 6..5: the prefix that belongs to the opcode. */
export const VEX_PREFIX_SHIFT: u32 = 5;
export const VEX_PREFIX: u32 = 3 << VEX_PREFIX_SHIFT;
export const VEX_NO_PREFIX: u32 = 0 << VEX_PREFIX_SHIFT;
export const VEX_F3: u32 = 2 << VEX_PREFIX_SHIFT;
export const VEX_F2: u32 = 3 << VEX_PREFIX_SHIFT;
export const VEX_REGISTER: u32 = 15;

/** `base` or `index` when there is none. */
export const NO_REGISTER: u32 = 0xff;
/** `base` of an operand relative to the next instruction. */
export const BASE_RIP: u32 = 0xfe;

// --- attributes of an opcode -----------------------------------------------------------------------------------------------
//
//   31..25  24     23      22       21      20       19      18    17    16     15..12     11..8  7..0
//   0       group  src 32  src 16   src 8   memory   lock    def64 no64  byte   immediate  form   operation
//
// and, sharing no space with these, bit 25: ModRM follows; bit 26: ModRM names registers whatever its mod field says.

export const ATTRIBUTE_OPERATION: u32 = 0xff;
export const ATTRIBUTE_FORM: u32 = 0xf << 8;
export const ATTRIBUTE_IMMEDIATE: u32 = 0xf << 12;
/** The operand is one byte wide. */
export const BYTE: u32 = 1 << 16;
/** #UD in 64-bit mode. */
export const NO64: u32 = 1 << 17;
/** Operand size is 64 bits by default in 64-bit mode. */
export const DEFAULT64: u32 = 1 << 18;
/** LOCK is allowed when the destination is memory. */
export const LOCKABLE: u32 = 1 << 19;
/** #UD when ModRM names a register. */
export const MEMORY_ONLY: u32 = 1 << 20;
/** The source is narrower than the destination. */
export const SOURCE8: u32 = 1 << 21;
export const SOURCE16: u32 = 1 << 22;
export const SOURCE32: u32 = 1 << 23;
/** The operation is chosen by ModRM's reg field: `operation` is the number of the group. */
export const GROUP: u32 = 1 << 24;
export const MODRM: u32 = 1 << 25;
export const REGISTERS_ONLY: u32 = 1 << 26;

// --- forms: which operands; 0: none ------------------------------------------------------------------------------------------
/** Destination r/m, source register. */
export const FORM_RM_R: u32 = 1 << 8;
/** Destination register, source r/m. */
export const FORM_R_RM: u32 = 2 << 8;
/** Destination r/m, source immediate. */
export const FORM_RM_IMM: u32 = 3 << 8;
/** Destination accumulator, source immediate. */
export const FORM_ACC_IMM: u32 = 4 << 8;
/** One operand, r/m. */
export const FORM_RM: u32 = 5 << 8;
/** One operand, the register in the opcode's low three bits. */
export const FORM_REG: u32 = 6 << 8;
/** Destination register in the opcode, source immediate. */
export const FORM_REG_IMM: u32 = 7 << 8;
/** Accumulator from, to the address that follows the opcode. */
export const FORM_ACC_MOFFS: u32 = 8 << 8;
export const FORM_MOFFS_ACC: u32 = 9 << 8;
/** Shift of r/m by one, by CL. */
export const FORM_RM_ONE: u32 = 10 << 8;
export const FORM_RM_CL: u32 = 11 << 8;
/** Accumulator and the register in the opcode. */
export const FORM_ACC_REG: u32 = 12 << 8;
/** Destination register, sources r/m and immediate. */
export const FORM_R_RM_IMM: u32 = 13 << 8;
/** One operand, the immediate. */
export const FORM_IMM: u32 = 14 << 8;

// --- immediates ---------------------------------------------------------------------------------------------------------------
export const IMM_NONE: u32 = 0 << 12;
/** One byte, sign-extended. */
export const IMM8: u32 = 1 << 12;
/** Two bytes with operand size 16, else four, sign-extended. */
export const IMMZ: u32 = 2 << 12;
/** As wide as the operand: up to eight bytes. */
export const IMMV: u32 = 3 << 12;
export const IMM16: u32 = 4 << 12;
/** ENTER: two bytes and one. */
export const IMM16_8: u32 = 5 << 12;
/** An address, as wide as the address size. */
export const IMM_MOFFS: u32 = 6 << 12;
/** Far pointer: offset (two or four bytes) and selector. */
export const IMM_FAR: u32 = 7 << 12;
/** Branch displacement of two or four bytes; always four in 64-bit mode. */
export const IMM_REL: u32 = 8 << 12;

// --- operations ---------------------------------------------------------------------------------------------------------------
/** No instruction: #UD. */
export const OP_UNDEFINED: u32 = 0;
/** A real instruction that is never emulated: only its length is known. */
export const OP_OTHER: u32 = 1;
/** Touches no operand: prefetch, cache-line flush, multi-byte NOP. */
export const OP_NOP: u32 = 2;
// Arithmetic in the order of its encoding.
export const OP_ADD: u32 = 8;
export const OP_OR: u32 = 9;
export const OP_ADC: u32 = 10;
export const OP_SBB: u32 = 11;
export const OP_AND: u32 = 12;
export const OP_SUB: u32 = 13;
export const OP_XOR: u32 = 14;
export const OP_CMP: u32 = 15;
// Shifts in the order of their encoding; 22 is SHL's second number.
export const OP_ROL: u32 = 16;
export const OP_ROR: u32 = 17;
export const OP_RCL: u32 = 18;
export const OP_RCR: u32 = 19;
export const OP_SHL: u32 = 20;
export const OP_SHR: u32 = 21;
export const OP_SAL: u32 = 22;
export const OP_SAR: u32 = 23;
export const OP_TEST: u32 = 24;
export const OP_NOT: u32 = 25;
export const OP_NEG: u32 = 26;
export const OP_INC: u32 = 27;
export const OP_DEC: u32 = 28;
export const OP_MUL: u32 = 29;
export const OP_IMUL: u32 = 30;
export const OP_DIV: u32 = 31;
export const OP_IDIV: u32 = 32;
/** IMUL with a register destination. */
export const OP_IMUL2: u32 = 33;
export const OP_MOV: u32 = 34;
export const OP_MOVZX: u32 = 35;
/** MOVSX and MOVSXD. */
export const OP_MOVSX: u32 = 36;
export const OP_MOVBE: u32 = 37;
export const OP_XCHG: u32 = 38;
export const OP_CMPXCHG: u32 = 39;
/** CMPXCHG8B, with REX.W CMPXCHG16B. */
export const OP_CMPXCHG_PAIR: u32 = 40;
export const OP_XADD: u32 = 41;
export const OP_SHLD: u32 = 42;
export const OP_SHRD: u32 = 43;
// Bit tests in the order of their encoding.
export const OP_BT: u32 = 44;
export const OP_BTS: u32 = 45;
export const OP_BTR: u32 = 46;
export const OP_BTC: u32 = 47;
/** BSF, with F3 TZCNT; BSR, with F3 LZCNT. */
export const OP_BSF: u32 = 48;
export const OP_BSR: u32 = 49;
export const OP_POPCNT: u32 = 50;
/** Condition in the opcode's low four bits. */
export const OP_CMOV: u32 = 51;
export const OP_SETCC: u32 = 52;
export const OP_PUSH: u32 = 53;
export const OP_POP: u32 = 54;
/** Near, indirect. */
export const OP_CALL: u32 = 55;
export const OP_JMP: u32 = 56;
// String instructions.
export const OP_MOVS: u32 = 57;
export const OP_CMPS: u32 = 58;
export const OP_STOS: u32 = 59;
export const OP_LODS: u32 = 60;
export const OP_SCAS: u32 = 61;
export const OP_INS: u32 = 62;
export const OP_OUTS: u32 = 63;
// Instructions that exit by themselves: decoded for their operands and length.
export const OP_MOV_FROM_CR: u32 = 64;
export const OP_MOV_TO_CR: u32 = 65;
export const OP_MOV_FROM_DR: u32 = 66;
export const OP_MOV_TO_DR: u32 = 67;
export const OP_CLTS: u32 = 68;
export const OP_SMSW: u32 = 69;
export const OP_LMSW: u32 = 70;
export const OP_INVLPG: u32 = 71;
// What uses the stack, or memory that ModRM does not name.
export const OP_PUSHA: u32 = 72;
export const OP_POPA: u32 = 73;
export const OP_PUSHF: u32 = 74;
export const OP_POPF: u32 = 75;
export const OP_ENTER: u32 = 76;
export const OP_LEAVE: u32 = 77;
/** Near, relative. */
export const OP_CALL_RELATIVE: u32 = 78;
export const OP_RET: u32 = 79;
export const OP_PUSH_SEGMENT: u32 = 80;
export const OP_POP_SEGMENT: u32 = 81;
export const OP_CALL_FAR: u32 = 82;
export const OP_RET_FAR: u32 = 83;
export const OP_IRET: u32 = 84;
export const OP_XLAT: u32 = 85;
// The rest.
export const OP_JMP_FAR: u32 = 86;
/** MOV from, to a segment register. */
export const OP_STORE_SEGMENT: u32 = 87;
export const OP_LOAD_SEGMENT: u32 = 88;
/** LES, LDS, LSS, LFS, LGS. */
export const OP_LOAD_FAR: u32 = 89;
export const OP_BOUND: u32 = 90;
export const OP_ARPL: u32 = 91;
export const OP_CRC32: u32 = 92;
/** ADCX and ADOX. */
export const OP_ADX: u32 = 93;
/** SGDT and SIDT; LGDT and LIDT. */
export const OP_STORE_TABLE: u32 = 94;
export const OP_LOAD_TABLE: u32 = 95;
/** SLDT and STR. */
export const OP_STORE_SELECTOR: u32 = 96;
/** A move of a vector register: `vector` says which. */
export const OP_VECTOR: u32 = 97;
/** BMI1 and BMI2 (bmi.ts). */
export const OP_BMI: u32 = 98;
/** LLDT and LTR; VERR and VERW; LAR and LSL. */
export const OP_LOAD_SELECTOR: u32 = 99;
export const OP_VERIFY: u32 = 100;
export const OP_DESCRIBE: u32 = 101;

@unmanaged
export class Instruction {
  /** The bytes, zero-filled past `available`. */
  bytes0: u64;
  bytes1: u64;
  /** How many bytes there are to decode. */
  available: u32;
  /** CODE_16, CODE_32 or CODE_64. */
  mode: u32;
  length: u32;
  /** PREFIX_*. */
  prefixes: u32;
  /** The REX byte, 0 when there is none. */
  rex: u32;
  /** The opcode byte, with 0x100 for the map 0F, 0x200 for 0F 38 and 0x300 for 0F 3A. */
  opcode: u32;
  /** The table's entry; `operation` is its OP_*, `form` its FORM_*. */
  attributes: u32;
  operation: u32;
  form: u32;
  /** Width of operands and of addresses, bytes. */
  operandSize: u32;
  addressSize: u32;
  /** SEG_* of the memory operand, defaults and overrides applied. */
  segment: u32;
  modrm: u32;
  /** ModRM's reg field with REX.R. */
  register: u32;
  /** Register named by ModRM's r/m field (with REX.B), when `memory` is false. */
  rm: u32;
  /** ModRM names memory. */
  memory: bool;
  /** Registers of the address (NO_REGISTER, BASE_RIP), and log2 of the scale. */
  base: u32;
  index: u32;
  scale: u32;
  /** OP_VECTOR: the row of vectoropcodes.ts. */
  vector: u32;
  /** VEX: 0, or VEX_PRESENT with L, the prefix and the register `vvvv`. */
  vex: u32;
  /** ENTER: nesting level. Far pointer in the instruction: its selector. */
  second: u32;
  displacement: u64;
  immediate: u64;

  /** Byte `i` of the instruction, 0..15. */
  byteAt(i: u32): u32 {
    return load<u8>(changetype<usize>(this) + (i & 15));
  }
}

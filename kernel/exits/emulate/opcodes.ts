// biome-ignore-all format: tables.
//
// The opcode maps as tables: one word per opcode, in the words of instruction.ts. Rows follow the manual's maps, eight
// opcodes a line, with the first opcode of the line at its end.
import {
  BYTE, DEFAULT64, FORM_ACC_IMM, FORM_ACC_MOFFS, FORM_ACC_REG, FORM_IMM, FORM_MOFFS_ACC, FORM_REG, FORM_REG_IMM,
  FORM_RM, FORM_RM_CL, FORM_RM_IMM, FORM_RM_ONE, FORM_RM_R, FORM_R_RM, FORM_R_RM_IMM, GROUP, IMM16, IMM16_8, IMM8,
  IMMV, IMMZ, IMM_FAR, IMM_MOFFS, IMM_REL, LOCKABLE, MEMORY_ONLY, MODRM, NO64, OP_ADC, OP_ADD, OP_ADX, OP_AND,
  OP_BOUND, OP_BSF, OP_BSR, OP_BT, OP_BTC, OP_BTR, OP_BTS, OP_CALL, OP_CALL_FAR, OP_CALL_RELATIVE, OP_CLTS, OP_CMOV,
  OP_CMP, OP_CMPS, OP_CMPXCHG, OP_CMPXCHG_PAIR, OP_CRC32, OP_DEC, OP_DESCRIBE, OP_DIV, OP_ENTER, OP_IDIV, OP_IMUL,
  OP_IMUL2, OP_INC, OP_INS, OP_INVLPG, OP_IRET, OP_JMP, OP_JMP_FAR, OP_LEAVE, OP_LMSW, OP_LOAD_FAR, OP_LOAD_SEGMENT,
  OP_LOAD_SELECTOR, OP_LOAD_TABLE, OP_LODS, OP_MOV, OP_MOVBE, OP_MOVS, OP_MOVSX, OP_MOVZX, OP_MOV_FROM_CR,
  OP_MOV_FROM_DR, OP_MOV_TO_CR, OP_MOV_TO_DR, OP_MUL, OP_NEG, OP_NOP, OP_NOT, OP_OR, OP_OTHER, OP_OUTS, OP_POP,
  OP_POPA, OP_POPCNT, OP_POPF, OP_POP_SEGMENT, OP_PUSH, OP_PUSHA, OP_PUSHF, OP_PUSH_SEGMENT, OP_RCL, OP_RCR, OP_RET,
  OP_RET_FAR, OP_ROL, OP_ROR, OP_SAL, OP_SAR, OP_SBB, OP_SCAS, OP_SETCC, OP_SHL, OP_SHLD, OP_SHR, OP_SHRD, OP_SMSW,
  OP_STORE_SEGMENT, OP_STORE_SELECTOR, OP_STORE_TABLE, OP_STOS, OP_SUB, OP_TEST, OP_UNDEFINED, OP_VERIFY, OP_XADD,
  OP_XCHG, OP_XLAT, OP_XOR, PREFIX_OPERAND, PREFIX_REP, PREFIX_REPNE, REGISTERS_ONLY, SOURCE16, SOURCE32, SOURCE8,
} from "./instruction";

// Short names, so that a line of the tables reads like a line of the manual's map. E: r/m, G: register, b: byte, v: operand
// size, z: at most 32 bits, A: accumulator.
const EbGb: u32 = FORM_RM_R | MODRM | BYTE;
const EvGv: u32 = FORM_RM_R | MODRM;
const GbEb: u32 = FORM_R_RM | MODRM | BYTE;
const GvEv: u32 = FORM_R_RM | MODRM;
const AbIb: u32 = FORM_ACC_IMM | BYTE | IMM8;
const AvIz: u32 = FORM_ACC_IMM | IMMZ;
const Eb: u32 = FORM_RM | MODRM | BYTE;
const Ev: u32 = FORM_RM | MODRM;
const EbIb: u32 = FORM_RM_IMM | MODRM | BYTE | IMM8;
const EvIz: u32 = FORM_RM_IMM | MODRM | IMMZ;
const EvIb: u32 = FORM_RM_IMM | MODRM | IMM8;
const Eb1: u32 = FORM_RM_ONE | MODRM | BYTE;
const Ev1: u32 = FORM_RM_ONE | MODRM;
const EbCL: u32 = FORM_RM_CL | MODRM | BYTE;
const EvCL: u32 = FORM_RM_CL | MODRM;
const LOCK: u32 = LOCKABLE;
const UD: u32 = OP_UNDEFINED;
const XX: u32 = OP_OTHER;
const XXn: u32 = OP_OTHER | NO64;
const XXb: u32 = OP_OTHER | IMM8;
const XXz: u32 = OP_OTHER | IMM_REL;
const XXm: u32 = OP_OTHER | MODRM;
const XXmb: u32 = OP_OTHER | MODRM | IMM8;
const UDm: u32 = OP_UNDEFINED | MODRM;
const NOPm: u32 = OP_NOP | FORM_RM | MODRM;
const INCr: u32 = OP_INC | FORM_REG | NO64;
const DECr: u32 = OP_DEC | FORM_REG | NO64;
const PUSHr: u32 = OP_PUSH | FORM_REG | DEFAULT64;
const POPr: u32 = OP_POP | FORM_REG | DEFAULT64;
const XCHGr: u32 = OP_XCHG | FORM_ACC_REG;
const MOVrb: u32 = OP_MOV | FORM_REG_IMM | BYTE | IMM8;
const MOVrv: u32 = OP_MOV | FORM_REG_IMM | IMMV;
const PUSHs: u32 = OP_PUSH_SEGMENT | NO64;
const POPs: u32 = OP_POP_SEGMENT | NO64;
const PUSHfg: u32 = OP_PUSH_SEGMENT | DEFAULT64;
const POPfg: u32 = OP_POP_SEGMENT | DEFAULT64;
const LXS: u32 = OP_LOAD_FAR | GvEv | MEMORY_ONLY;
const RETn: u32 = OP_RET | DEFAULT64;
const XXo: u32 = OP_OTHER | MEMORY_ONLY;
const CALLn: u32 = OP_CALL | DEFAULT64;
const JMPn: u32 = OP_JMP | DEFAULT64;
const CMOV: u32 = OP_CMOV | GvEv;
const SETC: u32 = OP_SETCC | Eb;

// --- groups: the operation is chosen by ModRM's reg field --------------------------------------------------------------
const GROUP1: u32 = 0;
const GROUP1A: u32 = 1;
const GROUP2: u32 = 2;
const GROUP3: u32 = 3;
const GROUP4: u32 = 4;
const GROUP5: u32 = 5;
export const GROUP7: u32 = 6;
const GROUP8: u32 = 7;
const GROUP9: u32 = 8;
const GROUP11: u32 = 9;
const GROUP15: u32 = 10;
const GROUP6: u32 = 11;

const G1: u32 = GROUP | GROUP1;
const G2: u32 = GROUP | GROUP2;
const G3: u32 = GROUP | GROUP3;
const G11: u32 = GROUP | GROUP11;

/** Eight words per group, ORed into the opcode's own attributes. */
const groups: StaticArray<u32> = [
  OP_ADD | LOCK, OP_OR | LOCK, OP_ADC | LOCK, OP_SBB | LOCK, OP_AND | LOCK, OP_SUB | LOCK, OP_XOR | LOCK, OP_CMP, // 1
  OP_POP | DEFAULT64, UD, UD, UD, UD, UD, UD, UD, // 1A
  OP_ROL, OP_ROR, OP_RCL, OP_RCR, OP_SHL, OP_SHR, OP_SAL, OP_SAR, // 2
  OP_TEST, OP_TEST, OP_NOT | LOCK, OP_NEG | LOCK, OP_MUL, OP_IMUL, OP_DIV, OP_IDIV, // 3
  OP_INC | LOCK, OP_DEC | LOCK, UD, UD, UD, UD, UD, UD, // 4
  OP_INC | LOCK, OP_DEC | LOCK, CALLn, OP_CALL_FAR | MEMORY_ONLY, JMPn, OP_JMP_FAR | MEMORY_ONLY, OP_PUSH | DEFAULT64, UD, // 5
  OP_STORE_TABLE, OP_STORE_TABLE, OP_LOAD_TABLE, OP_LOAD_TABLE, OP_SMSW, XX, OP_LMSW, OP_INVLPG, // 7
  UD, UD, UD, UD, OP_BT, OP_BTS | LOCK, OP_BTR | LOCK, OP_BTC | LOCK, // 8
  UD, OP_CMPXCHG_PAIR | MEMORY_ONLY | LOCK, UD, XXo, XXo, XXo, XX, XX, // 9
  OP_MOV, UD, UD, UD, UD, UD, UD, XX, // 11
  XX, XX, XX, XX, XX, XX, XX, OP_NOP, // 15
  OP_STORE_SELECTOR, OP_STORE_SELECTOR, OP_LOAD_SELECTOR, OP_LOAD_SELECTOR, OP_VERIFY, OP_VERIFY, UD, UD, // 6
];

/** One-byte opcodes. Prefixes and the escapes 0F, 62, C4, C5 never come here. */
const oneByte: StaticArray<u32> = [
  OP_ADD | EbGb | LOCK, OP_ADD | EvGv | LOCK, OP_ADD | GbEb, OP_ADD | GvEv, OP_ADD | AbIb, OP_ADD | AvIz, PUSHs, POPs, // 00
  OP_OR | EbGb | LOCK, OP_OR | EvGv | LOCK, OP_OR | GbEb, OP_OR | GvEv, OP_OR | AbIb, OP_OR | AvIz, PUSHs, UD, // 08
  OP_ADC | EbGb | LOCK, OP_ADC | EvGv | LOCK, OP_ADC | GbEb, OP_ADC | GvEv, OP_ADC | AbIb, OP_ADC | AvIz, PUSHs, POPs, // 10
  OP_SBB | EbGb | LOCK, OP_SBB | EvGv | LOCK, OP_SBB | GbEb, OP_SBB | GvEv, OP_SBB | AbIb, OP_SBB | AvIz, PUSHs, POPs, // 18
  OP_AND | EbGb | LOCK, OP_AND | EvGv | LOCK, OP_AND | GbEb, OP_AND | GvEv, OP_AND | AbIb, OP_AND | AvIz, UD, XXn, // 20
  OP_SUB | EbGb | LOCK, OP_SUB | EvGv | LOCK, OP_SUB | GbEb, OP_SUB | GvEv, OP_SUB | AbIb, OP_SUB | AvIz, UD, XXn, // 28
  OP_XOR | EbGb | LOCK, OP_XOR | EvGv | LOCK, OP_XOR | GbEb, OP_XOR | GvEv, OP_XOR | AbIb, OP_XOR | AvIz, UD, XXn, // 30
  OP_CMP | EbGb, OP_CMP | EvGv, OP_CMP | GbEb, OP_CMP | GvEv, OP_CMP | AbIb, OP_CMP | AvIz, UD, XXn, // 38
  INCr, INCr, INCr, INCr, INCr, INCr, INCr, INCr, // 40
  DECr, DECr, DECr, DECr, DECr, DECr, DECr, DECr, // 48
  PUSHr, PUSHr, PUSHr, PUSHr, PUSHr, PUSHr, PUSHr, PUSHr, // 50
  POPr, POPr, POPr, POPr, POPr, POPr, POPr, POPr, // 58
  OP_PUSHA | NO64, OP_POPA | NO64, OP_BOUND | GvEv | NO64 | MEMORY_ONLY, OP_MOVSX | GvEv | SOURCE32, UD, UD, UD, UD, // 60
  OP_PUSH | FORM_IMM | IMMZ | DEFAULT64, OP_IMUL2 | FORM_R_RM_IMM | MODRM | IMMZ, // 68
  OP_PUSH | FORM_IMM | IMM8 | DEFAULT64, OP_IMUL2 | FORM_R_RM_IMM | MODRM | IMM8, // 6A
  OP_INS | BYTE, OP_INS, OP_OUTS | BYTE, OP_OUTS, // 6C
  XXb, XXb, XXb, XXb, XXb, XXb, XXb, XXb, // 70
  XXb, XXb, XXb, XXb, XXb, XXb, XXb, XXb, // 78
  G1 | EbIb, G1 | EvIz, G1 | EbIb | NO64, G1 | EvIb, OP_TEST | EbGb, OP_TEST | EvGv, // 80
  OP_XCHG | EbGb | LOCK, OP_XCHG | EvGv | LOCK, // 86
  OP_MOV | EbGb, OP_MOV | EvGv, OP_MOV | GbEb, OP_MOV | GvEv, // 88
  OP_STORE_SEGMENT | EvGv, XXm | MEMORY_ONLY, OP_LOAD_SEGMENT | GvEv, GROUP | GROUP1A | Ev, // 8C
  XCHGr, XCHGr, XCHGr, XCHGr, XCHGr, XCHGr, XCHGr, XCHGr, // 90
  XX, XX, OP_CALL_FAR | IMM_FAR | NO64, XX, OP_PUSHF | DEFAULT64, OP_POPF | DEFAULT64, XX, XX, // 98
  OP_MOV | FORM_ACC_MOFFS | BYTE | IMM_MOFFS, OP_MOV | FORM_ACC_MOFFS | IMM_MOFFS, // A0
  OP_MOV | FORM_MOFFS_ACC | BYTE | IMM_MOFFS, OP_MOV | FORM_MOFFS_ACC | IMM_MOFFS, // A2
  OP_MOVS | BYTE, OP_MOVS, OP_CMPS | BYTE, OP_CMPS, // A4
  OP_TEST | AbIb, OP_TEST | AvIz, OP_STOS | BYTE, OP_STOS, OP_LODS | BYTE, OP_LODS, OP_SCAS | BYTE, OP_SCAS, // A8
  MOVrb, MOVrb, MOVrb, MOVrb, MOVrb, MOVrb, MOVrb, MOVrb, // B0
  MOVrv, MOVrv, MOVrv, MOVrv, MOVrv, MOVrv, MOVrv, MOVrv, // B8
  G2 | EbIb, G2 | EvIb, RETn | IMM16, RETn, LXS | NO64, LXS | NO64, G11 | EbIb, G11 | EvIz, // C0
  OP_ENTER | IMM16_8 | DEFAULT64, OP_LEAVE | DEFAULT64, OP_RET_FAR | IMM16, OP_RET_FAR, XX, XXb, XXn, OP_IRET, // C8
  G2 | Eb1, G2 | Ev1, G2 | EbCL, G2 | EvCL, XXb | NO64, XXb | NO64, XXn, OP_XLAT | BYTE, // D0
  XXm, XXm, XXm, XXm, XXm, XXm, XXm, XXm, // D8
  XXb, XXb, XXb, XXb, XXb, XXb, XXb, XXb, // E0
  OP_CALL_RELATIVE | DEFAULT64 | IMM_REL, XXz, OP_JMP_FAR | IMM_FAR | NO64, XXb, XX, XX, XX, XX, // E8
  UD, XX, UD, UD, XX, XX, G3 | Eb, G3 | Ev, // F0
  XX, XX, XX, XX, XX, XX, GROUP | GROUP4 | Eb, GROUP | GROUP5 | Ev, // F8
];

/** Opcodes after 0F. The escapes 38 and 3A never come here. */
const twoByte: StaticArray<u32> = [
  GROUP | GROUP6 | Ev, GROUP | GROUP7 | Ev, OP_DESCRIBE | GvEv, OP_DESCRIBE | GvEv, UD, XX, OP_CLTS, XX, // 00
  XX, XX, UD, UD, UD, NOPm, XX, XXmb, // 08
  XXm, XXm, XXm, XXm, XXm, XXm, XXm, XXm, // 10
  NOPm, NOPm, NOPm, NOPm, NOPm, NOPm, NOPm, NOPm, // 18
  OP_MOV_FROM_CR | MODRM | REGISTERS_ONLY, OP_MOV_FROM_DR | MODRM | REGISTERS_ONLY, // 20
  OP_MOV_TO_CR | MODRM | REGISTERS_ONLY, OP_MOV_TO_DR | MODRM | REGISTERS_ONLY, UD, UD, UD, UD, // 22
  XXm, XXm, XXm, XXm, XXm, XXm, XXm, XXm, // 28
  XX, XX, XX, XX, XX, XX, UD, XX, // 30
  UD, UD, UD, UD, UD, UD, UD, UD, // 38
  CMOV, CMOV, CMOV, CMOV, CMOV, CMOV, CMOV, CMOV, // 40
  CMOV, CMOV, CMOV, CMOV, CMOV, CMOV, CMOV, CMOV, // 48
  XXm, XXm, XXm, XXm, XXm, XXm, XXm, XXm, // 50
  XXm, XXm, XXm, XXm, XXm, XXm, XXm, XXm, // 58
  XXm, XXm, XXm, XXm, XXm, XXm, XXm, XXm, // 60
  XXm, XXm, XXm, XXm, XXm, XXm, XXm, XXm, // 68
  XXmb, XXmb, XXmb, XXmb, XXm, XXm, XXm, XX, // 70
  XXm, XXm, UD, UD, XXm, XXm, XXm, XXm, // 78
  XXz, XXz, XXz, XXz, XXz, XXz, XXz, XXz, // 80
  XXz, XXz, XXz, XXz, XXz, XXz, XXz, XXz, // 88
  SETC, SETC, SETC, SETC, SETC, SETC, SETC, SETC, // 90
  SETC, SETC, SETC, SETC, SETC, SETC, SETC, SETC, // 98
  PUSHfg, POPfg, XX, OP_BT | EvGv, OP_SHLD | EvGv | IMM8, OP_SHLD | EvGv, UD, UD, // A0
  PUSHfg, POPfg, XX, OP_BTS | EvGv | LOCK, OP_SHRD | EvGv | IMM8, OP_SHRD | EvGv, GROUP | GROUP15 | Ev, OP_IMUL2 | GvEv, // A8
  OP_CMPXCHG | EbGb | LOCK, OP_CMPXCHG | EvGv | LOCK, LXS, OP_BTR | EvGv | LOCK, // B0
  LXS, LXS, OP_MOVZX | GvEv | SOURCE8, OP_MOVZX | GvEv | SOURCE16, // B4
  OP_POPCNT | GvEv, UDm, GROUP | GROUP8 | EvIb, OP_BTC | EvGv | LOCK, OP_BSF | GvEv, OP_BSR | GvEv, // B8
  OP_MOVSX | GvEv | SOURCE8, OP_MOVSX | GvEv | SOURCE16, // BE
  OP_XADD | EbGb | LOCK, OP_XADD | EvGv | LOCK, XXmb, OP_MOV | EvGv | MEMORY_ONLY, // C0
  XXmb, XXmb, XXmb, GROUP | GROUP9 | Ev, // C4
  XX, XX, XX, XX, XX, XX, XX, XX, // C8
  XXm, XXm, XXm, XXm, XXm, XXm, XXm, XXm, // D0
  XXm, XXm, XXm, XXm, XXm, XXm, XXm, XXm, // D8
  XXm, XXm, XXm, XXm, XXm, XXm, XXm, XXm, // E0
  XXm, XXm, XXm, XXm, XXm, XXm, XXm, XXm, // E8
  XXm, XXm, XXm, XXm, XXm, XXm, XXm, XXm, // F0
  XXm, XXm, XXm, XXm, XXm, XXm, XXm, UDm, // F8
];

/** Attributes of a one-byte opcode. */
export function oneByteOpcode(opcode: u32): u32 {
  if (isDefined(CHECKED)) assert(opcode != 0x0f, "opcodes: an escape");
  assert(opcode <= 0xff, "opcodes: opcode");
  return unchecked(oneByte[opcode & 0xff]);
}

/** Attributes of an opcode after 0F. */
export function twoByteOpcode(opcode: u32): u32 {
  if (isDefined(CHECKED)) assert(opcode != 0x38 && opcode != 0x3a, "opcodes: an escape");
  assert(opcode <= 0xff, "opcodes: opcode");
  return unchecked(twoByte[opcode & 0xff]);
}

/** Attributes of an opcode after 0F 38 with these prefixes; some opcodes are another instruction with each. */
export function threeByteOpcode(opcode: u32, prefixes: u32): u32 {
  assert(opcode <= 0xff, "opcodes: opcode");
  const repeat = prefixes & (PREFIX_REP | PREFIX_REPNE);
  if (isDefined(CHECKED)) assert(repeat != (PREFIX_REP | PREFIX_REPNE), "opcodes: of F2 and F3 one counts");
  switch (opcode) {
    case 0xf0: return repeat == PREFIX_REPNE ? OP_CRC32 | GvEv | SOURCE8 : OP_MOVBE | GvEv | MEMORY_ONLY;
    case 0xf1: return repeat == PREFIX_REPNE ? OP_CRC32 | GvEv : OP_MOVBE | EvGv | MEMORY_ONLY;
    case 0xf6: return repeat == PREFIX_REP || (repeat == 0 && (prefixes & PREFIX_OPERAND) != 0) ? OP_ADX | GvEv : XXm;
    case 0xf9: return repeat == 0 && (prefixes & PREFIX_OPERAND) == 0 ? OP_MOV | EvGv | MEMORY_ONLY : XXm;
    default: return XXm;
  }
}

/** Attributes of an opcode after 0F 3A: all take a byte. */
export function immediateOpcode(): u32 {
  return XXmb;
}

/** What group `group` adds to an opcode's attributes for ModRM's reg field `reg`. */
export function groupAttributes(group: u32, reg: u32): u32 {
  assert(group <= GROUP6 && reg < 8, "opcodes: group");
  return unchecked(groups[((group << 3) | (reg & 7)) & 0x7f]);
}

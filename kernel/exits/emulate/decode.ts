// biome-ignore-all format: one case a line.
//
// The instruction decoder: bytes in, `Instruction` out (SDM, "Instruction Format"). It is total: any bytes end in one of
// four results, after at most fifteen of them.
import { MAX_INSTRUCTION_BYTES } from "../../lib/limits";
import { RAX, RBP, RSP, SEG_CS, SEG_DS, SEG_ES, SEG_FS, SEG_GS, SEG_SS } from "../../vcpu/registers";
import {
  ATTRIBUTE_FORM,
  ATTRIBUTE_IMMEDIATE,
  ATTRIBUTE_OPERATION,
  BASE_RIP,
  BYTE,
  CODE_16,
  CODE_32,
  CODE_64,
  DEFAULT64,
  FORM_RM_R,
  GROUP,
  IMM16,
  IMM16_8,
  IMM8,
  IMMV,
  IMMZ,
  IMM_FAR,
  IMM_MOFFS,
  IMM_NONE,
  IMM_REL,
  Instruction,
  LOCKABLE,
  MEMORY_ONLY,
  MODRM,
  NO64,
  NO_REGISTER,
  OP_ARPL,
  OP_BMI,
  OP_CALL,
  OP_CALL_RELATIVE,
  OP_INS,
  OP_JMP,
  OP_LOAD_SEGMENT,
  OP_MOV,
  OP_MOVBE,
  OP_MOV_FROM_CR,
  OP_MOV_FROM_DR,
  OP_MOV_TO_DR,
  OP_OTHER,
  OP_OUTS,
  OP_POPCNT,
  OP_RET,
  OP_STORE_SEGMENT,
  OP_UNDEFINED,
  OP_VECTOR,
  PREFIX_ADDRESS,
  PREFIX_LOCK,
  PREFIX_OPERAND,
  PREFIX_REP,
  PREFIX_REPNE,
  PREFIX_SEGMENT,
  REGISTERS_ONLY,
  REX_B,
  REX_PRESENT,
  REX_R,
  REX_W,
  REX_X,
  VEX_L,
  VEX_PREFIX_SHIFT,
  VEX_PRESENT,
  VEX_REGISTER,
} from "./instruction";
import { isBmi } from "./bmi";
import { GROUP7, groupAttributes, immediateOpcode, oneByteOpcode, threeByteOpcode, twoByteOpcode } from "./opcodes";

import {
  isVexAllowed, NO_VECTOR_MOVE, VECTOR_66, VECTOR_ACTION, VECTOR_F2, VECTOR_F3, VECTOR_HIGH, VECTOR_LOW,
  VECTOR_NO_PREFIX, VECTOR_PREFIX_SHIFT, VECTOR_STORE, vectorMove,
} from "./vectoropcodes";
import { isAccessSize } from "../../lib/sizes";

const OPCODE_MOVNTI: u32 = 0x1c3;
/** One bit for each control register that there is. */
const CONTROL_REGISTERS: u32 = 0b1_0001_1101;

export const DECODE_OK: u32 = 0;
/** The bytes end before the instruction does: with 15 bytes there, it is too long and raises #GP. */
export const DECODE_TRUNCATED: u32 = 1;
/** No instruction: #UD. */
export const DECODE_UNDEFINED: u32 = 2;
/** A real instruction of an encoding that is not covered: EVEX, XOP, 3DNow!, and VEX but for moves of vectors. */
const DECODE_UNSUPPORTED: u32 = 3;

/**
 * Decodes the bytes at the head of `i` (`available` of them) for code size `i.mode`, and returns DECODE_*. All fields of
 * `i` but the bytes are results; `length` is valid only with DECODE_OK.
 */
export function decode(i: Instruction): u32 {
  assert(i.available <= MAX_INSTRUCTION_BYTES, "decode: more bytes than an instruction has");
  assert(i.mode == CODE_16 || i.mode == CODE_32 || i.mode == CODE_64, "decode: code size");
  i.length = 0;
  i.prefixes = 0;
  i.rex = 0;
  i.segment = NO_REGISTER;
  i.memory = false;
  // Without ModRM it is the accumulator.
  i.register = RAX;
  i.base = NO_REGISTER;
  i.index = NO_REGISTER;
  i.scale = 0;
  i.displacement = 0;
  i.immediate = 0;
  i.attributes = 0;
  i.vector = NO_VECTOR_MOVE;
  i.vex = 0;
  i.second = 0;
  decodePrefixes(i);
  const found = decodeOpcode(i);
  if (found != DECODE_OK) return found;
  if ((i.attributes & MODRM) != 0) {
    decodeModrm(i);
    if ((i.attributes & GROUP) != 0) selectFromGroup(i);
  }
  decodeSizes(i);
  if (i.memory) decodeAddress(i);
  decodeImmediate(i);
  if (i.length > i.available) return DECODE_TRUNCATED;
  if (isDefined(CHECKED)) assert(i.length != 0 && i.length <= i.available, "decode: length of an instruction");
  i.operation = i.attributes & ATTRIBUTE_OPERATION;
  // Between registers it is none of the emulator's business.
  if (i.operation == OP_VECTOR && !i.memory) i.operation = OP_OTHER;
  i.form = i.attributes & ATTRIBUTE_FORM;
  if (i.segment == NO_REGISTER) i.segment = defaultSegment(i);
  assert(i.segment <= SEG_GS, "decode: no such segment register");
  if (isUndefined(i)) return DECODE_UNDEFINED;
  // Where a second source is wanted, the upper bit does not count; where none is, it must be right as well.
  if (i.mode != CODE_64) i.vex &= ~8;
  return DECODE_OK;
}

// Reading past `available` yields zeros and a length that exceeds it: checked once, at the end.

/** The next `bytes` bytes (1, 2, 4 or 8), zero-extended. */
function take(i: Instruction, bytes: u32): u64 {
  assert(isAccessSize(bytes), "decode: bytes of a field");
  let value: u64 = 0;
  if (i.length + bytes <= MAX_INSTRUCTION_BYTES) {
    const at = changetype<usize>(i) + i.length;
    if (bytes == 1) value = load<u8>(at);
    else if (bytes == 2) value = load<u16>(at);
    else if (bytes == 4) value = load<u32>(at);
    else value = load<u64>(at);
  }
  i.length += bytes;
  return value;
}

function takeSigned(i: Instruction, bytes: u32): u64 {
  const value = take(i, bytes);
  if (bytes == 1) return <u64>(<i64>(<i8>value));
  if (bytes == 2) return <u64>(<i64>(<i16>value));
  if (bytes == 4) return <u64>(<i64>(<i32>value));
  return value;
}

/** Legacy prefixes in any order and number, then REX; a REX that anything but the opcode follows has no effect. */
function decodePrefixes(i: Instruction): void {
  if (isDefined(CHECKED)) assert(i.length == 0 && i.rex == 0, "decode: prefixes come first");
  while (i.length < MAX_INSTRUCTION_BYTES) {
    const byte = i.byteAt(i.length);
    if (i.mode == CODE_64 && (byte & 0xf0) == REX_PRESENT) {
      i.rex = byte;
    } else if (legacyPrefix(i, byte)) {
      i.rex = 0;
    } else {
      return;
    }
    i.length++;
  }
}

function legacyPrefix(i: Instruction, byte: u32): bool {
  assert(byte <= 0xff, "decode: a byte");
  switch (byte) {
    case 0x26: return segmentPrefix(i, SEG_ES);
    case 0x2e: return segmentPrefix(i, SEG_CS);
    case 0x36: return segmentPrefix(i, SEG_SS);
    case 0x3e: return segmentPrefix(i, SEG_DS);
    case 0x64: return segmentPrefix(i, SEG_FS);
    case 0x65: return segmentPrefix(i, SEG_GS);
    case 0x66: i.prefixes |= PREFIX_OPERAND; return true;
    case 0x67: i.prefixes |= PREFIX_ADDRESS; return true;
    case 0xf0: i.prefixes |= PREFIX_LOCK; return true;
    case 0xf2: i.prefixes = (i.prefixes & ~PREFIX_REP) | PREFIX_REPNE; return true;
    case 0xf3: i.prefixes = (i.prefixes & ~PREFIX_REPNE) | PREFIX_REP; return true;
    default: return false;
  }
}

/** In 64-bit mode the prefixes of ES, CS, SS and DS do nothing. */
function segmentPrefix(i: Instruction, segment: u32): bool {
  assert(segment <= SEG_GS, "decode: no such segment register");
  if (i.mode != CODE_64 || segment == SEG_FS || segment == SEG_GS) {
    i.segment = segment;
    i.prefixes |= PREFIX_SEGMENT;
  }
  return true;
}

function decodeOpcode(i: Instruction): u32 {
  if (isDefined(CHECKED)) assert(i.attributes == 0 && i.vex == 0, "decode: a second opcode");
  let byte = <u32>take(i, 1);
  if (isVectorEscape(i, byte)) return isVex(byte) ? decodeVex(i, byte) : DECODE_UNSUPPORTED;
  if (byte != 0x0f) {
    i.opcode = byte;
    i.attributes = oneByteOpcode(byte);
    if (byte == 0x63 && i.mode != CODE_64) i.attributes = OP_ARPL | FORM_RM_R | MODRM;
    return DECODE_OK;
  }
  byte = <u32>take(i, 1);
  if (byte == 0x0f) return DECODE_UNSUPPORTED;
  if (byte == 0x38) {
    byte = <u32>take(i, 1);
    i.opcode = 0x200 | byte;
    i.attributes = threeByteOpcode(byte, i.prefixes);
  } else if (byte == 0x3a) {
    byte = <u32>take(i, 1);
    i.opcode = 0x300 | byte;
    i.attributes = immediateOpcode();
  } else {
    i.opcode = 0x100 | byte;
    i.attributes = twoByteOpcode(byte);
    // With 66 or F2, the opcode of VMREAD is AMD's EXTRQ and INSERTQ.
    if (byte == 0x78 && (i.prefixes & (PREFIX_OPERAND | PREFIX_REPNE)) != 0) return DECODE_UNSUPPORTED;
  }
  if (!hasRightPrefix(i)) i.attributes = OP_UNDEFINED | MODRM;
  if ((i.attributes & (ATTRIBUTE_OPERATION | MODRM)) == (OP_OTHER | MODRM)) findVectorMove(i);
  return DECODE_OK;
}

function findVectorMove(i: Instruction): void {
  assert(i.vector == NO_VECTOR_MOVE, "decode: found twice");
  let prefix = (i.prefixes & PREFIX_OPERAND) != 0 ? VECTOR_66 : VECTOR_NO_PREFIX;
  if ((i.prefixes & PREFIX_REP) != 0) prefix = VECTOR_F3;
  else if ((i.prefixes & PREFIX_REPNE) != 0) prefix = VECTOR_F2;
  i.vector = vectorMove(i.opcode, prefix, false);
  if (i.vector != NO_VECTOR_MOVE) i.attributes = OP_VECTOR | MODRM;
}

function isVex(byte: u32): bool {
  if (isDefined(CHECKED)) assert(byte <= 0xff, "decode: a byte");
  return byte == 0xc4 || byte == 0xc5;
}

// After C5:                              After C4:
//
//   7   6..3   2  1..0                     7   6   5   4..0      7  6..3   2  1..0
//   ~R  ~vvvv  L  prefix                   ~R  ~X  ~B  map       W  ~vvvv  L  prefix
//
// Outside 64-bit mode R, X and B are 0, and there are registers 0 to 7 only; W widens nothing.
function decodeVex(i: Instruction, lead: u32): u32 {
  assert(isVex(lead), "decode: not VEX");
  const refused = PREFIX_LOCK | PREFIX_OPERAND | PREFIX_REP | PREFIX_REPNE;
  if ((i.prefixes & refused) != 0 || i.rex != 0) return DECODE_UNDEFINED;
  const first = <u32>take(i, 1);
  const map: u32 = lead == 0xc5 ? 1 : first & 31;
  const last = lead == 0xc5 ? first & 0x7f : <u32>take(i, 1);
  if (i.mode == CODE_64) {
    const inverted = lead == 0xc5 ? (first >> 5) & REX_R : first >> 5;
    i.rex = ~inverted & (lead == 0xc5 ? REX_R : REX_R | REX_X | REX_B);
  }
  i.rex |= (last >> 4) & REX_W;
  const register = (~last >> 3) & VEX_REGISTER;
  const prefix = (last & 3) << VEX_PREFIX_SHIFT;
  i.vex = VEX_PRESENT | prefix | ((last << 2) & VEX_L) | register;
  i.opcode = (map << 8) | <u32>take(i, 1);
  i.vector = map <= 2 ? vectorMove(i.opcode, (last & 3) << VECTOR_PREFIX_SHIFT, true) : NO_VECTOR_MOVE;
  if (isBmi(i.opcode, prefix, (i.byteAt(i.length) >> 3) & 7)) {
    i.attributes = OP_BMI | MODRM | (map == 3 ? IMM8 : IMM_NONE);
    return DECODE_OK;
  }
  // Whatever follows: an instruction whose bytes are not all there is fetched in full first.
  if (i.vector == NO_VECTOR_MOVE) return i.length > i.available ? DECODE_TRUNCATED : DECODE_UNSUPPORTED;
  i.attributes = OP_VECTOR | MODRM;
  return DECODE_OK;
}

/** Opcodes that are an emulated instruction only with, or only without, a prefix from 66, F2, F3. */
function hasRightPrefix(i: Instruction): bool {
  const repeat = i.prefixes & (PREFIX_REP | PREFIX_REPNE);
  if (isDefined(CHECKED)) assert(repeat != (PREFIX_REP | PREFIX_REPNE), "decode: of F2 and F3 one counts");
  switch (i.attributes & ATTRIBUTE_OPERATION) {
    case OP_POPCNT: return repeat == PREFIX_REP;
    case OP_MOVBE: return repeat == 0;
    case OP_MOV: return i.opcode != OPCODE_MOVNTI || (repeat == 0 && (i.prefixes & PREFIX_OPERAND) == 0);
    default: return true;
  }
}

/** VEX (C4, C5) and EVEX (62) share their first byte with LES, LDS and BOUND: outside 64-bit mode ModRM decides. XOP: 8F. */
function isVectorEscape(i: Instruction, byte: u32): bool {
  if (isDefined(CHECKED)) assert(byte <= 0xff && i.length != 0, "decode: the opcode has been taken");
  const modrm = i.byteAt(i.length);
  if (byte == 0xc4 || byte == 0xc5 || byte == 0x62) return i.mode == CODE_64 || modrm >= 0xc0;
  return byte == 0x8f && (modrm & 0x38) != 0;
}

function decodeModrm(i: Instruction): void {
  if (isDefined(CHECKED)) assert((i.attributes & MODRM) != 0, "decode: there is no ModRM");
  const modrm = <u32>take(i, 1);
  i.modrm = modrm;
  i.register = ((modrm >> 3) & 7) | ((i.rex & REX_R) != 0 ? 8 : 0);
  i.rm = (modrm & 7) | ((i.rex & REX_B) != 0 ? 8 : 0);
  if (isDefined(CHECKED)) assert(i.register < 16 && i.rm < 16, "decode: no such register");
  i.memory = modrm < 0xc0 && (i.attributes & REGISTERS_ONLY) == 0;
}

function selectFromGroup(i: Instruction): void {
  assert((i.attributes & GROUP) != 0, "decode: not a group");
  const group = i.attributes & ATTRIBUTE_OPERATION;
  const reg = (i.modrm >> 3) & 7;
  i.attributes = (i.attributes & ~(ATTRIBUTE_OPERATION | GROUP)) | groupAttributes(group, reg);
  assert((i.attributes & GROUP) == 0, "decode: a group of groups");
  // TEST is the one operation of F6 and F7 that has an immediate.
  const opcode = i.opcode;
  if ((opcode == 0xf6 || opcode == 0xf7) && reg <= 1) i.attributes |= opcode == 0xf6 ? IMM8 : IMMZ;
  // With register operands, 0F 01 encodes instructions without operands, but for SMSW and LMSW.
  if (group == GROUP7 && !i.memory && reg != 4 && reg != 6) i.attributes = OP_OTHER | MODRM;
  if (opcode == 0x1ae && !i.memory) i.attributes = OP_OTHER | MODRM;
}

function decodeSizes(i: Instruction): void {
  const narrow = (i.prefixes & PREFIX_OPERAND) != 0;
  const attributes = i.attributes;
  if (i.mode == CODE_64) {
    i.addressSize = (i.prefixes & PREFIX_ADDRESS) != 0 ? 4 : 8;
    const wide = (i.rex & REX_W) != 0 || (!narrow && (attributes & DEFAULT64) != 0);
    i.operandSize = wide || alwaysWide(attributes) ? 8 : narrow ? 2 : 4;
    // A port has 32 bits at most.
    if (isPortString(attributes)) i.operandSize = min<u32>(i.operandSize, 4);
  } else {
    const toggled: u32 = i.mode == CODE_16 ? CODE_32 : CODE_16;
    i.addressSize = (i.prefixes & PREFIX_ADDRESS) != 0 ? toggled : i.mode;
    i.operandSize = narrow ? toggled : i.mode;
    if (isSystemMove(attributes)) i.operandSize = 4;
  }
  if ((attributes & BYTE) != 0) i.operandSize = 1;
  assert(isAccessSize(i.operandSize) && isAccessSize(i.addressSize), "decode: operand size");
}

/** Near branches and moves of control and debug registers ignore the operand-size prefix in 64-bit mode. */
function alwaysWide(attributes: u32): bool {
  const operation = attributes & ATTRIBUTE_OPERATION;
  const near = operation == OP_CALL || operation == OP_CALL_RELATIVE || operation == OP_JMP || operation == OP_RET;
  return near || isSystemMove(attributes);
}

function isPortString(attributes: u32): bool {
  const operation = attributes & ATTRIBUTE_OPERATION;
  return operation == OP_INS || operation == OP_OUTS;
}

function isSystemMove(attributes: u32): bool {
  if (isDefined(CHECKED)) assert((attributes & GROUP) == 0, "decode: the operation is not chosen yet");
  const operation = attributes & ATTRIBUTE_OPERATION;
  return operation >= OP_MOV_FROM_CR && operation <= OP_MOV_TO_DR;
}

function decodeAddress(i: Instruction): void {
  assert(i.memory && (i.attributes & MODRM) != 0, "decode: no address");
  if (i.addressSize == 2) decodeAddress16(i);
  else decodeAddress32(i);
}

/** The eight address forms of 16-bit code: BX+SI, BX+DI, BP+SI, BP+DI, SI, DI, BP or disp16, BX. */
function decodeAddress16(i: Instruction): void {
  assert(i.mode != CODE_64, "decode: not in 64-bit mode");
  const mod = i.modrm >> 6;
  const rm = i.modrm & 7;
  const bx: u32 = 3;
  const si: u32 = 6;
  const di: u32 = 7;
  if (rm < 4) {
    i.base = rm < 2 ? bx : RBP;
    i.index = (rm & 1) != 0 ? di : si;
  } else if (rm < 6) {
    i.base = rm == 4 ? si : di;
  } else if (rm == 7) {
    i.base = bx;
  } else if (mod != 0) {
    i.base = RBP;
  }
  if (mod == 1) i.displacement = takeSigned(i, 1);
  else if (mod == 2 || (mod == 0 && rm == 6)) i.displacement = takeSigned(i, 2);
}

function decodeAddress32(i: Instruction): void {
  assert(i.rm < 16, "decode: no such register");
  const mod = i.modrm >> 6;
  i.base = i.rm;
  if ((i.modrm & 7) == RSP) decodeSib(i);
  if (mod == 0 && (i.base & 7) == RBP && i.base != NO_REGISTER) {
    // No base. Without SIB, 64-bit mode counts from the next instruction.
    i.base = i.mode == CODE_64 && (i.modrm & 7) == RBP ? BASE_RIP : NO_REGISTER;
    i.displacement = takeSigned(i, 4);
  } else if (mod == 1) {
    i.displacement = takeSigned(i, 1);
  } else if (mod == 2) {
    i.displacement = takeSigned(i, 4);
  }
}

function decodeSib(i: Instruction): void {
  if (isDefined(CHECKED)) assert(i.addressSize != 2 && (i.modrm & 7) == RSP, "decode: there is no SIB");
  const sib = <u32>take(i, 1);
  i.scale = sib >> 6;
  i.index = ((sib >> 3) & 7) | ((i.rex & REX_X) != 0 ? 8 : 0);
  if (i.index == RSP) i.index = NO_REGISTER;
  i.base = (sib & 7) | ((i.rex & REX_B) != 0 ? 8 : 0);
}

function decodeImmediate(i: Instruction): void {
  if (isDefined(CHECKED)) assert((i.attributes & ATTRIBUTE_IMMEDIATE) <= IMM_REL, "decode: no such immediate");
  switch (i.attributes & ATTRIBUTE_IMMEDIATE) {
    case IMM_NONE: break;
    case IMM8: i.immediate = takeSigned(i, 1); break;
    case IMMZ: i.immediate = takeSigned(i, i.operandSize == 2 ? 2 : 4); break;
    case IMMV: i.immediate = takeSigned(i, i.operandSize); break;
    case IMM16: i.immediate = take(i, 2); break;
    case IMM16_8: i.immediate = take(i, 2); i.second = <u32>take(i, 1); break;
    case IMM_MOFFS: i.displacement = take(i, i.addressSize); i.memory = true; break;
    case IMM_FAR: i.immediate = take(i, i.operandSize == 2 ? 2 : 4); i.second = <u32>take(i, 2); break;
    case IMM_REL: i.immediate = takeSigned(i, i.mode != CODE_64 && i.operandSize == 2 ? 2 : 4); break;
    default: break;
  }
}

/** Stack addresses default to SS, all others to DS. */
function defaultSegment(i: Instruction): u32 {
  if (isDefined(CHECKED)) assert((i.prefixes & PREFIX_SEGMENT) == 0, "decode: a prefix names the segment");
  return i.base == RSP || i.base == RBP ? SEG_SS : SEG_DS;
}

function isUndefined(i: Instruction): bool {
  if (isDefined(CHECKED)) assert(i.length <= i.available, "decode: bytes are missing");
  const attributes = i.attributes;
  if (i.operation == OP_UNDEFINED) return true;
  if ((attributes & NO64) != 0 && i.mode == CODE_64) return true;
  if ((attributes & MEMORY_ONLY) != 0 && !i.memory) return true;
  if (isSystemMove(attributes) && !isSystemRegister(i)) return true;
  if (isSegmentMove(i) && !isSegmentRegister(i)) return true;
  if (i.vex != 0 && i.operation != OP_OTHER && !isVexRight(i)) return true;
  return (i.prefixes & PREFIX_LOCK) != 0 && ((attributes & LOCKABLE) == 0 || !i.memory) && !isLockedCr8(i);
}

/** There are CR0, CR2, CR3, CR4 and CR8, and DR0 to DR7. */
function isSystemRegister(i: Instruction): bool {
  assert(isSystemMove(i.attributes), "decode: another instruction");
  if (i.operation == OP_MOV_FROM_DR || i.operation == OP_MOV_TO_DR) return i.register < 8;
  return i.register < 9 && ((1 << i.register) & CONTROL_REGISTERS) != 0;
}

/** AMD-V CPUs reach CR8 from 32-bit code as LOCK MOV CR0 (APM, "MOV CRn"). */
function isLockedCr8(i: Instruction): bool {
  if (isDefined(CHECKED)) assert((i.prefixes & PREFIX_LOCK) != 0, "decode: there is no LOCK");
  return (i.operation & ~1) == OP_MOV_FROM_CR && i.register == 0;
}

function isSegmentMove(i: Instruction): bool {
  return i.operation == OP_STORE_SEGMENT || i.operation == OP_LOAD_SEGMENT;
}

/** ES, CS, SS, DS, FS, GS; CS is not for MOV to load. */
function isSegmentRegister(i: Instruction): bool {
  assert(isSegmentMove(i), "decode: another instruction");
  const number = (i.modrm >> 3) & 7;
  return number <= SEG_GS && (number != SEG_CS || i.operation == OP_STORE_SEGMENT);
}

/** A second source register only where there is one; L and W as the row wants them. */
function isVexRight(i: Instruction): bool {
  if (isDefined(CHECKED)) assert(i.operation == OP_BMI || i.operation == OP_VECTOR, "decode: another instruction");
  assert((i.vex & VEX_PRESENT) != 0, "decode: encoded with VEX");
  // BMI: L is 0; of them RORX alone, which has an immediate, has no second source.
  if (i.operation == OP_BMI) {
    const single = (i.attributes & ATTRIBUTE_IMMEDIATE) != IMM_NONE;
    return (i.vex & VEX_L) == 0 && (!single || (i.vex & VEX_REGISTER) == 0);
  }
  const merges = (i.vector & VECTOR_ACTION) == VECTOR_LOW || (i.vector & VECTOR_ACTION) == VECTOR_HIGH;
  const hasSource = merges && (i.vector & VECTOR_STORE) == 0;
  if (!hasSource && (i.vex & VEX_REGISTER) != 0) return false;
  return isVexAllowed(i.vector, (i.vex & VEX_L) != 0, (i.rex & REX_W) != 0);
}

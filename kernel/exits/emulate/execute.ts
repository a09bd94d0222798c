// biome-ignore-all format: one operation a line.
//
// The executor: what each decoded operation does to registers, memory and flags. String instructions are in string.ts.
import { WALK_READ, WALK_WRITE } from "../../mm/guestwalk";
import { RAX } from "../../vcpu/registers";
import { RFLAGS_ARITHMETIC, RFLAGS_ZF } from "../../arch/cr";
import { arithmetic, logical, signExtend, swapBytes, unary } from "./alu";
import { executeBitTest } from "./bits";
import { Emulator } from "./emulator";
import { executeCompareExchange, executeCompareExchangePair, executeExchange, executeExchangeAdd } from "./exchange";
import { condition, setFlags } from "./flags";
import {
  CODE_64, FORM_ACC_IMM, FORM_ACC_MOFFS, FORM_MOFFS_ACC, FORM_REG, FORM_REG_IMM, FORM_RM, FORM_RM_CL, FORM_RM_IMM,
  FORM_RM_ONE, FORM_RM_R, FORM_R_RM, FORM_R_RM_IMM, IMM8, OP_ADC, OP_ADD, OP_ADX, OP_AND, OP_ARPL, OP_BMI, OP_BOUND,
  OP_BSF, OP_BSR, OP_BT, OP_BTC, OP_BTR, OP_BTS, OP_CALL, OP_CALL_FAR, OP_CALL_RELATIVE, OP_CMOV, OP_CMP, OP_CMPXCHG,
  OP_CMPXCHG_PAIR, OP_CRC32, OP_DEC, OP_DESCRIBE, OP_DIV, OP_ENTER, OP_IDIV, OP_IMUL, OP_IMUL2, OP_INC, OP_INVLPG,
  OP_IRET, OP_JMP, OP_JMP_FAR, OP_LEAVE, OP_LMSW, OP_LOAD_FAR, OP_LOAD_SEGMENT, OP_LOAD_SELECTOR, OP_LOAD_TABLE,
  OP_MOV, OP_MOVBE, OP_MOVS, OP_MOVSX, OP_MOVZX, OP_MOV_FROM_CR, OP_MUL, OP_NEG, OP_NOP, OP_NOT, OP_OR, OP_OTHER,
  OP_OUTS, OP_POP, OP_POPA, OP_POPCNT, OP_POPF, OP_POP_SEGMENT, OP_PUSH, OP_PUSHA, OP_PUSHF, OP_PUSH_SEGMENT, OP_RCL,
  OP_RCR, OP_RET, OP_RET_FAR, OP_ROL, OP_ROR, OP_SAL, OP_SAR, OP_SBB, OP_SETCC, OP_SHL, OP_SHLD, OP_SHR, OP_SHRD,
  OP_SMSW, OP_STORE_SEGMENT, OP_STORE_SELECTOR, OP_STORE_TABLE, OP_SUB, OP_TEST, OP_UNDEFINED, OP_VECTOR, OP_VERIFY,
  OP_XADD, OP_XCHG, OP_XLAT, OP_XOR, PREFIX_REP, SOURCE16, SOURCE32, SOURCE8,
} from "./instruction";
import { locate, sizeMask } from "./linear";
import {
  effectiveAddress, loadRm, loadRmSized, openRm, openRmSized, readRegister, readRm, storeRm, writeRegister, writeRm,
} from "./operand";
import { refuse } from "./refuse";
import { divide, multiply, multiplyTruncated } from "./muldiv";
import { countZeros, scanBits, shift, shiftDouble } from "./shift";
import {
  executeCallRelative, executeEnter, executeLeave, executePopAll, executePopFlags, executePushAll, executePushFlags,
  executeReturn,
} from "./frames";
import {
  executeFarReturn, executeFarTransfer, executeLoadFar, executeLoadSegment, executePopSegment, executePushSegment,
  executeStoreSegment,
} from "./segments";
import { executeDescribe, executeLoadSelector, executeVerify } from "./selectors";
import { executeAddCarry, executeAdjustPrivilege, executeBound, executeCrc32, executeTranslate } from "./special";
import {
  executeLoadStatus, executeLoadTable, executeStoreSelector, executeStoreStatus, executeStoreTable,
} from "./system";
import { executeVector } from "./vector";
import { executeBmi } from "./bmi";
import { executeCall, executeJump, executePop, executePush } from "./stack";

/**
 * Executes `e.instruction`, which is no string instruction. True: done; flags are in `e.flags`, the next RIP in
 * `e.nextRip`. False: `e.outcome` says why not, and nothing has changed.
 */
export function execute(e: Emulator): bool {
  const operation = e.instruction.operation;
  if (isDefined(CHECKED))
    assert(operation < OP_MOVS || operation > OP_OUTS, "execute: string instructions are in string.ts");
  if (isDefined(CHECKED)) assert(operation != OP_UNDEFINED, "execute: its #UD was the decoder's");
  switch (operation) {
    case OP_NOP: return true;
    case OP_ADD: case OP_OR: case OP_ADC: case OP_SBB: case OP_AND: case OP_SUB: case OP_XOR: case OP_CMP:
      return executeArithmetic(e);
    case OP_ROL: case OP_ROR: case OP_RCL: case OP_RCR: case OP_SHL: case OP_SHR: case OP_SAL: case OP_SAR:
      return executeShift(e);
    case OP_TEST: return executeTest(e);
    case OP_NOT: case OP_NEG: case OP_INC: case OP_DEC: return executeUnary(e);
    case OP_MUL: case OP_IMUL: return executeMultiply(e);
    case OP_DIV: case OP_IDIV: return executeDivide(e);
    case OP_IMUL2: return executeMultiplyTruncated(e);
    case OP_MOV: return executeMove(e);
    case OP_MOVZX: case OP_MOVSX: return executeMoveExtended(e);
    case OP_MOVBE: return executeMoveSwapped(e);
    case OP_XCHG: return executeExchange(e);
    case OP_CMPXCHG: return executeCompareExchange(e);
    case OP_CMPXCHG_PAIR: return executeCompareExchangePair(e);
    case OP_XADD: return executeExchangeAdd(e);
    case OP_SHLD: case OP_SHRD: return executeShiftDouble(e);
    case OP_BT: case OP_BTS: case OP_BTR: case OP_BTC: return executeBitTest(e);
    case OP_BSF: case OP_BSR: return executeScan(e);
    case OP_POPCNT: return executePopulationCount(e);
    case OP_CMOV: return executeConditionalMove(e);
    case OP_SETCC: return writeRm(e, condition(e.flags, e.instruction.opcode) ? 1 : 0);
    case OP_PUSH: return executePush(e);
    case OP_POP: return executePop(e);
    case OP_CALL: return executeCall(e);
    case OP_JMP: return executeJump(e);
    default: return executeRare(e);
  }
}

/** What compilers and drivers have no use for, on a device, is on its own way. */
function executeRare(e: Emulator): bool {
  const operation = e.instruction.operation;
  if (isDefined(CHECKED))
    assert(operation == OP_OTHER || operation >= OP_MOV_FROM_CR, "execute: not a rare instruction");
  switch (operation) {
    case OP_VECTOR: return executeVector(e);
    case OP_BMI: return executeBmi(e);
    case OP_PUSHA: return executePushAll(e);
    case OP_POPA: return executePopAll(e);
    case OP_PUSHF: return executePushFlags(e);
    case OP_POPF: return executePopFlags(e);
    case OP_ENTER: return executeEnter(e);
    case OP_LEAVE: return executeLeave(e);
    case OP_CALL_RELATIVE: return executeCallRelative(e);
    case OP_RET: return executeReturn(e);
    case OP_PUSH_SEGMENT: return executePushSegment(e);
    case OP_POP_SEGMENT: return executePopSegment(e);
    case OP_STORE_SEGMENT: return executeStoreSegment(e);
    case OP_LOAD_SEGMENT: return executeLoadSegment(e);
    case OP_LOAD_FAR: return executeLoadFar(e);
    case OP_JMP_FAR: case OP_CALL_FAR: return executeFarTransfer(e);
    case OP_RET_FAR: return executeFarReturn(e);
    case OP_STORE_TABLE: return executeStoreTable(e);
    case OP_LOAD_TABLE: return executeLoadTable(e);
    case OP_STORE_SELECTOR: return executeStoreSelector(e);
    case OP_LOAD_SELECTOR: return executeLoadSelector(e);
    case OP_VERIFY: return executeVerify(e);
    case OP_DESCRIBE: return executeDescribe(e);
    case OP_SMSW: return executeStoreStatus(e);
    case OP_LMSW: return executeLoadStatus(e);
    case OP_XLAT: return executeTranslate(e);
    case OP_BOUND: return executeBound(e);
    case OP_ARPL: return executeAdjustPrivilege(e);
    case OP_CRC32: return executeCrc32(e);
    case OP_ADX: return executeAddCarry(e);
    default: return executeUnknown(e);
  }
}

/** Of an instruction that is not covered, at least the address must be good: else its exception comes first. */
function executeUnknown(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED)) {
    const system = i.operation >= OP_MOV_FROM_CR && i.operation <= OP_INVLPG;
    assert(system || i.operation == OP_OTHER || i.operation == OP_IRET, "execute: it has an executor");
  }
  if (i.memory && !locate(e, e.target, i.segment, effectiveAddress(e), 1, WALK_READ)) return false;
  return refuse(e);
}

/** Restores the flags of an instruction whose write did not happen. */
function unlessStored(e: Emulator, held: u64, value: u64, flags: u64): bool {
  if (isDefined(CHECKED))
    assert(((flags ^ e.flags) & ~RFLAGS_ARITHMETIC) == 0, "execute: arithmetic changes arithmetic flags alone");
  if (storeRm(e, held, value)) return true;
  e.flags = flags;
  return false;
}

function executeArithmetic(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(i.operation >= OP_ADD && i.operation <= OP_CMP, "execute: another instruction");
  const size = i.operandSize;
  const vcpu = e.vcpu;
  const compare = i.operation == OP_CMP;
  if (i.form == FORM_ACC_IMM) {
    const value = readRegister(vcpu, i, RAX, size);
    const result = arithmetic(e, i.operation, value, i.immediate & sizeMask(size), size);
    if (!compare) writeRegister(vcpu, i, RAX, size, result);
    return true;
  }
  if (i.form == FORM_R_RM) {
    if (!readRm(e, WALK_READ)) return false;
    const result = arithmetic(e, i.operation, readRegister(vcpu, i, i.register, size), e.value, size);
    if (!compare) writeRegister(vcpu, i, i.register, size, result);
    return true;
  }
  if (!readRm(e, compare ? WALK_READ : WALK_WRITE)) return false;
  if (isDefined(CHECKED)) assert(i.form == FORM_RM_IMM || i.form == FORM_RM_R, "execute: no such form");
  const held = e.value;
  const other = i.form == FORM_RM_IMM ? i.immediate & sizeMask(size) : readRegister(vcpu, i, i.register, size);
  const flags = e.flags;
  const result = arithmetic(e, i.operation, held, other, size);
  return compare || unlessStored(e, held, result, flags);
}

function executeTest(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(i.operation == OP_TEST, "execute: another instruction");
  const size = i.operandSize;
  if (i.form == FORM_ACC_IMM) {
    logical(e, readRegister(e.vcpu, i, RAX, size) & i.immediate & sizeMask(size), size);
    return true;
  }
  if (!readRm(e, WALK_READ)) return false;
  // F6 and F7 share their form with the unary operations; 84 and 85 have a register.
  const register = i.opcode == 0x84 || i.opcode == 0x85;
  if (isDefined(CHECKED)) assert(register || (i.opcode | 1) == 0xf7, "execute: no such form");
  const other = register ? readRegister(e.vcpu, i, i.register, size) : i.immediate & sizeMask(size);
  logical(e, e.value & other, size);
  return true;
}

function executeUnary(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED))
    assert(i.form != FORM_REG || e.mode != CODE_64, "execute: in 64-bit mode these opcodes are REX");
  if (isDefined(CHECKED)) assert(i.operation >= OP_NOT && i.operation <= OP_DEC, "execute: another instruction");
  const size = i.operandSize;
  if (i.form == FORM_REG) {
    const number = i.opcode & 7;
    writeRegister(e.vcpu, i, number, size, unary(e, i.operation, readRegister(e.vcpu, i, number, size), size));
    return true;
  }
  if (!readRm(e, WALK_WRITE)) return false;
  const held = e.value;
  const flags = e.flags;
  return unlessStored(e, held, unary(e, i.operation, held, size), flags);
}

function executeShift(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED))
    assert(i.form == FORM_RM_ONE || i.form == FORM_RM_CL || i.form == FORM_RM_IMM, "execute: no such form");
  if (isDefined(CHECKED)) assert(i.operation >= OP_ROL && i.operation <= OP_SAR, "execute: another instruction");
  if (!readRm(e, WALK_WRITE)) return false;
  const count: u64 = i.form == FORM_RM_ONE ? 1 : i.form == FORM_RM_CL ? e.vcpu.rcx & 0xff : i.immediate & 0xff;
  const held = e.value;
  return storeRm(e, held, shift(e, i.operation, held, count, i.operandSize));
}

function executeShiftDouble(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED))
    assert(i.form == FORM_RM_R && (i.operation == OP_SHLD || i.operation == OP_SHRD), "execute: another instruction");
  const size = i.operandSize;
  if (!readRm(e, WALK_WRITE)) return false;
  const byImmediate = (i.attributes & IMM8) != 0;
  const count = byImmediate ? i.immediate & 0xff : e.vcpu.rcx & 0xff;
  const other = readRegister(e.vcpu, i, i.register, size);
  const held = e.value;
  return storeRm(e, held, shiftDouble(e, i.operation == OP_SHLD, held, other, count, size));
}

function executeMultiply(e: Emulator): bool {
  if (isDefined(CHECKED)) assert(e.instruction.form == FORM_RM, "execute: the other operand is the accumulator");
  if (!readRm(e, WALK_READ)) return false;
  multiply(e, e.instruction.operation == OP_IMUL, e.value, e.instruction.operandSize);
  return true;
}

function executeDivide(e: Emulator): bool {
  if (isDefined(CHECKED)) assert(e.instruction.form == FORM_RM, "execute: the other operand is the accumulator");
  if (!readRm(e, WALK_READ)) return false;
  return divide(e, e.instruction.operation == OP_IDIV, e.value, e.instruction.operandSize);
}

function executeMultiplyTruncated(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(i.form == FORM_R_RM || i.form == FORM_R_RM_IMM, "execute: no such form");
  const size = i.operandSize;
  if (!readRm(e, WALK_READ)) return false;
  const other = i.form == FORM_R_RM_IMM ? i.immediate & sizeMask(size) : readRegister(e.vcpu, i, i.register, size);
  writeRegister(e.vcpu, i, i.register, size, multiplyTruncated(e, e.value, other, size));
  return true;
}

function executeMove(e: Emulator): bool {
  const i = e.instruction;
  const size = i.operandSize;
  const vcpu = e.vcpu;
  switch (i.form) {
    case FORM_R_RM:
    case FORM_ACC_MOFFS:
      if (!readRm(e, WALK_READ)) return false;
      writeRegister(vcpu, i, i.register, size, e.value);
      return true;
    case FORM_RM_IMM: return writeRm(e, i.immediate);
    case FORM_REG_IMM:
      writeRegister(vcpu, i, (i.opcode & 7) | ((i.rex & 1) << 3), size, i.immediate);
      return true;
    default:
      if (isDefined(CHECKED)) assert(i.form == FORM_RM_R || i.form == FORM_MOFFS_ACC, "execute: no such form");
      return writeRm(e, readRegister(vcpu, i, i.register, size));
  }
}

/** MOVZX, MOVSX and MOVSXD: the source is narrower than the operand size. */
function executeMoveExtended(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED))
    assert((i.attributes & (SOURCE8 | SOURCE16 | SOURCE32)) != 0, "execute: the source has a width of its own");
  let size: u32 = (i.attributes & SOURCE8) != 0 ? 1 : (i.attributes & SOURCE16) != 0 ? 2 : 4;
  if (size > i.operandSize) size = i.operandSize;
  if (!openRmSized(e, size, WALK_READ)) return false;
  const value = loadRmSized(e, size);
  writeRegister(e.vcpu, i, i.register, i.operandSize, i.operation == OP_MOVSX ? signExtend(value, size) : value);
  return true;
}

function executeMoveSwapped(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(i.memory && i.operandSize > 1, "execute: MOVBE has memory");
  const size = i.operandSize;
  if (i.form != FORM_R_RM) return writeRm(e, swapBytes(readRegister(e.vcpu, i, i.register, size), size));
  if (!readRm(e, WALK_READ)) return false;
  writeRegister(e.vcpu, i, i.register, size, swapBytes(e.value, size));
  return true;
}

/** BSF and BSR leave the destination alone when there is no bit, and flags but ZF undefined; with F3 they are TZCNT and LZCNT. */
function executeScan(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(i.form == FORM_R_RM && i.operandSize > 1, "execute: no such form");
  const size = i.operandSize;
  const highest = i.operation == OP_BSR;
  if (!readRm(e, WALK_READ)) return false;
  if ((i.prefixes & PREFIX_REP) != 0) {
    writeRegister(e.vcpu, i, i.register, size, countZeros(e, highest, e.value, size));
    return true;
  }
  setFlags(e, e.value == 0 ? RFLAGS_ZF : 0);
  if (e.value != 0) writeRegister(e.vcpu, i, i.register, size, scanBits(highest, e.value));
  return true;
}

function executePopulationCount(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED)) assert((i.prefixes & PREFIX_REP) != 0, "execute: without F3 it is another instruction");
  if (!readRm(e, WALK_READ)) return false;
  writeRegister(e.vcpu, i, i.register, i.operandSize, popcnt(e.value));
  setFlags(e, e.value == 0 ? RFLAGS_ZF : 0);
  return true;
}

/** The source is read whether the condition holds or not; a 32-bit destination is zero-extended in any case. */
function executeConditionalMove(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(i.opcode >> 4 == 0x14, "execute: the condition is in the opcode");
  const size = i.operandSize;
  if (!openRm(e, WALK_READ)) return false;
  const value = loadRm(e);
  const moves = condition(e.flags, i.opcode);
  writeRegister(e.vcpu, i, i.register, size, moves ? value : readRegister(e.vcpu, i, i.register, size));
  return true;
}

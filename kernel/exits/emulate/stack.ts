// PUSH, POP and near indirect CALL and JMP: what uses the stack besides the r/m operand.
import { WALK_READ, WALK_WRITE } from "../../mm/guestwalk";
import { VECTOR_GP } from "../../vcpu/raise";
import { RSP, SEG_CS, SEG_SS, SEGMENT_DEFAULT_BIG } from "../../vcpu/registers";
import { Emulator, segmentOf } from "./emulator";
import { CODE_64, FORM_IMM, FORM_REG } from "./instruction";
import { failWith, isCanonical, locate, readOperand, sizeMask, writeOperand } from "./linear";
import { openRm, readRegister, readRm, storeRm, writeRegister } from "./operand";
import { isAccessSize } from "../../lib/sizes";

/** Bytes of the stack pointer in use: 8 in 64-bit mode, else as SS says. */
export function stackSize(e: Emulator): u32 {
  if (e.mode == CODE_64) return 8;
  return (segmentOf(e.vcpu, SEG_SS).access & SEGMENT_DEFAULT_BIG) != 0 ? 4 : 2;
}

export function setStackPointer(e: Emulator, value: u64): void {
  const size = stackSize(e);
  assert(size == 2 || size == 4 || size == 8, "stack: bytes of the stack pointer");
  const mask = sizeMask(size);
  e.vcpu.setGpr(RSP, size == 8 ? value : (e.vcpu.rsp & ~mask) | (value & mask));
}

/** Pushes `size` bytes. */
export function pushValue(e: Emulator, value: u64, size: u32): bool {
  assert(isAccessSize(size) && size > 1, "stack: bytes of an element");
  const top = (e.vcpu.rsp - size) & sizeMask(stackSize(e));
  if (!locate(e, e.source, SEG_SS, top, size, WALK_WRITE)) return false;
  writeOperand(e, e.source, value);
  setStackPointer(e, top);
  return true;
}

/** Reads `size` bytes on the stack, `offset` above its top, into `e.value`; the stack pointer stays. */
export function peekStack(e: Emulator, offset: u64, size: u32): bool {
  assert(isAccessSize(size) && size > 1, "stack: bytes of an element");
  const at = (e.vcpu.rsp + offset) & sizeMask(stackSize(e));
  if (!locate(e, e.source, SEG_SS, at, size, WALK_READ)) return false;
  e.value = readOperand(e, e.source);
  return true;
}

/** The register in the opcode's low three bits, with REX.B. */
function opcodeRegister(e: Emulator): u32 {
  if (isDefined(CHECKED)) assert(e.instruction.form == FORM_REG, "stack: the opcode has no register");
  return (e.instruction.opcode & 7) | ((e.instruction.rex & 1) << 3);
}

export function executePush(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED))
    assert(e.mode != CODE_64 || i.operandSize != 4, "stack: 64-bit mode pushes no 32 bits");
  assert(i.operandSize > 1, "stack: bytes of an element");
  if (i.form == FORM_IMM) return pushValue(e, i.immediate, i.operandSize);
  if (i.form == FORM_REG)
    return pushValue(e, readRegister(e.vcpu, i, opcodeRegister(e), i.operandSize), i.operandSize);
  return readRm(e, WALK_READ) && pushValue(e, e.value, i.operandSize);
}

/** The address of a memory destination is computed with RSP as it is after the pop. */
export function executePop(e: Emulator): bool {
  const i = e.instruction;
  const size = i.operandSize;
  if (isDefined(CHECKED)) assert(e.mode != CODE_64 || size != 4, "stack: 64-bit mode pops no 32 bits");
  assert(size > 1, "stack: bytes of an element");
  const before = e.vcpu.rsp;
  if (!locate(e, e.source, SEG_SS, before & sizeMask(stackSize(e)), size, WALK_READ)) return false;
  setStackPointer(e, before + size);
  if (i.form != FORM_REG && !openRm(e, WALK_WRITE)) {
    e.vcpu.setGpr(RSP, before);
    return false;
  }
  const value = readOperand(e, e.source);
  if (i.form == FORM_REG) {
    writeRegister(e.vcpu, i, opcodeRegister(e), size, value);
    return true;
  }
  return storeRm(e, 0, value);
}

/** Checks a branch target: canonical, or within the code segment. */
export function isTarget(e: Emulator, target: u64): bool {
  if (e.mode == CODE_64) return isCanonical(e, target);
  return target <= <u64>segmentOf(e.vcpu, SEG_CS).limit;
}

export function executeJump(e: Emulator): bool {
  if (isDefined(CHECKED))
    assert(e.mode != CODE_64 || e.instruction.operandSize == 8, "stack: a near target has 64 bits");
  if (!readRm(e, WALK_READ)) return false;
  if (!isTarget(e, e.value)) return failWith(e, VECTOR_GP, 0);
  e.nextRip = e.value;
  return true;
}

export function executeCall(e: Emulator): bool {
  if (isDefined(CHECKED))
    assert(e.mode != CODE_64 || e.instruction.operandSize == 8, "stack: a near target has 64 bits");
  assert(e.instruction.operandSize > 1, "stack: operand size");
  if (!readRm(e, WALK_READ)) return false;
  const target = e.value;
  if (!isTarget(e, target)) return failWith(e, VECTOR_GP, 0);
  if (!pushValue(e, e.nextRip, e.instruction.operandSize)) return false;
  e.nextRip = target;
  return true;
}

// What procedures and interrupt handlers begin and end with: PUSHA, POPA, PUSHF, POPF, ENTER, LEAVE, near CALL and RET.
import {
  RFLAGS_AC,
  RFLAGS_ARITHMETIC,
  RFLAGS_DF,
  RFLAGS_ID,
  RFLAGS_IF,
  RFLAGS_IOPL,
  RFLAGS_NT,
  RFLAGS_RF,
  RFLAGS_TF,
  RFLAGS_VIF,
  RFLAGS_VIP,
  RFLAGS_VM,
} from "../../arch/cr";
import { WALK_READ, WALK_WRITE } from "../../mm/guestwalk";
import { VECTOR_GP } from "../../vcpu/raise";
import { GROUP_STACK_FLAGS, RBP, RSP, SEG_SS } from "../../vcpu/registers";
import { part, readBlock, setPart, writeBlock } from "./block";
import { Emulator, ioPrivilege, privilegeLevel } from "./emulator";
import { failWith, locate, readOperand, sizeMask } from "./linear";
import { readRegister, writeRegister } from "./operand";
import { isTarget, peekStack, pushValue, setStackPointer, stackSize } from "./stack";
import { CODE_64, OP_ENTER } from "./instruction";

const REGISTERS: u32 = 8;
const MAX_NESTING: u32 = 31;

/** PUSHA: RAX at the highest address, RDI at the lowest; RSP as it was. */
export function executePushAll(e: Emulator): bool {
  assert(e.mode != CODE_64, "frames: not in 64-bit mode");
  const size = e.instruction.operandSize;
  if (isDefined(CHECKED)) assert(size == 2 || size == 4, "frames: operand size");
  const top = (e.vcpu.rsp - REGISTERS * size) & sizeMask(stackSize(e));
  if (!locate(e, e.source, SEG_SS, top, REGISTERS * size, WALK_WRITE)) return false;
  for (let i: u32 = 0; i < REGISTERS; i++)
    setPart(e.block.memory() + i * size, size, e.vcpu.gpr(REGISTERS - 1 - i));
  writeBlock(e, e.source);
  setStackPointer(e, top);
  return true;
}

/** POPA leaves RSP's copy alone. */
export function executePopAll(e: Emulator): bool {
  assert(e.mode != CODE_64, "frames: not in 64-bit mode");
  const i = e.instruction;
  const size = i.operandSize;
  if (isDefined(CHECKED)) assert(size == 2 || size == 4, "frames: operand size");
  const top = e.vcpu.rsp & sizeMask(stackSize(e));
  if (!locate(e, e.source, SEG_SS, top, REGISTERS * size, WALK_READ)) return false;
  readBlock(e, e.source);
  for (let n: u32 = 0; n < REGISTERS; n++) {
    const register = REGISTERS - 1 - n;
    if (register != RSP) writeRegister(e.vcpu, i, register, size, part(e.block.memory() + n * size, size));
  }
  setStackPointer(e, e.vcpu.rsp + REGISTERS * size);
  return true;
}

/** In virtual-8086 mode PUSHF and POPF need IOPL 3. */
function mayMoveFlags(e: Emulator): bool {
  if (isDefined(CHECKED)) assert((e.vcpu.valid & GROUP_STACK_FLAGS) != 0, "frames: flags are not valid");
  return (e.vcpu.rflags & RFLAGS_VM) == 0 || ioPrivilege(e.vcpu) == 3 || failWith(e, VECTOR_GP, 0);
}

export function executePushFlags(e: Emulator): bool {
  assert(e.instruction.operandSize > 1, "frames: operand size");
  return mayMoveFlags(e) && pushValue(e, e.flags & ~(RFLAGS_RF | RFLAGS_VM), e.instruction.operandSize);
}

/** What POPF changes depends on privilege (SDM, "Effect of POPF/POPFD/POPFQ on the EFLAGS Register"). */
export function executePopFlags(e: Emulator): bool {
  const size = e.instruction.operandSize;
  assert(size > 1, "frames: operand size");
  if (!mayMoveFlags(e) || !peekStack(e, 0, size)) return false;
  let changed = RFLAGS_ARITHMETIC | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID;
  const cpl = privilegeLevel(e.vcpu);
  if (cpl == 0) changed |= RFLAGS_IOPL;
  if (cpl <= ioPrivilege(e.vcpu)) changed |= RFLAGS_IF;
  changed &= sizeMask(size);
  const cleared = size == 2 ? 0 : RFLAGS_RF | (cpl == 0 ? RFLAGS_VIF | RFLAGS_VIP : 0);
  e.flags = (e.flags & ~(changed | cleared)) | (e.value & changed);
  setStackPointer(e, e.vcpu.rsp + size);
  return true;
}

/** ENTER: the frame pointer goes to the stack, with the pointers of the enclosing frames that the nesting level asks for. */
export function executeEnter(e: Emulator): bool {
  if (isDefined(CHECKED)) assert(e.instruction.operation == OP_ENTER, "frames: another instruction");
  const vcpu = e.vcpu;
  const rsp = vcpu.rsp;
  if (buildFrame(e)) return true;
  vcpu.setGpr(RSP, rsp);
  return false;
}

function buildFrame(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(i.immediate <= 0xffff, "frames: 16 bits of a size");
  const size = i.operandSize;
  assert(size > 1, "frames: operand size");
  const level = i.second & MAX_NESTING;
  const mask = sizeMask(stackSize(e));
  let enclosing = readRegister(e.vcpu, i, RBP, stackSize(e));
  if (!pushValue(e, readRegister(e.vcpu, i, RBP, size), size)) return false;
  const frame = e.vcpu.rsp;
  for (let n: u32 = 1; n < level; n++) {
    enclosing = (enclosing - size) & mask;
    if (!locate(e, e.target, SEG_SS, enclosing, size, WALK_READ)) return false;
    if (!pushValue(e, readOperand(e, e.target), size)) return false;
  }
  if (level != 0 && !pushValue(e, frame, size)) return false;
  const top = (e.vcpu.rsp - i.immediate) & mask;
  // "A write using the final value of the stack pointer" must not fault.
  if (!locate(e, e.target, SEG_SS, top, size, WALK_WRITE)) return false;
  writeRegister(e.vcpu, i, RBP, size, frame);
  setStackPointer(e, top);
  return true;
}

export function executeLeave(e: Emulator): bool {
  const i = e.instruction;
  const size = i.operandSize;
  assert(size > 1, "frames: operand size");
  const frame = readRegister(e.vcpu, i, RBP, stackSize(e));
  if (!locate(e, e.source, SEG_SS, frame, size, WALK_READ)) return false;
  setStackPointer(e, frame + size);
  writeRegister(e.vcpu, i, RBP, size, readOperand(e, e.source));
  return true;
}

export function executeCallRelative(e: Emulator): bool {
  assert(e.instruction.operandSize > 1, "frames: operand size");
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(e.mode != CODE_64 || i.operandSize == 8, "frames: operand size");
  const target = (e.nextRip + i.immediate) & sizeMask(i.operandSize);
  if (!isTarget(e, target)) return failWith(e, VECTOR_GP, 0);
  if (!pushValue(e, e.nextRip, i.operandSize)) return false;
  e.nextRip = target;
  return true;
}

export function executeReturn(e: Emulator): bool {
  assert(e.instruction.operandSize > 1, "frames: operand size");
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(i.immediate <= 0xffff, "frames: 16 bits of a size");
  if (isDefined(CHECKED)) assert(e.mode != CODE_64 || i.operandSize == 8, "frames: operand size");
  if (!peekStack(e, 0, i.operandSize)) return false;
  if (!isTarget(e, e.value)) return failWith(e, VECTOR_GP, 0);
  e.nextRip = e.value;
  setStackPointer(e, e.vcpu.rsp + i.operandSize + i.immediate);
  return true;
}

// Segment registers from and to memory: MOV, PUSH, POP, LES, LDS, LSS, LFS, LGS, and far JMP, CALL and RET within one privilege
// level (SDM, "Segment Descriptors" and the pages of the instructions). Gates, tasks and returns to another level are not
// covered.
import { EFER_LMA } from "../../arch/msr";
import { RFLAGS_VM } from "../../arch/cr";
import { WALK_READ, WALK_WRITE } from "../../mm/guestwalk";
import { change, need } from "../../vcpu/backend";
import { VECTOR_GP, VECTOR_NP, VECTOR_SS } from "../../vcpu/raise";
import {
  GROUP_CONTROL,
  GROUP_SEGMENTS,
  GROUP_TABLES,
  RSP,
  SEGMENT_CODE_OR_DATA,
  SEGMENT_DEFAULT_BIG,
  SEGMENT_DPL_SHIFT,
  SEGMENT_LONG,
  SEGMENT_PRESENT,
  SEGMENT_TYPE_MASK,
  SEG_CS,
  SEG_FS,
  SEG_GS,
  SEG_SS,
} from "../../vcpu/registers";
import { completeStackSegment } from "../advance";
import {
  ACCESSED,
  descriptorAddress,
  descriptorLimit,
  failSelector,
  readSystem,
  SELECTOR_INDEX,
  SELECTOR_RPL,
  setFromDescriptor,
  setUnusable,
  setVirtual8086,
  TYPE_CODE,
  TYPE_CONFORMING,
  TYPE_READABLE_WRITABLE,
  writeSystem,
} from "../descriptor";
import { part, readBlock, setPart, writeBlock } from "./block";
import { Emulator, isRealMode, privilegeLevel, segmentOf } from "./emulator";
import { CODE_64, OP_CALL_FAR, OP_LOAD_SEGMENT, OP_POP_SEGMENT, OP_RET_FAR } from "./instruction";
import { failWith, isCanonical, locate, locateLinear, readOperand, sizeMask, writeOperand } from "./linear";
import { openRmSized, readRegister, writeRegister } from "./operand";
import { refuse } from "./refuse";
import { peekStack, pushValue, setStackPointer, stackSize } from "./stack";

/** Types of system descriptors, a bit each: 32-bit call gate; that, 16-bit call gate, task gate, both kinds of available TSS. */
const LONG_TRANSFER_TYPES: u32 = 1 << 12;
const TRANSFER_TYPES: u32 = (1 << 12) | (1 << 4) | (1 << 5) | (1 << 1) | (1 << 9);

export function isLongMode(e: Emulator): bool {
  if (isDefined(CHECKED))
    assert((e.vcpu.valid & GROUP_CONTROL) != 0, "segments: control registers are not valid");
  return (e.vcpu.efer & EFER_LMA) != 0;
}

/** Reads a selector's descriptor into `e.value`. */
export function readDescriptor(e: Emulator, selector: u32): bool {
  assert((selector & SELECTOR_INDEX) != 0, "segments: a null selector has no descriptor");
  need(e.vcpu, GROUP_SEGMENTS | GROUP_TABLES);
  const at = descriptorAddress(e, selector);
  if (at == U64.MAX_VALUE) return failSelector(e, VECTOR_GP, selector);
  if (!isLongMode(e)) return readSystem(e, at, 8);
  if (!locateLinear(e, e.source, at, 8, WALK_READ)) return false;
  e.value = readOperand(e, e.source);
  return true;
}

/** The processor marks a descriptor that it loads as accessed. */
function markAccessed(e: Emulator, selector: u32, access: u32): bool {
  if (isDefined(CHECKED))
    assert((selector & SELECTOR_INDEX) != 0, "segments: a null selector has no descriptor");
  assert(access <= 0xff, "segments: access rights");
  if ((access & ACCESSED) != 0) return true;
  const at = descriptorAddress(e, selector) + 5;
  if (!isLongMode(e)) return writeSystem(e, at, 1, access | ACCESSED);
  if (!locateLinear(e, e.target, at, 1, WALK_WRITE)) return false;
  writeOperand(e, e.target, access | ACCESSED);
  return true;
}

function setParagraph(e: Emulator, index: u32, selector: u32): void {
  if (isDefined(CHECKED)) assert(isRealMode(e.vcpu), "segments: segments are no paragraphs");
  assert(index <= SEG_GS, "segments: no such segment register");
  assert(selector <= 0xffff, "segments: selector");
  change(e.vcpu, GROUP_SEGMENTS);
  if ((e.vcpu.rflags & RFLAGS_VM) != 0) {
    setVirtual8086(e, index, selector);
    return;
  }
  // Real mode keeps limit and access rights.
  const segment = e.vcpu.segment(index);
  segment.selector = selector;
  segment.base = (<u64>selector) << 4;
}

// --- data segments --------------------------------------------------------------------------------------------------------

/** Loads ES, SS, DS, FS or GS. False: the exception is pending, and nothing has changed. */
function loadDataSegment(e: Emulator, index: u32, selector: u32): bool {
  assert(index <= SEG_GS && index != SEG_CS, "segments: no data segment register");
  assert(selector <= 0xffff, "segments: selector");
  if (isRealMode(e.vcpu)) {
    setParagraph(e, index, selector);
    return true;
  }
  if ((selector & SELECTOR_INDEX) == 0) return loadNull(e, index, selector);
  if (!readDescriptor(e, selector)) return false;
  const descriptor = e.value;
  const access = <u32>(descriptor >> 40) & 0xff;
  if (!mayLoad(index, selector, access, privilegeLevel(e.vcpu))) return failSelector(e, VECTOR_GP, selector);
  if ((access & SEGMENT_PRESENT) == 0)
    return failSelector(e, index == SEG_SS ? VECTOR_SS : VECTOR_NP, selector);
  if (!markAccessed(e, selector, access)) return false;
  change(e.vcpu, GROUP_SEGMENTS);
  setFromDescriptor(e.vcpu.segment(index), selector, descriptor | ((<u64>ACCESSED) << 40));
  return true;
}

/** A null selector leaves a register that holds no segment; SS may have one in 64-bit code of the kernel. */
function loadNull(e: Emulator, index: u32, selector: u32): bool {
  assert((selector & SELECTOR_INDEX) == 0, "segments: not a null selector");
  const cpl = privilegeLevel(e.vcpu);
  if (index == SEG_SS && (e.mode != CODE_64 || cpl == 3 || selector != cpl)) return failWith(e, VECTOR_GP, 0);
  change(e.vcpu, GROUP_SEGMENTS);
  const segment = e.vcpu.segment(index);
  setUnusable(segment, selector);
  if (index == SEG_SS) segment.access |= cpl << SEGMENT_DPL_SHIFT;
  return true;
}

function mayLoad(index: u32, selector: u32, access: u32, cpl: u32): bool {
  assert(cpl <= 3 && access <= 0xff, "segments: access rights");
  if ((access & SEGMENT_CODE_OR_DATA) == 0) return false;
  const code = (access & TYPE_CODE) != 0;
  const flag = (access & TYPE_READABLE_WRITABLE) != 0;
  const dpl = (access >> SEGMENT_DPL_SHIFT) & 3;
  const rpl = selector & SELECTOR_RPL;
  if (index == SEG_SS) return !code && flag && dpl == cpl && rpl == cpl;
  if (code && !flag) return false;
  return (code && (access & TYPE_CONFORMING) != 0) || (dpl >= cpl && dpl >= rpl);
}

export function executeStoreSegment(e: Emulator): bool {
  const i = e.instruction;
  assert(((i.modrm >> 3) & 7) <= SEG_GS, "segments: no such segment register");
  const selector = segmentOf(e.vcpu, (i.modrm >> 3) & 7).selector;
  if (!i.memory) {
    writeRegister(e.vcpu, i, i.rm, i.operandSize, selector);
    return true;
  }
  if (!openRmSized(e, 2, WALK_WRITE)) return false;
  writeOperand(e, e.target, selector);
  return true;
}

export function executeLoadSegment(e: Emulator): bool {
  const i = e.instruction;
  const index = (i.modrm >> 3) & 7;
  if (isDefined(CHECKED)) assert(index != SEG_CS && index <= SEG_GS, "segments: MOV does not load it");
  if (!openRmSized(e, 2, WALK_READ)) return false;
  const selector = i.memory ? readOperand(e, e.target) : readRegister(e.vcpu, i, i.rm, 2);
  if (!loadDataSegment(e, index, <u32>selector)) return false;
  return index != SEG_SS || endStackSegment(e);
}

/** MOV SS and POP SS end by themselves: what follows them is not interrupted. */
function endStackSegment(e: Emulator): bool {
  if (isDefined(CHECKED))
    assert(
      e.instruction.operation == OP_LOAD_SEGMENT || e.instruction.operation == OP_POP_SEGMENT,
      "segments: another instruction",
    );
  e.outcome = completeStackSegment(e.vcpu, e.nextRip);
  return false;
}

/** The segment register in the opcode of PUSH and POP. */
function pushedSegment(opcode: u32): u32 {
  if (isDefined(CHECKED)) assert((opcode & ~0x19) == 6 || (opcode & ~9) == 0x1a0, "segments: another opcode");
  return opcode < 0x100 ? (opcode >> 3) & 3 : (opcode & 8) != 0 ? SEG_GS : SEG_FS;
}

export function executePushSegment(e: Emulator): bool {
  const i = e.instruction;
  return pushValue(e, segmentOf(e.vcpu, pushedSegment(i.opcode)).selector, i.operandSize);
}

export function executePopSegment(e: Emulator): bool {
  const i = e.instruction;
  const index = pushedSegment(i.opcode);
  if (isDefined(CHECKED)) assert(index != SEG_CS, "segments: POP does not load it");
  if (!peekStack(e, 0, i.operandSize)) return false;
  const before = e.vcpu.rsp;
  // Before the load: the pointer has the width of the stack that it is popped from.
  setStackPointer(e, before + i.operandSize);
  if (!loadDataSegment(e, index, <u32>e.value & 0xffff)) {
    e.vcpu.setGpr(RSP, before);
    return false;
  }
  return index != SEG_SS || endStackSegment(e);
}

function farSegment(opcode: u32): u32 {
  switch (opcode) {
    case 0xc4:
      return 0;
    case 0xc5:
      return 3;
    case 0x1b2:
      return SEG_SS;
    default:
      if (isDefined(CHECKED)) assert(opcode == 0x1b4 || opcode == 0x1b5, "segments: another opcode");
      return opcode == 0x1b4 ? SEG_FS : SEG_GS;
  }
}

/** Reads a far pointer, offset first, from r/m into `e.block`. */
function readFarPointer(e: Emulator): bool {
  if (isDefined(CHECKED)) assert(e.instruction.memory, "segments: a far pointer is in memory");
  if (!openRmSized(e, e.instruction.operandSize + 2, WALK_READ)) return false;
  readBlock(e, e.target);
  return true;
}

export function executeLoadFar(e: Emulator): bool {
  const i = e.instruction;
  const size = i.operandSize;
  assert(size > 1, "segments: operand size");
  if (!readFarPointer(e)) return false;
  const offset = part(e.block.memory(), size);
  if (!loadDataSegment(e, farSegment(i.opcode), <u32>part(e.block.memory() + size, 2))) return false;
  writeRegister(e.vcpu, i, i.register, size, offset);
  return true;
}

// --- code segments --------------------------------------------------------------------------------------------------------

/** JMP and CALL, with the pointer in the instruction or in memory. */
export function executeFarTransfer(e: Emulator): bool {
  const i = e.instruction;
  const size = i.operandSize;
  if (isDefined(CHECKED))
    assert(i.memory || e.mode != CODE_64, "segments: in 64-bit mode the pointer is in memory");
  let selector = i.second;
  let offset = i.immediate;
  if (i.memory) {
    if (!readFarPointer(e)) return false;
    offset = part(e.block.memory(), size);
    selector = <u32>part(e.block.memory() + size, 2);
  }
  if (!checkCode(e, selector, offset)) return false;
  const descriptor = e.value;
  if (i.operation == OP_CALL_FAR && !pushReturn(e)) return false;
  return enterCode(e, selector, offset, descriptor);
}

/** CS above the return address, as one: what faults has changed nothing. */
function pushReturn(e: Emulator): bool {
  const size = e.instruction.operandSize;
  assert(size > 1, "segments: operand size");
  const top = (e.vcpu.rsp - 2 * size) & sizeMask(stackSize(e));
  if (!locate(e, e.source, SEG_SS, top, 2 * size, WALK_WRITE)) return false;
  setPart(e.block.memory(), size, e.nextRip);
  setPart(e.block.memory() + size, size, segmentOf(e.vcpu, SEG_CS).selector);
  writeBlock(e, e.source);
  setStackPointer(e, top);
  return true;
}

export function executeFarReturn(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(i.immediate <= 0xffff, "segments: 16 bits of a size");
  const size = i.operandSize;
  assert(size > 1, "segments: operand size");
  const top = e.vcpu.rsp & sizeMask(stackSize(e));
  if (!locate(e, e.source, SEG_SS, top, 2 * size, WALK_READ)) return false;
  readBlock(e, e.source);
  const offset = part(e.block.memory(), size);
  const selector = <u32>part(e.block.memory() + size, size) & 0xffff;
  if (!checkCode(e, selector, offset)) return false;
  if (!enterCode(e, selector, offset, e.value)) return false;
  setStackPointer(e, e.vcpu.rsp + 2 * size + i.immediate);
  return true;
}

/** Whether control may go to `selector`:`offset` without a change of privilege. Leaves the descriptor in `e.value`. */
function checkCode(e: Emulator, selector: u32, offset: u64): bool {
  assert(selector <= 0xffff, "segments: selector");
  if (isRealMode(e.vcpu)) return offset <= <u64>segmentOf(e.vcpu, SEG_CS).limit || failWith(e, VECTOR_GP, 0);
  if ((selector & SELECTOR_INDEX) == 0) return failWith(e, VECTOR_GP, 0);
  if (!readDescriptor(e, selector)) return false;
  const access = <u32>(e.value >> 40) & 0xf0ff;
  if ((access & SEGMENT_CODE_OR_DATA) == 0) {
    return isGateOrTask(e, access) ? refuse(e) : failSelector(e, VECTOR_GP, selector);
  }
  const cpl = privilegeLevel(e.vcpu);
  const rpl = selector & SELECTOR_RPL;
  const dpl = (access >> SEGMENT_DPL_SHIFT) & 3;
  const returns = e.instruction.operation == OP_RET_FAR;
  if (returns && rpl > cpl) return refuse(e);
  const level = (access & TYPE_CONFORMING) != 0 ? dpl <= cpl : dpl == cpl;
  const right = (access & TYPE_CODE) != 0 && level && (returns ? rpl == cpl : rpl <= cpl);
  const long = isLongMode(e) && (access & SEGMENT_LONG) != 0;
  if (!right || (long && (access & SEGMENT_DEFAULT_BIG) != 0)) return failSelector(e, VECTOR_GP, selector);
  if ((access & SEGMENT_PRESENT) == 0) return failSelector(e, VECTOR_NP, selector);
  const reachable = long ? isCanonical(e, offset) : offset <= <u64>descriptorLimit(e.value);
  return reachable || failWith(e, VECTOR_GP, 0);
}

/** A system descriptor to which control may be transferred. */
function isGateOrTask(e: Emulator, access: u32): bool {
  assert((access & SEGMENT_CODE_OR_DATA) == 0, "segments: not a system descriptor");
  const bit: u32 = 1 << (access & SEGMENT_TYPE_MASK);
  return ((isLongMode(e) ? LONG_TRANSFER_TYPES : TRANSFER_TYPES) & bit) != 0;
}

/** Loads CS and goes on at `offset`. False: the descriptor could not be marked as accessed. */
function enterCode(e: Emulator, selector: u32, offset: u64, descriptor: u64): bool {
  assert(selector <= 0xffff, "segments: selector");
  e.nextRip = offset;
  if (isRealMode(e.vcpu)) {
    setParagraph(e, SEG_CS, selector);
    return true;
  }
  if (!markAccessed(e, selector, <u32>(descriptor >> 40) & 0xff)) return false;
  const cpl = privilegeLevel(e.vcpu);
  change(e.vcpu, GROUP_SEGMENTS);
  const accessed = descriptor | ((<u64>ACCESSED) << 40);
  setFromDescriptor(e.vcpu.segment(SEG_CS), (selector & ~SELECTOR_RPL) | cpl, accessed);
  return true;
}

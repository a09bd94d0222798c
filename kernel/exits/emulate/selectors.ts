// Instructions that ask the descriptor tables about a selector: LLDT and LTR, which load it; VERR, VERW, LAR and LSL, which only
// tell (SDM and APM, the pages of the instructions; SDM, "Segment Descriptor Tables in IA-32e Mode").
import { RFLAGS_ZF } from "../../arch/cr";
import { WALK_READ, WALK_WRITE } from "../../mm/guestwalk";
import { change, need } from "../../vcpu/backend";
import { raise, VECTOR_GP, VECTOR_NP, VECTOR_UD } from "../../vcpu/raise";
import {
  GROUP_SEGMENTS,
  GROUP_TABLES,
  SEG_LDTR,
  SEG_TR,
  SEGMENT_CODE_OR_DATA,
  SEGMENT_DPL_SHIFT,
  SEGMENT_PRESENT,
  SEGMENT_TYPE_MASK,
} from "../../vcpu/registers";
import {
  descriptorAddress,
  descriptorBase,
  descriptorLimit,
  failSelector,
  SELECTOR_INDEX,
  SELECTOR_LOCAL,
  SELECTOR_RPL,
  setFromDescriptor,
  setUnusable,
  TSS_BUSY,
  TYPE_CODE,
  TYPE_CONFORMING,
  TYPE_READABLE_WRITABLE,
} from "../descriptor";
import { Emulator, isRealMode, privilegeLevel } from "./emulator";
import { setFlag } from "./flags";
import { failWith, isCanonical, locateLinear, readOperand, writeOperand } from "./linear";
import { loadRmSized, openRmSized, writeRegister } from "./operand";
import { isLongMode, readDescriptor } from "./segments";
import { OP_LOAD_SELECTOR, OP_VERIFY } from "./instruction";

// Types of system descriptors, a bit each.
const LDT: u32 = 1 << 2;
const TSS_AVAILABLE_LONG: u32 = 1 << 9;
const TSS_AVAILABLE: u32 = (1 << 1) | TSS_AVAILABLE_LONG;
/** What has a limit: LDT and task-state segments, available and busy, of 16 and 32 bits. */
const LIMITED_LONG: u32 = LDT | TSS_AVAILABLE_LONG | (1 << 11);
const LIMITED: u32 = LIMITED_LONG | (1 << 1) | (1 << 3);
/** What has access rights to tell: those, and gates for calls and tasks. */
const CALL_GATE: u32 = 1 << 12;
const GATES: u32 = CALL_GATE | (1 << 4) | (1 << 5);
/** Bits of the descriptor's upper half that LAR gives. */
const ACCESS_RIGHTS: u64 = 0x00ff_ff00;
/** A system descriptor in long mode. */
const LONG_BYTES: u32 = 16;
const OPCODE_LSL: u32 = 0x103;

/** The selector, from a register or memory, into `e.value`; real mode has none of these instructions. */
function readSelector(e: Emulator): bool {
  if (isRealMode(e.vcpu)) {
    e.outcome = raise(e.vcpu, VECTOR_UD);
    return false;
  }
  if (!openRmSized(e, 2, WALK_READ)) return false;
  e.value = loadRmSized(e, 2) & 0xffff;
  return true;
}

// --- LLDT, LTR ------------------------------------------------------------------------------------------------------------

export function executeLoadSelector(e: Emulator): bool {
  if (isDefined(CHECKED)) assert(e.instruction.operation == OP_LOAD_SELECTOR, "selectors: LLDT or LTR");
  const task = ((e.instruction.modrm >> 3) & 1) != 0;
  if (!isRealMode(e.vcpu) && privilegeLevel(e.vcpu) != 0) return failWith(e, VECTOR_GP, 0);
  if (!readSelector(e)) return false;
  const selector = <u32>e.value;
  if ((selector & SELECTOR_INDEX) == 0) return task ? failWith(e, VECTOR_GP, 0) : loadNoTable(e, selector);
  if ((selector & SELECTOR_LOCAL) != 0) return failSelector(e, VECTOR_GP, selector);
  if (!readDescriptor(e, selector)) return false;
  const descriptor = e.value;
  const access = <u32>(descriptor >> 40) & 0xff;
  const available = isLongMode(e) ? TSS_AVAILABLE_LONG : TSS_AVAILABLE;
  if (!isSystem(access, task ? available : LDT)) return failSelector(e, VECTOR_GP, selector);
  if ((access & SEGMENT_PRESENT) == 0) return failSelector(e, VECTOR_NP, selector);
  if (!readUpperBase(e, selector, descriptor)) return false;
  const upper = e.value;
  if (isDefined(CHECKED)) assert(upper == 0 || isLongMode(e), "selectors: the base has 32 bits");
  if (task && !markBusy(e, selector, descriptor)) return false;
  change(e.vcpu, GROUP_SEGMENTS);
  const segment = e.vcpu.segment(task ? SEG_TR : SEG_LDTR);
  setFromDescriptor(segment, selector, task ? descriptor | ((<u64>TSS_BUSY) << 32) : descriptor);
  segment.base |= upper << 32;
  return true;
}

function loadNoTable(e: Emulator, selector: u32): bool {
  assert((selector & SELECTOR_INDEX) == 0, "selectors: not a null selector");
  change(e.vcpu, GROUP_SEGMENTS);
  setUnusable(e.vcpu.segment(SEG_LDTR), selector);
  return true;
}

/** Bits 32 to 63 of the base into `e.value`: in long mode these descriptors have 16 bytes, and the base must be canonical. */
function readUpperBase(e: Emulator, selector: u32, descriptor: u64): bool {
  assert((selector & SELECTOR_LOCAL) == 0, "selectors: it is in the GDT");
  e.value = 0;
  if (!isLongMode(e)) return true;
  const at = descriptorAddress(e, selector, LONG_BYTES);
  if (at == U64.MAX_VALUE) return failSelector(e, VECTOR_GP, selector);
  if (!locateLinear(e, e.source, at + 8, 8, WALK_READ)) return false;
  const upper = readOperand(e, e.source);
  // The type of the upper half must be 0, so that nobody loads it as a descriptor.
  const typed = ((upper >> 40) & (SEGMENT_CODE_OR_DATA | SEGMENT_TYPE_MASK)) != 0;
  const base = descriptorBase(descriptor) | (upper << 32);
  if (typed || !isCanonical(e, base)) return failSelector(e, VECTOR_GP, selector);
  e.value = upper & 0xffffffff;
  return true;
}

function markBusy(e: Emulator, selector: u32, descriptor: u64): bool {
  if (isDefined(CHECKED)) assert((descriptor & ((<u64>TSS_BUSY) << 32)) == 0, "selectors: it is busy");
  assert((selector & SELECTOR_LOCAL) == 0, "selectors: it is in the GDT");
  const at = descriptorAddress(e, selector) + 4;
  if (!locateLinear(e, e.target, at, 4, WALK_WRITE)) return false;
  writeOperand(e, e.target, (descriptor >> 32) | TSS_BUSY);
  return true;
}

// --- VERR, VERW, LAR, LSL -------------------------------------------------------------------------------------------------

/** The selector's descriptor into `e.value`, or 0, which describes nothing. False: reading a table faulted. */
function findDescriptor(e: Emulator, selector: u32): bool {
  assert(selector <= 0xffff, "selectors: selector");
  e.value = 0;
  if ((selector & SELECTOR_INDEX) == 0) return true;
  need(e.vcpu, GROUP_SEGMENTS | GROUP_TABLES);
  return descriptorAddress(e, selector) == U64.MAX_VALUE || readDescriptor(e, selector);
}

/** ZF: code at this privilege can read (VERR), or write (VERW), the segment. */
export function executeVerify(e: Emulator): bool {
  if (isDefined(CHECKED)) assert(e.instruction.operation == OP_VERIFY, "selectors: VERR or VERW");
  if (!readSelector(e)) return false;
  const selector = <u32>e.value;
  if (!findDescriptor(e, selector)) return false;
  const access = <u32>(e.value >> 40) & 0xff;
  const code = (access & TYPE_CODE) != 0;
  const flag = (access & TYPE_READABLE_WRITABLE) != 0;
  const writes = ((e.instruction.modrm >> 3) & 1) != 0;
  const allowed = writes ? !code && flag : !code || flag;
  const segment = (access & SEGMENT_CODE_OR_DATA) != 0;
  setFlag(e, RFLAGS_ZF, segment && allowed && isVisible(e, selector, access));
  return true;
}

/** LAR: access rights; LSL: the limit. ZF: the descriptor is of a kind that has them, and code at this privilege may see it. */
export function executeDescribe(e: Emulator): bool {
  const i = e.instruction;
  assert(i.opcode == OPCODE_LSL || i.opcode == OPCODE_LSL - 1, "selectors: LAR or LSL");
  if (!readSelector(e)) return false;
  const selector = <u32>e.value;
  if (!findDescriptor(e, selector)) return false;
  const descriptor = e.value;
  const access = <u32>(descriptor >> 40) & 0xff;
  const limit = i.opcode == OPCODE_LSL;
  const known =
    (access & SEGMENT_CODE_OR_DATA) != 0 || isSystem(access, describedTypes(isLongMode(e), limit));
  const told = known && isVisible(e, selector, access);
  setFlag(e, RFLAGS_ZF, told);
  const value = limit ? <u64>descriptorLimit(descriptor) : (descriptor >> 32) & ACCESS_RIGHTS;
  if (told) writeRegister(e.vcpu, i, i.register, i.operandSize, value);
  return true;
}

function describedTypes(long: bool, limit: bool): u32 {
  if (long) return limit ? LIMITED_LONG : LIMITED_LONG | CALL_GATE;
  return limit ? LIMITED : LIMITED | GATES;
}

function isSystem(access: u32, types: u32): bool {
  assert(types <= 0xffff, "selectors: sixteen types");
  return (access & SEGMENT_CODE_OR_DATA) == 0 && (types & (1 << (access & SEGMENT_TYPE_MASK))) != 0;
}

/** Whether CPL and RPL are privileged enough; conforming code is for everyone. */
function isVisible(e: Emulator, selector: u32, access: u32): bool {
  assert(access <= 0xff, "selectors: access rights");
  const conforming = SEGMENT_CODE_OR_DATA | TYPE_CODE | TYPE_CONFORMING;
  if ((access & conforming) == conforming) return true;
  const dpl = (access >> SEGMENT_DPL_SHIFT) & 3;
  return dpl >= privilegeLevel(e.vcpu) && dpl >= (selector & SELECTOR_RPL);
}

// Descriptor-table registers and the machine status word in memory: SGDT, SIDT, LGDT, LIDT, SLDT, STR, SMSW, LMSW.
import { CR0_PE, CR4_UMIP } from "../../arch/cr";
import { WALK_READ, WALK_WRITE } from "../../mm/guestwalk";
import { change, need } from "../../vcpu/backend";
import { OUTCOME_ADVANCE } from "../../vcpu/outcome";
import { raise, VECTOR_GP, VECTOR_UD } from "../../vcpu/raise";
import { GROUP_TABLES, SEG_LDTR, SEG_TR } from "../../vcpu/registers";
import { writeCr0 } from "../crwrite";
import { part, readBlock, setPart, writeBlock } from "./block";
import { Emulator, isRealMode, privilegeLevel, segmentOf } from "./emulator";
import {
  CODE_64,
  Instruction,
  OP_LMSW,
  OP_LOAD_TABLE,
  OP_SMSW,
  OP_STORE_SELECTOR,
  OP_STORE_TABLE,
} from "./instruction";
import { failWith, isCanonical } from "./linear";
import { loadRmSized, openRmSized, writeRm } from "./operand";

/** LMSW loads PE, MP, EM and TS. */
const MACHINE_STATUS: u64 = 0xf;

/** With CR4.UMIP only the kernel may look. */
function mayLook(e: Emulator): bool {
  const hidden = (e.vcpu.cr4 & CR4_UMIP) != 0 && privilegeLevel(e.vcpu) != 0;
  return !hidden || failWith(e, VECTOR_GP, 0);
}

function isKernel(e: Emulator): bool {
  return privilegeLevel(e.vcpu) == 0 || failWith(e, VECTOR_GP, 0);
}

/** ModRM's reg field: 0 and 2 are the GDT's instructions, 1 and 3 the IDT's. */
function isInterruptTable(i: Instruction): bool {
  if (isDefined(CHECKED))
    assert(i.operation == OP_STORE_TABLE || i.operation == OP_LOAD_TABLE, "system: another instruction");
  return ((i.modrm >> 3) & 1) != 0;
}

function baseBytes(e: Emulator): u32 {
  return e.mode == CODE_64 ? 8 : 4;
}

export function executeStoreTable(e: Emulator): bool {
  assert(e.instruction.memory, "system: a table register is stored in memory");
  const vcpu = e.vcpu;
  if (!mayLook(e) || !openRmSized(e, 2 + baseBytes(e), WALK_WRITE)) return false;
  need(vcpu, GROUP_TABLES);
  const interrupts = isInterruptTable(e.instruction);
  setPart(e.block.memory(), 2, interrupts ? vcpu.idtrLimit : vcpu.gdtrLimit);
  setPart(e.block.memory() + 2, baseBytes(e), interrupts ? vcpu.idtrBase : vcpu.gdtrBase);
  writeBlock(e, e.target);
  return true;
}

export function executeLoadTable(e: Emulator): bool {
  assert(e.instruction.memory, "system: a table register is loaded from memory");
  const vcpu = e.vcpu;
  const i = e.instruction;
  if (!isKernel(e) || !openRmSized(e, 2 + baseBytes(e), WALK_READ)) return false;
  readBlock(e, e.target);
  const limit = <u32>part(e.block.memory(), 2);
  assert(limit <= 0xffff, "system: limit");
  let base = part(e.block.memory() + 2, baseBytes(e));
  if (e.mode == CODE_64 && !isCanonical(e, base)) return failWith(e, VECTOR_GP, 0);
  // With 16-bit operands the base has 24 bits.
  if (e.mode != CODE_64 && i.operandSize == 2) base &= 0xffffff;
  change(vcpu, GROUP_TABLES);
  if (isInterruptTable(i)) {
    vcpu.idtrBase = base;
    vcpu.idtrLimit = limit;
  } else {
    vcpu.gdtrBase = base;
    vcpu.gdtrLimit = limit;
  }
  return true;
}

/** SLDT and STR: 16 bits to memory; to a register, as many as the operand size says. */
export function executeStoreSelector(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(i.operation == OP_STORE_SELECTOR, "system: SLDT or STR");
  if (isRealMode(e.vcpu)) {
    e.outcome = raise(e.vcpu, VECTOR_UD);
    return false;
  }
  if (!mayLook(e)) return false;
  if (i.memory) i.operandSize = 2;
  return writeRm(e, segmentOf(e.vcpu, ((i.modrm >> 3) & 1) != 0 ? SEG_TR : SEG_LDTR).selector);
}

export function executeStoreStatus(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(i.operation == OP_SMSW, "system: another instruction");
  if (!mayLook(e)) return false;
  if (i.memory) i.operandSize = 2;
  return writeRm(e, e.vcpu.cr0);
}

/** LMSW cannot clear PE. */
export function executeLoadStatus(e: Emulator): bool {
  if (isDefined(CHECKED)) assert(e.instruction.operation == OP_LMSW, "system: another instruction");
  if (!isKernel(e) || !openRmSized(e, 2, WALK_READ)) return false;
  const kept = e.vcpu.cr0 & (~MACHINE_STATUS | CR0_PE);
  e.outcome = writeCr0(e.vcpu, kept | (loadRmSized(e, 2) & MACHINE_STATUS));
  return e.outcome == OUTCOME_ADVANCE;
}

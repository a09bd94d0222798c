// biome-ignore-all format: one register a line.
//
// Accesses to control registers: which register, which direction, and the general-purpose register or memory operand
// (SDM and APM, "MOV CRn", "CLTS", "LMSW", "SMSW"). The rules for new values are in crwrite.ts.
import { CR0_TS } from "../arch/cr";
import { change, need } from "../vcpu/backend";
import { CR_CLTS, CR_LMSW, CR_READ, CR_UNDECODED, CR_WRITE } from "../vcpu/exit";
import { machine } from "../vcpu/machine";
import { OUTCOME_ADVANCE, OUTCOME_RESUME } from "../vcpu/outcome";
import { raise, VECTOR_UD } from "../vcpu/raise";
import { GROUP_CONTROL, GROUP_STACK_FLAGS, GROUP_SYSTEM, RSP } from "../vcpu/registers";
import { Vcpu } from "../vcpu/vcpu";
import { writeCr0, writeCr3, writeCr4, writeCr8 } from "./crwrite";
import { codeSize, Emulator, startEmulator } from "./emulate/emulator";
import { fetchInstruction } from "./emulate/fetch";
import {
  CODE_64,
  Instruction,
  OP_CLTS,
  OP_LMSW,
  OP_MOV_FROM_CR,
  OP_MOV_TO_CR,
  OP_SMSW,
} from "./emulate/instruction";
import { readRm, writeRm } from "./emulate/operand";
import { dumpAndStop } from "./unknown";

/** LMSW loads PE, MP, EM and TS, and cannot clear PE. */
const LMSW_BITS: u64 = 0xf;
const CR0_PE_BIT: u64 = 1;

export function handleCr(vcpu: Vcpu): u32 {
  const exit = vcpu.exit;
  switch (exit.crAccess) {
    case CR_WRITE: return writeControl(vcpu, exit.crNumber, sourceValue(vcpu, exit.gpr));
    case CR_READ: return readControl(vcpu, exit.crNumber, exit.gpr);
    case CR_CLTS: return clearTaskSwitched(vcpu);
    case CR_LMSW: return loadMachineStatus(vcpu, exit.info);
    case CR_UNDECODED: return decodeAndRun(vcpu);
    default: return dumpAndStop(vcpu, "control-register access of a kind that is not known");
  }
}

/** The general-purpose register that is moved: 64 bits wide in 64-bit mode only. */
function sourceValue(vcpu: Vcpu, gpr: u32): u64 {
  need(vcpu, GROUP_CONTROL | GROUP_STACK_FLAGS);
  return vcpu.gpr(gpr) & widthMask(vcpu);
}

/** Moves of control registers are 64 bits wide in 64-bit mode, else 32. */
function widthMask(vcpu: Vcpu): u64 {
  need(vcpu, GROUP_CONTROL);
  return codeSize(vcpu) == CODE_64 ? U64.MAX_VALUE : 0xffffffff;
}

function writeControl(vcpu: Vcpu, number: u32, value: u64): u32 {
  switch (number) {
    case 0: return writeCr0(vcpu, value);
    case 2:
      change(vcpu, GROUP_SYSTEM);
      vcpu.cr2 = value;
      return OUTCOME_ADVANCE;
    case 3: return writeCr3(vcpu, value);
    case 4: return writeCr4(vcpu, value);
    case 8: return writeCr8(vcpu, value);
    default: return raise(vcpu, VECTOR_UD);
  }
}

function readControl(vcpu: Vcpu, number: u32, gpr: u32): u32 {
  let value: u64 = 0;
  need(vcpu, GROUP_CONTROL);
  switch (number) {
    case 0: value = vcpu.cr0; break;
    case 2:
      need(vcpu, GROUP_SYSTEM);
      value = vcpu.cr2;
      break;
    case 3: value = vcpu.cr3; break;
    case 4: value = vcpu.cr4; break;
    case 8: value = <u64>machine().tprRead(vcpu); break;
    default: return raise(vcpu, VECTOR_UD);
  }
  if (gpr == RSP) need(vcpu, GROUP_STACK_FLAGS);
  vcpu.setGpr(gpr, value & widthMask(vcpu));
  return OUTCOME_ADVANCE;
}

function clearTaskSwitched(vcpu: Vcpu): u32 {
  change(vcpu, GROUP_CONTROL);
  vcpu.cr0 &= ~CR0_TS;
  return OUTCOME_ADVANCE;
}

/** `source`: the 16-bit operand in the low bits. */
function loadMachineStatus(vcpu: Vcpu, source: u64): u32 {
  need(vcpu, GROUP_CONTROL);
  const wanted = (vcpu.cr0 & ~LMSW_BITS) | (source & LMSW_BITS) | (vcpu.cr0 & CR0_PE_BIT);
  return writeCr0(vcpu, wanted);
}

/** The processor did not say what it was: fetch and decode. */
function decodeAndRun(vcpu: Vcpu): u32 {
  const e = startEmulator(vcpu);
  if (!fetchInstruction(e)) return e.outcome;
  const i = e.instruction;
  const number = vcpu.exit.crNumber;
  vcpu.exit.nextRip = e.nextRip;
  switch (i.operation) {
    case OP_MOV_TO_CR: return writeControl(vcpu, number, vcpu.gpr(i.rm) & widthMask(vcpu));
    case OP_MOV_FROM_CR: return readControl(vcpu, number, i.rm);
    case OP_CLTS: return clearTaskSwitched(vcpu);
    case OP_SMSW: return storeMachineStatus(e, i);
    case OP_LMSW:
      // The operand is 16 bits wide whatever the operand size.
      i.operandSize = 2;
      if (!readRm(e, 0)) return e.outcome;
      return loadMachineStatus(vcpu, e.value);
    // Another CPU of the guest has changed the bytes since: run what is there now.
    default: return OUTCOME_RESUME;
  }
}

/** SMSW: 16 bits to memory; to a register, as many as the operand size says. */
function storeMachineStatus(e: Emulator, i: Instruction): u32 {
  if (i.memory) i.operandSize = 2;
  return writeRm(e, e.vcpu.cr0) ? OUTCOME_ADVANCE : e.outcome;
}

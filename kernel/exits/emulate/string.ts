// MOVS, CMPS, STOS, LODS, SCAS, INS and OUTS, with and without REP (SDM, "REP/REPE/REPZ/REPNE/REPNZ"). A bounded number of
// elements is done in one exit; the guest then runs the instruction again with the registers as they are, so that
// interrupts come through.
import { RFLAGS_DF, RFLAGS_TF, RFLAGS_ZF } from "../../arch/cr";
import { MAX_REP_PER_EXIT } from "../../lib/limits";
import { WALK_READ, WALK_WRITE } from "../../mm/guestwalk";
import { portIn, portOut } from "../../vcpu/machine";
import { ACCESS_PORT, breakpointsMet, setResumeFlag } from "../../vcpu/debug";
import { EXIT_IO } from "../../vcpu/exit";
import { OUTCOME_ADVANCE, OUTCOME_RESUME } from "../../vcpu/outcome";
import { GROUP_STACK_FLAGS, RAX, RCX, RDI, RSI, SEG_ES } from "../../vcpu/registers";
import { arithmetic } from "./alu";
import { Emulator, NO_GPA, Operand } from "./emulator";
import {
  OP_CMP,
  OP_CMPS,
  OP_INS,
  OP_LODS,
  OP_MOVS,
  OP_OUTS,
  OP_SCAS,
  OP_STOS,
  PREFIX_REP,
  PREFIX_REPNE,
} from "./instruction";
import { locate, readOperand, sizeMask, writeOperand } from "./linear";
import { readRegister, writeRegister } from "./operand";
import { mayUsePort } from "./ports";
import { isAccessSize, isPortSize } from "../../lib/sizes";

/** Runs the string instruction in `e.instruction` and returns the outcome of the exit. */
export function runString(e: Emulator): u32 {
  assert(
    e.instruction.operation >= OP_MOVS && e.instruction.operation <= OP_OUTS,
    "string: not a string instruction",
  );
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(isAccessSize(i.addressSize) && i.addressSize > 1, "string: address size");
  const vcpu = e.vcpu;
  const repeated = (i.prefixes & (PREFIX_REP | PREFIX_REPNE)) != 0;
  // Two operands: a nested fault's address does not say which.
  e.faultGpa = NO_GPA;
  vcpu.exit.nextRip = e.nextRip;
  if (isPortString(i.operation) && !isPortChecked(e) && !mayUsePort(e, port(e), i.operandSize))
    return e.outcome;
  if (!repeated) return runElement(e) ? OUTCOME_ADVANCE : e.outcome;
  let left = readRegister(vcpu, i, RCX, i.addressSize);
  for (let done: u32 = 0; left != 0; done++) {
    if (done == MAX_REP_PER_EXIT) {
      setResumeFlag(vcpu, true);
      return OUTCOME_RESUME;
    }
    if (!runElement(e)) return e.outcome;
    left--;
    writeRegister(vcpu, i, RCX, i.addressSize, left);
    if (endsEarly(e)) return OUTCOME_ADVANCE;
    if (left != 0 && ((vcpu.rflags & RFLAGS_TF) != 0 || isBreakpointMet(e))) return trapAtSameRip(e);
  }
  return OUTCOME_ADVANCE;
}

/** Only with breakpoints enabled is the record's word about those met written. */
function isBreakpointMet(e: Emulator): bool {
  assert(e.faultGpa == NO_GPA, "string: an operand at a fault's address");
  return e.breakpoints != 0 && e.vcpu.exit.met != 0;
}

/** The traps of an element come after it, with RIP still at the instruction. */
function trapAtSameRip(e: Emulator): u32 {
  if (isDefined(CHECKED))
    assert((e.instruction.prefixes & (PREFIX_REP | PREFIX_REPNE)) != 0, "string: it has one element");
  e.vcpu.exit.nextRip = e.vcpu.rip;
  return OUTCOME_ADVANCE;
}

/** REPE ends at a difference, REPNE at a match. */
function endsEarly(e: Emulator): bool {
  if (isDefined(CHECKED))
    assert((e.instruction.prefixes & (PREFIX_REP | PREFIX_REPNE)) != 0, "string: it has one element");
  const operation = e.instruction.operation;
  if (operation != OP_CMPS && operation != OP_SCAS) return false;
  const equal = (e.flags & RFLAGS_ZF) != 0;
  return equal == ((e.instruction.prefixes & PREFIX_REPNE) != 0);
}

/** One element: all that may fail comes before the first change. */
function runElement(e: Emulator): bool {
  const i = e.instruction;
  const size = i.operandSize;
  if (isDefined(CHECKED)) assert(isAccessSize(size), "string: operand size");
  switch (i.operation) {
    case OP_MOVS:
      if (!atSource(e) || !atTarget(e, WALK_WRITE)) return false;
      writeOperand(e, e.target, readOperand(e, e.source));
      step(e, RSI);
      step(e, RDI);
      return true;
    case OP_CMPS:
      if (!atSource(e) || !atTarget(e, WALK_READ)) return false;
      compare(e, readOperand(e, e.source), readOperand(e, e.target), size);
      step(e, RSI);
      step(e, RDI);
      return true;
    case OP_STOS:
      if (!atTarget(e, WALK_WRITE)) return false;
      writeOperand(e, e.target, e.vcpu.rax);
      step(e, RDI);
      return true;
    case OP_LODS:
      if (!atSource(e)) return false;
      writeRegister(e.vcpu, i, RAX, size, readOperand(e, e.source));
      step(e, RSI);
      return true;
    case OP_SCAS:
      if (!atTarget(e, WALK_READ)) return false;
      compare(e, e.vcpu.rax & sizeMask(size), readOperand(e, e.target), size);
      step(e, RDI);
      return true;
    case OP_INS:
      if (!atTarget(e, WALK_WRITE)) return false;
      meetPort(e);
      writeOperand(e, e.target, <u64>portIn(e.vcpu, port(e), size));
      step(e, RDI);
      return true;
    default:
      assert(i.operation == OP_OUTS, "emulation: not a string instruction");
      if (!atSource(e)) return false;
      meetPort(e);
      portOut(e.vcpu, port(e), size, <u32>readOperand(e, e.source));
      step(e, RSI);
      return true;
  }
}

/** Whether the processor has checked, at the exit, that the guest may use the port: for as many bytes as it reported. */
function isPortChecked(e: Emulator): bool {
  const exit = e.vcpu.exit;
  return exit.kind == EXIT_IO && e.instruction.operandSize <= exit.size;
}

function isPortString(operation: u32): bool {
  return operation == OP_INS || operation == OP_OUTS;
}

/** Notes the breakpoints on the port of INS or OUTS. */
function meetPort(e: Emulator): void {
  if (isDefined(CHECKED)) assert(isPortSize(e.instruction.operandSize), "string: bytes of a port access");
  assert(isPortString(e.instruction.operation), "string: no port");
  if (e.breakpoints == 0) return;
  e.vcpu.exit.meet(breakpointsMet(e.vcpu, port(e), e.instruction.operandSize, ACCESS_PORT));
}

function port(e: Emulator): u32 {
  return <u32>e.vcpu.rdx & 0xffff;
}

function compare(e: Emulator, a: u64, b: u64, size: u32): void {
  if (isDefined(CHECKED))
    assert(
      e.instruction.operation == OP_CMPS || e.instruction.operation == OP_SCAS,
      "string: nothing is compared",
    );
  assert(((a | b) & ~sizeMask(size)) == 0, "string: operands are zero-extended");
  arithmetic(e, OP_CMP, a, b, size);
  e.vcpu.rflags = e.flags;
  e.vcpu.dirty |= GROUP_STACK_FLAGS;
}

function atSource(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED))
    assert(
      i.operation != OP_STOS && i.operation != OP_SCAS && i.operation != OP_INS,
      "string: it has no source in memory",
    );
  return at(e, e.source, i.segment, RSI, WALK_READ);
}

function atTarget(e: Emulator, access: u32): bool {
  if (isDefined(CHECKED))
    assert(
      e.instruction.operation != OP_LODS && e.instruction.operation != OP_OUTS,
      "string: it has no destination in memory",
    );
  assert(access == WALK_READ || access == WALK_WRITE, "string: access");
  return at(e, e.target, SEG_ES, RDI, access);
}

function at(e: Emulator, operand: Operand, segment: u32, register: u32, access: u32): bool {
  assert(register == RSI || register == RDI, "string: index register");
  const i = e.instruction;
  return locate(e, operand, segment, readRegister(e.vcpu, i, register, i.addressSize), i.operandSize, access);
}

/** Moves an index register by one element, down when DF is set. */
function step(e: Emulator, register: u32): void {
  assert(register == RSI || register == RDI, "string: index register");
  const i = e.instruction;
  const by: u64 = i.operandSize;
  const old = readRegister(e.vcpu, i, register, i.addressSize);
  const next = (e.vcpu.rflags & RFLAGS_DF) != 0 ? old - by : old + by;
  writeRegister(e.vcpu, i, register, i.addressSize, next);
}

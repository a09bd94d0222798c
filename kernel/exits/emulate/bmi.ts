// BMI1 and BMI2: operations on general-purpose registers, encoded with VEX (SDM, "ANDN", "BEXTR", "BLSI", "BLSMSK", "BLSR",
// "BZHI", "MULX", "PDEP", "PEXT", "RORX", "SARX/SHLX/SHRX").
import { RFLAGS_CF } from "../../arch/cr";
import { mul_high } from "../../arch/intrinsics";
import { WALK_READ } from "../../mm/guestwalk";
import { raise, VECTOR_UD } from "../../vcpu/raise";
import { RDX } from "../../vcpu/registers";
import { signExtend } from "./alu";
import { Emulator, isRealMode } from "./emulator";
import { resultFlags, setFlags } from "./flags";
import {
  CODE_64,
  Instruction,
  REX_W,
  VEX_F2,
  VEX_F3,
  VEX_L,
  VEX_NO_PREFIX,
  VEX_PREFIX,
  VEX_PRESENT,
  VEX_REGISTER,
} from "./instruction";
import { sizeMask } from "./linear";
import { loadRmSized, openRmSized, readRegister, writeRegister } from "./operand";

const OPCODE_ANDN: u32 = 0x2f2;
/** BLSR, BLSMSK and BLSI, by ModRM's reg field: 1, 2, 3. */
const OPCODE_LOWEST: u32 = 0x2f3;
/** BZHI; with F3 PEXT, with F2 PDEP. */
const OPCODE_BZHI: u32 = 0x2f5;
const OPCODE_MULX: u32 = 0x2f6;
/** BEXTR; with 66 SHLX, with F3 SARX, with F2 SHRX. */
const OPCODE_BEXTR: u32 = 0x2f7;
const OPCODE_RORX: u32 = 0x3f0;

/** Whether an opcode with its VEX prefix, and ModRM's reg field, is one of them. */
export function isBmi(opcode: u32, prefix: u32, reg: u32): bool {
  if (isDefined(CHECKED)) assert((prefix & ~VEX_PREFIX) == 0 && reg < 8, "bmi: a field of the encoding");
  switch (opcode) {
    case OPCODE_ANDN:
      return prefix == VEX_NO_PREFIX;
    case OPCODE_LOWEST:
      return prefix == VEX_NO_PREFIX && reg >= 1 && reg <= 3;
    case OPCODE_BZHI:
      return prefix == VEX_NO_PREFIX || prefix == VEX_F3 || prefix == VEX_F2;
    case OPCODE_MULX:
    case OPCODE_RORX:
      return prefix == VEX_F2;
    default:
      return opcode == OPCODE_BEXTR;
  }
}

export function executeBmi(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED)) assert((i.vex & VEX_L) == 0, "bmi: no vectors");
  const size: u32 = e.mode == CODE_64 && (i.rex & REX_W) != 0 ? 8 : 4;
  assert((i.vex & VEX_PRESENT) != 0, "bmi: encoded with VEX");
  if (isRealMode(e.vcpu)) {
    e.outcome = raise(e.vcpu, VECTOR_UD);
    return false;
  }
  if (!openRmSized(e, size, WALK_READ)) return false;
  const value = loadRmSized(e, size);
  const other = readRegister(e.vcpu, i, i.vex & VEX_REGISTER, size);
  switch (i.opcode) {
    case OPCODE_LOWEST:
      writeRegister(e.vcpu, i, i.vex & VEX_REGISTER, size, lowest(e, (i.modrm >> 3) & 7, value, size));
      return true;
    case OPCODE_MULX:
      multiply(e, value, size);
      return true;
    default:
      writeRegister(e.vcpu, i, i.register, size, compute(e, value, other, size));
      return true;
  }
}

function compute(e: Emulator, value: u64, other: u64, size: u32): u64 {
  if (isDefined(CHECKED))
    assert(
      e.instruction.opcode != OPCODE_LOWEST && e.instruction.opcode != OPCODE_MULX,
      "bmi: it has another destination",
    );
  assert(((value | other) & ~sizeMask(size)) == 0, "bmi: operands are zero-extended");
  const i = e.instruction;
  const prefix = i.vex & VEX_PREFIX;
  switch (i.opcode) {
    case OPCODE_ANDN:
      return flagged(e, ~other & value, false, size);
    case OPCODE_BZHI:
      if (prefix == VEX_F3) return gather(other, value);
      return prefix == VEX_F2 ? scatter(other, value) : zeroHigh(e, value, other & 0xff, size);
    case OPCODE_RORX:
      return rotate(value, i.immediate & (8 * size - 1), size);
    default:
      return prefix == VEX_NO_PREFIX
        ? extract(e, value, other, size)
        : shifted(i, value, other & (8 * size - 1), size);
  }
}

/** SF and ZF of the result, and CF; OF is cleared. */
function flagged(e: Emulator, result: u64, carry: bool, size: u32): u64 {
  if (isDefined(CHECKED)) assert(size == 4 || size == 8, "bmi: operand size");
  const masked = result & sizeMask(size);
  setFlags(e, resultFlags(masked, size) | (carry ? RFLAGS_CF : 0));
  return masked;
}

/** CF: of BLSI that there was a bit, of the others that there was none. */
function lowest(e: Emulator, operation: u32, value: u64, size: u32): u64 {
  assert(operation >= 1 && operation <= 3, "bmi: operation");
  if (operation == 1) return flagged(e, (value - 1) & value, value == 0, size);
  if (operation == 2) return flagged(e, (value - 1) ^ value, value == 0, size);
  return flagged(e, (0 - value) & value, value != 0, size);
}

function zeroHigh(e: Emulator, value: u64, from: u64, size: u32): u64 {
  assert(from <= 0xff, "bmi: index is a byte");
  const bits: u64 = 8 * size;
  const kept = from < bits ? ((<u64>1) << from) - 1 : U64.MAX_VALUE;
  return flagged(e, value & kept, from >= bits, size);
}

/** `control`: first bit, number of bits. */
function extract(e: Emulator, value: u64, control: u64, size: u32): u64 {
  assert((value & ~sizeMask(size)) == 0, "bmi: operands are zero-extended");
  const start = control & 0xff;
  const length = (control >> 8) & 0xff;
  const from = start < 64 ? value >> start : 0;
  return flagged(e, length < 64 ? from & (((<u64>1) << length) - 1) : from, false, size);
}

function shifted(i: Instruction, value: u64, count: u64, size: u32): u64 {
  assert(count < 64, "bmi: count is masked");
  const prefix = i.vex & VEX_PREFIX;
  if (isDefined(CHECKED)) assert(prefix != VEX_NO_PREFIX, "bmi: BEXTR");
  if (prefix == VEX_F2) return value >> count;
  return prefix == VEX_F3 ? <u64>(<i64>signExtend(value, size) >> count) : value << count;
}

function rotate(value: u64, count: u64, size: u32): u64 {
  assert(count < 8 * size, "bmi: count is masked");
  const bits: u64 = 8 * size;
  return count == 0 ? value : (value >> count) | (value << (bits - count));
}

/** PEXT: the bits of `value` that `mask` selects, side by side. */
function gather(value: u64, mask: u64): u64 {
  let result: u64 = 0;
  let place: u64 = 0;
  for (let left = mask; left != 0; left &= left - 1) result |= ((value >> ctz(left)) & 1) << place++;
  if (isDefined(CHECKED)) assert(place == popcnt(mask), "bmi: a bit for each of the mask");
  return result;
}

/** PDEP: the low bits of `value` at the places that `mask` selects. */
function scatter(value: u64, mask: u64): u64 {
  let result: u64 = 0;
  let from: u64 = 0;
  for (let left = mask; left != 0; left &= left - 1) result |= ((value >> from++) & 1) << ctz(left);
  if (isDefined(CHECKED)) assert((result & ~mask) == 0, "bmi: bits outside of the mask");
  return result;
}

/** MULX: the upper half of the product by rDX last, so that it stays if both are one register. */
function multiply(e: Emulator, value: u64, size: u32): void {
  if (isDefined(CHECKED)) assert(e.instruction.opcode == OPCODE_MULX, "bmi: another instruction");
  assert(size == 4 || size == 8, "bmi: operand size");
  const i = e.instruction;
  const factor = readRegister(e.vcpu, i, RDX, size);
  const low = value * factor;
  const high = size == 8 ? mul_high(value, factor) : low >> 32;
  writeRegister(e.vcpu, i, i.vex & VEX_REGISTER, size, low);
  writeRegister(e.vcpu, i, i.register, size, high);
}

// Integer arithmetic of one, two and four operands with exact flags. Operands come zero-extended from `size` bytes.
import { RFLAGS_CF, RFLAGS_OF } from "../../arch/cr";
import { Emulator } from "./emulator";
import { adjustFlag, carry, resultFlags, setFlag, setFlags, signBit } from "./flags";
import {
  OP_ADC,
  OP_ADD,
  OP_AND,
  OP_CMP,
  OP_DEC,
  OP_INC,
  OP_NEG,
  OP_NOT,
  OP_OR,
  OP_SBB,
  OP_SUB,
  OP_XOR,
} from "./instruction";
import { sizeMask } from "./linear";
import { isAccessSize } from "../../lib/sizes";

/** `a` operation `b`; sets the flags. For CMP the result is that of SUB. */
export function arithmetic(e: Emulator, operation: u32, a: u64, b: u64, size: u32): u64 {
  if (isDefined(CHECKED)) assert(operation >= OP_ADD && operation <= OP_CMP, "alu: another operation");
  assert(isAccessSize(size), "alu: operand size");
  assert(((a | b) & ~sizeMask(size)) == 0, "alu: operands are zero-extended");
  switch (operation) {
    case OP_ADD:
      return add(e, a, b, 0, size);
    case OP_ADC:
      return add(e, a, b, carry(e), size);
    case OP_SUB:
    case OP_CMP:
      return subtract(e, a, b, 0, size);
    case OP_SBB:
      return subtract(e, a, b, carry(e), size);
    case OP_AND:
      return logical(e, a & b, size);
    case OP_OR:
      return logical(e, a | b, size);
    case OP_XOR:
      return logical(e, a ^ b, size);
    default:
      return a;
  }
}

function add(e: Emulator, a: u64, b: u64, c: u64, size: u32): u64 {
  assert(c <= 1, "alu: one carry");
  const result = (a + b + c) & sizeMask(size);
  let flags = resultFlags(result, size) | adjustFlag(a, b, result);
  if (result < a || (c != 0 && result == a)) flags |= RFLAGS_CF;
  if ((~(a ^ b) & (a ^ result) & signBit(size)) != 0) flags |= RFLAGS_OF;
  setFlags(e, flags);
  return result;
}

function subtract(e: Emulator, a: u64, b: u64, c: u64, size: u32): u64 {
  assert(c <= 1, "alu: one carry");
  const result = (a - b - c) & sizeMask(size);
  let flags = resultFlags(result, size) | adjustFlag(a, b, result);
  if (a < b || (c != 0 && a == b)) flags |= RFLAGS_CF;
  if (((a ^ b) & (a ^ result) & signBit(size)) != 0) flags |= RFLAGS_OF;
  setFlags(e, flags);
  return result;
}

/** CF and OF are cleared; AF, undefined, too. */
export function logical(e: Emulator, result: u64, size: u32): u64 {
  assert((result & ~sizeMask(size)) == 0, "alu: operands are zero-extended");
  setFlags(e, resultFlags(result, size));
  return result;
}

/** NOT, NEG, INC, DEC. */
export function unary(e: Emulator, operation: u32, a: u64, size: u32): u64 {
  if (isDefined(CHECKED)) assert(operation >= OP_NOT && operation <= OP_DEC, "alu: another operation");
  assert(isAccessSize(size) && (a & ~sizeMask(size)) == 0, "alu: operands are zero-extended");
  const held = carry(e);
  let result: u64 = 0;
  switch (operation) {
    case OP_NOT:
      return ~a & sizeMask(size);
    case OP_NEG:
      return subtract(e, 0, a, 0, size);
    case OP_INC:
      result = add(e, a, 1, 0, size);
      break;
    case OP_DEC:
      result = subtract(e, a, 1, 0, size);
      break;
    default:
      return a;
  }
  // INC and DEC leave CF alone.
  setFlag(e, RFLAGS_CF, held != 0);
  return result;
}

/** The value of `size` bytes, sign-extended. */
export function signExtend(value: u64, size: u32): u64 {
  assert(isAccessSize(size), "alu: operand size");
  const unused: u64 = 64 - 8 * size;
  return <u64>(<i64>(value << unused) >> unused);
}

/** The bytes of `value` in reverse order. */
export function swapBytes(value: u64, size: u32): u64 {
  assert(isAccessSize(size) && size > 1, "alu: operand size");
  let swapped: u64 = 0;
  for (let i: u32 = 0; i < size; i++) swapped = (swapped << 8) | ((value >> (8 * i)) & 0xff);
  return swapped;
}

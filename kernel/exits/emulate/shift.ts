// Shifts, rotates and bit operations with exact flags (SDM, "SAL/SAR/SHL/SHR", "RCL/RCR/ROL/ROR", "SHLD", "BT", "BSF").
import { RFLAGS_CF, RFLAGS_OF, RFLAGS_ZF } from "../../arch/cr";
import { signExtend } from "./alu";
import { Emulator } from "./emulator";
import { carry, resultFlags, setFlag, setFlags, signBit } from "./flags";
import { OP_RCL, OP_RCR, OP_ROL, OP_ROR, OP_SAR, OP_SHR } from "./instruction";
import { sizeMask } from "./linear";
import { isAccessSize } from "../../lib/sizes";

/** Shifts and rotates of `a`. `count` is masked here; with a masked count of 0 nothing changes, flags neither. */
export function shift(e: Emulator, operation: u32, a: u64, count: u64, size: u32): u64 {
  if (isDefined(CHECKED)) assert(operation >= OP_ROL && operation <= OP_SAR, "shift: another operation");
  assert(isAccessSize(size) && (a & ~sizeMask(size)) == 0, "shift: operands are zero-extended");
  const masked = count & (size == 8 ? 63 : 31);
  if (masked == 0) return a;
  if (operation == OP_ROL || operation == OP_ROR) return rotate(e, operation == OP_ROL, a, masked, size);
  if (operation == OP_RCL || operation == OP_RCR) return rotateCarry(e, operation == OP_RCL, a, masked, size);
  if (operation == OP_SHR) return shiftRight(e, false, a, masked, size);
  if (operation == OP_SAR) return shiftRight(e, true, signExtend(a, size), masked, size);
  return shiftLeft(e, a, masked, size);
}

function shiftLeft(e: Emulator, a: u64, count: u64, size: u32): u64 {
  assert(count != 0 && count < 64, "shift: count is masked");
  const bits: u64 = 8 * size;
  const result = count < 64 ? (a << count) & sizeMask(size) : 0;
  const out = count <= bits && ((a >> (bits - count)) & 1) != 0;
  let flags = resultFlags(result, size);
  if (out) flags |= RFLAGS_CF;
  if (((result & signBit(size)) != 0) != out) flags |= RFLAGS_OF;
  setFlags(e, flags);
  return result;
}

/** SHR, or signed SAR. `a` is zero- or sign-extended to 64 bits accordingly. */
function shiftRight(e: Emulator, signed: bool, a: u64, count: u64, size: u32): u64 {
  assert(count != 0 && count < 64, "shift: count is masked");
  // One short of the whole count, so that the bit shifted out last is still there.
  const before = signed ? <u64>(<i64>a >> (count - 1)) : a >> (count - 1);
  const result = (signed ? <u64>(<i64>before >> 1) : before >> 1) & sizeMask(size);
  let flags = resultFlags(result, size);
  if ((before & 1) != 0) flags |= RFLAGS_CF;
  if (!signed && (a & signBit(size)) != 0) flags |= RFLAGS_OF;
  setFlags(e, flags);
  return result;
}

/** ROL, ROR: only CF and OF change. */
function rotate(e: Emulator, left: bool, a: u64, count: u64, size: u32): u64 {
  assert(count != 0 && count < 64, "shift: count is masked");
  const bits: u64 = 8 * size;
  const by = count % bits;
  const up = left ? by : (bits - by) % bits;
  const result = up == 0 ? a : ((a << up) | (a >> (bits - up))) & sizeMask(size);
  const top = (result & signBit(size)) != 0;
  const out = left ? (result & 1) != 0 : top;
  const other = left ? top : (result & (signBit(size) >> 1)) != 0;
  setFlag(e, RFLAGS_CF, out);
  setFlag(e, RFLAGS_OF, left ? other != out : other != top);
  return result;
}

/** RCL, RCR: CF is one more bit of the operand. Bit by bit, at most 63 times. */
function rotateCarry(e: Emulator, left: bool, a: u64, count: u64, size: u32): u64 {
  assert(count != 0 && count < 64, "shift: count is masked");
  const steps = count % (8 * size + 1);
  const sign = signBit(size);
  let result = a;
  let incoming = carry(e);
  for (let i: u64 = 0; i < steps; i++) {
    const out: u64 = left ? ((result & sign) != 0 ? 1 : 0) : result & 1;
    result = left ? ((result << 1) | incoming) & sizeMask(size) : (result >> 1) | (incoming != 0 ? sign : 0);
    incoming = out;
  }
  setFlag(e, RFLAGS_CF, incoming != 0);
  const top = (result & sign) != 0;
  const overflow = left ? top != (incoming != 0) : top != ((result & (sign >> 1)) != 0);
  if (steps != 0) setFlag(e, RFLAGS_OF, overflow);
  return result;
}

/** SHLD (left) and SHRD of `a`, with bits from `b`. Counts above 16 of 16-bit operands, which are undefined, go round `b`. */
export function shiftDouble(e: Emulator, left: bool, a: u64, b: u64, count: u64, size: u32): u64 {
  assert(isAccessSize(size) && size > 1, "shift: operand size");
  assert(((a | b) & ~sizeMask(size)) == 0, "shift: operands are zero-extended");
  const by = count & (size == 8 ? 63 : 31);
  if (by == 0) return a;
  const bits: u64 = 8 * size;
  let result = a;
  let fill = b;
  let out: u64 = 0;
  for (let i: u64 = 0; i < by; i++) {
    if (left) {
      out = (result >> (bits - 1)) & 1;
      result = ((result << 1) | ((fill >> (bits - 1)) & 1)) & sizeMask(size);
      fill = ((fill << 1) | (fill >> (bits - 1))) & sizeMask(size);
    } else {
      out = result & 1;
      result = (result >> 1) | ((fill & 1) << (bits - 1));
      fill = (fill >> 1) | ((fill & 1) << (bits - 1));
    }
  }
  let flags = resultFlags(result, size) | (out != 0 ? RFLAGS_CF : 0);
  if (((a ^ result) & signBit(size)) != 0) flags |= RFLAGS_OF;
  setFlags(e, flags);
  return result;
}

/** BSF, BSR: index of the lowest or highest set bit of `a`, which is not 0. */
export function scanBits(highest: bool, a: u64): u64 {
  assert(a != 0, "shift: there is no bit");
  return highest ? 63 - clz(a) : ctz(a);
}

/**
 * TZCNT, LZCNT: zero bits below the lowest, above the highest set bit. CF: there was none. ZF: the result is 0. The other
 * flags, undefined, are cleared.
 */
export function countZeros(e: Emulator, leading: bool, a: u64, size: u32): u64 {
  assert((a & ~sizeMask(size)) == 0, "shift: operands are zero-extended");
  const bits: u64 = 8 * size;
  const result = a == 0 ? bits : leading ? clz(a) - (64 - bits) : ctz(a);
  if (isDefined(CHECKED)) assert(result <= bits, "shift: more zeros than bits");
  setFlags(e, (a == 0 ? RFLAGS_CF : 0) | (result == 0 ? RFLAGS_ZF : 0));
  return result;
}

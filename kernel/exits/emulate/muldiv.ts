// MUL, IMUL, DIV and IDIV: the products and dividends are twice as wide as the operand (SDM, "MUL", "IMUL", "DIV", "IDIV").
import { RFLAGS_CF, RFLAGS_OF, RFLAGS_ZF } from "../../arch/cr";
import { div_wide, mul_high } from "../../arch/intrinsics";
import { raise, VECTOR_DE } from "../../vcpu/raise";
import { RAX, RDX } from "../../vcpu/registers";
import { signExtend } from "./alu";
import { Emulator } from "./emulator";
import { resultFlags, setFlags } from "./flags";
import { sizeMask } from "./linear";
import { readRegister, writeRegister } from "./operand";
import { isAccessSize } from "../../lib/sizes";

/** CF and OF: the product does not fit in its lower half. SF and PF follow the lower half; ZF and AF are cleared. */
function setProductFlags(e: Emulator, low: u64, size: u32, fits: bool): void {
  assert(isAccessSize(size), "muldiv: operand size");
  setFlags(e, (resultFlags(low, size) & ~RFLAGS_ZF) | (fits ? 0 : RFLAGS_CF | RFLAGS_OF));
}

/** High half of the signed 128-bit product. */
function signedHigh(a: u64, b: u64): u64 {
  let high = mul_high(a, b);
  if (<i64>a < 0) high -= b;
  if (<i64>b < 0) high -= a;
  return high;
}

/** MUL, or signed IMUL, of the accumulator by `b`: into rDX:rAX, for bytes AX. */
export function multiply(e: Emulator, signed: bool, b: u64, size: u32): void {
  assert(isAccessSize(size) && (b & ~sizeMask(size)) == 0, "muldiv: operands are zero-extended");
  const vcpu = e.vcpu;
  const i = e.instruction;
  const a = readRegister(vcpu, i, RAX, size);
  const x = signed ? signExtend(a, size) : a;
  const y = signed ? signExtend(b, size) : b;
  const low = x * y;
  const bits: u64 = 8 * size;
  const high = size == 8 ? (signed ? signedHigh(x, y) : mul_high(x, y)) : (low >> bits) & sizeMask(size);
  if (size == 1) {
    writeRegister(vcpu, i, RAX, 2, low);
  } else {
    writeRegister(vcpu, i, RAX, size, low);
    writeRegister(vcpu, i, RDX, size, high);
  }
  const extension = signed ? <u64>(<i64>signExtend(low, size) >> 63) & sizeMask(size) : 0;
  setProductFlags(e, low, size, high == extension);
}

/** IMUL with a destination register: the lower half of the product. */
export function multiplyTruncated(e: Emulator, a: u64, b: u64, size: u32): u64 {
  assert(isAccessSize(size) && size > 1, "muldiv: operand size");
  const x = signExtend(a, size);
  const y = signExtend(b, size);
  const low = x * y;
  const fits = size == 8 ? signedHigh(x, y) == <u64>(<i64>low >> 63) : signExtend(low, size) == low;
  setProductFlags(e, low, size, fits);
  return low & sizeMask(size);
}

/** DIV, or signed IDIV, of rDX:rAX (for bytes AX) by `b`. False: #DE. Flags, all undefined, are left alone. */
export function divide(e: Emulator, signed: bool, b: u64, size: u32): bool {
  assert(isAccessSize(size) && (b & ~sizeMask(size)) == 0, "muldiv: operands are zero-extended");
  const bits: u64 = 8 * size;
  const mask = sizeMask(size);
  const a = readRegister(e.vcpu, e.instruction, RAX, size);
  const top = size == 1 ? (e.vcpu.rax >> 8) & 0xff : readRegister(e.vcpu, e.instruction, RDX, size);
  if (b == 0) return failDivision(e);
  // The dividend as 128 bits, high:low.
  let low = size == 8 ? a : (top << bits) | a;
  let high: u64 = size == 8 ? top : 0;
  if (signed && size < 8) {
    low = size == 4 ? low : signExtend(low, 2 * size);
    high = <u64>(<i64>low >> 63);
  }
  const negative = signed && <i64>high < 0;
  const negativeDivisor = signed && b >> (bits - 1) != 0;
  if (negative) {
    high = ~high + (low == 0 ? 1 : 0);
    low = 0 - low;
  }
  const divisor = negativeDivisor ? (0 - b) & mask : b;
  if (high >= divisor) return failDivision(e);
  assert(divisor != 0, "muldiv: divisor");
  const quotient = div_wide(high, low, divisor);
  const remainder = low - quotient * divisor;
  if (isDefined(CHECKED)) assert(remainder < divisor, "muldiv: remainder");
  const limit: u64 = signed ? (mask >> 1) + (negative != negativeDivisor ? 1 : 0) : mask;
  if (quotient > limit) return failDivision(e);
  storeQuotient(
    e,
    negative != negativeDivisor ? 0 - quotient : quotient,
    negative ? 0 - remainder : remainder,
    size,
  );
  return true;
}

function storeQuotient(e: Emulator, quotient: u64, remainder: u64, size: u32): void {
  assert(isAccessSize(size), "muldiv: operand size");
  if (size == 1) {
    writeRegister(e.vcpu, e.instruction, RAX, 2, ((remainder & 0xff) << 8) | (quotient & 0xff));
    return;
  }
  writeRegister(e.vcpu, e.instruction, RAX, size, quotient);
  writeRegister(e.vcpu, e.instruction, RDX, size, remainder);
}

function failDivision(e: Emulator): bool {
  e.outcome = raise(e.vcpu, VECTOR_DE);
  return false;
}

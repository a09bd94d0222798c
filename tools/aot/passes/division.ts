import { bitsOf, type Type, type Value } from "../ir/ir.ts";
import type { Maker } from "./maker.ts";

/**
 * Division by a constant becomes a multiplication by a scaled reciprocal.
 * Source: Granlund and Montgomery, "Division by Invariant Integers using Multiplication".
 */
export function divideByConstant(v: Value, m: Maker): Value | null {
  const [x, y] = v.args as [Value, Value];
  const type = v.type!;
  if (y.op !== "const" || y.imm === 0n) return null;
  const isSigned = v.op.endsWith("_s");
  const quotient = isSigned ? signedQuotient(x, y.imm, type, m) : unsignedQuotient(x, y.imm, type, m);
  if (!quotient) return null;
  if (v.op.startsWith("div")) return quotient;
  return m.make("sub", type, [x, m.make("mul", type, [quotient, y])]);
}

function log2(value: bigint): number {
  return (value & (value - 1n)) === 0n ? value.toString(2).length - 1 : -1;
}

function shiftRight(op: "shr_u" | "shr_s", x: Value, count: number, m: Maker): Value {
  return count === 0 ? x : m.make(op, x.type!, [x, m.constant(x.type!, BigInt(count))]);
}

function unsignedQuotient(x: Value, divisor: bigint, type: Type, m: Maker): Value | null {
  const bits = bitsOf(type);
  const d = BigInt.asUintN(bits, divisor);
  if (d === 1n) return x;
  const power = log2(d);
  if (power > 0) return shiftRight("shr_u", x, power, m);
  // ceil(2^(bits + shift) / d) has bits + 1 bits; even divisors can shift first and need only `bits`.
  const shift = d.toString(2).length;
  const magic = ((1n << BigInt(bits + shift)) + d - 1n) / d;
  const shorter = shortMagic(d, bits);
  if (shorter) return mulHigh(x, shorter.magic, type, m, "u", shorter.shift);
  const low = BigInt.asUintN(bits, magic);
  const high = mulHigh(x, low, type, m, "u");
  // (x * (2^bits + low)) >> (bits + shift) without overflow: average x and the high part first.
  const half = shiftRight("shr_u", m.make("sub", type, [x, high]), 1, m);
  return shiftRight("shr_u", m.make("add", type, [half, high]), shift - 1, m);
}

/** A multiplier of `bits` bits that is exact for every dividend, if there is one. */
function shortMagic(d: bigint, bits: number): { magic: bigint; shift: number } | null {
  const top = 1n << BigInt(bits);
  for (let shift = 0; shift < bits; shift++) {
    const scale = 1n << BigInt(bits + shift);
    const magic = (scale + d - 1n) / d;
    if (magic >= top) return null;
    // Exact when the error of the reciprocal stays below 2^shift over the whole range.
    if (magic * d - scale <= 1n << BigInt(shift)) return { magic, shift };
  }
  return null;
}

/** The high half of x * magic, shifted right (unsigned) by `shift` more. */
function mulHigh(x: Value, magic: bigint, type: Type, m: Maker, sign: "s" | "u", shift = 0): Value {
  if (type === "i64") {
    return shiftRight(
      "shr_u",
      m.make(sign === "u" ? "mulh_u" : "mulh_s", "i64", [x, m.constant("i64", magic)]),
      shift,
      m,
    );
  }
  const wide = m.make(sign === "u" ? "extend_u" : "extend_s", "i64", [x]);
  const product = m.make("mul", "i64", [wide, m.constant("i64", magic)]);
  return m.make("wrap", "i32", [shiftRight("shr_u", product, 32 + shift, m)]);
}

function signedQuotient(x: Value, divisor: bigint, type: Type, m: Maker): Value | null {
  const bits = bitsOf(type);
  const magnitude = divisor < 0n ? -divisor : divisor;
  // x / -1 traps for the smallest x; dividing by the smallest value is left to the instruction.
  if (divisor === -1n || magnitude === 1n << BigInt(bits - 1)) return null;
  if (magnitude === 1n) return x;
  const power = log2(magnitude);
  const positive = power > 0 ? signedPower(x, power, m) : signedMagic(x, magnitude, type, m);
  return divisor < 0n ? m.make("sub", type, [m.constant(type, 0n), positive]) : positive;
}

/** Rounds towards zero: negative dividends get 2^power - 1 added before the shift. */
function signedPower(x: Value, power: number, m: Maker): Value {
  const bits = bitsOf(x.type!);
  const sign = shiftRight("shr_s", x, bits - 1, m);
  const bias = shiftRight("shr_u", sign, bits - power, m);
  return shiftRight("shr_s", m.make("add", x.type!, [x, bias]), power, m);
}

function signedMagic(x: Value, d: bigint, type: Type, m: Maker): Value {
  const bits = bitsOf(type);
  let shift = d.toString(2).length - 1;
  const scale = 1n << BigInt(bits + shift);
  const magic = scale / d + 1n;
  const signedForm = BigInt.asIntN(bits, magic);
  let high = mulHigh(x, signedForm, type, m, "s");
  if (signedForm < 0n) high = m.make("add", type, [high, x]);
  const shifted = shiftRight("shr_s", high, shift, m);
  shift = bits - 1;
  return m.make("sub", type, [shifted, shiftRight("shr_s", x, shift, m)]);
}

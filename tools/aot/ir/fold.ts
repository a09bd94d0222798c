import { bitsOf, type Op, type Type } from "./ir.ts";

const TRUE = 1n;
const FALSE = 0n;

function unsigned(type: Type, v: bigint): bigint {
  return BigInt.asUintN(bitsOf(type), v);
}

function bool(v: boolean): bigint {
  return v ? TRUE : FALSE;
}

type Fold = (a: bigint, b: bigint, type: Type) => bigint | null;

function rotate(a: bigint, count: bigint, type: Type): bigint {
  const bits = BigInt(bitsOf(type));
  const n = ((count % bits) + bits) % bits;
  const u = unsigned(type, a);
  return (u << n) | (u >> (bits - n));
}

function shiftCount(count: bigint, type: Type): bigint {
  return count & BigInt(bitsOf(type) - 1);
}

function countBits(v: bigint): bigint {
  return BigInt(v.toString(2).replaceAll("0", "").length);
}

/** Operands are signed values of `type`. The result is truncated by the caller; null: it traps. */
const FOLDS: Partial<Record<Op, Fold>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b, t) => a << shiftCount(b, t),
  shr_s: (a, b, t) => a >> shiftCount(b, t),
  shr_u: (a, b, t) => unsigned(t, a) >> shiftCount(b, t),
  rotl: (a, b, t) => rotate(a, b, t),
  rotr: (a, b, t) => rotate(a, -b, t),
  div_s: (a, b, t) => (b === 0n || (b === -1n && a === -(1n << BigInt(bitsOf(t) - 1))) ? null : a / b),
  div_u: (a, b, t) => (b === 0n ? null : unsigned(t, a) / unsigned(t, b)),
  rem_s: (a, b) => (b === 0n ? null : a % b),
  rem_u: (a, b, t) => (b === 0n ? null : unsigned(t, a) % unsigned(t, b)),
  eq: (a, b) => bool(a === b),
  ne: (a, b) => bool(a !== b),
  lt_s: (a, b) => bool(a < b),
  gt_s: (a, b) => bool(a > b),
  le_s: (a, b) => bool(a <= b),
  ge_s: (a, b) => bool(a >= b),
  lt_u: (a, b, t) => bool(unsigned(t, a) < unsigned(t, b)),
  gt_u: (a, b, t) => bool(unsigned(t, a) > unsigned(t, b)),
  le_u: (a, b, t) => bool(unsigned(t, a) <= unsigned(t, b)),
  ge_u: (a, b, t) => bool(unsigned(t, a) >= unsigned(t, b)),
  mulh_u: (a, b) => (unsigned("i64", a) * unsigned("i64", b)) >> 64n,
  mulh_s: (a, b) => (a * b) >> 64n,
  clz: (a, _b, t) => BigInt(bitsOf(t)) - BigInt(a === 0n ? 0 : unsigned(t, a).toString(2).length),
  ctz: (a, _b, t) => BigInt(a === 0n ? bitsOf(t) : (a & -a).toString(2).length - 1),
  popcnt: (a, _b, t) => countBits(unsigned(t, a)),
  wrap: (a) => a,
  extend_s: (a) => a,
  extend_u: (a) => BigInt.asUintN(32, a),
  extend8_s: (a) => BigInt.asIntN(8, a),
  extend16_s: (a) => BigInt.asIntN(16, a),
  extend32_s: (a) => BigInt.asIntN(32, a),
};

/** Evaluates an operation on constants of type `type`; null when it traps or has no constant value. */
export function foldConstants(op: Op, type: Type, a: bigint, b: bigint): bigint | null {
  return FOLDS[op]?.(a, b, type) ?? null;
}

import { significantBits } from "../ir/bits.ts";
import { foldConstants } from "../ir/fold.ts";
import { bitsOf, isComparison, type Op, type Value } from "../ir/ir.ts";
import { divideByConstant } from "./division.ts";
import { factorAnd, matchBitSelect, matchByteSwap, matchRotate } from "./idioms.ts";
import type { Maker } from "./maker.ts";

type Rule = (v: Value, m: Maker) => Value | null;

export const COMMUTATIVE = new Set<Op>(["add", "mul", "and", "or", "xor", "eq", "ne", "mulh_s", "mulh_u"]);

export const MIRRORED: Partial<Record<Op, Op>> = {
  lt_s: "gt_s",
  gt_s: "lt_s",
  le_s: "ge_s",
  ge_s: "le_s",
  lt_u: "gt_u",
  gt_u: "lt_u",
  le_u: "ge_u",
  ge_u: "le_u",
};

export const NEGATED: Partial<Record<Op, Op>> = {
  eq: "ne",
  ne: "eq",
  lt_s: "ge_s",
  ge_s: "lt_s",
  gt_s: "le_s",
  le_s: "gt_s",
  lt_u: "ge_u",
  ge_u: "lt_u",
  gt_u: "le_u",
  le_u: "gt_u",
};

function isConst(v: Value, value?: bigint): boolean {
  return v.op === "const" && (value === undefined || v.imm === value);
}

function constOf(v: Value): bigint | null {
  return v.op === "const" ? v.imm : null;
}

function lowMask(bits: number): bigint {
  return (1n << BigInt(bits)) - 1n;
}

function log2(value: bigint): number {
  return value > 0n && (value & (value - 1n)) === 0n ? value.toString(2).length - 1 : -1;
}

// --- constants ------------------------------------------------------------------------------------------------------

const fold: Rule = (v, m) => {
  if (!v.args.length || v.args.length > 2 || !v.type || !v.args.every((a) => a.op === "const")) return null;
  const [a, b] = v.args as [Value, Value | undefined];
  const result = foldConstants(v.op, a.type!, a.imm, b?.imm ?? 0n);
  return result === null ? null : m.constant(v.type, result);
};

/** Constants go right, which all other rules count on. */
const canonical: Rule = (v) => {
  const [a, b] = v.args;
  if (!a || !b || a.op !== "const" || b.op === "const") return null;
  if (COMMUTATIVE.has(v.op)) v.args = [b, a];
  else if (MIRRORED[v.op]) {
    v.op = MIRRORED[v.op]!;
    v.args = [b, a];
  }
  return null;
};

// --- arithmetic -----------------------------------------------------------------------------------------------------

const add: Rule = (v, m) => {
  const [a, b] = v.args as [Value, Value];
  const c = constOf(b);
  if (c === 0n) return a;
  if (c !== null && a.op === "add" && isConst(a.args[1]!)) {
    return m.make("add", v.type!, [a.args[0]!, m.constant(v.type!, c + a.args[1]!.imm)]);
  }
  if (b.op === "sub" && isConst(b.args[0]!, 0n)) return m.make("sub", v.type!, [a, b.args[1]!]);
  if (c === null) return matchRotate(v, m) ?? reassociate(v, m);
  return null;
};

/** (x + c) + y -> (x + y) + c, so that the constant ends up in an addressing mode. */
const reassociate: Rule = (v, m) => {
  const [a, b] = v.args as [Value, Value];
  for (const [x, y] of [
    [a, b],
    [b, a],
  ] as const) {
    if (x.op !== "add" || !isConst(x.args[1]!)) continue;
    return m.make("add", v.type!, [m.make("add", v.type!, [x.args[0]!, y]), x.args[1]!]);
  }
  return null;
};

const sub: Rule = (v, m) => {
  const [a, b] = v.args as [Value, Value];
  const c = constOf(b);
  if (a === b) return m.constant(v.type!, 0n);
  if (c !== null) return m.make("add", v.type!, [a, m.constant(v.type!, -c)]);
  if (a.op === "add" && a.args[1] === b) return a.args[0]!;
  if (a.op === "add" && a.args[0] === b) return a.args[1]!;
  return null;
};

const mul: Rule = (v, m) => {
  const [a, b] = v.args as [Value, Value];
  const c = constOf(b);
  if (c === null) return null;
  if (c === 0n) return b;
  if (c === 1n) return a;
  if (c === -1n) return m.make("sub", v.type!, [m.constant(v.type!, 0n), a]);
  const shift = log2(BigInt.asUintN(bitsOf(v.type!), c));
  if (shift > 0) return m.make("shl", v.type!, [a, m.constant(v.type!, BigInt(shift))]);
  return null;
};

/** low <= x & x <= high is one unsigned comparison of x - low. */
function range(v: Value, m: Maker): Value | null {
  const inside = v.op === "and";
  const bound = (w: Value, ...ops: Op[]) => (ops.includes(w.op) && w.args[1]!.op === "const" ? w : null);
  const [a, b] = v.args as [Value, Value];
  const lowOps: Op[] = inside ? ["ge_u", "gt_u"] : ["lt_u", "le_u"];
  const highOps: Op[] = inside ? ["le_u", "lt_u"] : ["gt_u", "ge_u"];
  const low = bound(a, ...lowOps) ?? bound(b, ...lowOps);
  const high = bound(a, ...highOps) ?? bound(b, ...highOps);
  if (!low || !high || low.args[0] !== high.args[0]) return null;
  const x = low.args[0]!;
  const bits = bitsOf(x.type!);
  const u = (w: Value) => BigInt.asUintN(bits, w.args[1]!.imm);
  const first = u(low) + (low.op === "gt_u" || low.op === "le_u" ? 1n : 0n);
  const last = u(high) - (high.op === "lt_u" || high.op === "ge_u" ? 1n : 0n);
  if (first > last) return null;
  const offset = m.make("add", x.type!, [x, m.constant(x.type!, -first)]);
  return m.make(inside ? "le_u" : "gt_u", "i32", [offset, m.constant(x.type!, last - first)]);
}

/** x == a | x == b where a and b differ by a power of two: one test of x - a without that bit. */
function eitherOf(v: Value, m: Maker): Value | null {
  const [p, q] = v.args as [Value, Value];
  if (p.op !== "eq" || q.op !== "eq" || p.args[0] !== q.args[0]) return null;
  const [a, b] = [p.args[1]!, q.args[1]!];
  if (a.op !== "const" || b.op !== "const") return null;
  const [low, high] = a.imm < b.imm ? [a.imm, b.imm] : [b.imm, a.imm];
  if (log2(high - low) < 0) return null;
  const type = a.type!;
  const offset = m.make("add", type, [p.args[0]!, m.constant(type, -low)]);
  return m.make("eq", "i32", [
    m.make("and", type, [offset, m.constant(type, ~(high - low))]),
    m.constant(type, 0n),
  ]);
}

const and: Rule = (v, m) => {
  const [a, b] = v.args as [Value, Value];
  const c = constOf(b);
  if (a === b) return a;
  if (c === null) return range(v, m);
  if (c === 0n) return b;
  if (c === -1n) return a;
  if (a.op === "and" && isConst(a.args[1]!)) {
    return m.make("and", v.type!, [a.args[0]!, m.constant(v.type!, c & a.args[1]!.imm)]);
  }
  const mask = BigInt.asUintN(bitsOf(v.type!), c);
  const possible = lowMask(significantBits(a));
  if ((mask & possible) === possible) return a;
  if (a.op === "extend_u" && c > 0n) {
    const narrow = m.make("and", "i32", [a.args[0]!, m.constant("i32", c)]);
    return m.make("extend_u", "i64", [narrow]);
  }
  const low = withoutHighTerm(a, mask);
  return low && m.make("and", v.type!, [low, b]);
};

/** a + (b << n) where the mask keeps less than the lowest n bits: b plays no part in them, so a alone does. */
function withoutHighTerm(sum: Value, mask: bigint): Value | null {
  if (!["add", "sub", "or", "xor"].includes(sum.op)) return null;
  const [a, b] = sum.args as [Value, Value];
  const isAbove = (v: Value) =>
    v.op === "shl" && isConst(v.args[1]!) && mask >> (v.args[1]!.imm & BigInt(bitsOf(v.type!) - 1)) === 0n;
  if (isAbove(b)) return a;
  return sum.op !== "sub" && isAbove(a) ? b : null;
}

const or: Rule = (v, m) => {
  const [a, b] = v.args as [Value, Value];
  if (a === b || isConst(b, 0n)) return a;
  if (isConst(b, -1n)) return b;
  return (
    matchRotate(v, m) ??
    matchByteSwap(v, m) ??
    range(v, m) ??
    eitherOf(v, m) ??
    matchBitSelect(v, m) ??
    factorAnd(v, m)
  );
};

const xor: Rule = (v, m) => {
  const [a, b] = v.args as [Value, Value];
  if (a === b) return m.constant(v.type!, 0n);
  if (isConst(b, 0n)) return a;
  if (isConst(b, 1n) && isComparison(a.op)) return m.make(NEGATED[a.op]!, "i32", a.args);
  if (isConst(b) && a.op === "xor" && isConst(a.args[1]!)) {
    return m.make("xor", v.type!, [a.args[0]!, m.constant(v.type!, b.imm ^ a.args[1]!.imm)]);
  }
  return matchRotate(v, m) ?? matchBitSelect(v, m) ?? factorAnd(v, m);
};

// --- shifts ---------------------------------------------------------------------------------------------------------

const SIGN_EXTENSIONS: Record<number, Op> = { 8: "extend8_s", 16: "extend16_s", 32: "extend32_s" };

const shift: Rule = (v, m) => {
  const [a, b] = v.args as [Value, Value];
  const type = v.type!;
  const bits = bitsOf(type);
  // The hardware takes counts modulo the width, as WebAssembly does: masking first is redundant.
  if (b.op === "and" && isConst(b.args[1]!, BigInt(bits - 1))) return m.make(v.op, type, [a, b.args[0]!]);
  if (!isConst(b)) return null;
  const count = Number(b.imm & BigInt(bits - 1));
  if (count === 0) return a;
  if (b.imm !== BigInt(count)) return m.make(v.op, type, [a, m.constant(type, BigInt(count))]);
  if (!["shl", "shr_u", "shr_s"].includes(a.op) || !isConst(a.args[1]!)) return null;
  const inner = Number(a.args[1]!.imm & BigInt(bits - 1));
  const x = a.args[0]!;
  if (a.op === v.op) {
    if (inner + count < bits) return m.make(v.op, type, [x, m.constant(type, BigInt(inner + count))]);
    return v.op === "shr_s"
      ? m.make(v.op, type, [x, m.constant(type, BigInt(bits - 1))])
      : m.constant(type, 0n);
  }
  if (inner !== count) return null;
  if (v.op === "shr_u" && a.op === "shl")
    return m.make("and", type, [x, m.constant(type, lowMask(bits - count))]);
  if (v.op === "shl" && a.op === "shr_u")
    return m.make("and", type, [x, m.constant(type, lowMask(bits) << BigInt(count))]);
  const extension = v.op === "shr_s" && a.op === "shl" && SIGN_EXTENSIONS[bits - count];
  return extension ? m.make(extension, type, [x]) : null;
};

const signedShift: Rule = (v, m) => {
  const bits = bitsOf(v.type!);
  return shift(v, m) ?? (significantBits(v.args[0]!) < bits ? m.make("shr_u", v.type!, v.args) : null);
};

// --- comparisons ----------------------------------------------------------------------------------------------------

const compare: Rule = (v, m) => {
  const [a, b] = v.args as [Value, Value];
  if (a === b) return m.constant("i32", ["eq", "le_s", "le_u", "ge_s", "ge_u"].includes(v.op) ? 1n : 0n);
  const c = constOf(b);
  if (c !== null) return compareConstant(v, m, a, c) ?? widened(v, m);
  return widened(v, m);
};

const compareConstant = (v: Value, m: Maker, a: Value, c: bigint): Value | null => {
  const type = a.type!;
  const zero = () => m.constant(type, 0n);
  if (c === 0n && v.op === "gt_u") return m.make("ne", "i32", [a, zero()]);
  if (c === 0n && v.op === "le_u") return m.make("eq", "i32", [a, zero()]);
  if (c === 1n && v.op === "lt_u") return m.make("eq", "i32", [a, zero()]);
  if (c === 1n && v.op === "ge_u") return m.make("ne", "i32", [a, zero()]);
  if (c === 0n && v.op === "lt_u") return m.constant("i32", 0n);
  if (c === 0n && v.op === "ge_u") return m.constant("i32", 1n);
  const isEq = v.op === "eq";
  if (!isEq && v.op !== "ne") return null;
  if (type === "i32" && c === (isEq ? 1n : 0n) && significantBits(a) <= 1) return a;
  if (isComparison(a.op)) {
    if (c === 0n || c === 1n) return isEq === (c === 0n) ? m.make(NEGATED[a.op]!, "i32", a.args) : a;
    return m.constant("i32", isEq ? 0n : 1n);
  }
  if (c === 0n && (a.op === "sub" || a.op === "xor") && !isConst(a.args[1]!))
    return m.make(v.op, "i32", a.args);
  if (["add", "xor"].includes(a.op) && isConst(a.args[1]!)) {
    const k = a.args[1]!.imm;
    return m.make(v.op, "i32", [a.args[0]!, m.constant(type, a.op === "add" ? c - k : c ^ k)]);
  }
  if (a.op === "extend_u" || a.op === "extend_s") {
    const fits = a.op === "extend_u" ? BigInt.asUintN(32, c) === c : BigInt.asIntN(32, c) === c;
    if (!fits) return m.constant("i32", isEq ? 0n : 1n);
    return m.make(v.op, "i32", [a.args[0]!, m.constant("i32", c)]);
  }
  if (BigInt.asUintN(bitsOf(type), c) > lowMask(significantBits(a))) return m.constant("i32", isEq ? 0n : 1n);
  return null;
};

const UNSIGNED: Partial<Record<Op, Op>> = { lt_s: "lt_u", gt_s: "gt_u", le_s: "le_u", ge_s: "ge_u" };

/** A comparison of zero-extended i32 values is an unsigned comparison of the i32 values. */
const widened: Rule = (v, m) => {
  const [a, b] = v.args as [Value, Value];
  if (a.op !== "extend_u") return null;
  const op = UNSIGNED[v.op] ?? v.op;
  if (b.op === "extend_u") return m.make(op, "i32", [a.args[0]!, b.args[0]!]);
  if (b.op === "const" && b.imm >= 0n && b.imm <= 0xffff_ffffn) {
    return m.make(op, "i32", [a.args[0]!, m.constant("i32", b.imm)]);
  }
  return null;
};

// --- conversions and selection --------------------------------------------------------------------------------------

const wrap: Rule = (v, m) => {
  const a = v.args[0]!;
  if (a.op === "extend_u" || a.op === "extend_s") return a.args[0]!;
  if (a.op === "and" && isConst(a.args[1]!) && (a.args[1]!.imm & 0xffff_ffffn) === 0xffff_ffffn) {
    return m.make("wrap", "i32", [a.args[0]!]);
  }
  if (a.op === "extend32_s") return m.make("wrap", "i32", [a.args[0]!]);
  return narrowed(a, m);
};

/** Operations whose low bits depend only on the low bits of their operands. */
const LOW_BITS = new Set<Op>(["add", "sub", "mul", "and", "or", "xor", "shl"]);

/** The low half of a 64-bit result that nobody else needs is computed with 32 bits, which also leaves the upper half clear. */
function narrowed(a: Value, m: Maker): Value | null {
  if (!LOW_BITS.has(a.op) || !m.usedOnce(a)) return null;
  const [x, y] = a.args as [Value, Value];
  const low = (v: Value) => (isConst(v) ? m.constant("i32", v.imm) : m.make("wrap", "i32", [v]));
  if (a.op !== "shl") return m.make(a.op, "i32", [low(x), low(y)]);
  if (!isConst(y)) return null;
  return BigInt.asUintN(6, y.imm) < 32n ? m.make("shl", "i32", [low(x), low(y)]) : m.constant("i32", 0n);
}

const extendUnsigned: Rule = (v, m) => {
  const a = v.args[0]!;
  if (a.op !== "wrap") return null;
  return m.make("and", "i64", [a.args[0]!, m.constant("i64", 0xffff_ffffn)]);
};

const extendSigned: Rule = (v, m) => {
  const a = v.args[0]!;
  if (v.op === "extend_s") {
    if (a.op === "wrap") return m.make("extend32_s", "i64", [a.args[0]!]);
    return significantBits(a) < 32 ? m.make("extend_u", "i64", [a]) : null;
  }
  const bits = { extend8_s: 8, extend16_s: 16, extend32_s: 32 }[v.op as "extend8_s"];
  if (significantBits(a) < bits) return a;
  if (a.op === v.op) return a;
  if (a.op === "and" && isConst(a.args[1]!) && (a.args[1]!.imm & lowMask(bits)) === lowMask(bits)) {
    return m.make(v.op, v.type!, [a.args[0]!]);
  }
  if (a.op === "load" && a.mem!.signed && a.mem!.bytes * 8 <= bits) return a;
  return null;
};

const select: Rule = (v, m) => {
  const [a, b, c] = v.args as [Value, Value, Value];
  if (c.op === "const") return c.imm !== 0n ? a : b;
  if (a === b) return a;
  if (c.op === "eq" && isConst(c.args[1]!, 0n) && c.args[0]!.type === "i32")
    return m.make("select", v.type!, [b, a, c.args[0]!]);
  if (c.op === "ne" && isConst(c.args[1]!, 0n) && c.args[0]!.type === "i32")
    return m.make("select", v.type!, [a, b, c.args[0]!]);
  if (isConst(a) && isConst(b)) {
    const asBool = (op: "ne" | "eq") => m.make(op, "i32", [c, m.constant("i32", 0n)]);
    const one =
      isConst(a, 1n) && isConst(b, 0n)
        ? asBool("ne")
        : isConst(a, 0n) && isConst(b, 1n)
          ? asBool("eq")
          : null;
    if (one) return v.type === "i64" ? m.make("extend_u", "i64", [one]) : one;
  }
  return null;
};

const rotate: Rule = (v, m) => {
  const simpler = shift(v, m);
  if (simpler || v.op !== "rotr" || !isConst(v.args[1]!)) return simpler;
  const bits = bitsOf(v.type!);
  return m.make("rotl", v.type!, [v.args[0]!, m.constant(v.type!, BigInt(bits) - v.args[1]!.imm)]);
};

const RULES: Partial<Record<Op, Rule>> = {
  add,
  sub,
  mul,
  and,
  or,
  xor,
  shl: shift,
  shr_u: shift,
  shr_s: signedShift,
  rotl: rotate,
  rotr: rotate,
  eq: compare,
  ne: compare,
  lt_s: compare,
  lt_u: compare,
  gt_s: compare,
  gt_u: compare,
  le_s: compare,
  le_u: compare,
  ge_s: compare,
  ge_u: compare,
  wrap,
  extend_u: extendUnsigned,
  extend_s: extendSigned,
  extend8_s: extendSigned,
  extend16_s: extendSigned,
  extend32_s: extendSigned,
  select,
  div_s: divideByConstant,
  div_u: divideByConstant,
  rem_s: divideByConstant,
  rem_u: divideByConstant,
};

/** Applies one algebraic rule. Returns the value to use instead, or null when nothing applies. */
export function simplify(v: Value, m: Maker): Value | null {
  canonical(v, m);
  return fold(v, m) ?? RULES[v.op]?.(v, m) ?? null;
}

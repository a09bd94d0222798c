import { isComparison, type Op, type Value } from "../../ir/ir.ts";
import { type Condition, imm, type Operand, reg } from "../lir.ts";
import type { Width } from "../registers.ts";
import type { Selector } from "../selector.ts";
import { widthOf } from "../values.ts";

const CONDITIONS: Partial<Record<Op, Condition>> = {
  eq: "e",
  ne: "ne",
  lt_s: "l",
  lt_u: "b",
  gt_s: "g",
  gt_u: "a",
  le_s: "le",
  le_u: "be",
  ge_s: "ge",
  ge_u: "ae",
};

/** The condition that holds when the operands are exchanged. */
const SWAPPED: Partial<Record<Condition, Condition>> = {
  e: "e",
  ne: "ne",
  l: "g",
  g: "l",
  b: "a",
  a: "b",
  le: "ge",
  ge: "le",
  be: "ae",
  ae: "be",
};

const INVERTED: Record<Condition, Condition> = {
  e: "ne",
  ne: "e",
  z: "nz",
  nz: "z",
  l: "ge",
  ge: "l",
  g: "le",
  le: "g",
  b: "ae",
  ae: "b",
  a: "be",
  be: "a",
  s: "ns",
  ns: "s",
  c: "nc",
  nc: "c",
};

export function invert(cc: Condition): Condition {
  return INVERTED[cc];
}

/** Sets the flags for `v != 0`, fusing a comparison. */
export function conditionOf(s: Selector, v: Value): Condition {
  if (isComparison(v.op)) return compare(s, v);
  return test(s, v, "ne");
}

/** Sets the flags for a comparison and returns the condition under which it is true. */
function compare(s: Selector, v: Value): Condition {
  const cc = CONDITIONS[v.op]!;
  const [a, b] = v.args as [Value, Value];
  if (b.op === "const" && b.imm === 0n) {
    if (cc === "e" || cc === "ne") return test(s, a, cc);
    if (cc === "l") return test(s, a, "s");
    if (cc === "ge") return test(s, a, "ns");
  }
  return narrowCompare(s, cc, a, b) ?? wideCompare(s, cc, a, b);
}

/** cmp byte/word [mem], imm: a narrow load compared with a constant in its range. */
function narrowCompare(s: Selector, cc: Condition, a: Value, b: Value): Condition | null {
  if (a.op !== "load" || b.op !== "const" || a.mem!.bytes > 4) return null;
  const { bytes, signed } = a.mem!;
  if (bytes === widthOf(a)) return null;
  const bits = bytes * 8;
  const inRange = (signed ? BigInt.asIntN(bits, b.imm) : BigInt.asUintN(bits, b.imm)) === b.imm;
  if (!inRange) return null;
  const unsigned = signed ? null : unsignedForm(cc);
  const usable = signed ? isSignedOrEqual(cc) : unsigned !== null;
  if (!usable) return null;
  if (!signed && bytes === 4 && b.imm > 0x7fff_ffffn) return null;
  const operand = s.foldNarrow(a, bytes);
  if (!operand) return null;
  s.emit("cmp", bytes, operand, imm(b.imm));
  return signed ? cc : unsigned;
}

function isSignedOrEqual(cc: Condition): boolean {
  return ["e", "ne", "l", "g", "le", "ge"].includes(cc);
}

/** A zero-extended value is not negative: signed conditions equal unsigned ones. */
function unsignedForm(cc: Condition): Condition | null {
  const forms: Partial<Record<Condition, Condition>> = {
    e: "e",
    ne: "ne",
    l: "b",
    g: "a",
    le: "be",
    ge: "ae",
    b: "b",
    a: "a",
    be: "be",
    ae: "ae",
  };
  return forms[cc] ?? null;
}

function wideCompare(s: Selector, cc: Condition, a: Value, b: Value): Condition {
  const width = widthOf(a);
  if (s.canFold(a) && !s.canFold(b)) {
    const left = s.foldLoad(a);
    if (left) {
      s.emit("cmp", width, left, s.regOrImm(b));
      return cc;
    }
  }
  if (a.op === "const") {
    const left = s.any(b);
    s.emit("cmp", width, left.kind === "imm" ? reg(s.reg(b)) : left, s.regOrImm(a));
    return SWAPPED[cc]!;
  }
  const right = s.any(b);
  s.emit("cmp", width, reg(width === 4 ? s.low(a) : s.reg(a)), right);
  return cc;
}

/** Sets the flags for a comparison of `v` with zero, folding an `and` into the test. */
function test(s: Selector, v: Value, cc: Condition): Condition {
  if (v.op === "and" && s.uses(v) === 1) {
    const [a, b] = v.args as [Value, Value];
    return (
      (b.op === "const" ? testMask(s, a, b.imm, widthOf(v), cc) : null) ?? testBoth(s, a, b, widthOf(v), cc)
    );
  }
  const equality = cc === "e" || cc === "ne";
  if (v.op === "load" && v.mem!.bytes < widthOf(v) && (equality || v.mem!.signed)) {
    const operand = s.foldNarrow(v, v.mem!.bytes);
    if (operand) {
      s.emit("cmp", v.mem!.bytes, operand, imm(0));
      return cc;
    }
  }
  const memory = s.foldLoad(v);
  if (memory) s.emit("cmp", widthOf(v), memory, imm(0));
  else {
    const r = reg(widthOf(v) === 4 ? s.low(v) : s.reg(v));
    s.emit("test", widthOf(v), r, r);
  }
  return cc;
}

function testBoth(s: Selector, a: Value, b: Value, width: Width, cc: Condition): Condition {
  const get = (x: Value) => reg(width === 4 ? s.low(x) : s.reg(x));
  const left = s.foldLoad(a);
  const right = left ? null : s.foldLoad(b);
  if (left) s.emit("test", width, left, get(b));
  else if (right) s.emit("test", width, right, get(a));
  else s.emit("test", width, get(a), get(b));
  return cc;
}

/** Test of a value's bits under a constant mask, as narrow as the mask allows. */
function testMask(s: Selector, v: Value, mask: bigint, width: Width, cc: Condition): Condition | null {
  const equality = cc === "e" || cc === "ne";
  const unsigned = BigInt.asUintN(width * 8, mask);
  if (!equality) return null;
  if (v.op === "load" && unsigned < 1n << BigInt(v.mem!.bytes * 8 - (v.mem!.bytes === 8 ? 33 : 0))) {
    const operand = s.foldNarrow(v, v.mem!.bytes);
    if (operand) {
      s.emit("test", testWidth(unsigned, v.mem!.bytes as Width), operand, imm(unsigned));
      return cc;
    }
  }
  if (unsigned <= 0x7fff_ffffn) {
    s.emit("test", testWidth(unsigned, width), reg(s.low(v)), imm(unsigned));
    return cc;
  }
  const bit = singleBit(unsigned);
  if (bit >= 32) {
    s.emit("bt", 8, reg(s.reg(v)), imm(bit));
    return cc === "e" ? "nc" : "c";
  }
  if (width === 4) {
    s.emit("test", 4, reg(s.low(v)), imm(unsigned));
    return cc;
  }
  return null;
}

function testWidth(mask: bigint, most: Width): Width {
  if (mask <= 0xffn) return 1;
  return most < 4 ? most : 4;
}

function singleBit(mask: bigint): number {
  return mask !== 0n && (mask & (mask - 1n)) === 0n ? mask.toString(2).length - 1 : -1;
}

/** A comparison as a value: 0 or 1 in a register. */
export function materialize(s: Selector, v: Value): void {
  const d = s.def(v);
  s.emit("movi", 4, reg(d), imm(0));
  const cc = compare(s, v);
  s.emit("set", 1, reg(d)).cc = cc;
}

/** condition ? a : b */
export function selectRule(s: Selector, v: Value): void {
  const [a, b, condition] = v.args as [Value, Value, Value];
  const width = widthOf(v);
  const d = s.def(v);
  copyTo(s, d, b, width);
  const source: Operand =
    a.op === "const" ? reg(s.reg(a)) : (s.foldLoad(a) ?? reg(width === 4 ? s.low(a) : s.reg(a)));
  const cc = conditionOf(s, condition);
  s.emit("cmov", width, reg(d), source).cc = cc;
}

function copyTo(s: Selector, d: number, v: Value, width: Width): void {
  if (v.op === "const") s.emit("movi", width, reg(d), imm(v.imm));
  else s.emit("mov", width, reg(d), reg(width === 4 ? s.low(v) : s.reg(v)));
}

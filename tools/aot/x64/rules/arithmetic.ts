import type { Op, Value } from "../../ir/ir.ts";
import { imm, type MOp, mem, type Operand, reg } from "../lir.ts";
import { RAX, RCX, RDX, type Width } from "../registers.ts";
import type { Rule, Selector } from "../selector.ts";
import { fitsInt32, widthOf } from "../values.ts";
import { matchSum } from "./address.ts";

const ALU: Partial<Record<Op, MOp>> = { add: "add", sub: "sub", and: "and", or: "or", xor: "xor" };
const COMMUTATIVE = new Set<Op>(["add", "and", "or", "xor", "mul"]);

/** A register operand for an instruction of this width. */
function source(s: Selector, v: Value): Operand {
  return reg(widthOf(v) === 4 ? s.low(v) : s.reg(v));
}

function copy(s: Selector, d: number, v: Value): void {
  if (v.op === "const") s.emit("movi", widthOf(v), reg(d), imm(v.imm));
  else s.emit("mov", widthOf(v), reg(d), source(s, v));
}

/** The operand that is better read in place comes second: a constant, a load, or what lives on. */
function ordered(s: Selector, v: Value): [Value, Value] {
  const [a, b] = v.args as [Value, Value];
  if (!COMMUTATIVE.has(v.op) || b.op === "const") return [a, b];
  if (a.op === "const") return [b, a];
  if (s.canFold(a) && !s.canFold(b)) return [b, a];
  // An accumulator, phi(…, acc + x), is added to in place.
  if (accumulates(b, v)) return [b, a];
  if (accumulates(a, v)) return [a, b];
  if (s.uses(a) > 1 && s.uses(b) === 1 && !s.canFold(b)) return [b, a];
  return [a, b];
}

/** Whether `next` is the value that the loop variable `v` takes on, perhaps through the merge of a condition. */
function accumulates(v: Value, next: Value): boolean {
  return v.op === "phi" && v.args.some((a) => a === next || (a.op === "phi" && a.args.includes(next)));
}

/** d = a; op d, b */
export const alu: Rule = (s, v) => {
  if (highestBit(s, v)) return;
  const width = widthOf(v);
  const [a, b] = ordered(s, v);
  const d = s.def(v);
  if (v.op === "and" && b.op === "const" && maskMove(s, d, a, b.imm, width)) return;
  if (v.op === "xor" && b.op === "const" && b.imm === -1n) return unary(s, v, "not", a);
  if (v.op === "sub" && a.op === "const" && a.imm === 0n) return unary(s, v, "neg", b);
  const second = s.any(b);
  copy(s, d, a);
  s.emit(ALU[v.op]!, width, reg(d), second);
};

function unary(s: Selector, v: Value, op: MOp, a: Value): void {
  copy(s, s.def(v), a);
  s.emit(op, widthOf(v), reg(s.def(v)));
}

/** Masks of the low 8, 16 or 32 bits are moves. */
function maskMove(s: Selector, d: number, a: Value, mask: bigint, width: Width): boolean {
  if (mask === 0xffn) s.emit("movzx8", 4, reg(d), reg(s.low(a)));
  else if (mask === 0xffffn) s.emit("movzx16", 4, reg(d), reg(s.low(a)));
  else if (width === 8 && mask === 0xffff_ffffn) s.emit("zext", 4, reg(d), reg(s.low(a)));
  else if (width === 8 && mask > 0n && mask <= 0x7fff_ffffn) {
    // The result fits in 32 bits: the shorter form clears the upper half.
    s.emit("mov", 4, reg(d), reg(s.low(a)));
    s.emit("and", 4, reg(d), imm(mask));
  } else return false;
  return true;
}

/** Sums of three terms, or with a scaled term, in one lea; else as other arithmetic. */
export const add: Rule = (s, v) => {
  const sum = matchSum(s, v);
  const width = widthOf(v);
  const useful = sum.scale > 1 || (sum.base && sum.index && sum.disp !== 0n);
  if (!useful || !sum.index) return alu(s, v);
  const get = (x: Value | null) => (x ? (width === 4 ? s.low(x) : s.reg(x)) : -1);
  const operand = mem({
    base: get(sum.base),
    index: get(sum.index),
    scale: sum.scale,
    disp: Number(sum.disp),
  });
  s.emit("lea", width, reg(s.def(v)), operand);
};

const LEA_FACTORS: Record<string, 2 | 4 | 8> = { 3: 2, 5: 4, 9: 8 };

export const mul: Rule = (s, v) => {
  const width = widthOf(v);
  const [a, b] = ordered(s, v);
  const d = s.def(v);
  if (b.op === "const" && fitsInt32(b.imm)) {
    const scale = LEA_FACTORS[String(b.imm)];
    const operand = scale ? null : s.foldLoad(a);
    if (scale) {
      const r = width === 4 ? s.low(a) : s.reg(a);
      s.emit("lea", width, reg(d), mem({ base: r, index: r, scale }));
    } else s.emit("imul3", width, reg(d), operand ?? source(s, a), imm(b.imm));
    return;
  }
  const second = s.foldLoad(b) ?? source(s, b);
  copy(s, d, a);
  s.emit("imul", width, reg(d), second);
};

/** High half of a 64 x 64 bit product. */
export const mulHigh: Rule = (s, v) => {
  const [a, b] = v.args as [Value, Value];
  const second = s.foldLoad(b) ?? reg(s.reg(b));
  s.moveTo(RAX, a);
  const inst = s.emit(v.op === "mulh_u" ? "mul" : "imul1", 8, second);
  inst.uses = [RAX];
  inst.defs = [RAX, RDX];
  s.moveFrom(RDX, v);
};

const SHIFTS: Partial<Record<Op, readonly [MOp, MOp]>> = {
  shl: ["shl", "shlCl"],
  shr_u: ["shr", "shrCl"],
  shr_s: ["sar", "sarCl"],
  rotl: ["rol", "rolCl"],
  rotr: ["ror", "rorCl"],
};

/** Shifts and rotations: by a constant, or by cl, which the hardware takes modulo the width as WebAssembly does. */
export const shift: Rule = (s, v) => {
  const [a, count] = v.args as [Value, Value];
  const [byConstant, byCl] = SHIFTS[v.op]!;
  const width = widthOf(v);
  const d = s.def(v);
  if (count.op === "const") {
    copy(s, d, a);
    s.emit(byConstant, width, reg(d), imm(BigInt.asUintN(width === 4 ? 5 : 6, count.imm)));
    return;
  }
  const countSource = reg(s.low(count));
  copy(s, d, a);
  s.emit("mov", 4, reg(RCX), countSource);
  s.emit(byCl, width, reg(d)).uses = [RCX];
};

/** Unsigned division: a zero divisor raises #DE at the instruction itself. */
export const divideUnsigned: Rule = (s, v) => {
  const [a, b] = v.args as [Value, Value];
  const width = widthOf(v);
  const divisor = s.foldLoad(b) ?? source(s, b);
  copyLow(s, RAX, a);
  s.emit("movi", 4, reg(RDX), imm(0));
  finishDivision(s, v, "div", width, divisor).trap = "integer divide by zero";
};

/** Signed division: #DE would not tell a zero divisor from overflow, so zero is tested first. */
export const divideSigned: Rule = (s, v) => {
  const [a, b] = v.args as [Value, Value];
  const width = widthOf(v);
  let divisor = source(s, b);
  if (b.op !== "const" || b.imm === 0n) {
    s.emit("test", width, divisor, divisor);
    s.trapIf("e", "integer divide by zero");
  }
  if (v.op === "rem_s" && (b.op !== "const" || b.imm === -1n)) divisor = remainderDivisor(s, divisor, width);
  copyLow(s, RAX, a);
  const sign = s.emit(width === 8 ? "cqo" : "cdq", width);
  sign.uses = [RAX];
  sign.defs = [RDX];
  finishDivision(s, v, "idiv", width, divisor).trap = "integer overflow";
};

/** x rem -1 is 0 for every x, but idiv overflows for the smallest: divide by 1 instead, with the same result. */
function remainderDivisor(s: Selector, divisor: Operand, width: Width): Operand {
  const safe = reg(s.temp());
  s.emit("movi", width, safe, imm(1));
  s.emit("cmp", width, divisor, imm(-1));
  s.emit("cmov", width, safe, divisor).cc = "ne";
  return safe;
}

function copyLow(s: Selector, fixed: number, v: Value): void {
  copy(s, fixed, v);
}

function finishDivision(s: Selector, v: Value, op: MOp, width: Width, divisor: Operand) {
  const inst = s.emit(op, width, divisor);
  inst.uses = [RAX, RDX];
  inst.defs = [RAX, RDX];
  s.moveFrom(v.op.startsWith("div") ? RAX : RDX, v);
  return inst;
}

/** bsf and bsr leave the destination alone when the source is zero, so it is preset to that case's answer. */
export const countZeros: Rule = (s, v) => {
  const width = widthOf(v);
  const bits = width * 8;
  const d = s.def(v);
  const nonzero = isNonzero(v.args[0]!);
  const operand = s.foldLoad(v.args[0]!) ?? source(s, v.args[0]!);
  if (!nonzero) s.emit("movi", 4, reg(d), imm(v.op === "ctz" ? bits : 2 * bits - 1));
  if (v.op === "ctz") s.emit(nonzero ? "bsfNonzero" : "bsf", width, reg(d), operand);
  else {
    s.emit(nonzero ? "bsrNonzero" : "bsr", width, reg(d), operand);
    s.emit("xor", 4, reg(d), imm(bits - 1));
  }
};

function isNonzero(v: Value): boolean {
  const bits = v.op === "or" ? v.args[1]! : v;
  return bits.op === "const" && bits.imm !== 0n;
}

/** bits - 1 - clz(x), also written with ^, is the number of the highest bit: what bsr gives. */
function highestBit(s: Selector, v: Value): boolean {
  const [a, b] = v.args as [Value, Value];
  const [count, zeros] = v.op === "sub" ? [a, b] : [b, a];
  if ((v.op !== "sub" && v.op !== "xor") || count.op !== "const") return false;
  const clz = zeros.op === "wrap" && s.uses(zeros) === 1 ? zeros.args[0]! : zeros;
  if (clz.op !== "clz" || s.uses(clz) > 1 || !isNonzero(clz.args[0]!)) return false;
  if (count.imm !== BigInt(widthOf(clz) * 8 - 1)) return false;
  s.emit("bsrNonzero", widthOf(clz), reg(s.def(v)), source(s, clz.args[0]!));
  return true;
}

export const popcnt: Rule = (s, v) => {
  const operand = s.foldLoad(v.args[0]!) ?? source(s, v.args[0]!);
  s.emit("popcnt", widthOf(v), reg(s.def(v)), operand);
};

export const bswap: Rule = (s, v) => {
  copy(s, s.def(v), v.args[0]!);
  s.emit("bswap", widthOf(v), reg(s.def(v)));
};

/** Only reached when a consumer needs the upper half clear; others read the wide register directly. */
export const wrap: Rule = (s, v) => {
  s.emit("zext", 4, reg(s.def(v)), reg(s.low(v.args[0]!)));
};

/** An i32 in a register has a clean upper half already: a copy, which coalescing removes. */
export const extendUnsigned: Rule = (s, v) => {
  s.emit("mov", 4, reg(s.def(v)), reg(s.reg(v.args[0]!)));
};

const SIGN_EXTENSIONS: Partial<Record<Op, { op: MOp; bytes: number }>> = {
  extend8_s: { op: "movsx8", bytes: 1 },
  extend16_s: { op: "movsx16", bytes: 2 },
  extend32_s: { op: "movsxd", bytes: 4 },
  extend_s: { op: "movsxd", bytes: 4 },
};

export const signExtend: Rule = (s, v) => {
  const { op, bytes } = SIGN_EXTENSIONS[v.op]!;
  const x = v.args[0]!;
  const operand = x.op === "const" ? reg(s.reg(x)) : (s.foldNarrow(x, bytes) ?? reg(s.low(x)));
  s.emit(op, widthOf(v), reg(s.def(v)), operand);
};

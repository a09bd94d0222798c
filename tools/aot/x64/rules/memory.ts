import type { Op, Value } from "../../ir/ir.ts";
import { imm, type MemOperand, type MOp, type Operand, reg } from "../lir.ts";
import { RAX, type Width } from "../registers.ts";
import type { Rule, Selector } from "../selector.ts";
import { fitsInt32, widthOf } from "../values.ts";

/** The load instruction for a width, with zero or sign extension. */
export function emitLoad(
  s: Selector,
  d: number,
  operand: Operand,
  bytes: number,
  signed: boolean,
  width: Width,
): void {
  if (bytes === 8 || (bytes === 4 && !(signed && width === 8)))
    s.emit("mov", bytes as Width, reg(d), operand);
  else if (bytes === 4) s.emit("movsxd", 8, reg(d), operand);
  else if (bytes === 2) s.emit(signed ? "movsx16" : "movzx16", signed ? width : 4, reg(d), operand);
  else s.emit(signed ? "movsx8" : "movzx8", signed ? width : 4, reg(d), operand);
}

export const load: Rule = (s, v) => {
  const operand = s.address(v.args[0]!, v.mem!);
  emitLoad(s, s.def(v), operand, v.mem!.bytes, v.mem!.signed, widthOf(v));
};

/** Operations that can work on memory in place: op [mem], register or immediate. */
const IN_PLACE: Partial<Record<Op, MOp>> = { add: "add", sub: "sub", and: "and", or: "or", xor: "xor" };
const IN_PLACE_SHIFT: Partial<Record<Op, MOp>> = { shl: "shl", shr_u: "shr", shr_s: "sar" };
const COMMUTATIVE = new Set<Op>(["add", "and", "or", "xor"]);

/** Whether `v` reads exactly what a store of `bytes` at this address writes, and nothing comes between. */
type SamePlace = (v: Value) => boolean;

/** store(p, load(p) op x) as one read-modify-write instruction. */
function modifyInPlace(
  s: Selector,
  value: Value,
  bytes: Width,
  same: SamePlace,
  target: () => MemOperand,
): boolean {
  if (s.uses(value) !== 1 || value.block !== s.block) return false;
  const [a, b] = value.args as [Value, Value];
  const op = IN_PLACE[value.op];
  if (op) {
    const other = same(a) ? b : COMMUTATIVE.has(value.op) && same(b) ? a : null;
    if (!other) return false;
    s.takeLoad(other === b ? a : b);
    s.emit(op, bytes, target(), narrowOperand(s, other, bytes));
    return true;
  }
  const shift = IN_PLACE_SHIFT[value.op];
  const wide = value.op === "shl" || bytes === widthOf(value);
  if (!shift || !wide || !same(a) || b.op !== "const") return false;
  if (BigInt.asUintN(widthOf(value) === 4 ? 5 : 6, b.imm) >= BigInt(bytes * 8)) return false;
  s.takeLoad(a);
  s.emit(shift, bytes, target(), imm(BigInt.asUintN(6, b.imm)));
  return true;
}

/** An operand of a store: only its low bytes matter. */
function narrowOperand(s: Selector, v: Value, bytes: Width): Operand {
  if (v.op === "const") {
    const value = BigInt.asIntN(bytes * 8, v.imm);
    if (fitsInt32(value)) return imm(value);
  }
  return reg(bytes < 8 ? s.low(v) : s.reg(v));
}

/** Operations whose low bytes depend only on the low bytes of the operand: not needed before a narrow store. */
function lowBytes(s: Selector, v: Value, bytes: number): Value {
  for (let x = v; ; x = x.args[0]!) {
    if (s.uses(x) > 1) return x;
    if (x.op === "wrap" && bytes <= 4) continue;
    if ((x.op === "extend_u" || x.op === "extend_s") && bytes <= 4) continue;
    if (x.op === "extend8_s" && bytes === 1) continue;
    if (x.op === "extend16_s" && bytes <= 2) continue;
    if (x.op === "and" && x.args[1]!.op === "const") {
      const mask = BigInt.asUintN(bytes * 8, -1n);
      if ((x.args[1]!.imm & mask) === mask && bytes < widthOf(x)) continue;
    }
    return x;
  }
}

export const store: Rule = (s, v) => {
  const [address, stored] = v.args as [Value, Value];
  const bytes = v.mem!.bytes as Width;
  const value = bytes < 8 ? lowBytes(s, stored, bytes) : stored;
  const same: SamePlace = (x) =>
    x.op === "load" &&
    x.args[0] === address &&
    x.mem!.offset === v.mem!.offset &&
    x.mem!.bytes === bytes &&
    s.canFold(x);
  if (modifyInPlace(s, value, bytes, same, () => s.address(address, v.mem!))) return;
  const operand = narrowOperand(s, value, bytes);
  s.emit("mov", bytes, s.address(address, v.mem!), operand);
};

export const globalGet: Rule = (s, v) => {
  s.emit("mov", widthOf(v), reg(s.def(v)), s.globalCell(v.index));
};

export const globalSet: Rule = (s, v) => {
  const value = v.args[0]!;
  const width = widthOf(value);
  const cell = () => s.globalCell(v.index);
  const same: SamePlace = (x) => x.op === "global.get" && x.index === v.index && s.canFold(x);
  if (modifyInPlace(s, value, width, same, cell)) return;
  s.emit("mov", width, cell(), narrowOperand(s, value, width));
};

// --- atomics --------------------------------------------------------------------------------------------------------
// Source: AMD64 Architecture Programmer's Manual, "Memory Ordering": aligned plain loads and stores are atomic, and
// only a store followed by a load needs a locked instruction to be sequentially consistent.

const LOCKED: Partial<Record<Op, MOp>> = {
  "atomic.add": "lockAdd",
  "atomic.and": "lockAnd",
  "atomic.or": "lockOr",
  "atomic.xor": "lockXor",
};

/** Atomic accesses trap unless naturally aligned. */
function checkAligned(s: Selector, v: Value): void {
  const { bytes, offset } = v.mem!;
  if (bytes === 1) return;
  const address = v.args[0]!;
  if (address.op === "const" && (Number(BigInt.asUintN(32, address.imm)) + offset) % bytes === 0) return;
  let r = s.low(address);
  if (offset % bytes) {
    const t = s.temp();
    s.emit("lea", 4, reg(t), { ...ZERO, base: r, disp: offset % bytes });
    r = t;
  }
  s.emit("test", 1, reg(r), imm(bytes - 1));
  s.trapIf("ne", "unaligned atomic");
}

const ZERO: MemOperand = {
  kind: "mem",
  base: -1,
  index: -1,
  scale: 1,
  disp: 0,
  symbol: "",
  segment: "",
  wrap32: false,
  area: null,
};

export const atomicLoad: Rule = (s, v) => {
  checkAligned(s, v);
  emitLoad(s, s.def(v), s.address(v.args[0]!, v.mem!), v.mem!.bytes, false, widthOf(v));
};

/** xchg is a store with the barrier that sequential consistency asks for. */
export const atomicStore: Rule = (s, v) => {
  checkAligned(s, v);
  const t = s.temp();
  copyNarrow(s, t, v.args[1]!, v.mem!.bytes);
  s.emit("xchg", v.mem!.bytes as Width, s.address(v.args[0]!, v.mem!), reg(t));
};

function copyNarrow(s: Selector, d: number, v: Value, bytes: number): void {
  if (v.op === "const") s.emit("movi", widthOf(v), reg(d), imm(v.imm));
  else s.emit("mov", widthOf(v), reg(d), reg(bytes < 8 && widthOf(v) === 4 ? s.low(v) : s.reg(v)));
}

/** Extends the narrow old value that an atomic left in a register. */
function extendResult(s: Selector, v: Value, from: number): void {
  if (!s.isNeeded(v)) return;
  const { bytes } = v.mem!;
  if (bytes === 8) s.emit("mov", 8, reg(s.def(v)), reg(from));
  else if (bytes === 4) s.emit("zext", 4, reg(s.def(v)), reg(from));
  else s.emit(bytes === 2 ? "movzx16" : "movzx8", 4, reg(s.def(v)), reg(from));
}

/** Addition returns the old value by xadd; without use of the result every operation has a locked form. */
export const atomicModify: Rule = (s, v) => {
  const width = v.mem!.bytes as Width;
  checkAligned(s, v);
  if (!s.isNeeded(v)) {
    const operand = narrowOperand(s, v.args[1]!, width);
    s.emit(LOCKED[v.op]!, width, s.address(v.args[0]!, v.mem!), operand);
    return;
  }
  if (v.op === "atomic.add") return exchange(s, v, "lockXadd");
  return compareLoop(s, v);
};

export const atomicExchange: Rule = (s, v) => {
  checkAligned(s, v);
  exchange(s, v, "xchg");
};

function exchange(s: Selector, v: Value, op: "xchg" | "lockXadd"): void {
  const t = s.temp();
  copyNarrow(s, t, v.args[1]!, v.mem!.bytes);
  s.emit(op, v.mem!.bytes as Width, s.address(v.args[0]!, v.mem!), reg(t));
  extendResult(s, v, t);
}

const LOOP_OPS: Partial<Record<Op, string>> = { "atomic.and": "and", "atomic.or": "or", "atomic.xor": "xor" };

/** and, or, xor with the old value wanted: compare-and-exchange until nobody interfered. */
function compareLoop(s: Selector, v: Value): void {
  const width = v.mem!.bytes as Width;
  const operand = reg(copyOperand(s, v));
  const t = reg(s.temp());
  const place = s.address(v.args[0]!, v.mem!);
  emitLoad(s, RAX, place, width, false, width === 8 ? 8 : 4);
  s.emit("movi", 4, t, imm(0));
  const w = width < 4 ? 4 : width;
  const loop = s.emit("asm", width, place, t, operand);
  loop.asm = {
    text: [
      ".loop%u:",
      `mov %1:${w}, ${w === 8 ? "rax" : "eax"}`,
      `${LOOP_OPS[v.op]!} %1:${w}, %2:${w}`,
      "lock cmpxchg %0, %1",
      "jne .loop%u",
    ].join("\n"),
    roles: "umu",
    flags: "write",
  };
  loop.uses = [RAX];
  loop.defs = [RAX];
  extendResult(s, v, RAX);
}

/** The operand in a register of its own, which the loop keeps alive. */
function copyOperand(s: Selector, v: Value): number {
  const t = s.temp();
  copyNarrow(s, t, v.args[1]!, v.mem!.bytes);
  return t;
}

export const atomicCompareExchange: Rule = (s, v) => {
  const [address, expected, desired] = v.args as [Value, Value, Value];
  const width = v.mem!.bytes as Width;
  checkAligned(s, v);
  const next = reg(width < 8 ? s.low(desired) : s.reg(desired));
  const place = s.address(address, v.mem!);
  if (expected.op === "const") s.emit("movi", widthOf(expected), reg(RAX), imm(expected.imm));
  else s.emit("mov", widthOf(expected), reg(RAX), reg(s.reg(expected)));
  const inst = s.emit("lockCmpxchg", width, place, next);
  inst.uses = [RAX];
  inst.defs = [RAX];
  extendResult(s, v, RAX);
};

export const fence: Rule = (s) => {
  s.emit("mfence", 8);
};

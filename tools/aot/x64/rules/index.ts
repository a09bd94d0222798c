import type { Op, Terminator, TermOp, Value } from "../../ir/ir.ts";
import { imm, mem, reg } from "../lir.ts";
import type { Rule, Selector } from "../selector.ts";
import { widthOf } from "../values.ts";
import * as arithmetic from "./arithmetic.ts";
import * as calls from "./calls.ts";
import { materialize, selectRule } from "./compare.ts";
import * as control from "./control.ts";
import { intrinsic, isPhysicalLoad } from "./intrinsic.ts";
import * as memory from "./memory.ts";

/** Operations that are one memory read: they can become the memory operand of their consumer. */
export function isLoadLike(v: Value): boolean {
  return v.op === "load" || v.op === "global.get" || isPhysicalLoad(v);
}

const memorySize: Rule = (s, v) => {
  if (s.target.fixedMemory) s.emit("movi", 4, reg(s.def(v)), imm(s.module.memories[0]!.limits.min));
  else s.emit("mov", 4, reg(s.def(v)), mem({ symbol: "tv_memory_pages" }));
};

const memoryGrow: Rule = (s, v) => {
  if (s.target.fixedMemory) s.emit("movi", 4, reg(s.def(v)), imm(0xffff_ffffn));
  else calls.callSymbol(s, v, "tv_rt_memory_grow");
};

const tableSize: Rule = (s, v) => {
  s.emit("movi", 4, reg(s.def(v)), imm(s.module.tables[v.index]!.limits.min));
};

const symbol: Rule = (s, v) => {
  const inst = s.emit("asm", 4, reg(s.def(v)));
  inst.asm = { text: `mov %0:4, ${v.name}`, roles: "d" };
};

const hold: Rule = (s, v) => {
  s.emit("movi", widthOf(v), reg(s.def(v)), imm(v.args[0]!.imm));
};

const nothing: Rule = () => {};

/** One rule per operation. */
export const RULES: Record<Op, Rule | null> = {
  param: nothing,
  phi: null,
  proj: nothing,
  const: null,
  symbol,
  hold,
  add: arithmetic.add,
  sub: arithmetic.alu,
  and: arithmetic.alu,
  or: arithmetic.alu,
  xor: arithmetic.alu,
  mul: arithmetic.mul,
  mulh_s: arithmetic.mulHigh,
  mulh_u: arithmetic.mulHigh,
  div_s: arithmetic.divideSigned,
  div_u: arithmetic.divideUnsigned,
  rem_s: arithmetic.divideSigned,
  rem_u: arithmetic.divideUnsigned,
  shl: arithmetic.shift,
  shr_s: arithmetic.shift,
  shr_u: arithmetic.shift,
  rotl: arithmetic.shift,
  rotr: arithmetic.shift,
  clz: arithmetic.countZeros,
  ctz: arithmetic.countZeros,
  popcnt: arithmetic.popcnt,
  bswap: arithmetic.bswap,
  wrap: arithmetic.wrap,
  extend_u: arithmetic.extendUnsigned,
  extend_s: arithmetic.signExtend,
  extend8_s: arithmetic.signExtend,
  extend16_s: arithmetic.signExtend,
  extend32_s: arithmetic.signExtend,
  eq: materialize,
  ne: materialize,
  lt_s: materialize,
  lt_u: materialize,
  gt_s: materialize,
  gt_u: materialize,
  le_s: materialize,
  le_u: materialize,
  ge_s: materialize,
  ge_u: materialize,
  select: selectRule,
  load: memory.load,
  store: memory.store,
  "global.get": memory.globalGet,
  "global.set": memory.globalSet,
  call: calls.call,
  call_indirect: calls.callIndirect,
  callee: calls.callee,
  call_callee: calls.callCallee,
  intrinsic,
  "memory.size": memorySize,
  "memory.grow": memoryGrow,
  "memory.copy": calls.runtimeCall,
  "memory.fill": calls.runtimeCall,
  "memory.init": calls.runtimeCall,
  "data.drop": calls.runtimeCall,
  "table.init": calls.runtimeCall,
  "table.copy": calls.runtimeCall,
  "elem.drop": calls.runtimeCall,
  "table.size": tableSize,
  "atomic.load": memory.atomicLoad,
  "atomic.store": memory.atomicStore,
  "atomic.add": memory.atomicModify,
  "atomic.and": memory.atomicModify,
  "atomic.or": memory.atomicModify,
  "atomic.xor": memory.atomicModify,
  "atomic.xchg": memory.atomicExchange,
  "atomic.cmpxchg": memory.atomicCompareExchange,
  fence: memory.fence,
};

export const TERMINATOR_RULES: Record<TermOp, ((s: Selector, term: Terminator) => void) | null> = {
  jump: control.jump,
  branch: control.branch,
  switch: control.jumpTable,
  return: calls.returnRule,
  trap: control.trap,
  none: null,
};

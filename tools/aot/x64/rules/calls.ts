import type { Signature, Terminator, Value } from "../../ir/ir.ts";
import { signatureOf } from "../../ir/signature.ts";
import { functionSymbol, regionSymbol, tableCodes, tableTypes, trapRoutine } from "../../symbols.ts";
import { imm, type MInst, mem, type Operand, reg } from "../lir.ts";
import { ARGUMENT_REGISTERS, CALLEE_SAVED, CALLER_SAVED, RESULT_REGISTERS } from "../registers.ts";
import type { Rule, Selector } from "../selector.ts";
import { fitsInt32, widthOf } from "../values.ts";

/** Bytes on the stack for arguments and results that have no register. */
function stackBytes({ params, results }: Signature): { args: number; total: number } {
  const args = Math.max(0, params.length - ARGUMENT_REGISTERS.length) * 8;
  return { args, total: args + Math.max(0, results.length - RESULT_REGISTERS.length) * 8 };
}

/** Receives parameters: registers are copied, the rest is loaded from the caller's frame. */
export function enterFunction(s: Selector): void {
  const params = s.func.entry.body.filter((v) => v.op === "param");
  for (const v of params) {
    const register = ARGUMENT_REGISTERS[v.index];
    if (register === undefined) continue;
    const raw = s.raw.get(v);
    if (raw !== undefined) s.emit("mov", 8, reg(raw), reg(register));
    s.moveFrom(register, v, !s.exported);
  }
  for (const v of params) {
    if (v.index < ARGUMENT_REGISTERS.length) continue;
    const place = mem({ area: "incoming", disp: (v.index - ARGUMENT_REGISTERS.length) * 8 });
    const raw = s.raw.get(v);
    if (raw !== undefined) s.emit("mov", 4, reg(raw), place);
    if (s.isNeeded(v)) s.emit("mov", widthOf(v), reg(s.def(v)), place);
  }
}

export function returnRule(s: Selector, term: Terminator): void {
  const { args: argBytes } = stackBytes(s.func.signature);
  term.args.forEach((v, i) => {
    if (i < RESULT_REGISTERS.length) return;
    const at = mem({ area: "incoming", disp: argBytes + (i - RESULT_REGISTERS.length) * 8 });
    s.emit("mov", 8, at, reg(s.reg(v)));
  });
  const uses: number[] = [];
  term.args.slice(0, RESULT_REGISTERS.length).forEach((v, i) => {
    s.moveTo(RESULT_REGISTERS[i]!, v);
    uses.push(RESULT_REGISTERS[i]!);
  });
  s.emit("ret", 8).uses = uses;
}

/** Puts arguments in place and returns the registers that the call reads. */
function passArguments(s: Selector, args: Value[], signature: Signature): number[] {
  const { total } = stackBytes(signature);
  s.outgoing(total);
  args.slice(ARGUMENT_REGISTERS.length).forEach((v, i) => {
    const small = v.op === "const" && fitsInt32(v.imm) && (v.type === "i64" || v.imm >= 0n);
    const operand: Operand = small ? imm(v.imm) : reg(s.reg(v));
    s.emit("mov", 8, mem({ area: "outgoing", disp: i * 8 }), operand);
  });
  const used = ARGUMENT_REGISTERS.slice(0, args.length);
  used.forEach((register, i) => s.moveTo(register, args[i]!));
  return [...used];
}

function finishCall(
  s: Selector,
  v: Value,
  inst: MInst,
  signature: Signature,
  uses: number[],
  clean: boolean,
): void {
  inst.uses = uses;
  inst.defs = CALLER_SAVED;
  const { args } = stackBytes(signature);
  const results = [v, ...(s.projections.get(v) ?? [])];
  for (const result of results) {
    const i = result === v ? 0 : result.index;
    if (result.type === null) continue;
    if (i < RESULT_REGISTERS.length) s.moveFrom(RESULT_REGISTERS[i]!, result, clean);
    else if (s.isNeeded(result)) {
      const at = mem({ area: "outgoing", disp: args + (i - RESULT_REGISTERS.length) * 8 });
      s.emit("mov", widthOf(result), reg(s.def(result)), at);
    }
  }
}

export const call: Rule = (s, v) => {
  const callee = s.module.funcs[v.index]!;
  const signature = signatureOf(callee.type);
  const uses = passArguments(s, v.args, signature);
  const inst = s.emit("call", 8);
  inst.symbol = functionSymbol(callee);
  finishCall(s, v, inst, signature, uses, !callee.import);
};

/** A call of a function in boot/ or in the runtime. */
export function callSymbol(s: Selector, v: Value, symbol: string, keepsNothing = false): void {
  const signature: Signature = { params: v.args.map((a) => a.type!), results: v.type ? [v.type] : [] };
  const uses = passArguments(s, v.args, signature);
  const inst = s.emit("call", 8);
  inst.symbol = symbol;
  finishCall(s, v, inst, signature, uses, false);
  if (keepsNothing) inst.defs = [...CALLER_SAVED, ...CALLEE_SAVED];
}

/** Checks the index and the type, then calls through the table of code addresses. */
export const callIndirect: Rule = (s, v) => {
  const type = s.module.types[v.index]!;
  const signature = signatureOf(type);
  const table = v.index2;
  const index = v.args.at(-1)!;
  const i = reg(s.reg(index));
  const size = s.module.tables[table]!.limits.min;
  s.emit("cmp", 4, i, imm(size));
  s.trapIf("ae", "undefined element");
  const entryType = mem({ symbol: tableTypes(table), index: i.reg, scale: 4 });
  s.emit("cmp", 4, entryType, imm(s.module.typeNumbers[v.index]!));
  const check = s.trapIf("ne", "indirect call type mismatch", entryType);
  check.trapZero = "uninitialized element";
  const uses = passArguments(s, v.args.slice(0, -1), signature);
  const inst = s.emit("callIndirect", 8, mem({ symbol: tableCodes(table), index: i.reg, scale: 8 }));
  finishCall(s, v, inst, signature, uses, true);
};

/**
 * The same checks ahead of the calls, without a branch. What may not be called becomes the address of a routine that traps: an
 * index past the table's end reads the entry behind it, and that and empty entries hold their routines and a type below 1.
 */
export const callee: Rule = (s, v) => {
  const table = v.index2;
  const index = reg(s.reg(v.args[0]!));
  const entry = s.temp();
  s.emit("movi", 4, reg(entry), imm(s.module.tables[table]!.limits.min));
  s.emit("cmp", 4, index, reg(entry));
  s.emit("cmov", 4, reg(entry), index).cc = "b";
  const code = s.temp();
  s.emit("mov", 8, reg(code), mem({ symbol: tableCodes(table), index: entry, scale: 8 }));
  const type = s.temp();
  s.emit("mov", 4, reg(type), mem({ symbol: tableTypes(table), index: entry, scale: 4 }));
  const result = reg(s.def(v));
  s.emit("lea", 8, result, mem({ symbol: trapRoutine("indirect call type mismatch") }));
  s.emit("cmp", 4, reg(type), imm(s.module.typeNumbers[v.index]!));
  s.emit("cmov", 8, result, reg(code)).cc = "e";
  s.emit("test", 4, reg(type), reg(type));
  s.emit("cmov", 8, result, reg(code)).cc = "le";
};

export const callCallee: Rule = (s, v) => {
  const signature = signatureOf(s.module.types[v.index]!);
  const target = reg(s.reg(v.args.at(-1)!));
  const uses = passArguments(s, v.args.slice(0, -1), signature);
  const inst = s.emit("callIndirect", 8, target);
  finishCall(s, v, inst, signature, uses, true);
};

/** Operations on memory and tables that the module's own runtime routines do. */
export const runtimeCall: Rule = (s, v) => {
  callSymbol(s, v, regionSymbol({ name: v.op, index: v.index, index2: v.index2 }));
};

import type { Coloring } from "./coloring.ts";
import {
  imm,
  type MBlock,
  type MemOperand,
  type MFunc,
  MInst,
  mapOperand,
  mem,
  type Operand,
  reg,
} from "./lir.ts";
import type { Width } from "./registers.ts";

const SLOT_BYTES = 8;

export interface SpillState {
  /** Displacement of each spilled register's slot. */
  slots: Map<number, number>;
  /** Registers that spilling made: their ranges are as short as can be. */
  temporaries: Set<number>;
  /** Registers that hold a constant: made again where needed instead of stored. */
  rematerialized: Map<number, MInst>;
}

/** Moves spilled registers to stack slots; instructions use the slot in place where they can. */
export function insertSpills(func: MFunc, spilled: number[], coloring: Coloring, state: SpillState): void {
  findConstants(func, new Set(spilled), state);
  assignSlots(
    func,
    spilled.filter((r) => !state.rematerialized.has(r)),
    coloring,
    state,
  );
  const set = new Set(spilled);
  for (const block of func.blocks) rewriteBlock(func, block, set, state);
}

/** A register whose every definition is the same constant needs no slot. */
function findConstants(func: MFunc, spilled: Set<number>, state: SpillState): void {
  const bad = new Set<number>();
  for (const block of func.blocks) {
    for (const inst of block.insts) {
      inst.operands.forEach((operand, i) => {
        const role = inst.spec.roles[i];
        if (operand.kind !== "reg" || !spilled.has(operand.reg) || role === "u") return;
        const known = state.rematerialized.get(operand.reg);
        if (inst.op === "movi" && (!known || sameConstant(known, inst)))
          state.rematerialized.set(operand.reg, inst);
        else bad.add(operand.reg);
      });
    }
  }
  for (const r of bad) state.rematerialized.delete(r);
}

function sameConstant(a: MInst, b: MInst): boolean {
  const [x, y] = [a.operands[1]!, b.operands[1]!];
  return x.kind === "imm" && y.kind === "imm" && x.value === y.value && a.width === b.width;
}

/** Registers that are never live together share a slot. */
function assignSlots(func: MFunc, spilled: number[], coloring: Coloring, state: SpillState): void {
  const base = func.spillBytes;
  const groups: number[][] = [];
  const slotOf = new Map<number, number>();
  for (const r of spilled) {
    const root = coloring.find(r);
    let slot = slotOf.get(root);
    if (slot === undefined) {
      slot = groups.findIndex((members) => members.every((m) => !coloring.graph.interferes(m, root)));
      if (slot < 0) slot = groups.push([]) - 1;
      groups[slot]!.push(root);
      slotOf.set(root, slot);
    }
    state.slots.set(r, base + slot * SLOT_BYTES);
  }
  func.spillBytes = base + groups.length * SLOT_BYTES;
}

function slotOperand(state: SpillState, r: number): MemOperand {
  return mem({ area: "spill", disp: state.slots.get(r)! });
}

function rewriteBlock(func: MFunc, block: MBlock, spilled: Set<number>, state: SpillState): void {
  const out: MInst[] = [];
  for (const inst of block.insts) {
    const mentioned = spilledIn(inst, spilled);
    if (!mentioned.length) out.push(inst);
    else if (!(inst.op === "movi" && state.rematerialized.has(mentioned[0]!))) {
      rewriteInst(func, inst, mentioned, state, out);
    } else dropConstant(inst, out);
  }
  block.insts = out;
}

/** The definition of a constant that is made again at its uses: kept for the checker, takes no space. */
function dropConstant(inst: MInst, out: MInst[]): void {
  inst.coalesced = true;
  inst.operands = [];
  inst.asm = { text: "", roles: "" };
  out.push(inst);
}

function spilledIn(inst: MInst, spilled: Set<number>): number[] {
  const found = new Set<number>();
  for (const operand of inst.operands) {
    if (operand.kind === "reg" && spilled.has(operand.reg)) found.add(operand.reg);
    if (operand.kind === "mem")
      for (const r of [operand.base, operand.index]) if (spilled.has(r)) found.add(r);
  }
  return [...found];
}

function rewriteInst(func: MFunc, inst: MInst, mentioned: number[], state: SpillState, out: MInst[]): void {
  const after: MInst[] = [];
  for (const r of mentioned) {
    if (foldSlot(inst, r, state)) continue;
    const t = func.newVirtual();
    state.temporaries.add(t);
    const { reads, writes } = access(inst, r);
    inst.operands = inst.operands.map((operand) => mapOperand(operand, (x) => (x === r ? t : x)));
    if (reads) out.push(reload(inst, r, t, state));
    if (writes) after.push(new MInst("mov", 8, [slotOperand(state, r), reg(t)], inst.loc));
  }
  out.push(inst, ...after);
}

function access(inst: MInst, r: number): { reads: boolean; writes: boolean } {
  let reads = false;
  let writes = false;
  inst.operands.forEach((operand, i) => {
    const role = inst.spec.roles[i];
    if (operand.kind === "mem") reads ||= operand.base === r || operand.index === r;
    if (operand.kind !== "reg" || operand.reg !== r) return;
    reads ||= role !== "d";
    writes ||= role !== "u";
  });
  return { reads, writes };
}

function reload(inst: MInst, r: number, t: number, state: SpillState): MInst {
  const constant = state.rematerialized.get(r);
  if (!constant) return new MInst("mov", 8, [reg(t), slotOperand(state, r)], inst.loc);
  const again = new MInst(
    "movi",
    constant.width,
    [reg(t), constant.operands[1] ?? constant.original![1]!],
    inst.loc,
  );
  return again;
}

/** Lets the instruction work on the slot itself. */
function foldSlot(inst: MInst, r: number, state: SpillState): boolean {
  const at = inst.operands.findIndex((o) => o.kind === "reg" && o.reg === r);
  const role = inst.spec.roles[at];
  const mentions = inst.operands.filter((o) => mentionsRegister(o, r)).length;
  if (at < 0 || mentions !== 1) return false;
  const constant = state.rematerialized.get(r);
  if (constant) return foldConstant(inst, at, role, constant);
  if (inst.operands.some((o) => o.kind === "mem") || !inst.spec.memory?.includes(at)) return false;
  if (inst.isCopy) {
    inst.operands[at] = slotOperand(state, r);
    if (at === 0) inst.width = 8;
    return true;
  }
  // A narrower write would leave the slot's upper half stale.
  if (role !== "u" && inst.width !== 8) return false;
  inst.operands[at] = slotOperand(state, r);
  return true;
}

/** Instructions whose second operand may be an immediate instead. */
const TAKES_IMMEDIATE = new Set(["add", "sub", "and", "or", "xor", "cmp", "mov"]);

function foldConstant(inst: MInst, at: number, role: string | undefined, constant: MInst): boolean {
  const source = (constant.original ?? constant.operands)[1]!;
  if (role !== "u" || at !== 1 || !TAKES_IMMEDIATE.has(inst.op) || source.kind !== "imm") return false;
  const value = source.value;
  const width: Width = inst.width;
  if (inst.isCopy || value < -(2n ** 31n) || value >= 2n ** 31n || width < 4) return false;
  inst.operands[at] = imm(value);
  return true;
}

function mentionsRegister(operand: Operand, r: number): boolean {
  if (operand.kind === "reg") return operand.reg === r;
  return operand.kind === "mem" && (operand.base === r || operand.index === r);
}

import { internalError } from "../errors.ts";
import type { MBlock, MFunc, MInst, Operand } from "./lir.ts";
import { FIRST_VIRTUAL, RSP, registerName } from "./registers.ts";

/**
 * Checks register allocation without knowing how it was done: executes the allocated code symbolically, tracking which
 * virtual registers each machine register and spill slot holds on every path, and verifies that each instruction reads
 * locations that hold the virtual registers which it read before allocation.
 * Source of the idea: the checker of the regalloc2 register allocator.
 */
export function checkAllocation(func: MFunc): void {
  new Checker(func).run();
}

/** Machine registers by number; spill slots after them, by displacement. */
type Location = number;

const SLOT_BASE = 1000;

/**
 * For each location the registers of the program whose value it holds: virtual ones, and the machine register itself
 * while it carries an argument or result. A location that is absent holds nothing known.
 */
type State = Map<Location, Set<number>>;

class Checker {
  private readonly atStart = new Map<MBlock, State>();
  /** Constants by the virtual register that holds them: they may be made anew anywhere. */
  private readonly constants = new Map<number, bigint>();

  constructor(private readonly func: MFunc) {}

  run(): void {
    this.findConstants();
    const { blocks } = this.func;
    const entry: State = new Map();
    for (let r = 0; r < FIRST_VIRTUAL; r++) entry.set(r, new Set([r]));
    this.atStart.set(blocks[0]!, entry);
    const work = [blocks[0]!];
    while (work.length) {
      const block = work.pop()!;
      const state = copyState(this.atStart.get(block)!);
      for (const inst of block.insts) this.step(inst, state, false);
      for (const succ of block.succs) if (this.flow(state, succ)) work.push(succ);
    }
    // States only shrink on the way to the fixed point: uses are judged by the final ones.
    for (const block of blocks) {
      const start = this.atStart.get(block);
      if (!start) continue;
      const state = copyState(start);
      for (const inst of block.insts) this.step(inst, state, true);
    }
  }

  private findConstants(): void {
    const several = new Set<number>();
    for (const inst of this.instructions()) {
      inst.original?.forEach((operand, i) => {
        const role = originalRole(inst, i);
        if (operand.kind !== "reg" || operand.reg < FIRST_VIRTUAL || role === "u") return;
        const value = inst.original![1];
        const constant = inst.op === "movi" && value?.kind === "imm" ? value.value : null;
        const known = this.constants.get(operand.reg);
        if (constant === null || (known !== undefined && known !== constant)) several.add(operand.reg);
        else this.constants.set(operand.reg, constant);
      });
    }
    for (const r of several) this.constants.delete(r);
  }

  private *instructions(): Generator<MInst> {
    for (const block of this.func.blocks) yield* block.insts;
  }

  /** Intersects a state into a block's start; returns whether that changed it. */
  private flow(state: State, block: MBlock): boolean {
    const known = this.atStart.get(block);
    if (!known) {
      this.atStart.set(block, copyState(state));
      return true;
    }
    let changed = false;
    for (const [location, held] of known) {
      const other = state.get(location);
      for (const v of held) {
        if (other?.has(v)) continue;
        held.delete(v);
        changed = true;
      }
    }
    return changed;
  }

  private step(inst: MInst, state: State, verify: boolean): void {
    if (!inst.original) return this.inserted(inst, state);
    if (verify) {
      this.verifyUses(inst, state);
      this.verifyImplicit(inst, state);
    }
    if (isOriginalCopy(inst)) return this.copy(inst, state);
    this.define(inst, state);
  }

  /** A move or constant that allocation added. */
  private inserted(inst: MInst, state: State): void {
    const [to, from] = inst.operands as [Operand, Operand];
    if (from.kind === "imm") {
      const held = new Set<number>();
      for (const [v, value] of this.constants) if (value === from.value) held.add(v);
      state.set(locationOf(to)!, held);
    } else state.set(locationOf(to)!, new Set(state.get(locationOf(from)!)));
  }

  private verifyUses(inst: MInst, state: State): void {
    inst.original!.forEach((before, i) => {
      const after = inst.operands[i];
      const role = originalRole(inst, i);
      if (before.kind === "reg" && role !== "d") this.expect(inst, before.reg, after, state);
      if (before.kind !== "mem") return;
      if (after?.kind !== "mem") throw this.fault(inst, "a memory operand is gone");
      this.expectRegister(inst, before.base, after.base, state);
      this.expectRegister(inst, before.index, after.index, state);
    });
  }

  private verifyImplicit(inst: MInst, state: State): void {
    for (const r of inst.uses)
      if (!state.get(r)?.has(r)) throw this.fault(inst, `${nameOf(r)} was overwritten before its use`);
  }

  private expectRegister(inst: MInst, before: number, after: number, state: State): void {
    if (before < 0) return;
    this.expect(inst, before, { kind: "reg", reg: after }, state);
  }

  private expect(inst: MInst, virtual: number, after: Operand | undefined, state: State): void {
    if (inst.coalesced && inst.op === "movi") return;
    if (virtual < FIRST_VIRTUAL) {
      if (after?.kind !== "reg" || after.reg !== virtual)
        throw this.fault(inst, `${registerName(virtual, 8)} was replaced`);
      return;
    }
    if (after?.kind === "imm") {
      if (this.constants.get(virtual) === after.value) return;
      throw this.fault(inst, `v${virtual} is not the constant ${after.value}`);
    }
    const location = after && locationOf(after);
    if (location === undefined || location === null) throw this.fault(inst, `v${virtual} has no place`);
    if (!state.get(location)?.has(virtual))
      throw this.fault(inst, `${nameOf(location)} does not hold v${virtual}`);
  }

  /** A copy of the program: the destination holds what it held, also when coalescing left no instruction. */
  private copy(inst: MInst, state: State): void {
    const [to, from] = inst.original as [Operand & { kind: "reg" }, Operand & { kind: "reg" }];
    const [toNow, fromNow] = inst.operands as [Operand, Operand];
    const source = fromNow.kind === "imm" ? new Set<number>() : new Set(state.get(locationOf(fromNow)!));
    if (from.reg < FIRST_VIRTUAL || fromNow.kind === "imm") source.delete(to.reg);
    this.forget(to.reg, state);
    source.delete(to.reg);
    source.add(to.reg);
    state.set(locationOf(toNow)!, source);
  }

  /** A virtual register gets a new value: no location holds the old one any more. */
  private forget(virtual: number, state: State): void {
    if (virtual < FIRST_VIRTUAL) return;
    for (const held of state.values()) held.delete(virtual);
  }

  private define(inst: MInst, state: State): void {
    const defined: [number, Operand][] = [];
    inst.original!.forEach((before, i) => {
      if (before.kind === "reg" && originalRole(inst, i) !== "u")
        defined.push([before.reg, inst.operands[i]!]);
    });
    for (const r of inst.defs) state.set(r, new Set([r]));
    for (const [virtual] of defined) this.forget(virtual, state);
    for (const [virtual, after] of defined) {
      const location = after && locationOf(after);
      if (location === undefined || location === null) continue;
      state.set(location, new Set([virtual]));
    }
  }

  private fault(inst: MInst, message: string): Error {
    return internalError(`register allocation of ${this.func.name}, ${inst.op}: ${message}`);
  }
}

/** What the instruction did with the operand before allocation changed its form. */
function originalRole(inst: MInst, i: number): string {
  if (inst.op === "movi") return i === 0 ? "d" : "i";
  return inst.spec.roles[i] ?? "u";
}

function isOriginalCopy(inst: MInst): boolean {
  return inst.op === "mov" && inst.original![0]?.kind === "reg" && inst.original![1]?.kind === "reg";
}

function locationOf(operand: Operand): Location | null {
  if (operand.kind === "reg") return operand.reg === RSP ? null : operand.reg;
  if (operand.kind === "mem" && operand.area === "spill") return SLOT_BASE + operand.disp;
  return null;
}

function nameOf(location: Location): string {
  return location >= SLOT_BASE ? `slot ${location - SLOT_BASE}` : registerName(location, 8);
}

function copyState(state: State): State {
  return new Map([...state].map(([location, held]) => [location, new Set(held)]));
}

import { forEachDef, forEachUse, type MFunc, type MInst, type RegOperand } from "./lir.ts";
import { liveOut } from "./liveness.ts";
import { FIRST_VIRTUAL, RSP } from "./registers.ts";

/** How much more an instruction in a loop counts, per level. */
const LOOP_WEIGHT = 10;
/** Every register that occurs costs something. */
const MIN_COST = 0.01;
const MAX_WEIGHTED_DEPTH = 6;

/** Which registers are live at the same time, which are copied to each other, and what a spill would cost. */
export class InterferenceGraph {
  readonly count: number;
  /** Neighbours of virtual registers; machine registers' lists are not kept. */
  readonly neighbours: number[][] = [];
  readonly moves: MInst[] = [];
  readonly cost: Float64Array;
  private readonly pairs = new Set<number>();

  constructor(func: MFunc) {
    this.count = func.nextVirtual;
    this.cost = new Float64Array(this.count);
    for (let i = 0; i < this.count; i++) this.neighbours.push([]);
    this.build(func);
  }

  interferes(a: number, b: number): boolean {
    return this.pairs.has(a < b ? a * this.count + b : b * this.count + a);
  }

  /** Returns whether the edge is new. */
  addEdge(a: number, b: number): boolean {
    if (a === b) return false;
    const key = a < b ? a * this.count + b : b * this.count + a;
    if (this.pairs.has(key)) return false;
    this.pairs.add(key);
    if (a >= FIRST_VIRTUAL) this.neighbours[a]!.push(b);
    if (b >= FIRST_VIRTUAL) this.neighbours[b]!.push(a);
    return true;
  }

  private build(func: MFunc): void {
    for (let a = 0; a < FIRST_VIRTUAL; a++) for (let b = 0; b < a; b++) this.addEdge(a, b);
    const outs = liveOut(func);
    for (const block of func.blocks) {
      const live = new Set<number>();
      outs.get(block)!.forEach((r) => live.add(r));
      const weight = LOOP_WEIGHT ** Math.min(block.depth, MAX_WEIGHTED_DEPTH);
      for (let i = block.insts.length - 1; i >= 0; i--) this.step(block.insts[i]!, live, weight);
    }
  }

  private step(inst: MInst, live: Set<number>, weight: number): void {
    if (inst.isCopy) {
      live.delete((inst.operands[1] as RegOperand).reg);
      if (!inst.splits) this.moves.push(inst);
    }
    // A constant can be made again instead of kept: it is the first to go.
    const defWeight = inst.op === "movi" ? 0 : weight;
    forEachDef(inst, (d) => {
      live.add(d);
      this.cost[d]! += defWeight + MIN_COST;
    });
    forEachDef(inst, (d) => {
      if (d === RSP) return;
      for (const l of live) if (l !== RSP) this.addEdge(l, d);
    });
    forEachDef(inst, (d) => live.delete(d));
    forEachUse(inst, (u) => {
      if (u === RSP) return;
      live.add(u);
      this.cost[u]! += weight;
    });
  }
}

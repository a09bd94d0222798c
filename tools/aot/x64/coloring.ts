import { InterferenceGraph } from "./interference.ts";
import type { MFunc, MInst, RegOperand } from "./lir.ts";
import { FIRST_VIRTUAL } from "./registers.ts";

type MoveState = "worklist" | "active" | "done";

export class Coloring {
  readonly graph: InterferenceGraph;
  private readonly degree: Int32Array;
  private readonly alias: Int32Array;
  private readonly color: Int32Array;
  private readonly coalesced: Uint8Array;
  private readonly onStack: Uint8Array;
  private readonly movesOf: MInst[][] = [];
  private readonly moveState = new Map<MInst, MoveState>();
  private moveWorklist: MInst[] = [];
  private simplifyWorklist: number[] = [];
  private freezeWorklist = new Set<number>();
  private spillWorklist = new Set<number>();
  private readonly selectStack: number[] = [];
  private readonly first = FIRST_VIRTUAL;
  private readonly colors: number;

  constructor(
    func: MFunc,
    private readonly temporaries: Set<number>,
    private readonly registers: readonly number[],
  ) {
    this.colors = registers.length;
    this.graph = new InterferenceGraph(func);
    const n = this.graph.count;
    this.degree = new Int32Array(n);
    this.alias = new Int32Array(n).map((_, i) => i);
    this.color = new Int32Array(n).fill(-1);
    this.coalesced = new Uint8Array(n);
    this.onStack = new Uint8Array(n);
    for (let r = 0; r < n; r++) {
      this.movesOf.push([]);
      this.degree[r] = r < this.first ? Number.MAX_SAFE_INTEGER : this.graph.neighbours[r]!.length;
      if (r < this.first) this.color[r] = r;
    }
  }

  colorOf(r: number): number {
    return this.color[this.find(r)]!;
  }

  /** Colors the graph; returns the registers (all members of coalesced groups) that got none. */
  run(): number[] {
    this.collectMoves();
    this.makeWorklists();
    for (;;) {
      if (this.simplifyWorklist.length) this.simplify();
      else if (this.moveWorklist.length) this.coalesce();
      else if (this.freezeWorklist.size) this.freeze();
      else if (this.spillWorklist.size) this.selectSpill();
      else break;
    }
    return this.assignColors();
  }

  find(r: number): number {
    let a = r;
    while (this.alias[a] !== a) a = this.alias[a]!;
    return a;
  }

  private collectMoves(): void {
    for (const move of this.graph.moves) {
      const [to, from] = move.operands as [RegOperand, RegOperand];
      this.movesOf[to.reg]!.push(move);
      if (from.reg !== to.reg) this.movesOf[from.reg]!.push(move);
      this.moveState.set(move, "worklist");
      this.moveWorklist.push(move);
    }
    // Copies in inner loops are coalesced first: the list is taken from the end.
    const weight = (m: MInst) => this.graph.cost[(m.operands[0] as RegOperand).reg]!;
    this.moveWorklist.sort((a, b) => weight(a) - weight(b));
  }

  private moveRelated(r: number): boolean {
    return this.movesOf[r]!.some((m) => this.moveState.get(m) !== "done");
  }

  private makeWorklists(): void {
    for (let r = this.first; r < this.graph.count; r++) {
      if (this.graph.cost[r] === 0) continue;
      if (this.degree[r]! >= this.colors) this.spillWorklist.add(r);
      else if (this.moveRelated(r)) this.freezeWorklist.add(r);
      else this.simplifyWorklist.push(r);
    }
  }

  private *adjacent(r: number): Generator<number> {
    for (const n of this.graph.neighbours[r]!) if (!this.onStack[n] && !this.coalesced[n]) yield n;
  }

  private simplify(): void {
    const r = this.simplifyWorklist.pop()!;
    if (this.onStack[r] || this.coalesced[r]) return;
    this.selectStack.push(r);
    this.onStack[r] = 1;
    for (const n of this.graph.neighbours[r]!)
      if (!this.onStack[n] && !this.coalesced[n]) this.decrementDegree(n);
  }

  private decrementDegree(r: number): void {
    if (r < this.first) return;
    if (this.degree[r]!-- !== this.colors) return;
    this.enableMoves(r);
    for (const n of this.adjacent(r)) this.enableMoves(n);
    this.spillWorklist.delete(r);
    if (this.moveRelated(r)) this.freezeWorklist.add(r);
    else this.simplifyWorklist.push(r);
  }

  private enableMoves(r: number): void {
    for (const m of this.movesOf[r]!) {
      if (this.moveState.get(m) !== "active") continue;
      this.moveState.set(m, "worklist");
      this.moveWorklist.push(m);
    }
  }

  private coalesce(): void {
    const move = this.moveWorklist.pop()!;
    const [to, from] = move.operands as [RegOperand, RegOperand];
    let u = this.find(to.reg);
    let v = this.find(from.reg);
    if (v < this.first) [u, v] = [v, u];
    if (u === v) {
      this.moveState.set(move, "done");
      this.addWorkList(u);
    } else if (v < this.first || this.graph.interferes(u, v) || !this.allocatable(u)) {
      this.moveState.set(move, "done");
      this.addWorkList(u);
      this.addWorkList(v);
    } else if (u < this.first ? this.georgeTest(u, v) : this.briggsTest(u, v)) {
      this.moveState.set(move, "done");
      this.combine(u, v);
      this.addWorkList(u);
    } else this.moveState.set(move, "active");
  }

  private allocatable(r: number): boolean {
    return r >= this.first || this.registers.includes(r);
  }

  private addWorkList(r: number): void {
    if (r >= this.first && this.degree[r]! < this.colors && !this.moveRelated(r) && !this.onStack[r]) {
      this.freezeWorklist.delete(r);
      this.simplifyWorklist.push(r);
    }
  }

  private georgeTest(u: number, v: number): boolean {
    for (const t of this.adjacent(v)) {
      if (t >= this.first && this.degree[t]! >= this.colors && !this.graph.interferes(t, u)) return false;
    }
    return true;
  }

  private briggsTest(u: number, v: number): boolean {
    const seen = new Set<number>();
    let significant = 0;
    for (const list of [u, v]) {
      for (const n of this.adjacent(list)) {
        if (seen.has(n)) continue;
        seen.add(n);
        if (n < this.first || this.degree[n]! >= this.colors) significant++;
      }
    }
    return significant < this.colors;
  }

  private combine(u: number, v: number): void {
    this.freezeWorklist.delete(v);
    this.spillWorklist.delete(v);
    this.coalesced[v] = 1;
    this.alias[v] = u;
    this.graph.cost[u]! += this.graph.cost[v]!;
    if (this.temporaries.has(v)) this.temporaries.add(u);
    this.movesOf[u]!.push(...this.movesOf[v]!);
    this.enableMoves(v);
    for (const t of this.graph.neighbours[v]!) {
      if (this.onStack[t] || this.coalesced[t]) continue;
      if (this.graph.addEdge(t, u)) {
        if (u >= this.first) this.degree[u]!++;
        if (t >= this.first) this.degree[t]!++;
      }
      this.decrementDegree(t);
    }
    if (u >= this.first && this.degree[u]! >= this.colors && this.freezeWorklist.has(u)) {
      this.freezeWorklist.delete(u);
      this.spillWorklist.add(u);
    }
  }

  private freeze(): void {
    const [r] = this.freezeWorklist;
    this.freezeWorklist.delete(r!);
    this.simplifyWorklist.push(r!);
    this.freezeMoves(r!);
  }

  private freezeMoves(r: number): void {
    for (const m of this.movesOf[r]!) {
      if (this.moveState.get(m) === "done") continue;
      this.moveState.set(m, "done");
      const [to, from] = m.operands as [RegOperand, RegOperand];
      const a = this.find(to.reg);
      const b = this.find(from.reg);
      const other = a === this.find(r) ? b : a;
      if (other >= this.first && this.degree[other]! < this.colors && !this.moveRelated(other)) {
        this.freezeWorklist.delete(other);
        this.simplifyWorklist.push(other);
      }
    }
    this.moveWorklist = this.moveWorklist.filter((m) => this.moveState.get(m) === "worklist");
  }

  /** The cheapest register per neighbour that it would free; never one that a spill made. */
  private selectSpill(): void {
    let best = -1;
    let bestScore = Number.POSITIVE_INFINITY;
    for (const r of this.spillWorklist) {
      const score = this.temporaries.has(r) ? Number.MAX_VALUE : this.graph.cost[r]! / this.degree[r]!;
      if (score < bestScore || best < 0) {
        best = r;
        bestScore = score;
      }
    }
    this.spillWorklist.delete(best);
    this.simplifyWorklist.push(best);
    this.freezeMoves(best);
  }

  private assignColors(): number[] {
    const failed: number[] = [];
    while (this.selectStack.length) {
      const r = this.selectStack.pop()!;
      const taken = new Set<number>();
      for (const n of this.graph.neighbours[r]!) {
        const c = this.color[this.find(n)]!;
        if (c >= 0) taken.add(c);
      }
      const color = this.preferredColor(r, taken) ?? this.registers.find((c) => !taken.has(c));
      if (color === undefined) failed.push(r);
      else this.color[r] = color;
    }
    const failedSet = new Set(failed);
    const members: number[] = [];
    for (let r = this.first; r < this.graph.count; r++) {
      if (failedSet.has(this.find(r)) && (r === this.find(r) || this.coalesced[r])) members.push(r);
    }
    return members;
  }

  /** The color of a copy's other end, where coalescing gave up but luck may do. */
  private preferredColor(r: number, taken: Set<number>): number | undefined {
    for (const m of this.movesOf[r]!) {
      const [to, from] = m.operands as [RegOperand, RegOperand];
      const a = this.find(to.reg);
      const other = a === r ? this.find(from.reg) : a;
      const c = this.color[other]!;
      if (c >= 0 && !taken.has(c) && this.allocatable(c)) return c;
    }
    return undefined;
  }
}

import { countUses, dominators, pruneBlocks, removeEdge } from "../ir/graph.ts";
import {
  type Block,
  type FuncIR,
  isPure,
  type Op,
  resolve,
  resolveAll,
  Terminator,
  type Type,
  type Value,
} from "../ir/ir.ts";
import { mergeBlocks, removeDeadValues, removeTrivialPhis } from "./cleanup.ts";
import type { Maker } from "./maker.ts";
import { COMMUTATIVE, MIRRORED, simplify } from "./simplify.ts";

/** Simplification opens further chances; they are few after this many rounds. */
const MAX_ROUNDS = 4;

/**
 * Global value numbering with algebraic simplification: a walk over the dominator tree finds for every pure operation
 * an equal one that is computed on all paths to it, and folds branches whose condition becomes known.
 */
export function numberValues(func: FuncIR): void {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const changed = new Numbering(func).run();
    resolveAll(func);
    removeTrivialPhis(func);
    removeDeadValues(func);
    pruneBlocks(func);
    mergeBlocks(func);
    if (!changed) return;
  }
}

type Scope = Map<string, Value>;

class Numbering implements Maker {
  private changed = false;
  private scopes: Scope[] = [];
  private block!: Block;
  private body: Value[] = [];
  private loc = 0;
  /** As they were before this round. */
  private readonly uses: Map<Value, number>;

  constructor(private readonly func: FuncIR) {
    this.uses = countUses(func);
  }

  run(): boolean {
    const { children } = dominators(this.func);
    const stack: { block: Block; depth: number }[] = [{ block: this.func.entry, depth: 0 }];
    while (stack.length) {
      const { block, depth } = stack.pop()!;
      this.scopes.length = depth;
      this.scopes.push(new Map());
      this.visit(block);
      for (const child of children.get(block)!) stack.push({ block: child, depth: depth + 1 });
    }
    return this.changed;
  }

  private visit(block: Block): void {
    this.block = block;
    this.body = [];
    this.numberPhis(block);
    for (const v of block.body) {
      this.loc = v.loc;
      const result = this.number(v);
      if (result !== v) {
        v.forward = result;
        this.changed = true;
      }
    }
    block.body = this.body;
    this.terminator(block);
  }

  /** Phis of one block with the same operands are one value. */
  private numberPhis(block: Block): void {
    const seen = new Map<string, Value>();
    for (const phi of block.phis) {
      phi.args = phi.args.map(resolve);
      const key = phi.args.map((a) => a.id).join();
      const same = seen.get(key);
      if (same) {
        phi.forward = same;
        this.changed = true;
      } else seen.set(key, phi);
    }
  }

  /** Simplifies and looks up; adds the value to the block when it stays. */
  private number(v: Value): Value {
    v.args = v.args.map(resolve);
    const simpler = simplify(v, this);
    if (simpler) return resolve(simpler);
    if (!isPure(v.op)) {
      this.body.push(v);
      return v;
    }
    const key = keyOf(v);
    for (const scope of this.scopes) {
      const known = scope.get(key);
      if (known) return known;
    }
    this.scopes.at(-1)!.set(key, v);
    this.body.push(v);
    return v;
  }

  make(op: Op, type: Type, args: Value[]): Value {
    this.changed = true;
    const v = this.func.newValue(op, type, args, this.loc);
    v.block = this.block;
    return this.number(v);
  }

  constant(type: Type, value: bigint): Value {
    const v = this.func.constant(type, value, this.loc);
    v.block = this.block;
    return this.number(v);
  }

  usedOnce(v: Value): boolean {
    return this.uses.get(v) === 1;
  }

  private terminator(block: Block): void {
    const { term } = block;
    this.loc = term.loc;
    term.args = term.args.map(resolve);
    if (term.op === "branch") this.branch(block, term);
    else if (term.op === "switch" && term.args[0]!.op === "const") this.knownSwitch(block, term);
  }

  private branch(block: Block, term: Terminator): void {
    const condition = term.args[0]!;
    if (condition.op === "const") return this.goTo(block, term.targets[condition.imm !== 0n ? 0 : 1]!);
    if (term.targets[0] === term.targets[1] && !term.targets[0]!.phis.length)
      return this.goTo(block, term.targets[0]!);
    const [a, b] = condition.args;
    const zero = b?.op === "const" && b.imm === 0n && a!.type === "i32";
    if (!zero || (condition.op !== "eq" && condition.op !== "ne")) return;
    if (condition.op === "eq") term.targets.reverse();
    term.args = [a!];
    this.changed = true;
  }

  private knownSwitch(block: Block, term: Terminator): void {
    const index = BigInt.asUintN(32, term.args[0]!.imm);
    const at = term.cases.findIndex((c) => BigInt.asUintN(32, c) === index);
    this.goTo(block, term.targets.at(at)!);
  }

  /** Replaces the terminator by a jump, dropping the edges not taken. */
  private goTo(block: Block, target: Block): void {
    const others = [...block.term.targets];
    others.splice(others.indexOf(target), 1);
    for (const other of others) removeEdge(block, other);
    block.term = new Terminator("jump", [], [target], block.term.loc);
    this.changed = true;
  }
}

/** Equal texts are equal values: a + b is b + a, and a < b is b > a. */
export function keyOf(v: Value): string {
  if (v.op === "const") return `${v.type}:${v.imm}`;
  const [a, b] = v.args;
  const exchanged = COMMUTATIVE.has(v.op) ? v.op : MIRRORED[v.op];
  const swap = exchanged && a!.id > b!.id;
  // Constants by what they are: there is one of each per way down the dominator tree.
  const args = (swap ? [b!, a!] : v.args).map((x) => (x.op === "const" ? keyOf(x) : x.id));
  return `${swap ? exchanged : v.op}:${v.type}:${v.name}:${v.index}:${v.index2}:${args.join()}`;
}

import { dominators } from "../ir/graph.ts";
import { type Block, type FuncIR, isPure, type Value } from "../ir/ir.ts";

/**
 * Moves computations to where they are used: what only one way behind a branch needs, the others need not compute. A value
 * moves to the nearest block that dominates all its uses, but never into a loop.
 */
export function sinkValues(func: FuncIR): void {
  const { idom } = dominators(func);
  const order = new Map(func.blocks.map((b, i) => [b, i]));
  const common = (a: Block, b: Block): Block => {
    let [x, y] = [a, b];
    while (x !== y) {
      if (order.get(x)! > order.get(y)!) x = idom.get(x)!;
      else y = idom.get(y)!;
    }
    return x;
  };
  const users = new Users(func);
  // Blocks and values last to first: what uses a value has found its place before.
  for (const block of [...func.blocks].reverse()) {
    for (const v of [...block.body].reverse()) {
      if (!isPure(v.op) || v.op === "const" || v.op === "hold" || users.readsMemory(v)) continue;
      const places = users.of(v);
      if (!places.length) continue;
      let target = places.reduce(common);
      while (target.depth > block.depth) target = idom.get(target)!;
      if (target !== block) move(v, target);
    }
  }
}

function move(v: Value, to: Block): void {
  v.block.body.splice(v.block.body.indexOf(v), 1);
  v.block = to;
  to.body.unshift(v);
}

/** Where values are used. A phi reads its operand at the end of the edge's source. */
class Users {
  private readonly values = new Map<Value, Value[]>();
  private readonly ends = new Map<Value, Block[]>();

  constructor(func: FuncIR) {
    for (const block of func.blocks) {
      for (const phi of block.phis) phi.args.forEach((arg, i) => this.end(arg, block.preds[i]!));
      for (const v of block.body)
        for (const arg of v.args) this.values.set(arg, [...(this.values.get(arg) ?? []), v]);
      for (const arg of block.term.args) this.end(arg, block);
    }
  }

  private end(v: Value, block: Block): void {
    this.ends.set(v, [...(this.ends.get(v) ?? []), block]);
  }

  /** Whether a load is for this value alone: in the same block it becomes an operand of the instruction. */
  readsMemory(v: Value): boolean {
    return v.args.some((arg) => arg.op === "load" && arg.block === v.block && this.of(arg).length === 1);
  }

  of(v: Value): Block[] {
    return [...(this.values.get(v) ?? []).map((user) => user.block), ...(this.ends.get(v) ?? [])];
  }
}

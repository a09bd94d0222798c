import type { Block, FuncIR, Value } from "./ir.ts";

/** Blocks that can be reached, each before its successors except along loops' back edges. */
export function reversePostorder(entry: Block): Block[] {
  const order: Block[] = [];
  const seen = new Set<Block>([entry]);
  const stack: { block: Block; next: number }[] = [{ block: entry, next: 0 }];
  while (stack.length) {
    const top = stack.at(-1)!;
    const target = top.block.term.targets[top.next++];
    if (!target) {
      order.push(top.block);
      stack.pop();
    } else if (!seen.has(target)) {
      seen.add(target);
      stack.push({ block: target, next: 0 });
    }
  }
  return order.reverse();
}

/**
 * Drops unreachable blocks, puts the rest in reverse postorder, and keeps predecessors and phi
 * operands in step with the edges that still exist.
 */
export function pruneBlocks(func: FuncIR): void {
  const order = reversePostorder(func.entry);
  const live = new Set(order);
  for (const block of order) {
    const keep = block.preds.map((p) => live.has(p));
    if (keep.every(Boolean)) continue;
    for (const phi of block.phis) phi.args = phi.args.filter((_, i) => keep[i]);
    block.preds = block.preds.filter((_, i) => keep[i]);
  }
  func.blocks = order;
}

/** Removes one edge from `pred` to `block`. */
export function removeEdge(pred: Block, block: Block): void {
  const i = block.preds.indexOf(pred);
  block.preds.splice(i, 1);
  for (const phi of block.phis) phi.args.splice(i, 1);
}

export interface Dominators {
  /** Immediate dominator; the entry's is itself. */
  idom: Map<Block, Block>;
  children: Map<Block, Block[]>;
  dominates(a: Block, b: Block): boolean;
}

/** Immediate dominators. Source: Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm". */
export function dominators(func: FuncIR): Dominators {
  const order = func.blocks;
  const number = new Map(order.map((b, i) => [b, i]));
  const idom: number[] = order.map(() => -1);
  idom[0] = 0;
  const intersect = (a: number, b: number): number => {
    while (a !== b) {
      while (a > b) a = idom[a]!;
      while (b > a) b = idom[b]!;
    }
    return a;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = 1; i < order.length; i++) {
      let best = -1;
      for (const pred of order[i]!.preds) {
        const p = number.get(pred);
        if (p === undefined || idom[p] === -1) continue;
        best = best === -1 ? p : intersect(best, p);
      }
      if (best !== idom[i]) {
        idom[i] = best;
        changed = true;
      }
    }
  }
  return dominatorTree(order, idom);
}

function dominatorTree(order: Block[], idom: number[]): Dominators {
  const children = new Map<Block, Block[]>(order.map((b) => [b, []]));
  for (let i = 1; i < order.length; i++) children.get(order[idom[i]!]!)!.push(order[i]!);
  const enter = new Map<Block, number>();
  const leave = new Map<Block, number>();
  let clock = 0;
  const stack: [Block, boolean][] = [[order[0]!, false]];
  while (stack.length) {
    const [block, done] = stack.pop()!;
    if (done) {
      leave.set(block, clock++);
      continue;
    }
    enter.set(block, clock++);
    stack.push([block, true]);
    for (const child of children.get(block)!) stack.push([child, false]);
  }
  return {
    idom: new Map(order.map((b, i) => [b, order[idom[i]!]!])),
    children,
    dominates: (a, b) => enter.get(a)! <= enter.get(b)! && leave.get(b)! <= leave.get(a)!,
  };
}

export interface Loop {
  header: Block;
  blocks: Set<Block>;
}

/**
 * Natural loops, outermost first; sets every block's loop depth. Structured control flow has only
 * reducible loops.
 */
export function findLoops(func: FuncIR, dom: Dominators): Loop[] {
  const loops: Loop[] = [];
  for (const block of func.blocks) block.depth = 0;
  for (const header of func.blocks) {
    const latches = header.preds.filter((p) => dom.dominates(header, p));
    if (!latches.length) continue;
    const blocks = new Set<Block>([header]);
    const work = [...latches];
    while (work.length) {
      const b = work.pop()!;
      if (blocks.has(b)) continue;
      blocks.add(b);
      work.push(...b.preds);
    }
    for (const b of blocks) b.depth++;
    loops.push({ header, blocks });
  }
  return loops;
}

/** How many operands each value is. */
export function countUses(func: FuncIR): Map<Value, number> {
  const uses = new Map<Value, number>();
  const count = (v: Value) => uses.set(v, (uses.get(v) ?? 0) + 1);
  for (const block of func.blocks) {
    for (const phi of block.phis) phi.args.forEach(count);
    for (const v of block.body) v.args.forEach(count);
    block.term.args.forEach(count);
  }
  return uses;
}

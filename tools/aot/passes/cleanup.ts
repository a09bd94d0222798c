import { hasEffect } from "../ir/effects.ts";
import { pruneBlocks } from "../ir/graph.ts";
import { type Block, type FuncIR, resolve, resolveAll, Terminator, type Value } from "../ir/ir.ts";

/** Replaces phis that merge only one value (beside themselves) by that value. */
export function removeTrivialPhis(func: FuncIR): void {
  for (let changed = true; changed; ) {
    changed = false;
    for (const block of func.blocks) {
      for (const phi of block.phis) {
        if (phi.forward) continue;
        const same = soleOperand(phi);
        if (!same) continue;
        phi.forward = same;
        changed = true;
      }
      block.phis = block.phis.filter((phi) => !phi.forward);
    }
  }
  resolveAll(func);
}

function soleOperand(phi: Value): Value | null {
  let same: Value | null = null;
  for (const arg of phi.args) {
    const v = resolve(arg);
    if (v === phi || v === same) continue;
    if (same) return null;
    same = v;
  }
  return same;
}

/** Removes values that nobody uses and that have no effect. A load may trap: it stays. */
export function removeDeadValues(func: FuncIR): void {
  const live = new Set<Value>();
  const work: Value[] = [];
  const mark = (v: Value) => {
    if (live.has(v)) return;
    live.add(v);
    work.push(v);
  };
  for (const block of func.blocks) {
    for (const v of block.body) if (hasEffect(v) || v.op === "load") mark(v);
    block.term.args.forEach(mark);
  }
  while (work.length) work.pop()!.args.forEach(mark);
  for (const block of func.blocks) {
    block.phis = block.phis.filter((v) => live.has(v));
    block.body = block.body.filter((v) => live.has(v) || v.op === "param");
  }
}

/** Joins a block with its only successor when that has no other predecessor. */
export function mergeBlocks(func: FuncIR): void {
  const gone = new Set<Block>();
  for (const block of func.blocks) {
    if (gone.has(block)) continue;
    for (;;) {
      const next = block.term.targets[0];
      if (block.term.op !== "jump" || !next || next === func.entry || next === block) break;
      if (next.preds.length !== 1 || next.phis.length) break;
      for (const v of next.body) v.block = block;
      block.body.push(...next.body);
      block.term = next.term;
      for (const target of next.term.targets)
        target.preds = target.preds.map((p) => (p === next ? block : p));
      gone.add(next);
    }
  }
  func.blocks = func.blocks.filter((b) => !gone.has(b));
}

/** Gives edges from a block with several successors into a block with phis a block of their own. */
export function splitCriticalEdges(func: FuncIR): void {
  for (const block of [...func.blocks]) {
    const { targets } = block.term;
    if (targets.length < 2) continue;
    const split = new Map<Block, Block>();
    targets.forEach((target, i) => {
      if (!target.phis.length) return;
      const existing = split.get(target);
      if (existing) {
        // The same edge again: phi operands are equal, one copy of them is enough.
        const at = target.preds.indexOf(block);
        target.preds.splice(at, 1);
        for (const phi of target.phis) phi.args.splice(at, 1);
        existing.preds.push(block);
        targets[i] = existing;
        return;
      }
      const middle = func.newBlock();
      middle.preds = [block];
      middle.depth = Math.min(block.depth, target.depth);
      middle.term = new Terminator("jump", [], [target], block.term.loc);
      target.preds[target.preds.indexOf(block)] = middle;
      targets[i] = middle;
      split.set(target, middle);
    });
  }
  pruneBlocks(func);
}

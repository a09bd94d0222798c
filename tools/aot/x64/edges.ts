import { MBlock, type MFunc, MInst } from "./lir.ts";

/** Brings successors and predecessors in step with the blocks' last instructions. */
export function linkBlocks(func: MFunc): void {
  for (const block of func.blocks) block.preds = [];
  for (const block of func.blocks) {
    block.succs = [...new Set(block.insts.at(-1)?.targets ?? [])];
    for (const succ of block.succs) succ.preds.push(block);
  }
}

/** The edges from some blocks to one. */
export interface Way {
  from: MBlock[];
  to: MBlock;
}

/** The edges that lead into a part of a function (inward) or out of it, by the block that they reach. */
export function waysBetween(func: MFunc, part: ReadonlySet<MBlock>, inward: boolean): Way[] {
  return func.blocks.flatMap((to) => {
    if (part.has(to) !== inward) return [];
    const from = to.preds.filter((p) => part.has(p) !== inward);
    return from.length ? [{ from, to }] : [];
  });
}

/** A new block on edges. */
export function blockOnEdges(func: MFunc, { from, to }: Way): MBlock {
  const id = 1 + func.blocks.reduce((most, b) => Math.max(most, b.id), 0);
  const depth = from.reduce((least, b) => Math.min(least, b.depth), to.depth);
  const block = new MBlock(id, depth);
  const jump = new MInst("jmp", 8, [], from[0]!.insts.at(-1)!.loc);
  jump.targets = [to];
  jump.original = [];
  block.insts = [jump];
  block.succs = [to];
  block.preds = from;
  for (const pred of from) {
    const last = pred.insts.at(-1)!;
    last.targets = last.targets.map((t) => (t === to ? block : t));
    pred.succs = pred.succs.map((s) => (s === to ? block : s));
  }
  to.preds = [...to.preds.filter((p) => !from.includes(p)), block];
  func.blocks.push(block);
  return block;
}

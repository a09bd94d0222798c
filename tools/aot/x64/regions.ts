// Which part of a function needs a stack frame: what live-range splitting plans for and frame placement carries out.
import type { MBlock, MFunc } from "./lir.ts";

/** Ways into a region at which code that runs often may repeat the prologue; other code has one, for its size. */
const MAX_ENTRIES = 10;

/**
 * The blocks between prologue and epilogue when at least `busy` must be: all of them, or a part which the entry and the
 * paths that do without a frame stay out of.
 */
export function frameRegion(func: MFunc, busy: ReadonlySet<MBlock>): Set<MBlock> {
  const region = new Set(busy);
  const distance = distances(func.blocks[0]!);
  for (;;) {
    while (grow(func, region));
    if (region.has(func.blocks[0]!)) return new Set(func.blocks);
    const before = func.blocks.filter((b) => !region.has(b) && b.succs.some((s) => region.has(s)));
    const entries = before.reduce((n, b) => n + b.succs.filter((s) => region.has(s)).length, 0);
    if (entries <= (func.isHot ? MAX_ENTRIES : 1)) return region;
    // Ways in that are close to each other become one: far from the entry first.
    region.add(before.reduce((far, b) => (distance.get(b)! > distance.get(far)! ? b : far)));
  }
}

/** The least number of jumps from the entry to each block. */
function distances(entry: MBlock): Map<MBlock, number> {
  const found = new Map([[entry, 0]]);
  // The map grows as it is walked.
  for (const [block, n] of found)
    for (const succ of block.succs) if (!found.has(succ)) found.set(succ, n + 1);
  return found;
}

/** Adds blocks that cost less inside than outside; returns whether there were any. */
function grow(func: MFunc, region: Set<MBlock>): boolean {
  const before = region.size;
  for (const block of [...region]) if (block.depth > 0) for (const b of loopOf(block)) region.add(b);
  for (const block of func.blocks) {
    const likely = block.succs.filter((s) => s.insts.at(-1)?.op !== "trap");
    // One prologue in front of a branch instead of one on each side, but for ways that trap.
    const leadsIn = likely.length > 0 && likely.every((s) => region.has(s));
    // What only the region leads to may as well keep the frame: the epilogue comes later, and once for several ways.
    const leadsOut = block.preds.length > 0 && block.preds.every((p) => region.has(p));
    if (leadsIn || leadsOut) region.add(block);
  }
  return region.size > before;
}

/** The blocks that control can pass on the way from a block back to itself. */
function loopOf(block: MBlock): Set<MBlock> {
  const after = reached(block, (b) => b.succs);
  const before = reached(block, (b) => b.preds);
  return new Set([...after].filter((b) => before.has(b)));
}

/** Blocks of loops only: a way around goes through no others. */
function reached(from: MBlock, next: (b: MBlock) => MBlock[]): Set<MBlock> {
  const seen = new Set<MBlock>();
  const work = [...next(from)];
  while (work.length) {
    const block = work.pop()!;
    if (seen.has(block) || block.depth === 0) continue;
    seen.add(block);
    work.push(...next(block));
  }
  return seen;
}

/** Connected parts of a region: each has a frame of its own. */
export function components(func: MFunc, region: ReadonlySet<MBlock>): Set<MBlock>[] {
  const parts: Set<MBlock>[] = [];
  const seen = new Set<MBlock>();
  for (const start of func.blocks) {
    if (!region.has(start) || seen.has(start)) continue;
    const part = new Set<MBlock>();
    const work = [start];
    while (work.length) {
      const block = work.pop()!;
      if (part.has(block) || !region.has(block)) continue;
      part.add(block);
      seen.add(block);
      work.push(...block.succs, ...block.preds);
    }
    parts.push(part);
  }
  return parts;
}

import type { MBlock, MFunc, MInst } from "./lir.ts";

/** How often a block runs, per loop level around it. */
const LOOP_FREQUENCY = 8;
const MAX_DEPTH = 6;
/** A conditional jump costs nothing when not taken, so saving an unconditional one is worth more. */
const CONDITIONAL_WEIGHT = 0.9;
/** Of two equally likely ways, the one that the source wrote inside is preferred. */
const FIRST_TARGET_WEIGHT = 0.85;

/**
 * Orders blocks for emission. Chains of blocks grow along the most frequent edges, so that these fall through; a loop
 * whose test is at the top is thereby rotated, as its back edge is the most frequent one. Blocks that trap go to the end.
 * Source: Pettis and Hansen, "Profile Guided Code Positioning", with frequencies guessed from loop depth.
 */
export function layout(func: MFunc): void {
  threadJumps(func);
  const { blocks } = func;
  const entry = blocks[0]!;
  const chains = new Map(blocks.map((b) => [b, [b]]));
  for (const { from, to } of edgesByWeight(blocks)) {
    const head = chains.get(from)!;
    const tail = chains.get(to)!;
    if (head === tail || head.at(-1) !== from || tail[0] !== to || to === entry) continue;
    head.push(...tail);
    for (const b of tail) chains.set(b, head);
  }
  func.blocks = placeChains(blocks, entry, chains);
}

interface Edge {
  from: MBlock;
  to: MBlock;
  weight: number;
}

function frequency(block: MBlock): number {
  return isCold(block) ? 0 : LOOP_FREQUENCY ** Math.min(block.depth, MAX_DEPTH);
}

function edgesByWeight(blocks: MBlock[]): Edge[] {
  const edges: Edge[] = [];
  for (const from of blocks) {
    const last = from.insts.at(-1);
    if (!last || last.op === "switch") continue;
    last.targets.forEach((to, i) => {
      const kind = last.targets.length === 1 ? 1 : i === 0 ? FIRST_TARGET_WEIGHT : CONDITIONAL_WEIGHT;
      edges.push({ from, to, weight: Math.min(frequency(from), frequency(to)) * kind });
    });
  }
  // The sort is stable: edges of equal weight keep the order of the source.
  return edges.sort((a, b) => b.weight - a.weight);
}

/** The entry's chain first, then the others as their blocks come up, cold ones last. */
function placeChains(blocks: MBlock[], entry: MBlock, chains: Map<MBlock, MBlock[]>): MBlock[] {
  const placed = new Set<MBlock[]>();
  const order: MBlock[] = [];
  const place = (chain: MBlock[]) => {
    if (placed.has(chain)) return;
    placed.add(chain);
    order.push(...chain);
  };
  place(chains.get(entry)!);
  for (const block of blocks) if (!isCold(chains.get(block)![0]!)) place(chains.get(block)!);
  for (const block of blocks) place(chains.get(block)!);
  return order;
}

function isCold(block: MBlock): boolean {
  return block.insts.at(-1)?.op === "trap";
}

/** A block of which nothing is left but a jump. */
function isEmpty(block: MBlock): boolean {
  return block.insts.every((inst) => inst.coalesced || inst.op === "jmp");
}

/** Where control really goes: past empty blocks. */
function destination(block: MBlock): MBlock {
  const seen = new Set<MBlock>();
  let at = block;
  while (isEmpty(at) && at.insts.at(-1)?.op === "jmp" && !seen.has(at)) {
    seen.add(at);
    at = at.insts.at(-1)!.targets[0]!;
  }
  return at;
}

function threadJumps(func: MFunc): void {
  for (const block of func.blocks) {
    const last = block.insts.at(-1);
    if (!last) continue;
    last.targets = last.targets.map(destination);
  }
  const reached = new Set<MBlock>();
  const work = [func.blocks[0]!];
  while (work.length) {
    const block = work.pop()!;
    if (reached.has(block)) continue;
    reached.add(block);
    block.succs = [...new Set(block.insts.at(-1)?.targets ?? [])];
    work.push(...block.succs);
  }
  func.blocks = func.blocks.filter((b) => reached.has(b));
}

/**
 * Where inner loops without calls start, in the order of emission: only those run often enough between two entries to be
 * worth aligning. A jump back closes a loop when control comes to it from the block that it goes to; other jumps back, from
 * code that was placed out of line or to the middle of a loop, do not, and padding there would be executed each time round.
 */
export function loopTops(blocks: readonly MBlock[]): Set<MBlock> {
  const tops = new Set<MBlock>();
  blocks.forEach((block, at) => {
    if (block.depth === 0) return;
    const isLatch = (b: MBlock, i: number) =>
      i >= at && b.depth >= block.depth && b.insts.at(-1)?.targets.includes(block);
    const end = blocks.findLastIndex(isLatch);
    if (end < at) return;
    const loop = blocks.slice(at, end + 1);
    const isInner = loop.every((b) => b.depth <= block.depth && !b.insts.some(isCall));
    const around = new Set(loop.filter((b) => b.depth === block.depth));
    if (isInner && reaches(block, blocks[end]!, around)) tops.add(block);
  });
  return tops;
}

function isCall(inst: MInst): boolean {
  return inst.op === "call" || inst.op === "callIndirect";
}

/** Whether control comes from one block to another without leaving these. */
function reaches(from: MBlock, to: MBlock, within: ReadonlySet<MBlock>): boolean {
  const seen = new Set([from]);
  for (const block of seen) {
    if (block === to) return true;
    for (const target of block.insts.at(-1)?.targets ?? []) if (within.has(target)) seen.add(target);
  }
  return false;
}

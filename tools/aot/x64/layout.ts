import type { MBlock, MFunc } from "./lir.ts";

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

import type { MBlock, MFunc } from "./lir.ts";

/** Orders blocks for emission: likely paths fall through, blocks that trap go to the end. */
export function layout(func: MFunc): void {
  threadJumps(func);
  const order: MBlock[] = [];
  const cold: MBlock[] = [];
  for (const block of func.blocks) (isCold(block) && order.length ? cold : order).push(block);
  func.blocks = [...order, ...cold];
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

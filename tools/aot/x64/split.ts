// Live-range splitting around the part of a function that needs a frame. A value that is alive across a call must be in a
// register that calls keep, which the function has to save first. Splitting gives such values a register of their own
// inside of that part, so that the paths that stay outside use the others and save nothing.
import { blockOnEdges, waysBetween } from "./edges.ts";
import { forEachDef, forEachUse, type MBlock, type MFunc, MInst, mapOperand, reg } from "./lir.ts";
import { type BitSet, liveOut } from "./liveness.ts";
import { components, frameRegion } from "./regions.ts";
import { CALLEE_SAVED, FIRST_VIRTUAL, RAX, RCX } from "./registers.ts";

export function splitLiveRanges(func: MFunc): void {
  const out = liveOut(func);
  const across = new Map(func.blocks.map((b) => [b, liveAcrossCalls(b, out.get(b)!)]));
  const busy = new Set(func.blocks.filter((b) => across.get(b)!.size > 0 || usesFrame(b)));
  if (!busy.size) return;
  const region = frameRegion(func, busy);
  if (region.has(func.blocks[0]!)) return;
  for (const part of components(func, region)) splitPart(func, part, across, out);
}

/** Whether a block needs a frame for another reason: stack arguments, or a callee that keeps no register. */
function usesFrame(block: MBlock): boolean {
  return block.insts.some(
    (inst) =>
      inst.defs.includes(CALLEE_SAVED[0]) ||
      inst.operands.some((o) => o.kind === "mem" && o.area === "outgoing"),
  );
}

/** Virtual registers that are alive across a call in the block. */
function liveAcrossCalls(block: MBlock, out: BitSet): Set<number> {
  const across = new Set<number>();
  const live = new Set<number>();
  out.forEach((r) => live.add(r));
  for (let i = block.insts.length - 1; i >= 0; i--) {
    const inst = block.insts[i]!;
    forEachDef(inst, (r) => live.delete(r));
    if (inst.defs.includes(RAX) && inst.defs.includes(RCX))
      for (const r of live) if (r >= FIRST_VIRTUAL) across.add(r);
    forEachUse(inst, (r) => live.add(r));
  }
  return across;
}

function splitPart(
  func: MFunc,
  part: ReadonlySet<MBlock>,
  across: Map<MBlock, Set<number>>,
  out: Map<MBlock, BitSet>,
): void {
  const ways = [true, false].flatMap((inward) =>
    waysBetween(func, part, inward).map((way) => ({ way, inward })),
  );
  const starts = new Map(ways.map(({ way: { to } }) => [to, liveIn(to, out.get(to)!)]));
  const renamed = new Map<number, number>();
  for (const block of part)
    for (const r of across.get(block)!)
      if (!renamed.has(r) && [...starts.values()].some((live) => live.has(r)))
        renamed.set(r, func.newVirtual());
  if (!renamed.size) return;
  for (const block of part) for (const inst of block.insts) rename(inst, renamed);
  for (const { way, inward } of ways) {
    const copies = [...renamed].filter(([r]) => starts.get(way.to)!.has(r));
    if (!copies.length) continue;
    const block = blockOnEdges(func, way);
    const { loc } = block.insts[0]!;
    block.insts.unshift(...copies.map(([r, own]) => splitCopy(inward ? own : r, inward ? r : own, loc)));
  }
}

function liveIn(block: MBlock, out: BitSet): Set<number> {
  const live = new Set<number>();
  out.forEach((r) => live.add(r));
  for (let i = block.insts.length - 1; i >= 0; i--) {
    forEachDef(block.insts[i]!, (r) => live.delete(r));
    forEachUse(block.insts[i]!, (r) => live.add(r));
  }
  return live;
}

function rename(inst: MInst, names: Map<number, number>): void {
  inst.operands = inst.operands.map((operand) => mapOperand(operand, (r) => names.get(r) ?? r));
}

/** Joining its two sides would undo the split. */
function splitCopy(to: number, from: number, loc: number): MInst {
  const copy = new MInst("mov", 8, [reg(to), reg(from)], loc);
  copy.splits = true;
  return copy;
}

// Where the frame is set up and taken down ("shrink wrapping"): on the edges into and out of the parts of a function that
// use registers which the caller wants back, or stack slots. The other paths pay nothing.
import { blockOnEdges, linkBlocks, type Way, waysBetween } from "./edges.ts";
import { type Frame, forEachDef, forEachUse, type MBlock, type MFunc, MInst, NO_FRAME } from "./lir.ts";
import { BitSet } from "./liveness.ts";
import { components, frameRegion } from "./regions.ts";
import { CALLEE_SAVED } from "./registers.ts";

const SLOT_BYTES = 8;

/** Gives every block its frame, and puts `enter` and `leave` where frames begin and end inside of the function. */
export function placeFrames(func: MFunc): void {
  linkBlocks(func);
  const region = frameRegion(func, busyBlocks(func));
  for (const part of components(func, region)) {
    const frame = frameOf(func, part);
    if (frame === NO_FRAME) continue;
    for (const block of part) block.frame = frame;
    for (const way of waysBetween(func, part, true)) enter(func, way, frame);
    for (const way of waysBetween(func, part, false)) leave(func, way, frame);
  }
}

/** At the start of the block that is reached, when all ways to it come from outside; else in a block of its own. */
function enter(func: MFunc, way: Way, frame: Frame): void {
  const isShared = way.to.preds.length > way.from.length;
  const block = isShared ? blockOnEdges(func, way) : way.to;
  block.frame = frame;
  block.insts.unshift(mark("enter", frame, way.to));
}

/** At the end of the block that is left, when it leads nowhere else; else at the start of the next, or between them. */
function leave(func: MFunc, way: Way, frame: Frame): void {
  const { from, to } = way;
  const [only] = from;
  const inst = mark("leave", frame, to);
  if (from.length === 1 && only!.insts.at(-1)?.op === "jmp") only!.insts.splice(-1, 0, inst);
  else (to.preds.length > from.length ? blockOnEdges(func, way) : to).insts.unshift(inst);
}

function frameOf(func: MFunc, part: ReadonlySet<MBlock>): Frame {
  const written = new Set<number>();
  let local = false;
  for (const block of part) {
    for (const inst of block.insts) {
      forEachDef(inst, (r) => written.add(r));
      local ||= inst.operands.some((o) => o.kind === "mem" && (o.area === "spill" || o.area === "outgoing"));
    }
  }
  const saved = CALLEE_SAVED.filter((r) => written.has(r));
  const localBytes = local ? func.outgoingBytes + func.spillBytes : 0;
  return saved.length || localBytes ? { saved, localBytes } : NO_FRAME;
}

function mark(op: "enter" | "leave", frame: Frame, at: MBlock): MInst {
  const inst = new MInst(op, 8, [], at.insts[0]?.loc ?? 0);
  inst.frame = frame;
  return inst;
}

/** Blocks through which a register that the caller wants back, or a stack slot, holds a value. */
function busyBlocks(func: MFunc): Set<MBlock> {
  const size = CALLEE_SAVED.length + func.spillBytes / SLOT_BYTES;
  const facts = new Map(func.blocks.map((b) => [b, usage(b, size)]));
  const live = new Map(func.blocks.map((b) => [b, new BitSet(size)]));
  for (let changed = true; changed; ) {
    changed = false;
    for (const block of [...func.blocks].reverse()) {
      const out = new BitSet(size);
      for (const succ of block.succs) out.union(live.get(succ)!);
      const { gen, kill } = facts.get(block)!;
      if (live.get(block)!.transfer(gen, out, kill)) changed = true;
    }
  }
  return new Set(func.blocks.filter((b) => facts.get(b)!.used || live.get(b)!.words.some((w) => w !== 0)));
}

interface Usage {
  /** Read before they are written in the block; written in it. */
  gen: BitSet;
  kill: BitSet;
  used: boolean;
}

/** Registers come first, by their place in CALLEE_SAVED; then slots. */
function usage(block: MBlock, size: number): Usage {
  const result: Usage = { gen: new BitSet(size), kill: new BitSet(size), used: false };
  const read = (i: number) => result.gen.add(i);
  const written = (i: number) => {
    result.gen.delete(i);
    result.kill.add(i);
  };
  const place = (r: number) => CALLEE_SAVED.indexOf(r as (typeof CALLEE_SAVED)[number]);
  for (const inst of [...block.insts].reverse()) {
    forEachDef(inst, (r) => {
      if (place(r) < 0) return;
      written(place(r));
      result.used = true;
    });
    const slots = inst.operands.flatMap((o, i) => (o.kind === "mem" && o.area ? [{ o, i }] : []));
    for (const { o, i } of slots) {
      if (o.area !== "incoming") result.used = true;
      // A narrow write leaves the rest of the slot as it is.
      if (o.area === "spill" && inst.spec.roles[i] === "d" && inst.width === 8) written(slot(o.disp));
    }
    forEachUse(inst, (r) => place(r) >= 0 && read(place(r)));
    for (const { o, i } of slots)
      if (o.area === "spill" && !(inst.spec.roles[i] === "d" && inst.width === 8)) read(slot(o.disp));
  }
  return result;
}

function slot(disp: number): number {
  return CALLEE_SAVED.length + disp / SLOT_BYTES;
}

import { type Block, type FuncIR, isComparison, type Op, resolve, resolveAll, type Value } from "../ir/ir.ts";
import { keyOf } from "./gvn.ts";

/** Operations that are instructions of their own: others are part of their users, if these are in the same block. */
const SEPARATE = new Set<Op>([
  "sub",
  "mul",
  "and",
  "or",
  "xor",
  "shr_s",
  "shr_u",
  "rotl",
  "rotr",
  "clz",
  "ctz",
  "popcnt",
  "bswap",
  // Costs nothing where it is, but what follows it could not come up without it.
  "wrap",
  "mulh_s",
  "mulh_u",
]);

/**
 * What both ways behind a branch compute is computed once, before the branch. It takes less room, and the processor need
 * not know the way to begin with it.
 */
export function hoistCommon(func: FuncIR): void {
  const absorbed = absorbedMasks(func);
  const isHoistable = (v: Value) => SEPARATE.has(v.op) && !absorbed.has(v) && isKnownBefore(v);
  // Last to first: what came up from below can go further up.
  for (const block of [...func.blocks].reverse()) {
    const [a, b] = block.term.targets;
    if (block.term.op !== "branch" || a === b) continue;
    if (a!.preds.length === 1 && b!.preds.length === 1) hoistInto(block, a!, b!, isHoistable);
  }
  resolveAll(func);
}

function hoistInto(block: Block, a: Block, b: Block, isHoistable: (v: Value) => boolean): void {
  for (let changed = true; changed; ) {
    changed = false;
    const others = new Map(b.body.filter(isHoistable).map((v) => [keyOf(v), v]));
    for (const v of [...a.body]) {
      if (!isHoistable(v)) continue;
      const same = others.get(keyOf(v));
      if (!same) continue;
      a.body.splice(a.body.indexOf(v), 1);
      b.body.splice(b.body.indexOf(same), 1);
      v.block = block;
      block.body.push(v);
      same.forward = v;
      changed = true;
    }
  }
}

/** Whether the operands of a value are known before its block. */
function isKnownBefore(v: Value): boolean {
  v.args = v.args.map(resolve);
  return v.args.every((arg) => arg.op === "const" || arg.block !== v.block);
}

/** Masks that are no instruction of their own: those of tests, and of what narrow stores drop. */
function absorbedMasks(func: FuncIR): Set<Value> {
  const masks = new Set<Value>();
  for (const block of func.blocks) {
    const add = (v: Value) => v.op === "and" && masks.add(v);
    for (const v of block.body) if (isComparison(v.op) || v.op === "store") v.args.forEach(add);
    block.term.args.forEach(add);
  }
  return masks;
}

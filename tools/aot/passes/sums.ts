import { countUses } from "../ir/graph.ts";
import { type Block, type FuncIR, type Op, resolveAll, type Value } from "../ir/ir.ts";

/** With fewer terms there is nothing to gain. */
const MIN_TERMS = 4;

/** How long results take, in steps of the processor: 1 if not listed. A load's address is known early, mostly. */
const STEPS: Partial<Record<Op, number>> = { load: 0, wrap: 0, mul: 3, mulh_s: 4, mulh_u: 4 };

/**
 * Adds up the terms of a sum in the order in which they are ready, so that the one that comes last has the shortest way to the
 * result: what a loop hands from one round to the next through a sum decides how long a round takes.
 */
export function orderSums(func: FuncIR): void {
  const uses = countUses(func);
  for (const block of func.blocks) {
    const heights = new Map<Value, number>();
    const added = new Set(block.body.flatMap((v) => (v.op === "add" ? v.args : [])));
    for (const v of [...block.body]) {
      heights.set(v, heightOf(v, heights));
      // A sum that is nothing but a term of another one is part of that.
      if (v.op !== "add" || (uses.get(v) === 1 && added.has(v))) continue;
      const sum = { terms: [] as Value[], inner: [] as Value[] };
      collect(v, block, uses, sum);
      if (sum.terms.length < MIN_TERMS || sum.terms.some((term) => term.op === "const")) continue;
      heights.set(v, rebuild(func, block, v, sum.terms, heights));
      block.body = block.body.filter((old) => !sum.inner.includes(old));
    }
  }
  resolveAll(func);
}

/** Steps from the start of the block; what comes from elsewhere is there already. */
function heightOf(v: Value, heights: ReadonlyMap<Value, number>): number {
  return v.args.reduce((most, arg) => Math.max(most, heights.get(arg) ?? 0), 0) + (STEPS[v.op] ?? 1);
}

/** Takes a sum apart, down to what is not an addition, or is needed elsewhere too. */
function collect(
  sum: Value,
  block: Block,
  uses: ReadonlyMap<Value, number>,
  found: { terms: Value[]; inner: Value[] },
): void {
  for (const arg of sum.args) {
    if (arg.op === "add" && arg.block === block && uses.get(arg) === 1) {
      found.inner.push(arg);
      collect(arg, block, uses, found);
    } else found.terms.push(arg);
  }
}

/** Adds the two terms that are ready first until one is left: `root` becomes the last addition. Returns its height. */
function rebuild(
  func: FuncIR,
  block: Block,
  root: Value,
  terms: readonly Value[],
  heights: Map<Value, number>,
): number {
  const height = (v: Value) => heights.get(v) ?? 0;
  const rest = [...terms];
  const takeFirst = () => {
    const first = rest.reduce((best, v) => (height(v) < height(best) ? v : best));
    rest.splice(rest.indexOf(first), 1);
    return first;
  };
  while (rest.length > 2) {
    const sum = func.newValue("add", root.type, [takeFirst(), takeFirst()], root.loc);
    sum.block = block;
    heights.set(sum, heightOf(sum, heights));
    // As early as can be: terms do not wait in registers for the last one.
    const at = Math.max(...sum.args.map((arg) => block.body.indexOf(arg)));
    block.body.splice(at + 1, 0, sum);
    rest.push(sum);
  }
  root.args = rest;
  return heightOf(root, heights);
}

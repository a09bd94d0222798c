import { countUses } from "../ir/graph.ts";
import { type Block, type FuncIR, isComparison, isPure, Terminator, type Value } from "../ir/ir.ts";

/**
 * Short-circuit: a branch on `a & b`, `a | b` or `a ? b : 0` of conditions becomes two branches, which need no 0/1 values
 * in registers and let switch recovery see the comparisons.
 */
export function splitConditions(func: FuncIR): void {
  const uses = countUses(func);
  for (const block of func.blocks) {
    // New blocks are appended and come up in this same walk.
    if (block.term.op === "branch") split(func, block, uses);
  }
}

interface Pair {
  first: Value;
  second: Value;
  /** What decides without looking at the second: first false (and), or first true (or). */
  kind: "and" | "or";
}

function pairOf(v: Value): Pair | null {
  const [a, b, c] = v.args as [Value, Value, Value | undefined];
  const cheap = (x: Value) => isComparison(x.op);
  if ((v.op === "and" || v.op === "or") && v.type === "i32" && cheap(a) && cheap(b))
    return { first: a, second: b, kind: v.op };
  if (v.op !== "select" || v.type !== "i32") return null;
  if (b.op === "const" && b.imm === 0n) return { first: c!, second: a, kind: "and" };
  if (a.op === "const" && a.imm !== 0n) return { first: c!, second: b, kind: "or" };
  return null;
}

function split(func: FuncIR, block: Block, uses: Map<Value, number>): void {
  const { term } = block;
  const condition = term.args[0]!;
  const pair =
    uses.get(condition) === 1 && condition.block === block && isPure(condition.op) ? pairOf(condition) : null;
  if (!pair) return;
  const [then, otherwise] = term.targets as [Block, Block];
  if (then === otherwise) return;
  const next = func.newBlock();
  next.preds = [block];
  next.term = new Terminator("branch", [pair.second], [then, otherwise], term.loc);
  term.args = [pair.first];
  // One target is now reached from both blocks, the other only from the second.
  const [shared, moved] = pair.kind === "and" ? [otherwise, then] : [then, otherwise];
  term.targets = pair.kind === "and" ? [next, otherwise] : [then, next];
  moved.preds[moved.preds.indexOf(block)] = next;
  const edge = shared.preds.indexOf(block);
  shared.preds.push(next);
  for (const phi of shared.phis) phi.args.push(phi.args[edge]!);
  block.body = block.body.filter((v) => v !== condition);
}

import { foldConstants } from "../ir/fold.ts";
import { pruneBlocks } from "../ir/graph.ts";
import { type Block, type FuncIR, isComparison, Terminator, type Value } from "../ir/ir.ts";

/**
 * Jump threading: a block that only merges values and branches on them is done by its predecessors instead. Those that
 * bring a constant go straight to the right target; the others branch on their own value. This is how `a && b` in a
 * condition loses the 0 or 1 that it was compiled to.
 */
export function threadJumps(func: FuncIR): void {
  const users = usersOf(func);
  const order = new Map(func.blocks.map((b, i) => [b, i]));
  for (const block of func.blocks) {
    const isHeader = block.preds.some((p) => order.get(p)! >= order.get(block)!);
    if (!isHeader && isPureMerge(block, users)) duplicate(func, block);
  }
  pruneBlocks(func);
}

/** Where each value is used: in a block's body or terminator, or as a phi operand (on behalf of the edge's source). */
interface Use {
  block: Block;
  phiOf: Block | null;
}

function usersOf(func: FuncIR): Map<Value, Use[]> {
  const users = new Map<Value, Use[]>();
  const add = (v: Value, use: Use) => {
    const list = users.get(v);
    if (list) list.push(use);
    else users.set(v, [use]);
  };
  for (const block of func.blocks) {
    for (const phi of block.phis) {
      phi.args.forEach((arg, i) => add(arg, { block: block.preds[i]!, phiOf: block }));
    }
    for (const v of block.body) for (const arg of v.args) add(arg, { block, phiOf: null });
    for (const arg of block.term.args) add(arg, { block, phiOf: null });
  }
  return users;
}

/** The condition in terms of the block's phis: one itself, or a comparison of one with a constant. */
interface Condition {
  phi: Value;
  compare: Value | null;
}

function conditionOf(block: Block): Condition | null {
  const { term } = block;
  if (term.op !== "branch" || term.targets[0] === term.targets[1]) return null;
  const condition = term.args[0]!;
  if (block.phis.includes(condition)) return { phi: condition, compare: null };
  if (!isComparison(condition.op) || condition.block !== block) return null;
  const [a, b] = condition.args as [Value, Value];
  return block.phis.includes(a) && b.op === "const" ? { phi: a, compare: condition } : null;
}

/** Whether the block does nothing but merge and branch, and nobody behind it needs its values except through phis. */
function isPureMerge(block: Block, users: Map<Value, Use[]>): boolean {
  const condition = conditionOf(block);
  if (!condition || block.term.targets.includes(block)) return false;
  if (block.body.some((v) => v.op !== "const" && v !== condition.compare)) return false;
  const known = condition.phi.args.some((a) => a.op === "const");
  if (!known) return false;
  const local = (use: Use) => use.block === block;
  const all = [...block.phis, ...block.body.filter((v) => v.op !== "const")];
  return all.every((v) => (users.get(v) ?? []).every(local));
}

function duplicate(func: FuncIR, block: Block): void {
  const { phi, compare } = conditionOf(block)!;
  const { targets, loc } = block.term;
  for (const pred of [...block.preds]) {
    const edge = block.preds.indexOf(pred);
    if (edge < 0 || block.preds.indexOf(pred, edge + 1) >= 0) continue;
    const value = phi.args[edge]!;
    const known = value.op === "const" ? (compare ? foldCompare(compare, value) : value.imm) : null;
    if (known !== null) {
      const target = targets[known !== 0n ? 0 : 1]!;
      if (pred.term.targets.includes(target) && target.phis.length) continue;
      connect(block, target, pred, edge);
      pred.term.targets = pred.term.targets.map((t) => (t === block ? target : t));
    } else {
      if (pred.term.op !== "jump") continue;
      const condition = compare ? copyCompare(func, compare, value, pred) : value;
      for (const target of targets) connect(block, target, pred, edge);
      pred.term = new Terminator("branch", [condition], [...targets], loc);
    }
    block.preds.splice(edge, 1);
    for (const p of block.phis) p.args.splice(edge, 1);
  }
}

function foldCompare(compare: Value, value: Value): bigint | null {
  return foldConstants(compare.op, value.type!, value.imm, compare.args[1]!.imm);
}

function copyCompare(func: FuncIR, compare: Value, value: Value, block: Block): Value {
  const copy = func.newValue(compare.op, "i32", [value, compare.args[1]!], compare.loc);
  copy.block = block;
  const constant = func.constant(value.type!, compare.args[1]!.imm, compare.loc);
  constant.block = block;
  copy.args[1] = constant;
  block.body.push(constant, copy);
  return copy;
}

/** Adds an edge from `pred` to `target`, with the phi operands that the way through `block` would bring. */
function connect(block: Block, target: Block, pred: Block, edge: number): void {
  const through = target.preds.indexOf(block);
  target.preds.push(pred);
  for (const phi of target.phis) {
    const arg = phi.args[through]!;
    phi.args.push(block.phis.includes(arg) ? arg.args[edge]! : arg);
  }
}

import { foldConstants } from "../ir/fold.ts";
import { pruneBlocks } from "../ir/graph.ts";
import { type Block, type FuncIR, isComparison, Terminator, type Value } from "../ir/ir.ts";

/**
 * Jump threading: a block that only merges values and branches on them is done by its predecessors instead. Those that
 * bring a constant go straight to the right target; the others branch on their own value. This is how `a && b` in a
 * condition loses the 0 or 1 that it was compiled to. Where the merged values are needed later, only those go past the block
 * that never come there: an inlined function's early `return NOTHING`, say, of which the caller's test is known.
 */
export function threadJumps(func: FuncIR): void {
  const order = new Map(func.blocks.map((b, i) => [b, i]));
  const isHeader = (block: Block) => block.preds.some((p) => order.get(p)! >= order.get(block)!);
  const merged = usersOf(func);
  for (const block of func.blocks) {
    const [target] = block.term.targets;
    if (block.term.op === "jump" && !isHeader(block) && !isHeader(target!)) flatten(block, target!, merged);
  }
  pruneBlocks(func);
  const users = usersOf(func);
  for (const block of func.blocks)
    if (!isHeader(block) && isPureMerge(block)) duplicate(func, block, usedLater(block, users));
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

/** A block that merges values only for the merge behind it, as inlined calls leave them, is left out. */
function flatten(block: Block, target: Block, users: Map<Value, Use[]>): void {
  if (!block.phis.length || block.body.some((v) => v.op !== "const")) return;
  const onlyMerged = (v: Value) =>
    (users.get(v) ?? []).every((use) => use.phiOf === target && use.block === block);
  if (!block.phis.every(onlyMerged)) return;
  for (const pred of [...block.preds]) {
    const edge = soleEdge(block, pred);
    if (edge === null || pred.term.targets.includes(target)) continue;
    connect(block, target, pred, edge);
    pred.term.targets = pred.term.targets.map((t) => (t === block ? target : t));
    disconnect(block, edge);
  }
}

/** Place of a predecessor that comes to the block one way only. */
function soleEdge(block: Block, pred: Block): number | null {
  const edge = block.preds.indexOf(pred);
  return edge < 0 || block.preds.indexOf(pred, edge + 1) >= 0 ? null : edge;
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

/** Whether the block does nothing but merge and branch, and knows for some predecessor where to. */
function isPureMerge(block: Block): boolean {
  const condition = conditionOf(block);
  if (!condition || block.term.targets.includes(block)) return false;
  if (block.body.some((v) => v.op !== "const" && v !== condition.compare)) return false;
  return condition.phi.args.some((a) => a.op === "const");
}

/** Where values of the block are needed behind it, other than by phis of its targets. */
function usedLater(block: Block, users: Map<Value, Use[]>): Set<Block> {
  const own = [...block.phis, ...block.body.filter((v) => v.op !== "const")];
  const uses = own.flatMap((v) => users.get(v) ?? []);
  return new Set(uses.map((use) => use.block).filter((b) => b !== block));
}

/** Whether one of `places` can be reached without passing `around`. */
function reaches(from: Block, places: Set<Block>, around: Block): boolean {
  const seen = new Set([around]);
  const work = [from];
  while (work.length) {
    const block = work.pop()!;
    if (seen.has(block)) continue;
    if (places.has(block)) return true;
    seen.add(block);
    work.push(...block.term.targets);
  }
  return false;
}

function duplicate(func: FuncIR, block: Block, later: Set<Block>): void {
  const { phi, compare } = conditionOf(block)!;
  const { targets, loc } = block.term;
  const mayPass = targets.map((t) => later.size === 0 || !reaches(t, later, block));
  for (const pred of [...block.preds]) {
    const edge = soleEdge(block, pred);
    if (edge === null) continue;
    const value = phi.args[edge]!;
    const known = value.op === "const" ? (compare ? foldCompare(compare, value) : value.imm) : null;
    if (known !== null) {
      const at = known !== 0n ? 0 : 1;
      const target = targets[at]!;
      if (!mayPass[at]) continue;
      if (pred.term.targets.includes(target) && target.phis.length) continue;
      connect(block, target, pred, edge);
      pred.term.targets = pred.term.targets.map((t) => (t === block ? target : t));
    } else {
      if (pred.term.op !== "jump" || later.size > 0) continue;
      const condition = compare ? copyCompare(func, compare, value, pred) : value;
      for (const target of targets) connect(block, target, pred, edge);
      pred.term = new Terminator("branch", [condition], [...targets], loc);
    }
    disconnect(block, edge);
  }
}

function disconnect(block: Block, edge: number): void {
  block.preds.splice(edge, 1);
  for (const phi of block.phis) phi.args.splice(edge, 1);
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

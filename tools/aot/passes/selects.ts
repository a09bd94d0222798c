import { significantBits } from "../ir/bits.ts";
import { foldConstants } from "../ir/fold.ts";
import { reversePostorder } from "../ir/graph.ts";
import { type Block, bitsOf, type FuncIR, isComparison, isPure, Terminator, type Value } from "../ir/ir.ts";

/**
 * A select becomes a branch where every way to it decides its condition: an inlined function's `return NOTHING`, say, that the
 * caller compares with NOTHING. `threading` then leads each way to its side, and nothing of the test is left.
 */
export function splitSelects(func: FuncIR): void {
  let changed = false;
  const order = new Map(func.blocks.map((block, i) => [block, i]));
  for (const block of [...func.blocks]) {
    if (block.preds.some((pred) => order.get(pred)! >= order.get(block)!)) continue;
    const select = block.body.find((v) => v.op === "select" && isDecided(block, v.args[2]!));
    const arms = select && armsOf(func, block, select);
    if (!arms) continue;
    split(func, block, select, arms);
    changed = true;
  }
  if (changed) func.blocks = reversePostorder(func.entry);
}

/** Whether a condition compares what the block merges with a constant, the result being known for each, but not the same. */
function isDecided(block: Block, condition: Value): boolean {
  if (!isComparison(condition.op) || condition.block !== block) return false;
  const [phi, constant] = condition.args as [Value, Value];
  if (constant.op !== "const" || !block.phis.includes(phi)) return false;
  const results = phi.args.map((value) => resultFor(condition, value, constant));
  return results.includes(0n) && results.includes(1n) && !results.includes(null);
}

function resultFor({ op }: Value, value: Value, { imm }: Value): bigint | null {
  if (value.op === "const") return foldConstants(op, value.type!, value.imm, imm);
  const isBeyond = BigInt.asUintN(bitsOf(value.type!), imm) >> BigInt(significantBits(value)) !== 0n;
  return isBeyond && (op === "eq" || op === "ne") ? (op === "ne" ? 1n : 0n) : null;
}

/** What each side of the select needs; null if something else in front of the select is needed elsewhere. */
function armsOf(func: FuncIR, block: Block, select: Value): [Set<Value>, Set<Value>] | null {
  const [a, b, condition] = select.args as [Value, Value, Value];
  const users = usersOf(func, block);
  if (a === b || users.get(condition)!.size !== 1) return null;
  const arms: [Set<Value>, Set<Value>] = [new Set(), new Set()];
  const before = block.body.slice(0, block.body.indexOf(select)).reverse();
  for (const v of before) {
    if (v === condition || v.op === "const") continue;
    const arm = arms.find((own, i) =>
      [...(users.get(v) ?? [])].every((user) =>
        user === select ? select.args[i] === v : own.has(user as Value),
      ),
    );
    if (!arm || !isPure(v.op)) return null;
    arm.add(v);
  }
  return arms;
}

/** Who uses the values of a block; a block stands for its terminator, and for phis behind it. */
function usersOf(func: FuncIR, block: Block): Map<Value, Set<Value | Block>> {
  const users = new Map<Value, Set<Value | Block>>(block.body.map((v) => [v, new Set()]));
  for (const other of func.blocks) {
    for (const v of [...other.phis, ...other.body]) for (const arg of v.args) users.get(arg)?.add(v);
    for (const arg of other.term.args) users.get(arg)?.add(other);
  }
  return users;
}

function split(func: FuncIR, block: Block, select: Value, arms: [Set<Value>, Set<Value>]): void {
  const at = block.body.indexOf(select);
  const { loc } = select;
  const sides = arms.map((arm) => {
    const side = func.newBlock();
    side.preds = [block];
    move(
      [...block.body.slice(0, at)].filter((v) => arm.has(v)),
      side,
    );
    return side;
  });
  const after = func.newBlock();
  after.preds = sides;
  move(block.body.slice(at + 1), after);
  after.term = block.term;
  for (const target of new Set(after.term.targets))
    target.preds = target.preds.map((pred) => (pred === block ? after : pred));
  for (const side of sides) side.term = new Terminator("jump", [], [after], loc);
  block.body = block.body.slice(0, at).filter((v) => arms.every((arm) => !arm.has(v)));
  block.term = new Terminator("branch", [select.args[2]!], sides, loc);
  // The select itself becomes the phi that merges its sides.
  select.op = "phi";
  select.args = select.args.slice(0, 2);
  select.block = after;
  after.phis = [select];
}

function move(values: Value[], to: Block): void {
  for (const v of values) v.block = to;
  to.body = values;
}

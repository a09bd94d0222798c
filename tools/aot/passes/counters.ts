import { foldConstants } from "../ir/fold.ts";
import { dominators, findLoops, type Loop, pruneBlocks, removeEdge } from "../ir/graph.ts";
import { type Block, bitsOf, type FuncIR, isComparison, Terminator, type Value } from "../ir/ir.ts";

/**
 * A loop that is left where its counter has a certain value goes no further. If the test in its header holds for all values up
 * to that one, it always does: a walk of page tables, say, that ends at the last level at the latest.
 */
export function dropCounterTests(func: FuncIR): void {
  const dom = dominators(func);
  for (const loop of findLoops(func, dom)) {
    const counter = counterOf(loop);
    if (!counter) continue;
    const last = exitsAt(loop, counter.phi).filter(({ block }) => dom.dominates(block, counter.latch));
    if (last.some(({ value }) => holdsUpTo(counter, value))) stayIn(loop);
  }
  pruneBlocks(func);
}

/** What the header of a loop compares with a constant, and by how much it grows from which constant. */
interface Counter {
  phi: Value;
  latch: Block;
  start: bigint;
  step: bigint;
  test: Value;
  /** The test's result with which the loop goes on. */
  staysOn: bigint;
}

function counterOf({ header, blocks }: Loop): Counter | null {
  const { term } = header;
  const [test] = term.args;
  if (term.op !== "branch" || header.preds.length !== 2 || !isOrdering(test!)) return null;
  const [then, otherwise] = term.targets.map((target) => blocks.has(target));
  const phi = test!.args[0]!;
  if (then === otherwise || !header.phis.includes(phi)) return null;
  const at = header.preds.findIndex((pred) => blocks.has(pred));
  const [first, next] = [phi.args[1 - at]!, phi.args[at]!];
  if (first.op !== "const" || next.op !== "add" || next.args[0] !== phi || next.args[1]!.op !== "const")
    return null;
  const staysOn = then ? 1n : 0n;
  return { phi, latch: header.preds[at]!, start: first.imm, step: next.args[1]!.imm, test: test!, staysOn };
}

/** A comparison with a constant that holds between two values if it holds for both. */
function isOrdering(test: Value): boolean {
  return isComparison(test.op) && test.op !== "eq" && test.op !== "ne" && test.args[1]!.op === "const";
}

/** Branches that leave a loop for a value of `phi`. */
function exitsAt({ blocks }: Loop, phi: Value): { block: Block; value: bigint }[] {
  return [...blocks].flatMap((block) => {
    const { op, args, targets } = block.term;
    const test = args[0];
    if (op !== "branch" || (test!.op !== "eq" && test!.op !== "ne")) return [];
    const [x, value] = test!.args as [Value, Value];
    const leaving = targets[test!.op === "eq" ? 0 : 1]!;
    return x === phi && value.op === "const" && !blocks.has(leaving) ? [{ block, value: value.imm }] : [];
  });
}

/** Whether the counter comes to `last` without wrapping around, and the test holds all the way. */
function holdsUpTo({ phi, start, step, test, staysOn }: Counter, last: bigint): boolean {
  const bits = bitsOf(phi.type!);
  const number = test.op.endsWith("_u") ? BigInt.asUintN : BigInt.asIntN;
  const distance = number(bits, last) - number(bits, start);
  if (step === 0n || distance % step !== 0n || distance / step < 0n) return false;
  const limit = test.args[1]!.imm;
  return [start, last].every((value) => foldConstants(test.op, phi.type!, value, limit) === staysOn);
}

function stayIn({ header, blocks }: Loop): void {
  const [leaving] = header.term.targets.filter((target) => !blocks.has(target));
  const [inside] = header.term.targets.filter((target) => blocks.has(target));
  removeEdge(header, leaving!);
  header.term = new Terminator("jump", [], [inside!], header.term.loc);
}

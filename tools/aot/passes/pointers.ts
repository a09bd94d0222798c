import { hasEffect } from "../ir/effects.ts";
import { foldConstants } from "../ir/fold.ts";
import { countUses, type Loop } from "../ir/graph.ts";
import { type Block, type FuncIR, isComparison, type Op, resolveAll, type Value } from "../ir/ir.ts";
import { NEGATED } from "./simplify.ts";

/** The largest shift that an addressing mode does for nothing. */
const MAX_SCALE_SHIFT = 3n;

/**
 * Addresses that grow by the same amount on every round become loop variables of their own, pointers, where that takes
 * fewer instructions: mostly because nobody needs the counter any more, as the pointer can tell as well when the loop ends.
 */
export function advancePointers(func: FuncIR, loop: Loop, preheader: Block): void {
  if (loop.header.preds.length !== 2) return;
  const rounds = new Rounds(func, loop, preheader);
  const roots = [...new Set(addressesIn(func, loop))].filter((v) => rounds.step(v));
  if (!roots.length) return;
  const counted = endTest(loop, rounds, roots);
  const kept = saved(func, loop, rounds, roots, null);
  const most = counted ? saved(func, loop, rounds, roots, counted) : kept;
  if (most <= roots.length) return;
  const test = most > kept ? counted : null;
  const pointers = new Map(roots.map((root) => [root, rounds.pointer(root)]));
  if (test) replaceTest(loop, rounds, test, pointers.get(test.root)!);
  for (const [root, pointer] of pointers) root.forward = pointer;
  resolveAll(func);
}

/** The addresses of a loop's accesses, without the constant at their end if several accesses differ only in that. */
function* addressesIn(func: FuncIR, { blocks }: Loop): Generator<Value> {
  const uses = countUses(func);
  for (const block of blocks) {
    for (const v of block.body) {
      if (v.op !== "load" && v.op !== "store") continue;
      const address = v.args[0]!;
      const inner = address.op === "add" && address.args[1]!.op === "const" ? address.args[0]! : address;
      const root = uses.get(inner) === 1 ? address : inner;
      if (root.op !== "const" && root.op !== "phi" && blocks.has(root.block)) yield root;
    }
  }
}

/** What is known of values of a loop from round to round, and how to say it in front of the loop. */
class Rounds {
  readonly entry: number;
  private readonly latch: Block;
  private readonly steps = new Map<Value, bigint | null>();
  private readonly starts = new Map<Value, Value>();

  constructor(
    private readonly func: FuncIR,
    private readonly loop: Loop,
    private readonly preheader: Block,
  ) {
    const { header, blocks } = loop;
    this.entry = blocks.has(header.preds[0]!) ? 1 : 0;
    this.latch = header.preds[1 - this.entry]!;
    for (const phi of header.phis) {
      const next = phi.args[1 - this.entry]!;
      const counts = next.op === "add" && next.args[0] === phi && next.args[1]!.op === "const";
      this.steps.set(phi, counts ? next.args[1]!.imm : null);
    }
  }

  isInside(v: Value): boolean {
    return v.op !== "const" && this.loop.blocks.has(v.block);
  }

  /** By how much a value of 32 bits grows each round; null if it does not by a constant. */
  step(v: Value): bigint | null {
    if (!this.isInside(v)) return 0n;
    const known = this.steps.get(v);
    if (known !== undefined) return known;
    const step = v.type === "i32" ? this.stepOf(v) : null;
    const wrapped = step === null ? null : BigInt.asIntN(32, step);
    this.steps.set(v, wrapped);
    return wrapped;
  }

  private stepOf(v: Value): bigint | null {
    const linear =
      v.op === "add" || v.op === "sub" || ((v.op === "shl" || v.op === "mul") && isConst(v.args[1]));
    if (!linear) return null;
    const [a, b] = [this.step(v.args[0]!), this.step(v.args[1]!)];
    if (a === null || b === null) return null;
    if (v.op === "shl") return a << (v.args[1]!.imm & 31n);
    if (v.op === "mul") return a * v.args[1]!.imm;
    return v.op === "add" ? a + b : a - b;
  }

  /** A value of known step as it is on the first round, in front of the loop. */
  start(v: Value): Value {
    if (v.op === "const") return this.constant(v.imm);
    if (!this.isInside(v)) return v;
    const known = this.starts.get(v);
    if (known) return known;
    const [a, b] = v.op === "phi" ? [v.args[this.entry]!] : v.args.map((arg) => this.start(arg));
    const made = b ? this.make(v.op, a!, b) : a!;
    this.starts.set(v, made);
    return made;
  }

  make(op: Op, a: Value, b: Value): Value {
    const both = isConst(a) && isConst(b) ? foldConstants(op, "i32", a.imm, b.imm) : null;
    if (both !== null) return this.constant(both);
    if (op === "add" && isConst(a)) return this.make(op, b, a);
    if (op !== "mul" && isConst(b) && b.imm === 0n) return a;
    return this.append(this.preheader, op, a, b);
  }

  constant(imm: bigint, block = this.preheader): Value {
    const v = this.func.constant("i32", imm, block.term.loc);
    v.block = block;
    block.body.push(v);
    return v;
  }

  append(block: Block, op: Op, a: Value, b: Value): Value {
    const v = this.func.newValue(op, "i32", [a, b], block.term.loc);
    v.block = block;
    block.body.push(v);
    return v;
  }

  /** A loop variable that has the value's place. */
  pointer(v: Value): Value {
    const { header } = this.loop;
    const pointer = this.func.newValue("phi", "i32", [], v.loc);
    pointer.block = header;
    const next = this.append(this.latch, "add", pointer, this.constant(this.step(v)!, this.latch));
    pointer.args = this.entry === 0 ? [this.start(v), next] : [next, this.start(v)];
    header.phis.push(pointer);
    return pointer;
  }
}

function isConst(v: Value | undefined): v is Value {
  return v?.op === "const";
}

/** A loop's end after a known number of rounds, told by a counter, and the address that can tell it instead. */
interface EndTest {
  comparison: Value;
  rounds: bigint;
  root: Value;
  /** Whether the loop goes on when the comparison is true. */
  staysWhenTrue: boolean;
}

function endTest({ header, blocks }: Loop, rounds: Rounds, roots: Value[]): EndTest | null {
  const comparison = header.term.args[0];
  if (header.term.op !== "branch" || !comparison || !isComparison(comparison.op)) return null;
  const [inside, outside] = header.term.targets.map((t) => blocks.has(t)) as [boolean, boolean];
  const [counter, bound] = comparison.args as [Value, Value];
  if (inside === outside || !header.phis.includes(counter) || !isConst(bound)) return null;
  const start = counter.args[rounds.entry]!;
  const step = counter.type === "i32" ? rounds.step(counter) : null;
  if (!step || !isConst(start)) return null;
  const count = countRounds(inside ? comparison.op : NEGATED[comparison.op]!, start.imm, step, bound.imm);
  // The address must not come round to the same place again meanwhile.
  const root = roots.find((v) => count !== null && magnitude(rounds.step(v)!) * count < 1n << 32n);
  return root && count !== null ? { comparison, rounds: count, root, staysWhenTrue: inside } : null;
}

function magnitude(v: bigint): bigint {
  return v < 0n ? -v : v;
}

/** How often a counter passes the test to go on; null if that is not known, or if it could overflow. */
function countRounds(op: Op, start: bigint, step: bigint, bound: bigint): bigint | null {
  const isSigned = op === "lt_s" || op === "le_s";
  if (step <= 0n || (!isSigned && op !== "lt_u" && op !== "le_u")) return null;
  const number = (v: bigint) => (isSigned ? BigInt.asIntN(32, v) : BigInt.asUintN(32, v));
  const end = number(bound) + (op.startsWith("le") ? 1n : 0n);
  const first = number(start);
  const rounds = end > first ? (end - first + step - 1n) / step : 0n;
  const last = first + rounds * step;
  return last === number(last) ? rounds : null;
}

function replaceTest({ header }: Loop, rounds: Rounds, test: EndTest, pointer: Value): void {
  const distance = BigInt.asIntN(32, rounds.step(test.root)! * test.rounds);
  const end = rounds.make("add", rounds.start(test.root), rounds.constant(distance));
  header.term.args = [rounds.append(header, test.staysWhenTrue ? "ne" : "eq", pointer, end)];
}

/** How many instructions of a round nobody needs when the addresses and the test are there already. */
function saved(func: FuncIR, loop: Loop, rounds: Rounds, roots: Value[], test: EndTest | null): number {
  const live = liveWithout(func, loop, new Set(roots), test);
  const free = new Set(roots.flatMap(partsOfAddress));
  const dead = new Set<Value>();
  const visit = (v: Value): void => {
    if (!rounds.isInside(v) || dead.has(v) || live.has(v)) return;
    dead.add(v);
    v.args.forEach(visit);
  };
  roots.forEach(visit);
  return [...dead].filter((v) => v.op !== "phi" && !free.has(v)).length;
}

/** The operations that the addressing mode does for nothing. */
function partsOfAddress(root: Value): Value[] {
  const inner = root.op === "add" && isConst(root.args[1]) ? root.args[0]! : root;
  const isScaled = (v: Value) => v.op === "shl" && isConst(v.args[1]) && v.args[1].imm <= MAX_SCALE_SHIFT;
  if (isScaled(inner)) return [root, inner];
  const product = inner.op === "add" ? inner.args.find(isScaled) : undefined;
  if (inner.op !== "add") return [root];
  return product ? [root, inner, product] : [root, inner];
}

/** What is needed without these values and the test. */
function liveWithout(func: FuncIR, { header }: Loop, given: Set<Value>, test: EndTest | null): Set<Value> {
  const live = new Set<Value>();
  const mark = (v: Value) => {
    if (!given.has(v)) live.add(v);
  };
  for (const block of func.blocks) {
    for (const v of block.body) if (hasEffect(v) || v.op === "load") mark(v);
    if (!test || block !== header) block.term.args.forEach(mark);
  }
  for (const v of live) v.args.forEach(mark);
  return live;
}

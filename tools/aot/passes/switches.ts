import { pruneBlocks } from "../ir/graph.ts";
import { type Block, type FuncIR, isPure, Terminator, type Value } from "../ir/ir.ts";

/** Shorter chains stay as they are: their order may say what is likely. */
const MIN_CASES = 4;
/** A jump table needs this many cases, and at least this share of its slots in use. */
const MIN_TABLE_CASES = 4;
const MIN_TABLE_DENSITY = 0.125;

interface Case {
  /** As an unsigned number. */
  value: bigint;
  /** An empty block that leads to the case's target with the chain's phi operands. */
  edge: Block;
}

/** Cases that one test decides: a single value, a run of values with one target, or a jump table. */
interface Cluster {
  cases: Case[];
  low: bigint;
  high: bigint;
  table: boolean;
}

/**
 * Recovers `switch` from chains of comparisons of one value with constants, as AssemblyScript compiles it, and
 * makes dense parts jump tables and the rest a binary search.
 */
export function recoverSwitches(func: FuncIR): void {
  const done = new Set<Block>();
  for (const block of [...func.blocks]) {
    const chain = done.has(block) ? null : findChain(block);
    if (!chain) continue;
    for (const link of chain.links) done.add(link.block);
    rebuild(func, block, chain);
  }
  pruneBlocks(func);
}

/** One comparison of the chain: which target is taken when x equals the value. */
interface Link {
  block: Block;
  value: bigint;
  taken: Block;
  rest: Block;
}

interface Chain {
  x: Value;
  links: Link[];
}

function linkOf(block: Block, x: Value | null): (Link & { x: Value }) | null {
  const { term } = block;
  if (term.op !== "branch") return null;
  const condition = term.args[0]!;
  const [a, b] = term.targets as [Block, Block];
  if (a === b) return null;
  const compared = condition.op === "eq" || condition.op === "ne" ? condition.args : null;
  if (compared && compared[1]!.op === "const" && (x === null || compared[0] === x)) {
    const value = compared[1]!.imm;
    const [taken, rest] = condition.op === "eq" ? [a, b] : [b, a];
    return { x: compared[0]!, block, value, taken, rest };
  }
  // A branch on x itself tests for zero.
  if (x !== null && condition === x) return { x, block, value: 0n, taken: b, rest: a };
  return null;
}

function findChain(head: Block): Chain | null {
  let link = linkOf(head, null) ?? zeroLink(head);
  if (!link) return null;
  const { x } = link;
  const links: Link[] = [];
  const seen = new Set<Block>([head]);
  while (link) {
    links.push(link);
    const next: Block = link.rest;
    const continues = next.preds.length === 1 && !next.phis.length && !seen.has(next) && onlyCompares(next);
    seen.add(next);
    link = continues ? linkOf(next, x) : null;
  }
  return links.length >= MIN_CASES ? { x, links } : null;
}

/** A chain may start with the test for zero. */
function zeroLink(head: Block): (Link & { x: Value }) | null {
  const x = head.term.args[0];
  return head.term.op === "branch" && x?.type === "i32" ? linkOf(head, x) : null;
}

/** Nothing happens in the block but the comparison: it can be done earlier or not at all. */
function onlyCompares(block: Block): boolean {
  return block.body.every((v) => isPure(v.op));
}

function rebuild(func: FuncIR, head: Block, { x, links }: Chain): void {
  const bits = x.type === "i32" ? 32 : 64;
  const cases = new Map<bigint, Case>();
  const { loc } = head.term;
  const edgeTo = (target: Block, from: Block): Block => {
    const edge = func.newBlock();
    edge.term = new Terminator("jump", [], [target], loc);
    target.preds[target.preds.indexOf(from)] = edge;
    return edge;
  };
  const last = links.at(-1)!;
  const fallback = edgeTo(last.rest, last.block);
  for (const { block, value, taken } of links) {
    const unsigned = BigInt.asUintN(bits, value);
    const edge = edgeTo(taken, block);
    // A value that was tested before never gets here; its edge stays unreachable and is pruned.
    if (!cases.has(unsigned)) cases.set(unsigned, { value: unsigned, edge });
    if (block === head) continue;
    for (const v of block.body) v.block = head;
    head.body.push(...block.body);
    block.body = [];
  }
  const sorted = [...cases.values()].sort((a, b) => (a.value < b.value ? -1 : 1));
  new Tree(func, x, fallback, loc).build(head, clusters(sorted));
}

/** Groups sorted cases: the longest dense runs become tables. */
function clusters(cases: Case[]): Cluster[] {
  const result: Cluster[] = [];
  for (let i = 0; i < cases.length; ) {
    let end = i;
    for (let j = i + MIN_TABLE_CASES - 1; j < cases.length; j++) {
      const span = Number(cases[j]!.value - cases[i]!.value) + 1;
      if ((j - i + 1) / span >= MIN_TABLE_DENSITY) end = j;
    }
    const part = cases.slice(i, end + 1);
    result.push({ cases: part, low: part[0]!.value, high: part.at(-1)!.value, table: part.length > 1 });
    i = end + 1;
  }
  return result;
}

/** Builds the tests as a balanced tree over the clusters. */
class Tree {
  constructor(
    private readonly func: FuncIR,
    private readonly x: Value,
    private readonly fallback: Block,
    private readonly loc: number,
  ) {}

  build(block: Block, list: Cluster[]): void {
    if (list.length === 1) return this.leaf(block, list[0]!);
    if (list.length === 2 && !list[0]!.table) return this.test(block, list[0]!, list.slice(1));
    const middle = list.length >> 1;
    const less = this.value(block, "lt_u", [this.x, this.constant(block, list[middle]!.low)]);
    const [left, right] = [this.func.newBlock(), this.func.newBlock()];
    this.branch(block, less, left, right);
    this.build(left, list.slice(0, middle));
    this.build(right, list.slice(middle));
  }

  private test(block: Block, cluster: Cluster, rest: Cluster[]): void {
    const equal = this.value(block, "eq", [this.x, this.constant(block, cluster.low)]);
    const next = this.func.newBlock();
    this.branch(block, equal, cluster.cases[0]!.edge, next);
    this.build(next, rest);
  }

  private leaf(block: Block, cluster: Cluster): void {
    if (!cluster.table) {
      const equal = this.value(block, "eq", [this.x, this.constant(block, cluster.low)]);
      return this.branch(block, equal, cluster.cases[0]!.edge, this.fallback);
    }
    const { low, high } = cluster;
    const offset = low === 0n ? this.x : this.value(block, "sub", [this.x, this.constant(block, low)]);
    const targets = new Array<Block>(Number(high - low) + 1).fill(this.fallback);
    for (const c of cluster.cases) targets[Number(c.value - low)] = c.edge;
    targets.push(this.fallback);
    if (this.x.type === "i32") return this.jumpTable(block, offset, targets);
    // A wide value beyond the table must not wrap into it.
    const inRange = this.func.newBlock();
    this.branch(
      block,
      this.value(block, "gt_u", [offset, this.constant(block, high - low)]),
      this.fallback,
      inRange,
    );
    this.jumpTable(inRange, this.value(inRange, "wrap", [offset]), targets);
  }

  private jumpTable(block: Block, index: Value, targets: Block[]): void {
    block.term = new Terminator("switch", [index], targets, this.loc);
    block.term.cases = targets.slice(0, -1).map((_, i) => BigInt(i));
    for (const target of targets) target.preds.push(block);
  }

  private branch(block: Block, condition: Value, then: Block, otherwise: Block): void {
    block.term = new Terminator("branch", [condition], [then, otherwise], this.loc);
    then.preds.push(block);
    otherwise.preds.push(block);
  }

  private value(block: Block, op: "lt_u" | "gt_u" | "eq" | "sub" | "wrap", args: Value[]): Value {
    const v = this.func.newValue(op, op === "sub" ? this.x.type : "i32", args, this.loc);
    v.block = block;
    block.body.push(v);
    return v;
  }

  private constant(block: Block, value: bigint): Value {
    const v = this.func.constant(this.x.type!, value, this.loc);
    v.block = block;
    block.body.push(v);
    return v;
  }
}

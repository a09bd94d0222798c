import { pruneBlocks } from "../ir/graph.ts";
import { type Block, type FuncIR, resolve, resolveAll, Terminator, type Value } from "../ir/ir.ts";
import type { Locations } from "../ir/locations.ts";
import type { Module } from "../wasm/module.ts";
import { removeTrivialPhis } from "./cleanup.ts";

/** Operations up to which a function takes no more room than a call of it. */
const ALWAYS = 5;
/** Operations up to which a call between hot functions is inlined. */
const HOT = 60;
/** Operations up to which a function that has a single caller is inlined into it when both are hot. */
const HOT_ONCE = 900;
/** A function does not grow past this number of operations. */
const MAX_SIZE = 1800;

/** Tells functions that run often from others, by their names. */
export type IsHot = (name: string) => boolean;

/**
 * Replaces calls by the bodies of the called functions, callees first, and returns the functions that are still needed.
 * Speed counts between hot functions; everywhere else only what makes the code smaller is inlined.
 */
export function inlineCalls(
  funcs: Map<number, FuncIR>,
  module: Module,
  isHot: IsHot,
  locations: Locations,
): Map<number, FuncIR> {
  const callers = countCallers(funcs);
  const keep = rootsOf(module);
  const { order, recursive } = calleesFirst(funcs);
  for (const caller of order) {
    const wanted = (call: Value, size: number): boolean => {
      const callee = funcs.get(call.index);
      if (!callee || recursive.has(call.index)) return false;
      const cost = sizeOf(callee);
      if (cost <= ALWAYS) return true;
      if (size + cost > MAX_SIZE || call.block.term.op === "trap") return false;
      if (!isHot(caller.name) || !isHot(callee.name)) return false;
      const once = callers.get(call.index) === 1 && !keep.has(call.index);
      return cost <= (once ? HOT_ONCE : HOT);
    };
    let size = sizeOf(caller);
    for (;;) {
      const call = callsIn(caller).find((v) => wanted(v, size));
      const callee = call && funcs.get(call.index);
      if (!callee) break;
      size += sizeOf(callee);
      inlineCall(caller, call, callee, locations);
    }
    resolveAll(caller);
    pruneBlocks(caller);
    removeTrivialPhis(caller);
  }
  return reachable(funcs, keep);
}

/** What a function costs, in operations: constants and parameters are part of their users. */
function sizeOf(func: FuncIR): number {
  let size = 0;
  for (const block of func.blocks) {
    for (const v of block.body) if (v.op !== "const" && v.op !== "param") size += v.op === "call" ? 2 : 1;
    if (block.term.op !== "jump" && block.term.op !== "return") size += 1 + block.term.cases.length;
  }
  return size;
}

function callsIn(func: FuncIR): Value[] {
  return func.blocks.flatMap((block) => block.body.filter((v) => v.op === "call"));
}

function countCallers(funcs: Map<number, FuncIR>): Map<number, number> {
  const count = new Map<number, number>();
  for (const func of funcs.values())
    for (const { index } of callsIn(func)) count.set(index, (count.get(index) ?? 0) + 1);
  return count;
}

/** Functions that are reached other than by calls: exports, the start function, tables. */
export function rootsOf(module: Module): Set<number> {
  const roots = new Set<number>();
  for (const func of module.funcs) if (func.exports.length) roots.add(func.index);
  if (module.start !== null) roots.add(module.start);
  for (const segment of module.elems)
    for (const item of segment.items) if (item.op === "func") roots.add(item.index);
  return roots;
}

/** All functions, each after those that it calls; and of each cycle of calls one function, which must stay a call. */
function calleesFirst(funcs: Map<number, FuncIR>): { order: FuncIR[]; recursive: Set<number> } {
  const order: FuncIR[] = [];
  const recursive = new Set<number>();
  const state = new Map<number, "open" | "done">();
  const stack: { func: FuncIR; calls: number[] }[] = [];
  const enter = (index: number) => {
    const func = funcs.get(index);
    if (state.get(index) === "open") recursive.add(index);
    if (!func || state.has(index)) return;
    state.set(index, "open");
    stack.push({ func, calls: callsIn(func).map((v) => v.index) });
  };
  for (const start of funcs.keys()) {
    enter(start);
    while (stack.length) {
      const { func, calls } = stack.at(-1)!;
      const next = calls.pop();
      if (next !== undefined) enter(next);
      else {
        order.push(func);
        state.set(func.index, "done");
        stack.pop();
      }
    }
  }
  return { order, recursive };
}

function reachable(funcs: Map<number, FuncIR>, roots: Set<number>): Map<number, FuncIR> {
  const seen = new Set<number>();
  const work = [...roots];
  while (work.length) {
    const index = work.pop()!;
    const func = funcs.get(index);
    if (!func || seen.has(index)) continue;
    seen.add(index);
    for (const call of callsIn(func)) work.push(call.index);
  }
  return new Map([...funcs].filter(([index]) => seen.has(index)));
}

/** Puts a copy of the callee's blocks in place of one call. */
function inlineCall(func: FuncIR, call: Value, callee: FuncIR, locations: Locations): void {
  const before = call.block;
  const after = splitAfter(func, call);
  const copy = new Copy(func, call, locations);
  const entry = copy.run(callee);
  before.term = new Terminator("jump", [], [entry], call.loc);
  entry.preds.push(before);
  const results = copy.results;
  if (!results || !copy.end) return;
  copy.end.term = new Terminator("jump", [], [after], call.loc);
  after.preds = [copy.end];
  after.body = after.body.filter((v) => {
    if (v.op !== "proj" || v.args[0] !== call) return true;
    v.forward = results[v.index]!;
    return false;
  });
  if (results[0]) call.forward = results[0];
}

/** Cuts a block behind a call, which is dropped; returns the new block, which has no predecessors yet. */
function splitAfter(func: FuncIR, call: Value): Block {
  const before = call.block;
  const after = func.newBlock();
  const at = before.body.indexOf(call);
  after.body = before.body.splice(at).slice(1);
  for (const v of after.body) v.block = after;
  after.term = before.term;
  for (const target of new Set(after.term.targets))
    target.preds = target.preds.map((p) => (p === before ? after : p));
  return after;
}

/** A copy of a function's blocks inside another function. */
class Copy {
  /** Where the copy ends, and with which values; none when the function never returns. */
  end: Block | null = null;
  results: Value[] | null = null;
  private readonly values = new Map<Value, Value>();
  private readonly blocks = new Map<Block, Block>();

  constructor(
    private readonly into: FuncIR,
    private readonly call: Value,
    private readonly locations: Locations,
  ) {}

  run(callee: FuncIR): Block {
    for (const block of callee.blocks) this.blocks.set(block, this.into.newBlock());
    for (const block of callee.blocks) this.declare(block);
    for (const block of callee.blocks) this.connect(block);
    return this.block(callee.entry);
  }

  private block(b: Block): Block {
    return this.blocks.get(b)!;
  }

  /** Where code of the callee is in the copy. */
  private place(loc: number): number {
    return this.locations.inside(loc, this.call.loc);
  }

  private value = (v: Value): Value => this.values.get(resolve(v))!;

  private declare(from: Block): void {
    const to = this.block(from);
    to.phis = from.phis.map((v) => this.clone(v, to));
    for (const v of from.body) {
      if (v.op === "param") this.values.set(v, this.call.args[v.index]!);
      else to.body.push(this.clone(v, to));
    }
  }

  private clone(v: Value, block: Block): Value {
    const copy = this.into.newValue(v.op, v.type, [], this.place(v.loc));
    const { imm, index, index2, mem, name } = v;
    Object.assign(copy, { imm, index, index2, mem, name, block });
    this.values.set(v, copy);
    return copy;
  }

  private connect(from: Block): void {
    const to = this.block(from);
    to.preds = from.preds.map((p) => this.block(p));
    for (const v of [...from.phis, ...from.body])
      if (v.op !== "param") this.values.get(v)!.args = v.args.map(this.value);
    const { op, args, targets, loc, trap, cases } = from.term;
    to.term = new Terminator(
      op,
      args.map(this.value),
      targets.map((t) => this.block(t)),
      this.place(loc),
    );
    to.term.trap = trap;
    to.term.cases = [...cases];
    if (op !== "return") return;
    this.end = to;
    this.results = to.term.args;
  }
}

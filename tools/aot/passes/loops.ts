import { dominators, findLoops, type Loop, reversePostorder } from "../ir/graph.ts";
import {
  type Block,
  type FuncIR,
  isComparison,
  type Op,
  Terminator,
  type Type,
  type Value,
} from "../ir/ir.ts";
import { advancePointers } from "./pointers.ts";

/** Operations that addressing modes, fused branches or renaming absorb: moving them out only costs a register. */
const FREE = new Set<Op>(["const", "add", "wrap", "extend_u", "symbol"]);

const INT32_MIN = -(2n ** 31n);
const INT32_MAX = 2n ** 31n - 1n;

/**
 * Moves computations out of loops: operations whose operands do not change, constants that need an instruction of their
 * own, and multiplications of induction variables, which become additions.
 */
export function optimizeLoops(func: FuncIR): void {
  const loops = findLoops(func, dominators(func));
  // Inner loops first, so that what leaves them can leave the outer ones too.
  loops.sort((a, b) => b.header.depth - a.header.depth);
  const preheaders = new Map<Loop, Block>();
  for (const loop of loops) {
    const preheader = preheaderOf(func, loop);
    for (const outer of loops)
      if (outer !== loop && outer.blocks.has(loop.header)) outer.blocks.add(preheader);
    hoistInvariants(loop, preheader);
    if (isSmall(loop, loops)) {
      advancePointers(func, loop, preheader);
      reduceStrength(func, loop, preheader);
    }
    preheaders.set(loop, preheader);
  }
  // Outer loops first: a constant is held once, as far out as it is used.
  for (const loop of loops.reverse()) hoistConstants(func, loop, preheaders.get(loop)!);
  func.blocks = reversePostorder(func.entry);
}

/** The block in front of a loop, through which every entry goes. Makes one if there is none. */
function preheaderOf(func: FuncIR, { header, blocks }: Loop): Block {
  const outside = header.preds.filter((p) => !blocks.has(p));
  const [only] = outside;
  if (outside.length === 1 && only!.term.targets.length === 1) return only!;
  const made = func.newBlock();
  made.term = new Terminator("jump", [], [header], header.term.loc);
  made.depth = header.depth - 1;
  const entering = header.preds.map((p) => !blocks.has(p));
  made.preds = outside;
  for (const phi of header.phis) {
    const incoming = phi.args.filter((_, i) => entering[i]);
    let merged = incoming[0]!;
    if (incoming.some((v) => v !== merged)) {
      merged = func.newValue("phi", phi.type, incoming, phi.loc);
      merged.block = made;
      made.phis.push(merged);
    }
    phi.args = [merged, ...phi.args.filter((_, i) => !entering[i])];
  }
  header.preds = [made, ...header.preds.filter((_, i) => !entering[i])];
  for (const pred of outside) pred.term.targets = pred.term.targets.map((t) => (t === header ? made : t));
  return made;
}

function moveTo(v: Value, block: Block): void {
  v.block.body = v.block.body.filter((x) => x !== v);
  v.block = block;
  block.body.push(v);
}

const HOISTABLE = new Set<Op>([
  "sub",
  "mul",
  "and",
  "or",
  "xor",
  "shl",
  "shr_s",
  "shr_u",
  "rotl",
  "rotr",
  "clz",
  "ctz",
  "popcnt",
  "bswap",
  "mulh_s",
  "mulh_u",
  "extend_s",
  "extend8_s",
  "extend16_s",
  "extend32_s",
  "select",
  "callee",
  "add",
]);

function hoistInvariants({ blocks }: Loop, preheader: Block): void {
  const inside = (v: Value) => v.op !== "const" && blocks.has(v.block);
  for (let changed = true; changed; ) {
    changed = false;
    for (const block of blocks) {
      for (const v of [...block.body]) {
        if (!HOISTABLE.has(v.op) || v.args.some(inside)) continue;
        if (FREE.has(v.op) && v.args.some((a) => a.op === "const")) continue;
        moveTo(v, preheader);
        changed = true;
      }
    }
  }
}

/** One more loop variable pays only where registers are plenty: no loop inside, no calls. */
function isSmall(loop: Loop, loops: Loop[]): boolean {
  if (loops.some((other) => other !== loop && loop.blocks.has(other.header))) return false;
  return [...loop.blocks].every((b) => b.body.every((v) => !CALLS.has(v.op)));
}

const CALLS = new Set<Op>([
  "call",
  "call_indirect",
  "call_callee",
  "memory.fill",
  "memory.copy",
  "memory.init",
  "memory.grow",
]);

/** i * c for an induction variable i = phi(start, i + step) becomes phi(start * c, itself + step * c). */
function reduceStrength(func: FuncIR, { header, blocks }: Loop, preheader: Block): void {
  if (header.preds.length !== 2) return;
  const entry = blocks.has(header.preds[0]!) ? 1 : 0;
  const latch = header.preds[1 - entry]!;
  for (const phi of [...header.phis]) {
    const next = phi.args[1 - entry]!;
    if (next.op !== "add" || next.args[0] !== phi || next.args[1]!.op !== "const") continue;
    for (const block of blocks) {
      for (const v of [...block.body]) {
        if (v.op !== "mul" || v.args[0] !== phi || v.args[1]!.op !== "const") continue;
        const factor = v.args[1]!;
        const first = phi.args[entry]!;
        const start =
          first.op === "const"
            ? constant(func, preheader, phi.type!, first.imm * factor.imm, v.loc)
            : value(func, preheader, "mul", v, [first, factor]);
        const scaled = func.newValue("phi", phi.type, [], v.loc);
        scaled.block = header;
        const step = constant(func, preheader, phi.type!, next.args[1]!.imm * factor.imm, v.loc);
        const advanced = value(func, latch, "add", v, [scaled, step]);
        scaled.args = entry === 0 ? [start, advanced] : [advanced, start];
        header.phis.push(scaled);
        v.forward = scaled;
      }
    }
  }
}

function constant(func: FuncIR, block: Block, type: Type, imm: bigint, loc: number): Value {
  const v = func.constant(type, imm, loc);
  v.block = block;
  block.body.push(v);
  return v;
}

function value(func: FuncIR, block: Block, op: Op, like: Value, args: Value[]): Value {
  const v = func.newValue(op, like.type, args, like.loc);
  v.block = block;
  block.body.push(v);
  return v;
}

/** Constants that no instruction can hold are kept in a register across the loop. */
function hoistConstants(func: FuncIR, { blocks }: Loop, preheader: Block): void {
  const held = new Map<bigint, Value>();
  for (const block of blocks) {
    for (const v of block.body) {
      if (v.op === "hold") continue;
      v.args = v.args.map((arg, i) => {
        if (!needsRegister(v, arg, i)) return arg;
        const known = held.get(arg.imm);
        if (known) return known;
        const made = value(func, preheader, "hold", arg, [arg]);
        held.set(arg.imm, made);
        return made;
      });
    }
  }
}

function needsRegister(user: Value, arg: Value, _position: number): boolean {
  if (arg.op !== "const" || arg.type !== "i64") return false;
  if (arg.imm >= INT32_MIN && arg.imm <= INT32_MAX) return false;
  // Masks of the low 32 bits are moves, single bits are tests.
  if (user.op === "and" && arg.imm === 0xffff_ffffn) return false;
  return !isComparison(user.op) || arg.imm !== 0n;
}

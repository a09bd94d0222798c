/**
 * The intermediate representation: functions in static single assignment form.
 *
 * A function is a graph of basic blocks; a block holds phis, a list of values in order of execution,
 * and one terminator. A value is an operation with its operands; it is also the name of its result.
 */

export type Type = "i32" | "i64";

/** Operations without side effects, which can be merged, moved and removed. */
export const PURE_OPS = [
  "const",
  "add",
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
  "eq",
  "ne",
  "lt_s",
  "lt_u",
  "gt_s",
  "gt_u",
  "le_s",
  "le_u",
  "ge_s",
  "ge_u",
  "clz",
  "ctz",
  "popcnt",
  "bswap",
  "mulh_s", // high half of a signed 64 x 64 bit product
  "mulh_u",
  "wrap", // i64 -> i32
  "extend_u", // i32 -> i64
  "extend_s", // i32 -> i64
  "extend8_s",
  "extend16_s",
  "extend32_s",
  "select", // condition ? a : b, operands (a, b, condition)
  "symbol", // address of a symbol of the image
  "callee", // address of a table's function, or of a routine that traps if it may not be called
  "hold", // its operand, a constant, in a register
] as const;

/** Operations whose result depends on, or which change, something beside their operands. */
export const EFFECT_OPS = [
  "param",
  "phi",
  "proj", // result number `index` of a call with several results
  "div_s",
  "div_u",
  "rem_s",
  "rem_u",
  "load",
  "store",
  "global.get",
  "global.set",
  "call",
  "call_indirect",
  "call_callee", // of a "callee", its last operand
  "intrinsic",
  "memory.size",
  "memory.grow",
  "memory.copy",
  "memory.fill",
  "memory.init",
  "data.drop",
  "table.init",
  "table.copy",
  "elem.drop",
  "table.size",
  "atomic.load",
  "atomic.store",
  "atomic.add",
  "atomic.and",
  "atomic.or",
  "atomic.xor",
  "atomic.xchg",
  "atomic.cmpxchg",
  "fence",
] as const;

export type Op = (typeof PURE_OPS)[number] | (typeof EFFECT_OPS)[number];

const PURE = new Set<string>(PURE_OPS);

export function isPure(op: Op): boolean {
  return PURE.has(op);
}

export type TrapKind =
  | "unreachable"
  | "integer divide by zero"
  | "integer overflow"
  | "undefined element"
  | "uninitialized element"
  | "indirect call type mismatch"
  | "out of bounds memory access"
  | "out of bounds table access"
  | "unaligned atomic"
  | "instruction failed";

/** A memory access of an operation: `address + offset`, `bytes` wide. */
export interface MemAccess {
  readonly offset: number;
  readonly bytes: 1 | 2 | 4 | 8;
  readonly signed: boolean;
}

export class Value {
  /** Constant of `const`. An i32 is stored as its signed value, an i64 too. */
  imm = 0n;
  /** Function, global, table, segment, parameter or result number. */
  index = 0;
  /** Second index: the table of call_indirect and callee, the source of table.copy. */
  index2 = 0;
  mem: MemAccess | null = null;
  /** Symbol name, or name of the intrinsic. */
  name = "";
  block!: Block;
  /** Set when a pass replaced this value by another. */
  forward: Value | null = null;

  constructor(
    readonly id: number,
    public op: Op,
    public type: Type | null,
    public args: Value[],
    /** Byte offset in the module: names the source line. */
    public loc: number,
  ) {}
}

export type TermOp = "jump" | "branch" | "switch" | "return" | "trap" | "none";

/** The last step of a block. */
export class Terminator {
  trap: TrapKind = "unreachable";
  /** Case values of a switch, parallel to all targets but the last, which is the default. */
  cases: bigint[] = [];

  constructor(
    public op: TermOp,
    public args: Value[],
    /** Branch: [taken when the condition is not zero, otherwise]. */
    public targets: Block[],
    public loc: number,
  ) {}
}

export class Block {
  /** Predecessors; phi operands are parallel to them. An edge that occurs twice is listed twice. */
  preds: Block[] = [];
  phis: Value[] = [];
  body: Value[] = [];
  term: Terminator = new Terminator("none", [], [], 0);
  /** Number of loops around the block. */
  depth = 0;

  constructor(readonly id: number) {}
}

export interface Signature {
  params: Type[];
  results: Type[];
}

export class FuncIR {
  blocks: Block[] = [];
  private values = 0;
  private blocksMade = 0;

  constructor(
    readonly index: number,
    readonly name: string,
    readonly signature: Signature,
  ) {}

  get entry(): Block {
    return this.blocks[0]!;
  }

  get valueCount(): number {
    return this.values;
  }

  get blockCount(): number {
    return this.blocksMade;
  }

  newBlock(): Block {
    const block = new Block(this.blocksMade++);
    this.blocks.push(block);
    return block;
  }

  newValue(op: Op, type: Type | null, args: Value[], loc: number): Value {
    return new Value(this.values++, op, type, args, loc);
  }

  constant(type: Type, value: bigint, loc: number): Value {
    const v = this.newValue("const", type, [], loc);
    v.imm = BigInt.asIntN(type === "i32" ? 32 : 64, value);
    return v;
  }
}

/** Follows replacements to the value that stands now, shortening the path. */
export function resolve(v: Value): Value {
  let end = v;
  while (end.forward) end = end.forward;
  while (v.forward && v.forward !== end) {
    const next = v.forward;
    v.forward = end;
    v = next;
  }
  return end;
}

/** Replaces forwarded operands everywhere. */
export function resolveAll(func: FuncIR): void {
  const fix = (args: Value[]) => {
    for (let i = 0; i < args.length; i++) args[i] = resolve(args[i]!);
  };
  for (const block of func.blocks) {
    block.phis = block.phis.filter((phi) => !phi.forward);
    block.body = block.body.filter((v) => !v.forward);
    for (const phi of block.phis) fix(phi.args);
    for (const v of block.body) fix(v.args);
    fix(block.term.args);
  }
}

export function bitsOf(type: Type): number {
  return type === "i32" ? 32 : 64;
}

const COMPARISONS = new Set<string>([
  "eq",
  "ne",
  "lt_s",
  "lt_u",
  "gt_s",
  "gt_u",
  "le_s",
  "le_u",
  "ge_s",
  "ge_u",
]);

export function isComparison(op: Op): boolean {
  return COMPARISONS.has(op);
}

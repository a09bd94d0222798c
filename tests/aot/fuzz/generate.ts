import { type FuncAst, type ModuleAst, type Node, node, type T, typeNumber } from "./encode.ts";

/** A small generator of random numbers with a seed. Source: Steele, Lea and Flood's SplitMix, 32-bit variant. */
export class Random {
  constructor(private state: number) {}

  next(): number {
    this.state = (this.state + 0x9e3779b9) | 0;
    let z = this.state;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  }

  below(n: number): number {
    return this.next() % n;
  }

  pick<X>(items: readonly X[]): X {
    return items[this.below(items.length)]!;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
}

/** Steps after which a program traps: no program runs for ever. Global 0 counts them. */
const FUEL = 300n;
const MAX_DEPTH = 5;

const BINARY = "add sub mul and or xor shl shr_s shr_u rotl rotr".split(" ");
const DIVISION = "div_s div_u rem_s rem_u".split(" ");
const COMPARE = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u".split(" ");
const EDGES = [
  0n,
  1n,
  -1n,
  2n,
  3n,
  7n,
  8n,
  10n,
  31n,
  32n,
  63n,
  64n,
  127n,
  128n,
  255n,
  256n,
  0x7fffn,
  0x8000n,
  0xffffn,
  0x10000n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x100000000n,
  0x7fffffffffffffffn,
  0x8000000000000000n,
  0x00ff00ff00ff00ffn,
  -128n,
  -2n,
];

const LOADS: Record<T, [string, number][]> = {
  i32: [
    ["i32.load", 4],
    ["i32.load8_s", 1],
    ["i32.load8_u", 1],
    ["i32.load16_s", 2],
    ["i32.load16_u", 2],
  ],
  i64: [
    ["i64.load", 8],
    ["i64.load8_s", 1],
    ["i64.load8_u", 1],
    ["i64.load16_s", 2],
    ["i64.load16_u", 2],
    ["i64.load32_s", 4],
    ["i64.load32_u", 4],
  ],
};
const STORES: Record<T, string[]> = {
  i32: ["i32.store", "i32.store8", "i32.store16"],
  i64: ["i64.store", "i64.store8", "i64.store16", "i64.store32"],
};
const ATOMIC_WIDTHS: Record<T, [string, number][]> = {
  i32: [
    ["", 4],
    ["8", 1],
    ["16", 2],
  ],
  i64: [
    ["", 8],
    ["8", 1],
    ["16", 2],
    ["32", 4],
  ],
};

class Generator {
  private labels: { name: string; type: T | "" }[] = [];
  private counter = 0;
  private func!: FuncAst;

  constructor(
    private readonly r: Random,
    private readonly ast: ModuleAst,
  ) {}

  fill(func: FuncAst): void {
    this.func = func;
    this.labels = [];
    const statements = Array.from({ length: 2 + this.r.below(5) }, () => this.statement(0));
    func.body = [this.fuel(), ...statements, this.expr(func.result, 0)];
  }

  private type(): T {
    return this.r.chance(55) ? "i32" : "i64";
  }

  private constant(type: T): Node {
    const value = this.r.chance(60)
      ? this.r.pick(EDGES)
      : this.r.chance(50)
        ? BigInt(this.r.below(200)) - 100n
        : (BigInt(this.r.next()) << 32n) | BigInt(this.r.next());
    return node(`${type}.const`, type, [], BigInt.asIntN(type === "i32" ? 32 : 64, value));
  }

  private local(type: T): bigint {
    const all = [...this.func.params, ...this.func.locals];
    const candidates = all.flatMap((t, i) => (t === type ? [i] : []));
    return BigInt(this.r.pick(candidates));
  }

  private global(type: T): bigint {
    const candidates = this.ast.globals.flatMap((g, i) => (g.type === type && i > 0 ? [i] : []));
    return BigInt(this.r.pick(candidates));
  }

  /** Counts down the fuel and traps when there is none. */
  private fuel(): Node {
    const get = node("global.get", "i32", [], 0n);
    const less = node("i32.sub", "i32", [get, node("i32.const", "i32", [], 1n)]);
    const empty = node("i32.eqz", "i32", [node("global.get", "i32", [], 0n)]);
    return node("seq", "", [
      node("if", "", [empty, node("seq", "", [node("unreachable", "")])]),
      node("global.set", "", [less], 0n),
    ]);
  }

  /** An address: mostly inside memory, sometimes anywhere. */
  private address(depth: number, align = 1): Node {
    const e = this.expr("i32", depth + 1);
    if (this.r.below(400) === 0) return e;
    const mask = node("i32.const", "i32", [], BigInt(0x7ff8 & ~(align - 1)));
    const masked = node("i32.and", "i32", [e, mask]);
    if (align > 1 || this.r.chance(50)) return masked;
    return node("i32.add", "i32", [masked, node("i32.const", "i32", [], BigInt(this.r.below(16)))]);
  }

  private offset(align = 1): bigint {
    const raw = this.r.below(300)
      ? this.r.below(64)
      : this.r.pick([4095, 4096, 65_535, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0]);
    return BigInt(Math.floor(raw / align) * align);
  }

  expr(type: T, depth: number): Node {
    if (depth >= MAX_DEPTH)
      return this.r.chance(50) ? this.constant(type) : node("local.get", type, [], this.local(type));
    const d = depth + 1;
    const choice = this.r.below(100);
    if (choice < 8) return this.constant(type);
    if (choice < 22) return node("local.get", type, [], this.local(type));
    if (choice < 48)
      return node(`${type}.${this.r.pick(BINARY)}`, type, [this.expr(type, d), this.expr(type, d)]);
    if (choice < 51) return this.division(type, d);
    if (choice < 62) return this.unary(type, d);
    if (choice < 72) return this.load(type, d);
    if (choice < 77)
      return node("select", type, [this.expr(type, d), this.expr(type, d), this.expr("i32", d)]);
    if (choice < 80) return node("global.get", type, [], this.global(type));
    if (choice < 84) return node("local.tee", type, [this.expr(type, d)], this.local(type));
    if (choice < 88) return this.call(type, d);
    if (choice < 93) return this.ifElse(type, d);
    if (choice < 96) return this.block(type, d);
    if (choice < 98) return this.atomic(type, d);
    return type === "i32"
      ? node("memory.size", "i32")
      : node("i64.extend_i32_u", "i64", [this.expr("i32", d)]);
  }

  private division(type: T, d: number): Node {
    const divisor = this.r.chance(50)
      ? this.constant(type)
      : node(`${type}.or`, type, [this.expr(type, d), node(`${type}.const`, type, [], 1n)]);
    return node(`${type}.${this.r.pick(DIVISION)}`, type, [this.expr(type, d), divisor]);
  }

  private unary(type: T, d: number): Node {
    if (type === "i32") {
      const t = this.type();
      const options = [
        () => node(`${t}.eqz`, "i32", [this.expr(t, d)]),
        () => node(`${t}.${this.r.pick(COMPARE)}`, "i32", [this.expr(t, d), this.expr(t, d)]),
        () => node("i32.wrap_i64", "i32", [this.expr("i64", d)]),
        () =>
          node(`i32.${this.r.pick(["clz", "ctz", "popcnt", "extend8_s", "extend16_s"])}`, "i32", [
            this.expr("i32", d),
          ]),
      ];
      return this.r.pick(options)();
    }
    if (this.r.chance(50))
      return node(`i64.extend_i32_${this.r.pick(["s", "u"])}`, "i64", [this.expr("i32", d)]);
    const op = this.r.pick(["clz", "ctz", "popcnt", "extend8_s", "extend16_s", "extend32_s"]);
    return node(`i64.${op}`, "i64", [this.expr("i64", d)]);
  }

  private load(type: T, d: number): Node {
    const [op] = this.r.pick(LOADS[type]);
    return node(op, type, [this.address(d)], this.offset());
  }

  private call(type: T, d: number): Node {
    const candidates = this.ast.funcs.filter((f) => f.result === type);
    if (!candidates.length) return this.constant(type);
    const callee = this.r.pick(candidates);
    const args = callee.params.map((t) => this.expr(t, d));
    if (this.r.chance(65)) return node("call", type, args, BigInt(this.ast.funcs.indexOf(callee)));
    const wanted = typeNumber(this.ast, callee);
    return node("call_indirect", type, [...args, this.tableIndex(wanted, d)], BigInt(wanted));
  }

  /** Mostly a table element of the right type; sometimes any, none, or beyond the end. */
  private tableIndex(type: number, d: number): Node {
    const size = this.ast.table.length + 3;
    const right = this.ast.table.flatMap((f, i) =>
      typeNumber(this.ast, this.ast.funcs[f]!) === type ? [i] : [],
    );
    const any = right.length === 0 || this.r.chance(3);
    const constant = node("i32.const", "i32", [], BigInt(any ? this.r.below(size) : this.r.pick(right)));
    if (any || this.r.chance(60)) return constant;
    // The same number, but not visibly constant.
    const zero = node("i32.and", "i32", [this.expr("i32", d), node("i32.const", "i32", [], 0n)]);
    return node("i32.add", "i32", [zero, constant]);
  }

  private ifElse(type: T | "", d: number): Node {
    const arm = () => this.arm(type, d);
    return node("if-else", type, [this.expr("i32", d), arm(), arm()], 0n, [this.newLabel()]);
  }

  private arm(type: T | "", d: number): Node {
    const statements = Array.from({ length: this.r.below(3) }, () => this.statement(d));
    return node("seq", type, type ? [...statements, this.expr(type, d)] : statements);
  }

  private newLabel(): string {
    return `l${this.counter++}`;
  }

  /** A block with a branch out of its middle. */
  private block(type: T, d: number): Node {
    const name = this.newLabel();
    this.labels.push({ name, type });
    const leave = node("drop", "", [
      node("br_if", type, [this.expr(type, d), this.expr("i32", d)], 0n, [name]),
    ]);
    const body = [...this.arm("", d).kids, leave, this.expr(type, d)];
    this.labels.pop();
    return node("block", type, body, 0n, [name]);
  }

  private atomic(type: T, d: number): Node {
    const [width, bytes] = this.r.pick(ATOMIC_WIDTHS[type]);
    const suffix = width ? "_u" : "";
    const address = this.address(d, bytes);
    if (this.r.chance(20))
      return node(`${type}.atomic.load${width}${suffix}`, type, [address], this.offset(bytes));
    const op = this.r.pick(["add", "sub", "and", "or", "xor", "xchg", "cmpxchg"]);
    const operands = Array.from({ length: op === "cmpxchg" ? 2 : 1 }, () => this.expr(type, d));
    return node(
      `${type}.atomic.rmw${width}.${op}${suffix}`,
      type,
      [address, ...operands],
      this.offset(bytes),
    );
  }

  // --- statements -----------------------------------------------------------------------------------------------

  statement(depth: number): Node {
    const d = depth + 1;
    const type = this.type();
    if (depth >= MAX_DEPTH) return node("local.set", "", [this.expr(type, depth)], this.local(type));
    const choice = this.r.below(100);
    if (choice < 30) return node("local.set", "", [this.expr(type, d)], this.local(type));
    if (choice < 50)
      return node(this.r.pick(STORES[type]), "", [this.address(d), this.expr(type, d)], this.offset());
    if (choice < 56) return this.modify(type, d);
    if (choice < 62) return node("global.set", "", [this.expr(type, d)], this.global(type));
    if (choice < 72) return this.ifElse("", d);
    if (choice < 80) return this.loop(d);
    if (choice < 86) return this.switch(d);
    if (choice < 90) return this.leave(d);
    if (choice < 93) return this.bulk(d);
    if (choice < 95)
      return node("drop", "", [
        node("memory.grow", "i32", [node("i32.const", "i32", [], BigInt(this.r.below(3)))]),
      ]);
    if (choice < 97) return node("drop", "", [this.atomic(type, d)]);
    return node("drop", "", [this.expr(type, d)]);
  }

  /** store(p, load(p) op x): candidates for read-modify-write instructions. */
  private modify(type: T, d: number): Node {
    const address = node("local.get", "i32", [], this.local("i32"));
    const masked = () => node("i32.and", "i32", [address, node("i32.const", "i32", [], 0xfff0n)]);
    const offset = this.offset();
    const [load, bytes] = this.r.pick(LOADS[type]);
    const bits = bytes * 8;
    const store = `${type}.store${bits === (type === "i32" ? 32 : 64) ? "" : bits}`;
    const op = this.r.pick(["add", "sub", "and", "or", "xor", "shl", "shr_u", "shr_s"]);
    const value = node(`${type}.${op}`, type, [node(load, type, [masked()], offset), this.expr(type, d)]);
    return node(store, "", [masked(), value], offset);
  }

  private loop(d: number): Node {
    const again = this.newLabel();
    const statements = Array.from({ length: 1 + this.r.below(3) }, () => this.statement(d));
    const counter = this.local("i32");
    const step = node("i32.sub", "i32", [
      node("local.get", "i32", [], counter),
      node("i32.const", "i32", [], 1n),
    ]);
    const condition = node("i32.gt_s", "i32", [
      node("local.tee", "i32", [step], counter),
      node("i32.const", "i32", [], 0n),
    ]);
    const few = node("i32.and", "i32", [
      node("local.get", "i32", [], counter),
      node("i32.const", "i32", [], 7n),
    ]);
    const loop = node(
      "loop",
      "",
      [this.fuel(), ...statements, node("br_if", "", [condition], 0n, [again])],
      0n,
      [again],
    );
    return node("seq", "", this.r.chance(90) ? [node("local.set", "", [few], counter), loop] : [loop]);
  }

  private switch(d: number): Node {
    const count = 2 + this.r.below(5);
    const names = Array.from({ length: count }, () => this.newLabel());
    const end = this.newLabel();
    if (this.r.chance(50)) return this.compareChain(d, count);
    const index = this.r.chance(50)
      ? node("i32.and", "i32", [this.expr("i32", d), node("i32.const", "i32", [], 7n)])
      : this.expr("i32", d);
    let inner: Node = node("block", "", [node("br_table", "", [index], 0n, [...names])], 0n, [names[0]!]);
    for (let i = 1; i < count; i++) {
      const after = [this.statement(d), node("br", "", [], 0n, [end])];
      inner = node("block", "", [inner, ...after], 0n, [names[i]!]);
    }
    return node("block", "", [inner, this.statement(d)], 0n, [end]);
  }

  /** if (x == a) … else if (x == b) …, which switch recovery turns into one switch. */
  private compareChain(d: number, count: number): Node {
    const x = this.local("i32");
    const first = this.r.pick([0, 10, 250, -3]);
    const step = this.r.pick([1, 1, 1, 2, 37]);
    let chain: Node = node("seq", "", [this.statement(d)]);
    for (let i = count - 1; i >= 0; i--) {
      const value = node("i32.const", "i32", [], BigInt(first + i * step));
      const equal = node("i32.eq", "i32", [node("local.get", "i32", [], x), value]);
      chain = node("seq", "", [
        node("if-else", "", [equal, node("seq", "", [this.statement(d)]), chain], 0n, [this.newLabel()]),
      ]);
    }
    return chain;
  }

  private leave(d: number): Node {
    if (this.r.chance(30))
      return node("if", "", [
        this.expr("i32", d),
        node("seq", "", [node("return", "", [this.expr(this.func.result, d)])]),
      ]);
    const out = this.newLabel();
    return node("block", "", [node("br_if", "", [this.expr("i32", d)], 0n, [out]), this.statement(d)], 0n, [
      out,
    ]);
  }

  private bulk(d: number): Node {
    const length = node("i32.const", "i32", [], BigInt(this.r.below(this.r.chance(20) ? 600 : 40)));
    const value = this.r.chance(50) ? this.expr("i32", d) : this.address(d);
    return node(this.r.pick(["memory.fill", "memory.copy"]), "", [this.address(d), value, length]);
  }
}

function signature(r: Random): FuncAst {
  const count = r.chance(10) ? 6 + r.below(4) : r.below(4);
  const random = () => (r.chance(55) ? "i32" : "i64") as T;
  // Every function has a local of each type to work with.
  return {
    params: Array.from({ length: count }, random),
    result: random(),
    locals: ["i32", "i64", random(), "i32"],
    body: [],
  };
}

/** A random integer module: every program terminates. */
export function generateModule(seed: number): ModuleAst {
  const r = new Random(seed);
  const funcs = Array.from({ length: 3 + r.below(5) }, () => signature(r));
  const bytes = Array.from({ length: 64 }, () => r.below(256));
  const ast: ModuleAst = {
    funcs,
    globals: [
      { type: "i32", value: FUEL },
      { type: "i32", value: BigInt(r.below(1000)) },
      { type: "i64", value: BigInt(r.next()) << 20n },
      { type: "i32", value: -1n },
    ],
    table: Array.from({ length: funcs.length }, () => r.below(funcs.length)),
    data: [{ at: 16, bytes }],
    pages: 1,
    entries: [],
  };
  const generator = new Generator(r, ast);
  for (const func of funcs) generator.fill(func);
  ast.entries = funcs.map((_, i) => addEntry(ast, i));
  return ast;
}

/** A function that fills up the fuel and calls function `i`: what a run calls. */
function addEntry(ast: ModuleAst, i: number): number {
  const { params, result } = ast.funcs[i]!;
  const args = params.map((t, k) => node("local.get", t, [], BigInt(k)));
  const refuel = node("global.set", "", [node("i32.const", "i32", [], FUEL)], 0n);
  return (
    ast.funcs.push({ params, result, locals: [], body: [refuel, node("call", result, args, BigInt(i))] }) - 1
  );
}

/** Arguments for one call. */
export function randomArguments(r: Random, params: T[]): bigint[] {
  return params.map((t) => {
    const value = r.chance(60) ? r.pick(EDGES) : (BigInt(r.next()) << 32n) | BigInt(r.next());
    return BigInt.asIntN(t === "i32" ? 32 : 64, value);
  });
}

import { OPCODES } from "../../../tools/aot/wasm/opcodes.ts";

export type T = "i32" | "i64";

/**
 * An instruction with its operands: a tree, so that a failing program can be shrunk by replacing subtrees.
 * Labels are names; the encoder turns them into depths.
 */
export interface Node {
  op: string;
  type: T | "";
  kids: Node[];
  /** Constant, index, or memory offset. */
  imm: bigint;
  /** Of blocks: its own label; of branches: targets. */
  labels: string[];
}

export interface FuncAst {
  params: T[];
  result: T;
  locals: T[];
  body: Node[];
}

export interface ModuleAst {
  funcs: FuncAst[];
  globals: { type: T; value: bigint }[];
  /** Function numbers. */
  table: number[];
  data: { at: number; bytes: number[] }[];
  pages: number;
  /** Functions to call from outside. */
  entries: number[];
}

export function node(op: string, type: T | "", kids: Node[] = [], imm = 0n, labels: string[] = []): Node {
  return { op, type, kids, imm, labels };
}

const CODES = new Map([...OPCODES.values()].map((o) => [o.name, o]));
const TYPE_CODES: Record<string, number> = { i32: 0x7f, i64: 0x7e, "": 0x40 };

function uleb(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    out.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return [...out, rest];
}

function sleb(value: bigint): number[] {
  const out: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    const byte = Number(rest & 0x7fn);
    const last = (rest >> 7n === 0n && !(byte & 0x40)) || (rest >> 7n === -1n && (byte & 0x40) !== 0);
    if (last) return [...out, byte];
    out.push(byte | 0x80);
  }
}

function vector(items: number[][]): number[] {
  return [...uleb(items.length), ...items.flat()];
}

function section(id: number, content: number[]): number[] {
  return [id, ...uleb(content.length), ...content];
}

class BodyEncoder {
  private readonly out: number[] = [];
  private readonly labels: string[] = [];

  encode(nodes: Node[]): number[] {
    for (const n of nodes) this.node(n);
    return this.out;
  }

  private opcode(name: string): void {
    const { code } = CODES.get(name)!;
    if (code > 255) this.out.push(code >> 8, ...uleb(code & 255));
    else this.out.push(code);
  }

  private depth(label: string): number[] {
    const i = this.labels.lastIndexOf(label);
    if (i < 0) throw new Error(`label ${label} is gone`);
    return uleb(this.labels.length - 1 - i);
  }

  private node(n: Node): void {
    if (n.op === "block" || n.op === "loop" || n.op === "if" || n.op === "if-else") return this.structured(n);
    for (const kid of n.kids) this.node(kid);
    if (n.op === "seq") return;
    this.opcode(n.op);
    this.immediates(n);
  }

  /** `if-else`: kids are the condition, a "seq" for each arm. */
  private structured(n: Node): void {
    const isIf = n.op.startsWith("if");
    if (isIf) this.node(n.kids[0]!);
    this.opcode(isIf ? "if" : n.op);
    this.out.push(TYPE_CODES[n.type]!);
    this.labels.push(n.labels[0] ?? "");
    if (isIf) {
      this.node(n.kids[1]!);
      if (n.kids[2]) {
        this.opcode("else");
        this.node(n.kids[2]);
      }
    } else for (const kid of n.kids) this.node(kid);
    this.labels.pop();
    this.opcode("end");
  }

  private immediates(n: Node): void {
    const { imm, access } = CODES.get(n.op)!;
    switch (imm) {
      case "i32":
      case "i64":
        this.out.push(...sleb(BigInt.asIntN(imm === "i32" ? 32 : 64, n.imm)));
        break;
      case "local":
      case "global":
      case "func":
        this.out.push(...uleb(Number(n.imm)));
        break;
      case "indirect":
        this.out.push(...uleb(Number(n.imm)), 0);
        break;
      case "label":
        this.out.push(...this.depth(n.labels[0]!));
        break;
      case "labels":
        this.out.push(
          ...vector(n.labels.slice(0, -1).map((l) => this.depth(l))),
          ...this.depth(n.labels.at(-1)!),
        );
        break;
      case "memarg":
        this.out.push(CODES.get(n.op)!.atomic ? Math.log2(access!.bytes) : 0, ...uleb(Number(n.imm)));
        break;
      case "memory":
        this.out.push(0);
        break;
      case "memories":
        this.out.push(0, 0);
    }
  }
}

/** Function types by number: all that the generator uses. */
export function typeNumber(ast: ModuleAst, func: FuncAst): number {
  const key = (f: FuncAst) => `${f.params}:${f.result}`;
  return ast.funcs.findIndex((f) => key(f) === key(func));
}

/** The binary form. Function i is exported as "f<i>", global i as "g<i>", memory as "memory". */
export function encodeModule(ast: ModuleAst): Uint8Array {
  const types = ast.funcs.map((f) => [
    0x60,
    ...vector(f.params.map((t) => [TYPE_CODES[t]!])),
    ...vector([[TYPE_CODES[f.result]!]]),
  ]);
  const text = (s: string) => vector([...s].map((c) => [c.charCodeAt(0)]));
  const exports = [
    ...ast.funcs.map((_, i) => [...text(`f${i}`), 0, ...uleb(i)]),
    ...ast.globals.map((_, i) => [...text(`g${i}`), 3, ...uleb(i)]),
    [...text("memory"), 2, 0],
  ];
  const bodies = ast.funcs.map((f) => {
    const locals = vector(f.locals.map((t) => [1, TYPE_CODES[t]!]));
    const body = [...locals, ...new BodyEncoder().encode(f.body), 0x0b];
    return [...uleb(body.length), ...body];
  });
  const constant = (t: T, value: bigint) => [t === "i32" ? 0x41 : 0x42, ...sleb(value), 0x0b];
  return Uint8Array.from([
    0,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...section(1, vector(types)),
    ...section(3, vector(ast.funcs.map((f) => uleb(typeNumber(ast, f))))),
    ...section(4, vector([[0x70, 0, ...uleb(ast.table.length + 2)]])),
    ...section(5, vector([[1, ...uleb(ast.pages), ...uleb(ast.pages + 2)]])),
    ...section(6, vector(ast.globals.map((g) => [TYPE_CODES[g.type]!, 1, ...constant(g.type, g.value)]))),
    ...section(7, vector(exports)),
    ...section(9, vector([[0, ...constant("i32", 0n), ...vector(ast.table.map(uleb))]])),
    ...section(10, vector(bodies)),
    ...section(
      11,
      vector(ast.data.map((d) => [0, ...constant("i32", BigInt(d.at)), ...vector(d.bytes.map((b) => [b]))])),
    ),
  ]);
}

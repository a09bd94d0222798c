// Functions that were compiled before. What the passes make of a function follows from its body after inlining, from the types
// of what it refers to, and from the target: all of which goes into a key. Numbers that shift when other functions change,
// those of functions, of variables and of places in the module, are replaced by the order in which they occur, in the key and in
// what is kept under it.
import { createHash } from "node:crypto";
import type { Block, FuncIR, Terminator, Value } from "./ir/ir.ts";
import { isConstantTable } from "./sharing.ts";
import type { Target } from "./target.ts";
import type { Module } from "./wasm/module.ts";
import { typeKey } from "./wasm/types.ts";
import type { Code, Mark } from "./x64/emit.ts";

/** A mark: its place, and of a site the bytes of its frame and the trap. */
type StoredMark = [place: number] | [place: number, frameBytes: number, trap: Mark["trap"]];

/** The code of a function, and the numbers that stand in its symbols. */
export interface StoredCode {
  functions: number[];
  globals: number[];
  text: (string | StoredMark)[];
  rodata: string[];
  entry: number[];
  frameBytes: number;
}

/** Keeps code by keys; it belongs to one version of this compiler. */
export interface CodeStore {
  get(key: string): StoredCode | undefined;
  set(key: string, code: StoredCode): void;
}

/** How a function is compiled. */
export interface Manner {
  isExported: boolean;
  isHot: boolean;
}

/** Takes the code of a module's functions from a store. */
export class Reuse {
  /** What the passes know beside a function's body. */
  private readonly facts: unknown;

  constructor(
    private readonly store: CodeStore,
    private readonly module: Module,
    target: Target,
  ) {
    const tables = module.tables.map(({ limits }, i) => [limits.min, isConstantTable(module, target, i)]);
    this.facts = [target, tables, module.memories[0]?.limits.min];
  }

  /** The function's code from the store; else it is made and stored. `make` may change the function. */
  code(func: FuncIR, manner: Manner, make: () => Code): Code {
    const body = new Body(func, this.module, JSON.stringify([this.facts, manner]));
    const stored = this.store.get(body.key);
    if (stored) return body.restore(stored);
    const code = make();
    this.store.set(body.key, body.keep(code));
    return code;
  }
}

/** Numbers in the order in which they occur. */
class Numbering {
  readonly all: number[] = [];
  private readonly known = new Map<number, number>();

  place(n: number): number {
    const known = this.known.get(n);
    if (known !== undefined) return known;
    this.known.set(n, this.all.length);
    return this.all.push(n) - 1;
  }
}

/** A function's body as text that is equal for equal code. */
class Body {
  readonly key: string;
  private readonly functions = new Numbering();
  private readonly globals = new Numbering();
  private readonly locs = new Numbering();
  private readonly described = new Set<Value>();
  private readonly pending: Value[] = [];
  private readonly lines: string[] = [];

  constructor(
    func: FuncIR,
    private readonly module: Module,
    facts: string,
  ) {
    this.functions.place(func.index);
    // Instructions that the code generator adds without a place.
    this.locs.place(0);
    this.lines.push(facts, JSON.stringify([func.signature, func.valueCount, func.blockCount]));
    for (const block of func.blocks) this.block(block);
    while (this.pending.length) this.value(this.pending.pop()!);
    this.key = createHash("sha256").update(this.lines.join("\n")).digest("hex");
  }

  private block(block: Block): void {
    const preds = block.preds.map(({ id }) => id);
    this.lines.push(`b${block.id} ${block.depth} ${preds} ${this.refs(block.phis)} ${this.refs(block.body)}`);
    this.terminator(block.term);
  }

  private terminator({ op, args, targets, loc, trap, cases }: Terminator): void {
    const to = targets.map(({ id }) => id);
    this.lines.push(`${op} ${this.refs(args)} ${to} ${this.locs.place(loc)} ${trap} ${cases}`);
  }

  private refs(values: Value[]): string {
    for (const v of values) {
      if (this.described.has(v)) continue;
      this.described.add(v);
      this.pending.push(v);
    }
    return values.map((v) => v.id).join();
  }

  private value(v: Value): void {
    const { mem } = v;
    const access = mem ? `${mem.offset}:${mem.bytes}${mem.signed ? "s" : ""}` : "";
    const forward = v.forward ? this.refs([v.forward]) : "";
    this.lines.push(
      `v${v.id} ${v.op} ${v.type} ${this.refs(v.args)} ${v.imm} ${this.subject(v)} ${v.index2} ${access} ${v.name}` +
        ` b${v.block?.id} ${forward} ${this.locs.place(v.loc)}`,
    );
  }

  /** What the operation is about, if it has a number. */
  private subject({ op, index }: Value): string {
    const { funcs, globals, types, typeNumbers } = this.module;
    switch (op) {
      case "call": {
        const callee = funcs[index]!;
        return `${this.functions.place(index)}:${typeKey(callee.type)}:${callee.import !== null}`;
      }
      case "global.get":
      case "global.set":
        return `${this.globals.place(index)}:${globals[index]!.import !== null}`;
      case "call_indirect":
      case "callee":
      case "call_callee":
        return `${typeNumbers[index]}:${typeKey(types[index]!)}`;
      default:
        return `${index}`;
    }
  }

  keep(code: Code): StoredCode {
    const mark = ({ loc, isSite, frameBytes, trap }: Mark): StoredMark =>
      isSite ? [this.locs.place(loc), frameBytes, trap] : [this.locs.place(loc)];
    return {
      functions: this.functions.all,
      globals: this.globals.all,
      text: code.text.map((part) => (typeof part === "string" ? part : mark(part))),
      rodata: code.rodata,
      entry: code.entryLocs.map((loc) => this.locs.place(loc)),
      frameBytes: code.frameBytes,
    };
  }

  restore(stored: StoredCode): Code {
    const loc = (place: number) => this.locs.all[place]!;
    const rename = this.renaming(stored);
    return {
      text: stored.text.map((part) => {
        if (typeof part === "string") return rename(part);
        const [place, frameBytes = 0, trap = null] = part;
        return { loc: loc(place), isSite: part.length > 1, frameBytes, trap };
      }),
      rodata: stored.rodata.map(rename),
      entryLocs: stored.entry.map(loc),
      frameBytes: stored.frameBytes,
    };
  }

  /** Replaces the numbers in symbols (symbols.ts) by those of now. */
  private renaming(stored: StoredCode): (line: string) => string {
    const { functions, globals } = this;
    if (`${stored.functions};${stored.globals}` === `${functions.all};${globals.all}`) return (line) => line;
    const now = new Map([
      ...stored.functions.map((n, i): [string, number] => [`function_${n}`, functions.all[i]!]),
      ...stored.globals.map((n, i): [string, number] => [`global_${n}`, globals.all[i]!]),
    ]);
    return (line) =>
      line.replace(/\btv_(import_)?((?:function|global)_)(\d+)/g, (_, prefix = "", kind, n) => {
        return `tv_${prefix}${kind}${now.get(`${kind}${n}`)}`;
      });
  }
}

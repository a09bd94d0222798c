import { StaticData } from "./data.ts";
import { CompileError } from "./errors.ts";
import type { FunctionInfo } from "./function-info.ts";
import { type Interposition, interpose } from "./interpose.ts";
import type { FuncIR } from "./ir/ir.ts";
import { Locations } from "./ir/locations.ts";
import { printFunc } from "./ir/print.ts";
import { type Linkage, linkImports } from "./linkage.ts";
import { FUNCTION_PASSES, PASSES_BEFORE_INLINING } from "./passes/index.ts";
import { type IsHot, inlineCalls, rootsOf } from "./passes/inline.ts";
import { buildSsa } from "./passes/ssa.ts";
import { type CodeStore, type Manner, Reuse } from "./reuse.ts";
import type { Routine } from "./routine.ts";
import { runtimeRoutines } from "./runtime.ts";
import { instantiatedByCode } from "./sharing.ts";
import { SourceMap, type SourcePosition } from "./sourcemap.ts";
import { START_SYMBOL } from "./start.ts";
import { callersOf, checkSupported, type Locate } from "./support.ts";
import { functionSymbol, globalSymbol, symbolPart, tableCodes, tableTypes } from "./symbols.ts";
import { KERNEL, LINUX, type Target } from "./target.ts";
import { decode } from "./wasm/decode.ts";
import type { Func, Module } from "./wasm/module.ts";
import { validate } from "./wasm/validate.ts";
import { checkAllocation } from "./x64/checker.ts";
import { type Code, emitFunction, LOOP_ALIGNMENT } from "./x64/emit.ts";
import type { MFunc } from "./x64/lir.ts";
import { placeMarks } from "./x64/marks.ts";
import { MACHINE_PASSES } from "./x64/passes.ts";
import { printMachine } from "./x64/print.ts";
import { select } from "./x64/select.ts";

export interface CompileOptions {
  target?: "kernel" | "linux";
  /** Text of the source map. */
  map?: string;
  /** Checks register allocation of every function. */
  verify?: boolean;
  /** Passes whose result is written to `onDump`. */
  dump?: string[];
  onDump?: (pass: string, text: string) => void;
  /** Names of intrinsics that the module must not use. */
  forbid?: string[];
  /** False keeps every call, for tests. */
  inline?: boolean;
  /** Functions between which calls are inlined for speed, by their names. */
  isHot?: IsHot;
  /** Functions of the module that take the place of its imports and exports (interpose.ts). */
  interpose?: Interposition;
  /** The other modules of a Linux test process. */
  linkage?: Linkage;
  /** Functions that were compiled before: they go through no pass, so nothing of them is dumped or verified. */
  store?: CodeStore;
  /** Overrides of the target's properties, for tests. */
  targetOverrides?: Partial<Target>;
}

export interface CompileResult {
  /** The module as NASM source for `nasm -f elf64`. */
  asm: string;
  functions: FunctionInfo[];
  module: Module;
}

/** Compiles a WebAssembly module. Throws a {@link CompileError} when the module is refused. */
export function compile(bytes: Uint8Array, options: CompileOptions = {}): CompileResult {
  const target = { ...(options.target === "linux" ? LINUX : KERNEL), ...options.targetOverrides };
  const map = options.map ? new SourceMap(options.map) : SourceMap.empty;
  const locate = (offset: number) => positionText(map.find(offset));
  const module = decodeWith(bytes, locate);
  validate(module);
  if (options.linkage) linkImports(module, options.linkage);
  checkSupported(module, target, locate);
  checkForbidden(module, options.forbid ?? [], locate);
  if (options.interpose) interpose(module, options.interpose);
  const data = new StaticData(module, target);
  const locations = new Locations();
  const out = new Output(module, target, map, locations);
  const all = buildAll(module, target, options);
  const inlined =
    options.inline === false ? all : inlineCalls(all, module, options.isHot ?? (() => false), locations);
  const reuse = options.store && new Reuse(options.store, module, target);
  for (const [index, ir] of inlined) {
    const func = module.funcs[index]!;
    const manner = { isExported: func.exports.length > 0, isHot: options.isHot?.(func.name) ?? false };
    const make = () =>
      emitFunction(compileFunction(module, ir, target, manner, options), functionSymbol(func));
    const text = out.add(func, reuse ? reuse.code(ir, manner, make) : make());
    dumpPass(options, "emit", () => `${text.join("\n").trim()}\n`);
  }
  for (const routine of runtimeRoutines(module, target)) out.addRoutine(routine);
  return { asm: out.render(data), functions: out.functions, module };
}

/** Decodes; the refusal of an instruction tells the source line. */
function decodeWith(bytes: Uint8Array, locate: Locate): Module {
  try {
    return decode(bytes);
  } catch (error) {
    if (error instanceof CompileError && error.kind === "unsupported") throw error.in(locate(error.offset));
    throw error;
  }
}

function positionText(position: SourcePosition | null): string {
  return position ? `${position.file}:${position.line}` : "";
}

function checkForbidden(module: Module, names: string[], locate: (offset: number) => string): void {
  for (const { import: imported, index } of module.funcs) {
    if (!imported || !names.includes(imported.name)) continue;
    const callers = callersOf(module, index, locate);
    throw new CompileError("unsupported", `forbidden import "${imported.name}" is called from ${callers}`, 0);
  }
}

/** Every stage of a function by its name, in order: what `dump` may ask for. */
export const PASS_NAMES: readonly string[] = [
  "ssa",
  "inline",
  ...FUNCTION_PASSES.map(([name]) => name),
  "select",
  ...MACHINE_PASSES.map(([name]) => name),
  "emit",
];

function dumpPass(options: CompileOptions, pass: string, text: () => string): void {
  if (options.dump?.includes(pass) || options.dump?.includes("all")) options.onDump?.(pass, text());
}

/** All functions as SSA, simplified so far that their sizes tell what inlining them costs. */
function buildAll(module: Module, target: Target, options: CompileOptions): Map<number, FuncIR> {
  const all = new Map<number, FuncIR>();
  for (const func of module.funcs) {
    if (func.import) continue;
    const ir = buildSsa(module, func);
    dumpPass(options, "ssa", () => printFunc(ir));
    for (const pass of PASSES_BEFORE_INLINING) pass(ir, module, target);
    all.set(func.index, ir);
  }
  return all;
}

/** One function through every pass. */
function compileFunction(
  module: Module,
  ir: FuncIR,
  target: Target,
  manner: Manner,
  options: CompileOptions,
): MFunc {
  const dump = (pass: string, text: () => string) => dumpPass(options, pass, text);
  dump("inline", () => printFunc(ir));
  for (const [name, pass] of FUNCTION_PASSES) {
    pass(ir, module, target);
    dump(name, () => printFunc(ir));
  }
  const machine = select(ir, module, target, manner.isExported);
  machine.isHot = manner.isHot;
  dump("select", () => printMachine(machine));
  for (const [name, pass] of MACHINE_PASSES) {
    pass(machine, target);
    if (name === "regalloc" && options.verify) checkAllocation(machine);
    dump(name, () => printMachine(machine));
  }
  return machine;
}

/** What the runner of Linux processes provides. */
const RUNNER_SYMBOLS = ["tv_memory_pages", "tv_memory_base", "tv_rt_memory_grow"];

/** Collects the parts of the assembly file. */
class Output {
  readonly functions: FunctionInfo[] = [];
  /** Names under which other objects know functions. */
  private readonly exported: string[] = [];
  private readonly text: string[] = [];
  private readonly rodata: string[] = [];
  /** Where the functions start in the module, ascending. */
  private readonly starts: number[];

  constructor(
    private readonly module: Module,
    private readonly target: Target,
    private readonly map: SourceMap,
    private readonly locations: Locations,
  ) {
    this.starts = module.funcs.filter((f) => !f.import).map((f) => f.offset);
  }

  /** Emits one function and returns its text. */
  add(func: Func, code: Code): string[] {
    const find = (loc: number) => this.position(this.locations.offset(loc));
    const calls = (loc: number) => this.locations.calls(loc).map((offset) => this.position(offset));
    const symbol = functionSymbol(func);
    const aliases = this.target.linked ? [] : func.exports.map((name) => `tv_${symbolPart(name)}`);
    this.exported.push(...aliases);
    const { text, sites } = placeMarks(code, symbol, {
      isOwn: (loc) => this.locations.offset(loc) === loc && isInFileOf(func.name, find(loc)),
      lineDirective: (loc) => lineDirective(find(loc), calls(loc)),
      sameLine: (a, b) => sameText([find(a), ...calls(a)], [find(b), ...calls(b)]),
    });
    const labels = [...aliases, symbol].map((label) => `${label}:`);
    const lines = ["", `; ${oneLine(func.name)}`, ...labels, ...text];
    this.text.push(...lines);
    this.rodata.push(...code.rodata);
    this.functions.push({
      symbol,
      name: func.name,
      frameBytes: code.frameBytes,
      sites: sites.map((site) => ({
        ...site,
        position: find(site.loc),
        callers: calls(site.loc).filter((position) => position !== null),
      })),
    });
    return lines;
  }

  private position(offset: number): SourcePosition | null {
    return this.map.find(offset, this.functionStart(offset));
  }

  /** Offset of the function that holds a place of the module. */
  private functionStart(offset: number): number {
    let low = 0;
    let high = this.starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.starts[middle]! <= offset) low = middle + 1;
      else high = middle;
    }
    return this.starts[low - 1] ?? 0;
  }

  addRoutine(routine: Routine): void {
    const lines = routine.text.map((line) => (line.endsWith(":") ? line : `  ${line}`));
    this.text.push("", `; ${routine.name}`, `${routine.symbol}:`, ...lines, ".end:");
    const sites = routine.traps.map(({ label, kind }) => ({
      label: `${routine.symbol}${label}`,
      loc: 0,
      trap: kind,
      frameBytes: 0,
      position: null,
      callers: [],
    }));
    this.functions.push({ symbol: routine.symbol, name: routine.name, frameBytes: 0, sites });
  }

  render(data: StaticData): string {
    const pages = this.module.memories[0]?.limits.min ?? 0;
    const globals = [
      ...(this.target.linked ? this.linkedSymbols() : this.exported),
      "tv_text_start",
      "tv_text_end",
      "tv_linear_init",
      "tv_linear_init_end",
      ...(this.target.linked ? [] : ["tv_globals", "tv_globals_end"]),
    ];
    return [
      "; generated by tools/aot: do not edit",
      "bits 64",
      "%use smartalign",
      "alignmode p6, 32",
      ...globals.map((symbol) => `global ${symbol}`),
      "global tv_linear_pages",
      `tv_linear_pages equ ${pages}`,
      ...this.externs(data).map((symbol) => `extern ${symbol}`),
      "",
      `section .text align=${LOOP_ALIGNMENT}`,
      "tv_text_start:",
      ...this.text,
      "tv_text_end:",
      "",
      "section .rodata align=8",
      ...this.rodata,
      ...data.rodata,
      "",
      "section .data align=8",
      ...data.data,
      "",
      "section .linear progbits alloc noexec nowrite align=16",
      "tv_linear_init:",
      ...data.linear,
      "tv_linear_init_end:",
      "",
    ].join("\n");
  }

  /** Functions and state that the other modules of a process may use. */
  private linkedSymbols(): string[] {
    const { funcs, globals, tables } = this.module;
    const roots = [...rootsOf(this.module)].filter((i) => !funcs[i]!.import);
    return [
      ...roots.map((i) => functionSymbol(funcs[i]!)),
      ...globals.flatMap((g, i) => (g.import ? [] : [globalSymbol(this.module, i)])),
      ...tables.flatMap((t, i) => (t.import ? [] : [tableCodes(i), tableTypes(i)])),
      ...(instantiatedByCode(this.module) ? [START_SYMBOL] : []),
    ];
  }

  /** Symbols that other objects define: assembly routines, and in a process what other modules and the runner provide. */
  private externs(data: StaticData): string[] {
    const used = new Set<string>(this.target.linked ? RUNNER_SYMBOLS : []);
    const all = [...this.text, ...this.rodata, ...data.rodata, ...data.data].join("\n");
    for (const [symbol] of all.matchAll(/\b(tv_asm_\w+|tv_import_\w+|tv_enter_\w+|tv_boot_layout_pa)\b/g))
      used.add(symbol);
    this.module.tables.forEach((table, t) => {
      if (table.import) used.add(tableCodes(t)).add(tableTypes(t));
    });
    return [...used].sort();
  }
}

/** Whether a place is in the file of a function that asc has named "path/of/file/name": asc inlines code of other files. */
function isInFileOf(name: string, position: SourcePosition | null): boolean {
  const stem = name.slice(0, Math.max(name.lastIndexOf("/"), 0));
  return !stem || position?.file === `${stem}.ts`;
}

/** Tells the assembler of a source line. What it was inlined for is a comment: of interest to the debugger's tables. */
function lineDirective(position: SourcePosition | null, callers: (SourcePosition | null)[]): string {
  if (!position) return "";
  const line = `%line ${position.line}+0 ${position.file}`;
  return callers.length === 0 ? line : `${line}\n;inlined ${callers.map(positionText).join(" ")}`;
}

function sameText(a: (SourcePosition | null)[], b: (SourcePosition | null)[]): boolean {
  const text = (positions: (SourcePosition | null)[]) => positions.map(positionText).join();
  return text(a) === text(b);
}

/** Names come from the module and may hold anything: a comment must end where it should. */
function oneLine(name: string): string {
  return name.replace(/[^\x20-\x5b\x5d-\x7e]/g, "?");
}

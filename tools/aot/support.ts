import { CompileError } from "./errors.ts";
import { INTRINSICS, INTRINSICS_MODULE } from "./intrinsics.ts";
import type { Target } from "./target.ts";
import type { Func, Import, Instr, Module } from "./wasm/module.ts";
import type { ValueType } from "./wasm/opcodes.ts";
import type { ExternKind } from "./wasm/types.ts";

/** Turns a byte offset into "file:line" of the TypeScript source, or "". */
export type Locate = (offset: number) => string;

const ADVICE: Record<string, string> = {
  f32: "floating point is not translated: no floating-point state is saved on exits; use integers or fixed point (mul_shift32)",
  f64: "floating point is not translated: no floating-point state is saved on exits; use integers or fixed point (mul_shift32)",
  funcref: "references are not translated; use call_indirect with an integer index",
  externref: "references are not translated; use integers",
};

const REFUSED: Record<string, string> = {
  "memory.atomic.wait32": "there is no scheduler to wait in; spin with the pause intrinsic",
  "memory.atomic.wait64": "there is no scheduler to wait in; spin with the pause intrinsic",
  "memory.atomic.notify": "there is no scheduler to notify; spin with the pause intrinsic",
  "table.get": "references are not translated; use call_indirect",
  "table.set": "references are not translated; tables change only by table.init and table.copy",
  "table.grow": "tables have a fixed size; declare the largest size that is needed",
  "table.fill": "references are not translated; tables change only by table.init and table.copy",
  "ref.null": "references are not translated; use integers",
  "ref.is_null": "references are not translated; use integers",
  "ref.func": "references are not translated; use call_indirect with an integer index",
};

/** Refuses valid modules that use what this compiler does not translate: before any code is made. */
export function checkSupported(module: Module, target: Target, locate: Locate): void {
  for (const entry of module.imports) if (!entry.provided) checkImport(module, entry, locate);
  for (const func of module.funcs) if (!func.import) checkFunc(func, locate);
  if (module.start !== null && !target.linked) {
    const message =
      "start function: nothing calls it in the image; export it instead (asc --exportStart _start)";
    throw new CompileError("unsupported", message, 0, `in ${module.funcs[module.start]!.name}`);
  }
  for (const [i, global] of module.globals.entries()) {
    if (ADVICE[global.type])
      throw new CompileError("unsupported", `global ${i} of type ${global.type}: ${ADVICE[global.type]}`, 0);
  }
}

function where(func: Func, offset: number, locate: Locate): string {
  const line = locate(offset);
  return `in ${func.name}${line ? `, ${line}` : ""}`;
}

function checkFunc(func: Func, locate: Locate): void {
  const refuse = (what: string, offset: number, advice: string) => {
    throw new CompileError("unsupported", `${what}: ${advice}`, offset, where(func, offset, locate));
  };
  const checkType = (type: ValueType, what: string) => {
    if (ADVICE[type]) refuse(`${what} of type ${type}`, func.offset, ADVICE[type]);
  };
  for (const type of func.type.params) checkType(type, "parameter");
  for (const type of func.type.results) checkType(type, "result");
  for (const type of func.locals) checkType(type, "local");
  for (const instr of func.body) {
    const type = [...instr.op.params, ...instr.op.results].find((t) => ADVICE[t]);
    if (type) refuse(instr.op.name, instr.offset, ADVICE[type]!);
    if (REFUSED[instr.op.name]) refuse(instr.op.name, instr.offset, REFUSED[instr.op.name]!);
    for (const t of blockTypes(instr))
      if (ADVICE[t]) refuse(`${instr.op.name} of type ${t}`, instr.offset, ADVICE[t]);
  }
}

function blockTypes(instr: Instr): ValueType[] {
  return instr.block ? [...instr.block.params, ...instr.block.results] : instr.types;
}

/** What to do instead of importing other things than functions. */
const OWN: Record<Exclude<ExternKind, "func">, string> = {
  table: "define it in the module",
  memory: "let the module define and export it",
  global: "keep state in the module itself",
};

function checkImport(module: Module, entry: Import, locate: Locate): void {
  const { module: from, name, kind, index, offset } = entry;
  const refuse = (message: string): never => {
    throw new CompileError("unsupported", message, offset);
  };
  if (kind !== "func") return refuse(`imported ${kind} "${from}.${name}"; ${OWN[kind]}`);
  const callers = () => callersOf(module, index, locate);
  if (from !== INTRINSICS_MODULE)
    refuse(`import "${from}.${name}": only module "${INTRINSICS_MODULE}" exists; called from ${callers()}`);
  const intrinsic = INTRINSICS[name];
  if (!intrinsic) return refuse(`unknown intrinsic "${name}", called from ${callers()}`);
  const { params, results } = module.funcs[index]!.type;
  const letters = (types: ValueType[]) =>
    types.map((t) => ({ i32: "i", i64: "l" })[t as "i32"] ?? "?").join("");
  const actual = `${letters(params)}:${letters(results)}`;
  const expected = `${intrinsic.params}:${intrinsic.result}`;
  if (actual === expected) return;
  const mismatch = `is declared as (${actual}) but is (${expected}); i = i32, l = i64`;
  refuse(`intrinsic "${name}" ${mismatch}; called from ${callers()}`);
}

/** The functions that call `callee`, with the source lines of the calls. */
export function callersOf(module: Module, callee: number, locate: Locate): string {
  const found: string[] = [];
  for (const func of module.funcs) {
    for (const instr of func.body) {
      if (instr.op.name !== "call" || instr.index !== callee) continue;
      const line = locate(instr.offset);
      found.push(line ? `${func.name} (${line})` : func.name);
    }
  }
  return found.length ? [...new Set(found)].join(", ") : "nowhere";
}

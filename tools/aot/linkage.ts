import { CompileError } from "./errors.ts";
import { INTRINSICS_MODULE } from "./intrinsics.ts";
import { entrySymbol, globalSymbol, tableCodes, tableTypes } from "./symbols.ts";
import type { ConstExpr, Import, Module } from "./wasm/module.ts";
import type { Extern } from "./wasm/types.ts";
import { type FuncType, type Limits, typeKey } from "./wasm/types.ts";

// Several modules in one process: imports are checked when the importing module is compiled, and become symbols that the
// linker binds to the exporter's. Only the size of an imported memory can change before that; the start code checks it.
// Source: WebAssembly Core Specification, "Execution", "Modules".

/** The other modules of the process. */
export interface Linkage {
  find(module: string, name: string): Extern | undefined;
  /** Why the exporter could not be compiled, or "": its exports can be checked against, but not linked with. */
  refusal(module: string, name: string): string;
  /** Equal types have equal numbers in all modules: tables may be shared. */
  typeNumber(type: FuncType): number;
}

/** A symbol that the module leaves open, without prefix, and the symbol of another module that it stands for. */
export type Binding = readonly [open: string, defined: string];

/** Cells of a memory: its address, and its size in pages. */
const MEMORY_BASE = "tv_memory_base";
const MEMORY_PAGES = "tv_memory_pages";

function unlinkable(what: string, { module, name, offset }: Import): CompileError {
  return new CompileError("unlinkable", `${what}: "${module}.${name}"`, offset);
}

/** Whether actual limits are within declared ones. The minimum of a memory is checked by the start code. */
function fits(actual: Limits, wanted: Limits): boolean {
  if (actual.shared !== wanted.shared) return false;
  return wanted.max === null || (actual.max !== null && actual.max <= wanted.max);
}

function matches(found: Extern, module: Module, { index }: Import): boolean {
  switch (found.kind) {
    case "func":
      return typeKey(found.type) === typeKey(module.funcs[index]!.type);
    case "global": {
      const { type, mutable } = module.globals[index]!;
      return found.type === type && found.mutable === mutable;
    }
    case "table": {
      const { type, limits } = module.tables[index]!;
      return found.type === type && found.limits.min >= limits.min && fits(found.limits, limits);
    }
    case "memory":
      return fits(found.limits, module.memories[index]!.limits);
  }
}

/**
 * Finds every import and checks its type; tables take on their actual size.
 * Throws a {@link CompileError}: of kind "unlinkable" when an import is missing or of another type, of kind "unsupported"
 * when it belongs to a module that was refused.
 */
export function linkImports(module: Module, linkage: Linkage): void {
  const imports = module.imports.filter((entry) => entry.module !== INTRINSICS_MODULE);
  for (const entry of imports) {
    const found = linkage.find(entry.module, entry.name);
    if (!found) throw unlinkable("unknown import", entry);
    if (found.kind !== entry.kind || !matches(found, module, entry))
      throw unlinkable("incompatible import type", entry);
    entry.provided = found;
    if (found.kind === "table") module.tables[entry.index]!.limits = found.limits;
  }
  for (const { module: from, name, offset } of imports) {
    const why = linkage.refusal(from, name);
    if (why)
      throw new CompileError(
        "unsupported",
        `import "${from}.${name}" of a module that was refused: ${why}`,
        offset,
      );
  }
  module.typeNumbers = module.types.map((type) => linkage.typeNumber(type));
  mergeGlobals(module);
}

/** A variable that is imported twice gets one index: the passes tell variables apart by it. */
function mergeGlobals(module: Module): void {
  const first = new Map<string, number>();
  const merged = new Map<number, number>();
  for (const { index, provided } of module.imports) {
    if (provided?.kind !== "global") continue;
    const known = first.get(provided.symbol);
    if (known === undefined) first.set(provided.symbol, index);
    else merged.set(index, known);
  }
  if (!merged.size) return;
  for (const { body } of module.funcs)
    for (const instr of body)
      if (instr.op.imm === "global") instr.index = merged.get(instr.index) ?? instr.index;
}

/** What the linker has to bind for the imports of a module. */
export function bindingsOf(module: Module): Binding[] {
  return module.imports.flatMap(({ provided, index }): Binding[] => {
    switch (provided?.kind) {
      case "func":
        return [[entrySymbol(module.funcs[index]!), provided.symbol]];
      case "global":
        return [[globalSymbol(module, index), provided.symbol]];
      case "table":
        return [
          [tableCodes(index), provided.codes],
          [tableTypes(index), provided.types],
        ];
      case "memory":
        return [
          [MEMORY_BASE, provided.base],
          [MEMORY_PAGES, provided.pages],
        ];
      default:
        return [];
    }
  });
}

/** The value of a constant expression, where it is known before the program runs. */
export function constantValue(module: Module, expr: ConstExpr): bigint | null {
  if (expr.op === "const") return expr.value;
  if (expr.op !== "global") return null;
  const { init, import: entry } = module.globals[expr.index]!;
  if (init) return constantValue(module, init);
  return entry?.provided?.kind === "global" ? entry.provided.value : null;
}

/** The exports of a module whose imports are linked, for those that import them. `prefix` is that of its symbols. */
export function exportsOf(module: Module, prefix: string): Map<string, Extern> {
  const spaces = {
    func: module.funcs,
    global: module.globals,
    table: module.tables,
    memory: module.memories,
  };
  const found = new Map<string, Extern>();
  for (const { name, kind, index } of module.exports)
    found.set(name, spaces[kind][index]!.import?.provided ?? ownExtern(module, prefix, kind, index));
  return found;
}

function ownExtern(module: Module, prefix: string, kind: Extern["kind"], index: number): Extern {
  switch (kind) {
    case "func": {
      const func = module.funcs[index]!;
      return { kind, type: func.type, symbol: `${prefix}${entrySymbol(func)}` };
    }
    case "global": {
      const { type, mutable, init } = module.globals[index]!;
      const value = mutable || !init ? null : constantValue(module, init);
      return { kind, type, mutable, value, symbol: `${prefix}${globalSymbol(module, index)}` };
    }
    case "table": {
      const { type, limits } = module.tables[index]!;
      return {
        kind,
        type,
        limits,
        codes: `${prefix}${tableCodes(index)}`,
        types: `${prefix}${tableTypes(index)}`,
      };
    }
    case "memory": {
      const { limits } = module.memories[index]!;
      return { kind, limits, base: `${prefix}${MEMORY_BASE}`, pages: `${prefix}${MEMORY_PAGES}` };
    }
  }
}

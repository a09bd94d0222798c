import type { Func, FuncType, Module } from "./wasm/module.ts";

/** Symbols of a table's two parallel arrays: code addresses (8 bytes each) and type numbers (4 bytes each). */
export function tableCodes(table: number): string {
  return `tv_table_${table}_code`;
}

export function tableTypes(table: number): string {
  return `tv_table_${table}_type`;
}

/** The assembly symbol of a function. */
export function functionSymbol(func: Func): string {
  if (func.import) return `tv_import_${symbolPart(func.import.module)}_${symbolPart(func.import.name)}`;
  return `tv_function_${func.index}`;
}

/** Characters outside of NASM's identifiers become their code in hexadecimal. */
export function symbolPart(name: string): string {
  return name.replace(/[^A-Za-z0-9_]/gu, (c) => `$${c.codePointAt(0)!.toString(16)}$`);
}

/** The cell of a global variable. */
export function globalSymbol(module: Module, index: number): string {
  const imported = module.globals[index]!.import;
  return imported ? `tv_import_global_${index}` : `tv_global_${index}`;
}

/** Equal types have equal numbers, from 1: the number of the first type of the module that is the same. */
export function canonicalType(types: readonly FuncType[], index: number): number {
  const key = (t: FuncType) => `${t.params.join()}:${t.results.join()}`;
  const wanted = key(types[index]!);
  return types.findIndex((t) => key(t) === wanted) + 1;
}

import type { TrapKind } from "./ir/ir.ts";
import type { Func, Module } from "./wasm/module.ts";

/** Symbols of a table's two parallel arrays: code addresses (8 bytes each) and type numbers (4 bytes each). */
export function tableCodes(table: number): string {
  return `tv_table_${table}_code`;
}

export function tableTypes(table: number): string {
  return `tv_table_${table}_type`;
}

/** What a table's entries lead to that may not be called. */
export function trapRoutine(kind: TrapKind): string {
  return `tv_rt_${kind.replaceAll(" ", "_")}`;
}

/** The assembly symbol of a function. */
export function functionSymbol(func: Func): string {
  return func.import ? `tv_import_function_${func.index}` : `tv_function_${func.index}`;
}

/** Where other modules of the process enter a function: code that first switches to the memory of its module. */
export function entrySymbol(func: Func): string {
  return func.import ? functionSymbol(func) : `tv_enter_${func.index}`;
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

/** An instruction on a region of memory or of a table. */
export interface RegionInstruction {
  name: string;
  index: number;
  index2: number;
}

/** The routine that does such an instruction. */
export function regionSymbol({ name, index, index2 }: RegionInstruction): string {
  const segment = ["memory.init", "data.drop", "elem.drop"].includes(name) ? `_${index}` : "";
  const tables = name === "table.copy" || name === "table.init" ? `_${index}_${index2}` : "";
  return `tv_rt_${name.replace(".", "_")}${segment}${tables}`;
}

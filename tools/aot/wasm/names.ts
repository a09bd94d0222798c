import type { Module } from "./module.ts";
import type { Reader } from "./reader.ts";

const FUNCTION_NAMES = 1;

/**
 * Reads the function names of the "name" custom section. A damaged name section is ignored,
 * as the standard asks: names are only for people.
 */
export function readNameSection(r: Reader): Map<number, string> {
  const names = new Map<number, string>();
  try {
    while (!r.atEnd) {
      const id = r.u8();
      const end = r.u32() + r.pos;
      if (id === FUNCTION_NAMES) r.vector(() => names.set(r.u32(), r.name()));
      r.pos = end;
    }
  } catch {
    names.clear();
  }
  return names;
}

/** Gives every function the best name known: its own, an import's, an export's, else its index. */
export function nameFunctions(module: Module, names: Map<number, string>): void {
  for (const func of module.funcs) {
    const imported = func.import ? `${func.import.module}.${func.import.name}` : undefined;
    func.name = names.get(func.index) ?? imported ?? func.exports[0] ?? `function ${func.index}`;
  }
}

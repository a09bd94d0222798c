import { internalError } from "./errors.ts";
import type { Func, Module } from "./wasm/module.ts";

/** Lets functions of the module itself stand between it and the world. */
export interface Interposition {
  /** The function exported as PREFIX + NAME takes the place of import or export NAME. */
  prefix: string;
  /** Functions that go on using the imports themselves, by their names: those that stand between. */
  exempt: (name: string) => boolean;
}

/** Changes the module; its bytes, and so a run of it elsewhere, stay as they are. */
export function interpose(module: Module, { prefix, exempt }: Interposition): void {
  const replacements = new Map<number, number>();
  for (const func of module.funcs) {
    for (const name of func.exports.filter((name) => name.startsWith(prefix))) {
      const original = find(module, name.slice(prefix.length));
      if (original.import) replacements.set(original.index, func.index);
      else takeExport(original, func, name, name.slice(prefix.length));
    }
  }
  for (const func of module.funcs) {
    if (func.import || exempt(func.name)) continue;
    for (const instr of func.body) {
      if (instr.op.name === "call") instr.index = replacements.get(instr.index) ?? instr.index;
    }
  }
}

function find(module: Module, name: string): Func {
  const found = module.funcs.find((f) => f.import?.name === name || (!f.import && f.exports.includes(name)));
  if (!found) throw internalError(`interposition for ${name}, which is neither imported nor exported`);
  return found;
}

function takeExport(from: Func, to: Func, name: string, wanted: string): void {
  from.exports = from.exports.filter((other) => other !== wanted);
  to.exports = to.exports.map((other) => (other === name ? wanted : other));
}

import type { Target } from "./target.ts";
import type { Module } from "./wasm/module.ts";

/** Segments of a module that shares memory or tables are copied when it starts: what they overwrite is not its own. */
export function instantiatedByCode(module: Module): boolean {
  return [...module.memories, ...module.tables].some((space) => space.import);
}

/** Whether functions of this module may be called through tables by others. */
export function sharesTables(module: Module): boolean {
  return module.tables.some((table, t) => table.import?.provided || isExported(module, t));
}

function isExported(module: Module, table: number): boolean {
  return module.exports.some(({ kind, index }) => kind === "table" && index === table);
}

/** Whether a table is the module's own, and nothing changes it: it is read-only. */
export function isConstantTable(module: Module, target: Target, table: number): boolean {
  if (module.tables[table]!.import) return false;
  if (target.linked && (instantiatedByCode(module) || isExported(module, table))) return false;
  return !module.funcs.some((f) =>
    f.body.some(
      ({ op, index, index2 }) =>
        (op.name === "table.init" && index2 === table) || (op.name === "table.copy" && index === table),
    ),
  );
}

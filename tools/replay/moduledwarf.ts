// DWARF of a recorded module, made from its source map and its names. Addresses count from the start of the code section's
// contents. ("DWARF for WebAssembly", WebAssembly tool conventions, "Code addresses")

import { SourceMap, sourcesOf } from "../aot/sourcemap.ts";
import { scopesOf } from "../aot/symtab/extents.ts";
import { scopeOf } from "../aot/symtab/scopes.ts";
import type { Func, Module } from "../aot/wasm/module.ts";
import { type Dwarf, dwarfOf } from "../dwarf/dwarf.ts";
import { type Code, type Place, withPlaces } from "../dwarf/inlining.ts";

const ADDRESS_BYTES = 4;

/**
 * @param map text of the source map, with the sources.
 * @param code where the contents of the code section are in the module, in bytes.
 * @param pathOf the absolute path of a source file.
 */
export function moduleDwarf(
  module: Module,
  map: string,
  code: { start: number; end: number },
  pathOf: (file: string) => string,
): Dwarf {
  const places = new SourceMap(map)
    .all()
    .map((mapping) => ({ ...mapping, offset: mapping.offset - code.start, callers: [] }));
  const functions = module.funcs.filter((func) => !func.import).map((func) => extentOf(func, code.start));
  const codes = withPlaces(functions, places).map((func) => ({ ...func, places: firstOfLines(func.places) }));
  return dwarfOf(codes, scopesOf(sourcesOf(map)), {
    addressBytes: ADDRESS_BYTES,
    name: "kernel",
    textBytes: code.end - code.start,
    folder: "/",
    pathOf,
  });
}

function extentOf({ name, offset, body }: Func, codeStart: number): Omit<Code, "places"> {
  // A function's last instruction is its `end`, of one byte.
  const end = (body.at(-1)?.offset ?? offset) + 1;
  return { scope: scopeOf(name, ""), start: offset - codeStart, end: end - codeStart };
}

/** Of the places of one line in a row the first: a breakpoint at a line is to stop once, not at each of its expressions. */
function firstOfLines(places: readonly Place[]): Place[] {
  return places.filter(({ position }, i) => {
    const before = places[i - 1]?.position;
    return before?.line !== position.line || before.file !== position.file;
  });
}

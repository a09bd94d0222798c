import { placeOf } from "./data.ts";
import type { Routine } from "./routine.ts";
import { instantiatedByCode } from "./sharing.ts";
import { type RegionInstruction, regionSymbol } from "./symbols.ts";
import type { Module } from "./wasm/module.ts";

/** Copies the active segments of a module that is {@link instantiatedByCode}. */
export const START_SYMBOL = "tv_copy_segments";

/** One active segment: it is copied as a passive one would be, then dropped. */
interface Step {
  init: RegionInstruction;
  drop: RegionInstruction;
  at: number;
  length: number;
}

/**
 * What starts a module that shares memory or tables, in order. A segment that does not fit traps; what was copied before
 * stays. Source: WebAssembly Core Specification, "Execution", "Modules", "Instantiation".
 */
export function startSteps(module: Module): Step[] {
  if (!instantiatedByCode(module)) return [];
  const tables = module.elems.flatMap(({ mode, items }, index): Step[] => {
    if (mode.kind !== "active") return [];
    const init = { name: "table.init", index, index2: mode.index };
    const drop = { name: "elem.drop", index, index2: 0 };
    return [{ init, drop, at: placeOf(module, mode.at), length: items.length }];
  });
  const memory = module.datas.flatMap(({ mode, bytes }, index): Step[] => {
    if (mode.kind !== "active") return [];
    const init = { name: "memory.init", index, index2: 0 };
    const drop = { name: "data.drop", index, index2: 0 };
    return [{ init, drop, at: placeOf(module, mode.at), length: bytes.length }];
  });
  return [...tables, ...memory];
}

export function startRoutine(module: Module): Routine | null {
  if (!instantiatedByCode(module)) return null;
  const text = startSteps(module).flatMap(({ init, drop, at, length }) => [
    `mov edi, ${at}`,
    "xor esi, esi",
    `mov edx, ${length}`,
    `call ${regionSymbol(init)}`,
    `call ${regionSymbol(drop)}`,
  ]);
  return { symbol: START_SYMBOL, name: "instantiation", traps: [], text: [...text, "ret"] };
}

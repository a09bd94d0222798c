// The kernel must not allocate: a function of AssemblyScript's memory manager in the module means that something does.
import { SourceMap } from "../aot/sourcemap.ts";
import { callersOf } from "../aot/support.ts";
import type { Module } from "../aot/wasm/module.ts";
import { UserError } from "../lib/user-error.ts";

/** Where asc's memory managers live. */
const MANAGER = "~lib/rt/";

/** @throws UserError naming the callers when the module contains heap allocation. */
export function refuseAllocation(module: Module, map: string): void {
  const positions = new SourceMap(map);
  const locate = (offset: number) => {
    const position = positions.find(offset);
    return position ? `${position.file}:${position.line}` : "";
  };
  const found = module.funcs.find((func) => !func.import && func.name.startsWith(MANAGER));
  if (found === undefined) return;
  throw new UserError(
    `The kernel allocates memory (${found.name}), called from ${callersOf(module, found.index, locate)}. ` +
      "Kernel code has no heap: use memory.data for static storage or kernel/lib/arena.ts at boot; " +
      "`new`, array literals and template strings inside functions allocate.",
  );
}

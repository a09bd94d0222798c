import { dominators, findLoops, type Loop } from "../ir/graph.ts";
import { type Block, type FuncIR, resolve, type Value } from "../ir/ir.ts";
import { isConstantTable } from "../sharing.ts";
import type { Target } from "../target.ts";
import type { Module } from "../wasm/module.ts";

/**
 * Where a loop calls through a table and does not change the index, index and type are checked once: the index becomes a
 * `callee`, which `loops` moves out of the loop. It names the function or, if the call must trap, code that does; so the trap
 * still comes where the call is, and not at all if it is never reached. For tables that nothing changes.
 */
export function resolveCallees(func: FuncIR, module: Module, target: Target): void {
  for (const loop of findLoops(func, dominators(func))) {
    for (const block of loop.blocks) {
      const calls = block.body.filter(
        (v) => isInvariant(v, loop) && isConstantTable(module, target, v.index2),
      );
      for (const call of calls) resolveCallee(func, block, call);
    }
  }
}

/** A constant index stays: it needs no register, and its check is one of constants. */
function isInvariant(v: Value, loop: Loop): boolean {
  if (v.op !== "call_indirect") return false;
  const index = resolve(v.args.at(-1)!);
  return index.op !== "const" && !loop.blocks.has(index.block);
}

function resolveCallee(func: FuncIR, block: Block, call: Value): void {
  const callee = func.newValue("callee", "i64", [resolve(call.args.at(-1)!)], call.loc);
  callee.index = call.index;
  callee.index2 = call.index2;
  callee.block = block;
  block.body.splice(block.body.indexOf(call), 0, callee);
  call.op = "call_callee";
  call.args = [...call.args.slice(0, -1), callee];
}

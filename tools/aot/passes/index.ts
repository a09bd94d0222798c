import { dominators, findLoops, pruneBlocks } from "../ir/graph.ts";
import { type FuncIR, resolveAll } from "../ir/ir.ts";
import type { Target } from "../target.ts";
import type { Module } from "../wasm/module.ts";
import { splitConditions } from "./branches.ts";
import { resolveCallees } from "./callees.ts";
import { mergeBlocks, removeDeadValues, removeTrivialPhis, splitCriticalEdges } from "./cleanup.ts";
import { dropCounterTests } from "./counters.ts";
import { numberValues } from "./gvn.ts";
import { hoistCommon } from "./hoist.ts";
import { optimizeLoops } from "./loops.ts";
import { forwardMemory } from "./memory.ts";
import { splitSelects } from "./selects.ts";
import { sinkValues } from "./sink.ts";
import { orderSums } from "./sums.ts";
import { recoverSwitches } from "./switches.ts";
import { threadJumps } from "./threading.ts";

export type FunctionPass = (func: FuncIR, module: Module, target: Target) => void;

function cleanUp(func: FuncIR): void {
  removeTrivialPhis(func);
  removeDeadValues(func);
  pruneBlocks(func);
  mergeBlocks(func);
}

function prepare(func: FuncIR): void {
  resolveAll(func);
  cleanUp(func);
  splitCriticalEdges(func);
  findLoops(func, dominators(func));
}

function sink(func: FuncIR): void {
  resolveAll(func);
  cleanUp(func);
  findLoops(func, dominators(func));
  sinkValues(func);
}

/** The passes between SSA construction and instruction selection, in order. Each can be dumped by its name. */
export const FUNCTION_PASSES: readonly (readonly [string, FunctionPass])[] = [
  ["clean", cleanUp],
  ["gvn", numberValues],
  ["memory", forwardMemory],
  ["gvn2", numberValues],
  ["branches", splitConditions],
  ["counters", dropCounterTests],
  ["selects", splitSelects],
  ["threading", threadJumps],
  ["switch", recoverSwitches],
  ["callees", resolveCallees],
  ["gvn3", numberValues],
  ["hoist", hoistCommon],
  ["loops", optimizeLoops],
  ["sums", orderSums],
  ["sink", sink],
  ["prepare", prepare],
];

/** What every function goes through before calls are inlined. */
export const PASSES_BEFORE_INLINING: readonly FunctionPass[] = [cleanUp, numberValues, cleanUp];

import { INTRINSICS } from "../intrinsics.ts";
import type { Value } from "./ir.ts";

const EFFECTS = new Set([
  "store",
  "global.set",
  "call",
  "call_indirect",
  "call_callee",
  "memory.grow",
  "memory.copy",
  "memory.fill",
  "memory.init",
  "data.drop",
  "table.init",
  "table.copy",
  "elem.drop",
  "fence",
  // These trap before anything after them may happen.
  "div_s",
  "div_u",
  "rem_s",
  "rem_u",
]);

/** Whether an operation must stay where it is, even if its result is unused. Loads are a case of their own. */
export function hasEffect(v: Value): boolean {
  if (v.op === "intrinsic") return !INTRINSICS[v.name]?.pure;
  return EFFECTS.has(v.op) || v.op.startsWith("atomic.");
}

/** Operations that write linear memory and let nobody else run. */
const WRITES_MEMORY = new Set(["store", "memory.grow", "memory.copy", "memory.fill", "memory.init"]);

/**
 * Whether others may have run when the operation is over: the callee, an interrupt's handler, or another processor whose writes
 * an atomic or a fence makes visible. Nothing that can be changed is then as it was, globals included: they are memory that all
 * processors share.
 */
function letsOthersRun(v: Value): boolean {
  if (v.op === "intrinsic") {
    const intrinsic = INTRINSICS[v.name];
    return !intrinsic?.pure && !intrinsic?.keepsMemory;
  }
  return v.op === "call" || v.op === "call_indirect" || v.op === "call_callee" || isOrdering(v);
}

function isOrdering(v: Value): boolean {
  return v.op === "fence" || v.op.startsWith("atomic.");
}

/** Whether an operation may write linear memory. */
export function writesMemory(v: Value): boolean {
  return WRITES_MEMORY.has(v.op) || letsOthersRun(v);
}

/** Whether an operation may change a global variable that it does not name. */
export function writesGlobals(v: Value): boolean {
  return letsOthersRun(v);
}

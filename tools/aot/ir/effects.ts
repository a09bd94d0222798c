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

/** Whether an operation may write linear memory. */
export function writesMemory(v: Value): boolean {
  switch (v.op) {
    case "store":
    case "call":
    case "call_indirect":
    case "call_callee":
    case "memory.grow":
    case "memory.copy":
    case "memory.fill":
    case "memory.init":
    case "fence":
      return true;
    case "intrinsic": {
      const intrinsic = INTRINSICS[v.name];
      return !intrinsic?.pure && !intrinsic?.keepsMemory;
    }
    default:
      return v.op.startsWith("atomic.");
  }
}

/** Whether an operation may change a global variable. */
export function writesGlobals(v: Value): boolean {
  if (v.op === "intrinsic") return !!INTRINSICS[v.name]?.call;
  return v.op === "call" || v.op === "call_indirect" || v.op === "call_callee";
}

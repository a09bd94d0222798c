import type { Op, Type, Value } from "../ir/ir.ts";

/** Makes new values in front of the one being simplified; they are themselves simplified and numbered. */
export interface Maker {
  make(op: Op, type: Type, args: Value[]): Value;
  constant(type: Type, value: bigint): Value;
  /** Whether nothing else is known to use an operand of the value being simplified. */
  usedOnce(v: Value): boolean;
}

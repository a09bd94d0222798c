import type { Value } from "../ir/ir.ts";
import type { Width } from "./registers.ts";

const INT32_MIN = -(2n ** 31n);
const INT32_MAX = 2n ** 31n - 1n;

/** Whether an instruction can hold the constant: immediates and displacements are sign-extended 32 bits. */
export function fitsInt32(value: bigint): boolean {
  return value >= INT32_MIN && value <= INT32_MAX;
}

/** Bytes of the register part that holds a value. */
export function widthOf(v: Value): Width {
  return v.type === "i64" ? 8 : 4;
}

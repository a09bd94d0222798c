import type { TrapKind } from "./ir/ir.ts";

/**
 * Routines for instructions on regions of memory and tables. They follow the System V ABI like any function:
 * edi, esi, edx hold the operands in order, with clean upper halves.
 */
export interface Routine {
  symbol: string;
  /** Shown in stack traces. */
  name: string;
  text: string[];
  traps: { label: string; kind: TrapKind }[];
}

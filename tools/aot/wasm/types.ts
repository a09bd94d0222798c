// Types of what modules import and export.
import type { RefType, ValueType } from "./opcodes.ts";

export interface FuncType {
  params: ValueType[];
  results: ValueType[];
}

/** Equal texts for equal types. */
export function typeKey({ params, results }: FuncType): string {
  return `${params.join()}:${results.join()}`;
}

export interface Limits {
  min: number;
  max: number | null;
  shared: boolean;
}

export type ExternKind = "func" | "table" | "memory" | "global";

/** What one module exports and others may import. */
export type Extern =
  | { kind: "func"; type: FuncType; symbol: string }
  | { kind: "global"; type: ValueType; mutable: boolean; value: bigint | null; symbol: string }
  | { kind: "table"; type: RefType; limits: Limits; codes: string; types: string }
  | { kind: "memory"; limits: Limits; base: string; pages: string };

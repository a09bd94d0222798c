import type { TrapKind } from "../ir/ir.ts";

/** Numbers of trap kinds in the symbol table; kernel/abi/symtab.ts names them for the kernel. */
export const TRAP_NUMBERS: Record<TrapKind, number> = {
  unreachable: 1,
  "integer divide by zero": 2,
  "integer overflow": 3,
  "undefined element": 4,
  "uninitialized element": 5,
  "indirect call type mismatch": 6,
  "out of bounds memory access": 7,
  "out of bounds table access": 8,
  "unaligned atomic": 9,
  "instruction failed": 10,
};

export function trapName(number: number): TrapKind | undefined {
  return (Object.keys(TRAP_NUMBERS) as TrapKind[]).find((kind) => TRAP_NUMBERS[kind] === number);
}

import type { MFunc } from "./lir.ts";

/** Improvements that need to know the registers. */
export function peephole(_func: MFunc): void {}

import type { MFunc } from "./lir.ts";

export function checkAllocation(_func: MFunc): void {}

import { internalError } from "../errors.ts";
import { Coloring } from "./coloring.ts";
import { type MFunc, mapOperand, type RegOperand } from "./lir.ts";
import { ALLOCATION_ORDER } from "./registers.ts";
import { insertSpills, type SpillState } from "./spill.ts";

const MAX_ROUNDS = 20;

/**
 * Global register allocation by iterated register coalescing.
 * Source: George and Appel, "Iterated Register Coalescing"; the names of the work lists are theirs.
 */
export function allocateRegisters(func: MFunc, registers: readonly number[] = ALLOCATION_ORDER): void {
  for (const block of func.blocks) for (const inst of block.insts) inst.original = [...inst.operands];
  const spills: SpillState = { slots: new Map(), temporaries: new Set(), rematerialized: new Map() };
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const coloring = new Coloring(func, spills.temporaries, registers);
    const spilled = coloring.run();
    if (!spilled.length) {
      applyColors(func, coloring);
      return;
    }
    insertSpills(func, spilled, coloring, spills);
  }
  throw internalError(`register allocation of ${func.name} does not end`);
}

/** Replaces virtual registers by their colors. */
function applyColors(func: MFunc, coloring: Coloring): void {
  for (const block of func.blocks) {
    for (const inst of block.insts) {
      inst.operands = inst.operands.map((operand) => mapOperand(operand, (r) => coloring.colorOf(r)));
      if (inst.isCopy) {
        const [to, from] = inst.operands as [RegOperand, RegOperand];
        inst.coalesced = to.reg === from.reg;
      }
    }
  }
}

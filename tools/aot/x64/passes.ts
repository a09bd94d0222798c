import type { Target } from "../target.ts";
import { placeFrames } from "./frames.ts";
import { layout } from "./layout.ts";
import type { MFunc } from "./lir.ts";
import { peephole } from "./peephole.ts";
import { allocateRegisters } from "./regalloc.ts";
import { ALLOCATION_ORDER } from "./registers.ts";
import { splitLiveRanges } from "./split.ts";

export type MachinePass = (func: MFunc, target: Target) => void;

/** The passes between instruction selection and emission, in order. Each can be dumped by its name. */
export const MACHINE_PASSES: readonly (readonly [string, MachinePass])[] = [
  ["split", splitLiveRanges],
  ["regalloc", (func, target) => allocateRegisters(func, ALLOCATION_ORDER.slice(0, target.registers))],
  ["peephole", peephole],
  ["frames", placeFrames],
  ["layout", layout],
];

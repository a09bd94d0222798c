// The forms of vector moves and of BMI for emulate-execute.test.ts, and what a form is.
import type { State } from "./native.js";
import type { Random } from "./random.js";

const PF = 1n << 2n;
const AF = 1n << 4n;
const SF = 1n << 7n;

export interface Form {
  name: string;
  /** Opcode bytes before ModRM, and after it (immediates); `undefined` stands for a random byte. */
  opcode: number[];
  /** ModRM's reg field: fixed, or random. */
  reg?: number;
  immediate?: (operandBytes: number) => number;
  /** No ModRM: the opcode addresses memory by itself. */
  bare?: boolean;
  byte?: boolean;
  /** Flags that the manual leaves undefined. */
  undefinedFlags?: bigint;
  lock?: boolean;
  /** 66, F3 or F2 as part of the opcode; the operand size is then REX.W's. */
  prefix?: number;
  /** VEX: opcode map, prefix as VEX numbers it, L; the second source is chosen at random when the form has one. */
  vex?: { map: number; prefix: number; long: number; source?: boolean };
  /** Operand sizes. */
  sizes?: number[];
  prepare?: (state: State, random: Random, size: number) => void;
}

const LOGIC = AF | PF;
/** Name, map and opcode, prefix as VEX numbers it, ModRM's reg field where it is part of the opcode, undefined flags. */
const bmiForms: [string, number, number, number, number?, bigint?][] = [
  ["andn", 2, 0xf2, 0, undefined, LOGIC],
  ["blsr", 2, 0xf3, 0, 1, LOGIC],
  ["blsmsk", 2, 0xf3, 0, 2, LOGIC],
  ["blsi", 2, 0xf3, 0, 3, LOGIC],
  ["bzhi", 2, 0xf5, 0, undefined, LOGIC],
  ["pext", 2, 0xf5, 2],
  ["pdep", 2, 0xf5, 3],
  ["mulx", 2, 0xf6, 3],
  ["bextr", 2, 0xf7, 0, undefined, LOGIC | SF],
  ["shlx", 2, 0xf7, 1],
  ["sarx", 2, 0xf7, 2],
  ["shrx", 2, 0xf7, 3],
  ["rorx", 3, 0xf0, 3],
];
export const bmi = bmiForms.map(
  ([name, map, opcode, prefix, reg, undefinedFlags]): Form => ({
    name,
    opcode: [opcode],
    reg,
    undefinedFlags,
    immediate: name === "rorx" ? () => 1 : undefined,
    sizes: [4, 8],
    vex: { map, prefix, long: 0, source: name !== "rorx" },
    // Few bits, small numbers: counts and bit numbers that matter.
    prepare: (state, random) => {
      for (const n of [0, 1, 2, 3, 5, 6, 8, 9, 10, 13]) {
        if (random.below(2) === 0) state.registers[n] = BigInt(random.below(80) | (random.below(70) << 8));
      }
    },
  }),
);

const P66 = 0x66;
const F3 = 0xf3;
const F2 = 0xf2;
const prefixes = [undefined, P66, F3, F2];
/** Name, opcode, prefix, and what there is with VEX: 128 and 256 bits, 128 only, nothing, nothing without VEX. */
const vectorMoves: [string, number[], number | undefined, "both" | "128" | "legacy" | "vex" | "vex256"][] = [
  ["movups r, m", [0x0f, 0x10], undefined, "both"],
  ["movups m, r", [0x0f, 0x11], undefined, "both"],
  ["movupd r, m", [0x0f, 0x10], P66, "both"],
  ["movupd m, r", [0x0f, 0x11], P66, "both"],
  ["movss r, m", [0x0f, 0x10], F3, "both"],
  ["movss m, r", [0x0f, 0x11], F3, "both"],
  ["movsd r, m", [0x0f, 0x10], F2, "both"],
  ["movsd m, r", [0x0f, 0x11], F2, "both"],
  ["movlps r, m", [0x0f, 0x12], undefined, "128"],
  ["movlps m, r", [0x0f, 0x13], undefined, "128"],
  ["movlpd r, m", [0x0f, 0x12], P66, "128"],
  ["movlpd m, r", [0x0f, 0x13], P66, "128"],
  ["movhps r, m", [0x0f, 0x16], undefined, "128"],
  ["movhps m, r", [0x0f, 0x17], undefined, "128"],
  ["movhpd r, m", [0x0f, 0x16], P66, "128"],
  ["movhpd m, r", [0x0f, 0x17], P66, "128"],
  ["movddup r, m", [0x0f, 0x12], F2, "both"],
  ["movsldup r, m", [0x0f, 0x12], F3, "both"],
  ["movshdup r, m", [0x0f, 0x16], F3, "both"],
  ["movaps r, m", [0x0f, 0x28], undefined, "both"],
  ["movaps m, r", [0x0f, 0x29], undefined, "both"],
  ["movapd r, m", [0x0f, 0x28], P66, "both"],
  ["movapd m, r", [0x0f, 0x29], P66, "both"],
  ["movntps m, r", [0x0f, 0x2b], undefined, "both"],
  ["movntpd m, r", [0x0f, 0x2b], P66, "both"],
  ["movd mm, m", [0x0f, 0x6e], undefined, "legacy"],
  ["movd m, mm", [0x0f, 0x7e], undefined, "legacy"],
  ["movd r, m", [0x0f, 0x6e], P66, "128"],
  ["movd m, r", [0x0f, 0x7e], P66, "128"],
  ["movq r, m", [0x0f, 0x7e], F3, "128"],
  ["movq m, r", [0x0f, 0xd6], P66, "128"],
  ["movq mm, m", [0x0f, 0x6f], undefined, "legacy"],
  ["movq m, mm", [0x0f, 0x7f], undefined, "legacy"],
  ["movdqa r, m", [0x0f, 0x6f], P66, "both"],
  ["movdqa m, r", [0x0f, 0x7f], P66, "both"],
  ["movdqu r, m", [0x0f, 0x6f], F3, "both"],
  ["movdqu m, r", [0x0f, 0x7f], F3, "both"],
  ["movntq m, mm", [0x0f, 0xe7], undefined, "legacy"],
  ["movntdq m, r", [0x0f, 0xe7], P66, "both"],
  ["lddqu r, m", [0x0f, 0xf0], F2, "both"],
  ["movntdqa r, m", [0x0f, 0x38, 0x2a], P66, "both"],
  ["vbroadcastss r, m", [0x0f, 0x38, 0x18], P66, "vex"],
  ["vbroadcastsd r, m", [0x0f, 0x38, 0x19], P66, "vex256"],
  ["vbroadcastf128 r, m", [0x0f, 0x38, 0x1a], P66, "vex256"],
  ["vbroadcasti128 r, m", [0x0f, 0x38, 0x5a], P66, "vex256"],
  ["vpbroadcastb r, m", [0x0f, 0x38, 0x78], P66, "vex"],
  ["vpbroadcastw r, m", [0x0f, 0x38, 0x79], P66, "vex"],
  ["vpbroadcastd r, m", [0x0f, 0x38, 0x58], P66, "vex"],
  ["vpbroadcastq r, m", [0x0f, 0x38, 0x59], P66, "vex"],
];

export const vectors = vectorMoves.flatMap(([name, opcode, prefix, how]): Form[] => {
  const word = /^movd /.test(name);
  const forms: Form[] = [];
  if (!how.startsWith("vex")) forms.push({ name, opcode, prefix, sizes: word ? [4, 8] : [4] });
  if (how === "legacy") return forms;
  const lengths = how === "vex256" ? [1] : how === "128" ? [0] : [0, 1];
  const source = /^mov[lh]p. r/.test(name);
  for (const long of lengths) {
    const vex = { map: opcode.length - 1, prefix: prefixes.indexOf(prefix), long, source };
    forms.push({ name: `v${name} ${long}`, opcode: opcode.slice(-1), vex, sizes: word ? [4, 8] : [4] });
  }
  return forms;
});

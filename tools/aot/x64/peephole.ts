import {
  forEachDef,
  type MBlock,
  type MemOperand,
  type MFunc,
  type MInst,
  mem,
  type Operand,
  type RegOperand,
  reg,
} from "./lir.ts";

/** Improvements that need to know the registers. */
export function peephole(func: MFunc): void {
  for (const block of func.blocks) {
    block.insts = block.insts.filter((inst) => !inst.coalesced);
    repeatedCopies(block);
    addToCopy(block);
    redundantTest(block);
  }
}

/** mov b, a; mov a, b: while both stay as they are, the second says nothing new, unless it copies more than the first. */
function repeatedCopies(block: MBlock): void {
  /** The copies whose two registers are still equal, by destination. */
  const copies = new Map<number, MInst>();
  const says = (copy: MInst | undefined, a: number, b: number, width: number) =>
    copy !== undefined && isBetween(copy, a, b) && width <= copy.width;
  block.insts = block.insts.filter((inst) => {
    const [to, from] = inst.isCopy ? (inst.operands as [RegOperand, RegOperand]) : [];
    if (to && from) {
      const known = [copies.get(to.reg), copies.get(from.reg)];
      if (known.some((copy) => says(copy, to.reg, from.reg, inst.width))) return false;
    }
    forEachDef(inst, (r) => {
      for (const [d, copy] of copies) if (isBetween(copy, d, r) || d === r) copies.delete(d);
    });
    if (to && from) copies.set(to.reg, inst);
    return true;
  });
}

/** Whether a copy has these two registers. */
function isBetween(copy: MInst, a: number, b: number): boolean {
  const registers = copy.operands.map((operand) => (operand as RegOperand).reg);
  return registers.includes(a) && registers.includes(b);
}

function sameRegister(a: Operand, b: Operand): boolean {
  return a.kind === "reg" && b.kind === "reg" && a.reg === b.reg;
}

const MAX_LEA_SHIFT = 3n;

/** mov d, a; add d, b -> lea d, [a + b], and the same for subtraction of a constant and small left shifts. */
function addToCopy(block: MBlock): void {
  for (let i = 0; i + 1 < block.insts.length; i++) {
    const copy = block.insts[i]!;
    const next = block.insts[i + 1]!;
    if (!copy.isCopy || !next.operands[0] || !sameRegister(copy.operands[0]!, next.operands[0])) continue;
    if (next.width < 4 || copy.width < next.width) continue;
    const place = leaOf(copy, next);
    if (!place) continue;
    const lea = Object.assign(Object.create(Object.getPrototypeOf(next)) as MInst, next, {
      op: "lea",
      operands: [reg((copy.operands[0] as RegOperand).reg), place],
    });
    block.insts.splice(i, 2, lea);
  }
}

function leaOf(copy: MInst, next: MInst): MemOperand | null {
  const base = (copy.operands[1] as RegOperand).reg;
  const other = next.operands[1];
  if (next.op === "add" && other?.kind === "imm")
    return mem({ base, disp: Number(BigInt.asIntN(32, other.value)) });
  if (next.op === "add" && other?.kind === "reg") {
    // In `mov d, a; add d, d` the second operand is the copy.
    const index = sameRegister(other, copy.operands[0]!) ? base : other.reg;
    return mem({ base, index });
  }
  if (next.op === "shl" && other?.kind === "imm" && other.value <= MAX_LEA_SHIFT) {
    if (other.value === 1n) return mem({ base, index: base });
    return mem({ index: base, scale: (1 << Number(other.value)) as 4 | 8 });
  }
  return null;
}

/** Instructions that set ZF and SF by their result; shifts do unless their count is 0. */
const SETS_RESULT_FLAGS = new Set(["and", "or", "xor", "add", "sub", "neg", "shl", "shr", "sar"]);
/** Conditions that only look at ZF and SF. */
const RESULT_CONDITIONS = new Set(["e", "ne", "s", "ns", "z", "nz"]);
/** Logic instructions clear CF and OF as test does, so every condition is good. */
const LOGIC = new Set(["and", "or", "xor"]);

/** op r, x; test r, r: the flags are set already. */
function redundantTest(block: MBlock): void {
  for (let i = 1; i < block.insts.length; i++) {
    const test = block.insts[i]!;
    const [a, b] = test.operands;
    if (test.op !== "test" || !a || !b || !sameRegister(a, b)) continue;
    const before = lastWriter(block, i, a);
    if (!before || !SETS_RESULT_FLAGS.has(before.op) || before.width !== test.width) continue;
    const [to, count] = before.operands;
    if (!sameRegister(to!, a) || (count?.kind === "imm" && count.value === 0n)) continue;
    if (!LOGIC.has(before.op) && !readersAre(block, i, RESULT_CONDITIONS)) continue;
    block.insts.splice(i, 1);
    i--;
  }
}

/** The last instruction before `at` that writes the flags, unless the register changes after it. */
function lastWriter(block: MBlock, at: number, register: Operand): MInst | null {
  for (let i = at - 1; i >= 0; i--) {
    const inst = block.insts[i]!;
    const { flags } = inst.spec as { flags?: string };
    if (flags === "write" && !inst.coalesced) return inst;
    let changes = false;
    forEachDef(inst, (r) => {
      changes ||= sameRegister(reg(r), register);
    });
    if (changes || flags === "read") return null;
  }
  return null;
}

/** Whether all readers of the flags set at `at` use one of these conditions. */
function readersAre(block: MBlock, at: number, conditions: Set<string>): boolean {
  for (let i = at + 1; i < block.insts.length; i++) {
    const { flags } = block.insts[i]!.spec as { flags?: string };
    if (flags === "read" && !conditions.has(block.insts[i]!.cc)) return false;
    if (flags === "write") return true;
  }
  return true;
}

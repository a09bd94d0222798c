import type { Block, FuncIR, MemAccess, TrapKind, Value } from "../ir/ir.ts";
import type { Target } from "../target.ts";
import type { Module } from "../wasm/module.ts";
import type { Condition, MBlock, MemOperand, MInst, MOp, Operand } from "./lir.ts";
import type { Width } from "./registers.ts";

/** How one operation is translated. A rule may fold operands; what it does not fold it asks for in a register. */
export type Rule = (s: Selector, v: Value) => void;

/** What selection rules see of the selection (select.ts), and how they ask for operands and write instructions. */
export interface Selector {
  readonly func: FuncIR;
  readonly module: Module;
  readonly target: Target;
  /** Whether other programs call the function, with anything in the upper halves of parameters. */
  readonly exported: boolean;
  /** The block of the operation being selected. */
  readonly block: Block;
  /** Projections of each call with several results. */
  readonly projections: ReadonlyMap<Value, Value[]>;
  /** Registers of parameters as a foreign caller passes them: the upper half may be anything. */
  readonly raw: ReadonlyMap<Value, number>;

  emit(op: MOp, width: Width, ...operands: Operand[]): MInst;
  blockOf(block: Block): MBlock;
  /** A new virtual register. */
  temp(): number;
  /** How many operands the value is. */
  uses(v: Value): number;
  /** Whether every use of the value is as an address of linear memory, or a part of one. */
  isOnlyAddress(v: Value): boolean;
  /** The register that holds the value's result. */
  def(v: Value): number;
  /** Whether anybody asked for the value in a register. */
  isNeeded(v: Value): boolean;
  /** The value in a register whose upper half is zero for an i32. Constants are made on the spot. */
  reg(v: Value): number;
  /** As {@link reg}, for consumers that read at most the low 32 bits: the upper half may be anything. */
  low(v: Value): number;
  /** A register operand, or an immediate that the instruction can hold. */
  regOrImm(v: Value): Operand;
  /** As {@link regOrImm}, or the memory operand of a load that can be folded into this instruction. */
  any(v: Value): Operand;
  /** True when a load's only use is the instruction being selected and no effect lies between. */
  canFold(v: Value): boolean;
  /** The memory operand of a load of the value's full width, when it can be folded. */
  foldLoad(v: Value): MemOperand | null;
  /** The memory operand of a foldable load of `bytes`, whatever it extends to. */
  foldNarrow(v: Value, bytes: number): MemOperand | null;
  /** The memory operand of a load that can be folded. */
  takeLoad(v: Value): MemOperand;
  globalCell(index: number): MemOperand;
  /** The operand of an access to linear memory. */
  address(address: Value, access: MemAccess): MemOperand;
  /** Whether addresses may be computed modulo 2^32 for an access at this offset. */
  mayWrap(access: MemAccess): boolean;
  /** Emits what sets the flags for `v != 0` and returns the condition to test. */
  condition(v: Value): Condition;
  trapIf(cc: Condition, kind: TrapKind, ...operands: Operand[]): MInst;
  /** Copies into fixed registers, all at once as far as the program can tell. */
  moveTo(fixed: number, v: Value): void;
  /** Copies a fixed result register to the value's own, if anybody wants it. */
  moveFrom(fixed: number, v: Value, clean?: boolean): void;
  /** Reserves room for arguments and results on the stack. */
  outgoing(bytes: number): void;
}

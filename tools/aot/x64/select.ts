import { internalError } from "../errors.ts";
import { hasEffect } from "../ir/effects.ts";
import {
  type Block,
  type FuncIR,
  isPure,
  type MemAccess,
  type Terminator,
  type TrapKind,
  type Value,
} from "../ir/ir.ts";
import { globalSymbol } from "../symbols.ts";
import { NULL_PAGE_BYTES, type Target } from "../target.ts";
import type { Module } from "../wasm/module.ts";
import {
  type Condition,
  imm,
  MBlock,
  type MemOperand,
  MFunc,
  MInst,
  type MOp,
  mem,
  type Operand,
  reg,
} from "./lir.ts";
import { FIRST_VIRTUAL, type Width } from "./registers.ts";
import { ADDRESS_RULES, wideAddress } from "./rules/address.ts";
import { enterFunction } from "./rules/calls.ts";
import { conditionOf } from "./rules/compare.ts";
import { isLoadLike, RULES, TERMINATOR_RULES } from "./rules/index.ts";
import type { Selector } from "./selector.ts";
import { fitsInt32, widthOf } from "./values.ts";

/**
 * Instruction selection: blocks and values are visited last to first, so that every consumer is seen
 * before its operands and can fold them into itself; what nobody asks for in a register is never made.
 */
export function select(func: FuncIR, module: Module, target: Target, exported: boolean): MFunc {
  return new Selection(func, module, target, exported).run();
}

class Selection implements Selector {
  readonly out: MFunc;
  private readonly useCounts: Int32Array;
  /** Of these, those as an address, or in a sum that is nothing but addresses. */
  private readonly addressUses: Int32Array;
  private readonly registers: Int32Array;
  private readonly epochs: Int32Array;
  private readonly needed: Uint8Array;
  private readonly blockMap = new Map<Block, MBlock>();
  readonly projections = new Map<Value, Value[]>();
  private current!: Block;
  /** Number of effects before the operation being selected: a load may move only within one epoch. */
  private epoch = 0;
  /** Place in the block's body of the operation being selected. */
  private position = 0;
  private pending: MInst[] = [];
  private loc = 0;

  constructor(
    readonly func: FuncIR,
    readonly module: Module,
    readonly target: Target,
    readonly exported: boolean,
  ) {
    this.out = new MFunc(func.index, func.name, FIRST_VIRTUAL);
    this.useCounts = new Int32Array(func.valueCount);
    this.addressUses = new Int32Array(func.valueCount);
    this.registers = new Int32Array(func.valueCount).fill(-1);
    this.epochs = new Int32Array(func.valueCount);
    this.needed = new Uint8Array(func.valueCount);
  }

  run(): MFunc {
    this.countUses();
    this.countAddressUses();
    for (const block of this.func.blocks) this.blockMap.set(block, new MBlock(block.id, block.depth));
    for (const block of [...this.func.blocks].reverse()) this.selectBlock(block);
    this.out.blocks = this.func.blocks.map((b) => this.blockMap.get(b)!);
    for (const block of this.out.blocks) for (const succ of block.succs) succ.preds.push(block);
    return this.out;
  }

  private countUses(): void {
    const count = (args: Value[]) => {
      for (const arg of args) this.useCounts[arg.id]!++;
    };
    for (const block of this.func.blocks) {
      let epoch = 0;
      for (const phi of block.phis) count(phi.args);
      for (const v of block.body) {
        count(v.args);
        this.epochs[v.id] = epoch;
        if (hasEffect(v)) epoch++;
        if (v.op === "proj")
          this.projections.set(v.args[0]!, [...(this.projections.get(v.args[0]!) ?? []), v]);
      }
      count(block.term.args);
    }
  }

  private countAddressUses(): void {
    for (const block of [...this.func.blocks].reverse()) {
      for (const v of [...block.body].reverse()) {
        if (v.op === "load" || v.op === "store") this.addressUses[v.args[0]!.id]!++;
        else if (v.op === "add" && this.isOnlyAddress(v))
          for (const arg of v.args) this.addressUses[arg.id]!++;
      }
    }
  }

  private selectBlock(block: Block): void {
    this.current = block;
    const out = this.blockMap.get(block)!;
    const reversed: MInst[] = [];
    const flush = () => {
      for (let i = this.pending.length - 1; i >= 0; i--) reversed.push(this.pending[i]!);
      this.pending = [];
    };
    this.epoch = block.body.reduce((n, v) => n + (hasEffect(v) ? 1 : 0), 0);
    this.position = block.body.length;
    this.loc = block.term.loc;
    this.terminator(block.term, out);
    flush();
    for (let i = block.body.length - 1; i >= 0; i--) {
      const v = block.body[i]!;
      if (!this.needed[v.id] && !this.mustEmit(v)) continue;
      if (v.op === "const") continue;
      this.epoch = this.epochs[v.id]!;
      this.position = i;
      this.loc = v.loc;
      this.value(v);
      flush();
    }
    if (block === this.func.entry) {
      enterFunction(this);
      flush();
    }
    out.insts = reversed.reverse();
  }

  /** Effects are always emitted; so are loads that nobody folded, which may trap. */
  private mustEmit(v: Value): boolean {
    if (v.op === "proj" || v.op === "param") return false;
    return (hasEffect(v) || v.op === "load") && !this.folded.has(v);
  }

  private readonly folded = new Set<Value>();

  private value(v: Value): void {
    const rule = RULES[v.op];
    if (!rule) throw internalError(`no selection rule for ${v.op}`);
    rule(this, v);
  }

  private terminator(term: Terminator, out: MBlock): void {
    out.succs = [...new Set(term.targets.map((t) => this.blockMap.get(t)!))];
    const rule = TERMINATOR_RULES[term.op];
    if (!rule) throw internalError(`no selection rule for terminator ${term.op}`);
    rule(this, term);
  }

  // --- what rules use -------------------------------------------------------------------------------------------

  emit(op: MOp, width: Width, ...operands: Operand[]): MInst {
    const inst = new MInst(op, width, operands, this.loc);
    this.pending.push(inst);
    return inst;
  }

  blockOf(block: Block): MBlock {
    return this.blockMap.get(block)!;
  }

  get block(): Block {
    return this.current;
  }

  temp(): number {
    return this.out.newVirtual();
  }

  uses(v: Value): number {
    return this.useCounts[v.id]!;
  }

  isOnlyAddress(v: Value): boolean {
    return this.addressUses[v.id] === this.useCounts[v.id];
  }

  def(v: Value): number {
    if (this.registers[v.id]! < 0) this.registers[v.id] = this.temp();
    return this.registers[v.id]!;
  }

  isNeeded(v: Value): boolean {
    return this.needed[v.id] === 1;
  }

  reg(v: Value): number {
    if (v.op === "const") {
      const r = this.temp();
      this.emit("movi", widthOf(v), reg(r), imm(v.imm));
      return r;
    }
    this.needed[v.id] = 1;
    return this.def(v);
  }

  low(v: Value): number {
    if (v.op === "wrap") return this.low(v.args[0]!);
    if (v.op === "param" && v.type === "i32" && this.exported) return this.rawParameter(v);
    return this.reg(v);
  }

  /** A parameter as a foreign caller passes it: the upper half may be anything. */
  readonly raw = new Map<Value, number>();

  private rawParameter(v: Value): number {
    const known = this.raw.get(v) ?? this.temp();
    this.raw.set(v, known);
    return known;
  }

  regOrImm(v: Value): Operand {
    if (v.op === "const" && fitsInt32(v.imm)) return imm(v.imm);
    return reg(widthOf(v) === 4 ? this.low(v) : this.reg(v));
  }

  any(v: Value): Operand {
    return this.foldLoad(v) ?? this.regOrImm(v);
  }

  canFold(v: Value): boolean {
    if (!isLoadLike(v) || this.useCounts[v.id] !== 1 || v.block !== this.current) return false;
    if (!hasEffect(v)) return this.epochs[v.id] === this.epoch;
    return this.epochs[v.id] === this.epoch - 1 && this.onlyPureSince(v);
  }

  /** Whether nothing that may trap or have an effect lies between a value and the operation being selected. */
  private onlyPureSince(v: Value): boolean {
    const { body } = this.current;
    return body.slice(body.indexOf(v) + 1, this.position).every((between) => isPure(between.op));
  }

  foldLoad(v: Value): MemOperand | null {
    if (!this.canFold(v)) return null;
    if (v.mem && v.mem.bytes !== widthOf(v)) return null;
    return this.takeLoad(v);
  }

  foldNarrow(v: Value, bytes: number): MemOperand | null {
    if (v.op !== "load" || v.mem!.bytes !== bytes || !this.canFold(v)) return null;
    return this.takeLoad(v);
  }

  takeLoad(v: Value): MemOperand {
    this.folded.add(v);
    if (v.op === "global.get") return this.globalCell(v.index);
    if (v.op === "intrinsic") return wideAddress(this, v.args[0]!, "gs");
    return this.address(v.args[0]!, v.mem!);
  }

  globalCell(index: number): MemOperand {
    return mem({ symbol: globalSymbol(this.module, index) });
  }

  address(address: Value, access: MemAccess): MemOperand {
    for (const rule of ADDRESS_RULES) {
      const operand = rule(this, address, access);
      if (operand) return operand;
    }
    throw internalError("no address rule");
  }

  mayWrap(access: MemAccess): boolean {
    return access.offset === 0 || (this.target.nullPage && access.offset + access.bytes <= NULL_PAGE_BYTES);
  }

  condition(v: Value): Condition {
    return conditionOf(this, v);
  }

  trapIf(cc: Condition, kind: TrapKind, ...operands: Operand[]): MInst {
    const inst = this.emit("trapIf", 4, ...operands);
    inst.cc = cc;
    inst.trap = kind;
    return inst;
  }

  moveTo(fixed: number, v: Value): void {
    if (v.op === "const") this.emit("movi", widthOf(v), reg(fixed), imm(v.imm));
    else this.emit("mov", widthOf(v), reg(fixed), reg(this.reg(v)));
  }

  moveFrom(fixed: number, v: Value, clean = true): void {
    if (!this.isNeeded(v)) return;
    if (widthOf(v) === 4 && !clean) this.emit("zext", 4, reg(this.def(v)), reg(fixed));
    else this.emit("mov", widthOf(v), reg(this.def(v)), reg(fixed));
  }

  outgoing(bytes: number): void {
    this.out.outgoingBytes = Math.max(this.out.outgoingBytes, bytes);
  }
}

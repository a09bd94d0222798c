import type { TrapKind } from "../ir/ir.ts";
import { loopTops } from "./layout.ts";
import {
  addressText,
  type Frame,
  type FrameArea,
  type MBlock,
  type MFunc,
  type MInst,
  NO_FRAME,
  type Operand,
  operandText,
} from "./lir.ts";
import { registerName, type Width } from "./registers.ts";
import { invert } from "./rules/compare.ts";
import { shortenJumps } from "./short-jumps.ts";

/** Processors fetch code in pieces of 32 or 64 bytes: a loop should not begin at the end of one. */
export const LOOP_ALIGNMENT = 32;
/** Where size counts for more. */
const SMALL_LOOP_ALIGNMENT = 16;
const GUARD_PAGE_BYTES = 4096;
/** Registers whose restoring is as short as a jump, which is longer the further it goes. */
const MAX_POPS = 2;

/** In the text of a function: from here on, code is of a place in the module. */
export interface Mark {
  /** Byte offset in the module, or a number of ir/locations.ts. */
  loc: number;
  /** Whether a stack trace may show it: then the symbol table speaks about it. */
  isSite: boolean;
  trap: TrapKind | null;
  /** Bytes between the stack pointer and the return address from here on. */
  frameBytes: number;
}

/** A function in assembly. It does not say in which lines of the sources its places are: that is added later (marks.ts). */
export interface Code {
  text: (string | Mark)[];
  /** Jump tables, for .rodata. */
  rodata: string[];
  /** Places of the first instructions: the one that the prologue belongs to is among them. */
  entryLocs: number[];
  /** Bytes between the stack pointer and the return address behind the prologue, if the function starts with one. */
  frameBytes: number;
}

/** Writes a function's instructions. `symbol` is its label, under which jump tables are found. */
export function emitFunction(func: MFunc, symbol: string): Code {
  return new Emitter(func, symbol).run();
}

interface Stub {
  label: string;
  inst: MInst;
  frame: Frame;
}

/** The frame to leave before returning, when a block does nothing but that; else null. */
function returning(block: MBlock, frame: Frame): Frame | null {
  const [first, second] = block.insts.filter((inst) => !inst.coalesced);
  if (first?.op === "ret") return block.frame === frame ? frame : null;
  if (first?.op !== "leave" || first.frame !== frame) return null;
  const last = second?.op === "jmp" ? second.targets[0]!.insts.find((inst) => !inst.coalesced) : second;
  return last?.op === "ret" ? frame : null;
}

function frameAtStart(block: MBlock): Frame {
  const first = block.insts[0];
  return first?.op === "enter" ? NO_FRAME : first?.op === "leave" ? first.frame : block.frame;
}

function bytesOf(frame: Frame): number {
  return frame.localBytes + frame.saved.length * 8;
}

class Emitter {
  private readonly text: (string | Mark)[] = [];
  private readonly rodata: string[] = [];
  private readonly stubs: Stub[] = [];
  /** Of the code being written. */
  private frame = NO_FRAME;
  private labels = 0;

  constructor(
    private readonly func: MFunc,
    private readonly symbol: string,
  ) {}

  run(): Code {
    const { func } = this;
    const entry = func.blocks[0]!;
    this.enterFrame(entry.frame);
    const targeted = this.targetedBlocks();
    const tops = loopTops(func.blocks);
    func.blocks.forEach((block, i) => {
      if (tops.has(block)) this.line(`align ${func.isHot ? LOOP_ALIGNMENT : SMALL_LOOP_ALIGNMENT}`);
      if (targeted.has(block)) this.text.push(`.b${block.id}:`);
      this.setFrame(frameAtStart(block));
      for (const inst of block.insts) this.instruction(inst, func.blocks[i + 1] ?? null, block);
    });
    for (const stub of this.stubs) this.emitStub(stub);
    this.text.push(`.end:`);
    const isLine = (part: string | Mark) => typeof part === "string";
    const lines = shortenJumps(this.text.map((part) => (isLine(part) ? part : "")));
    return {
      text: this.text.map((part, i) => (isLine(part) ? lines[i]! : part)),
      rodata: this.rodata,
      entryLocs: this.entryLocs(),
      frameBytes: bytesOf(entry.frame),
    };
  }

  /** Without a prologue only the first counts. */
  private entryLocs(): number[] {
    const all = this.func.blocks.flatMap((block) => block.insts.map(({ loc }) => loc));
    return bytesOf(this.func.blocks[0]!.frame) > 0 ? [...new Set(all)] : all.slice(0, 1);
  }

  private targetedBlocks(): Set<MBlock> {
    const targeted = new Set<MBlock>();
    this.func.blocks.forEach((block) => {
      for (const target of block.insts.at(-1)?.targets ?? []) targeted.add(target);
    });
    return targeted;
  }

  private line(text: string): void {
    this.text.push(`  ${text}`);
  }

  /** Marks for the debugger's table (tools/image/frametable.ts) where the frame changes. */
  private setFrame(frame: Frame): void {
    if (frame !== this.frame)
      this.line([";frame", bytesOf(frame), ...frame.saved.map((r) => registerName(r, 8))].join(" "));
    this.frame = frame;
  }

  private enterFrame(frame: Frame): void {
    frame.saved.forEach((r, i) => {
      this.line(`push ${registerName(r, 8)}`);
      this.setFrame({ saved: frame.saved.slice(0, i + 1), localBytes: 0 });
    });
    // A frame larger than the guard page touches every page on the way, so that overflow cannot jump over it.
    for (let at = GUARD_PAGE_BYTES; at < frame.localBytes; at += GUARD_PAGE_BYTES)
      this.line(`test byte [rsp-${at}], 0`);
    if (frame.localBytes) {
      this.line(`sub rsp, ${frame.localBytes}`);
      this.setFrame(frame);
    }
    this.frame = frame;
  }

  private leaveFrame(frame: Frame): void {
    if (frame.localBytes) this.line(`add rsp, ${frame.localBytes}`);
    for (const r of [...frame.saved].reverse()) this.line(`pop ${registerName(r, 8)}`);
  }

  private frameBase = (area: FrameArea): number => {
    if (area === "outgoing") return 0;
    if (area === "spill") return this.func.outgoingBytes;
    return bytesOf(this.frame) + 8;
  };

  private operand(operand: Operand, width: Width): string {
    return operandText(operand, width, this.frameBase);
  }

  private label(prefix: string): string {
    return `.${prefix}${this.labels++}`;
  }

  /** For the debugger. */
  private sourceLine(loc: number): void {
    this.text.push({ loc, isSite: false, trap: null, frameBytes: 0 });
  }

  /** For the debugger and the symbol table. */
  private site(loc: number, trap: TrapKind | null): void {
    this.text.push({ loc, isSite: true, trap, frameBytes: bytesOf(this.frame) });
  }

  private instruction(inst: MInst, next: MBlock | null, block: MBlock): void {
    if (inst.coalesced) return;
    if (inst.op === "jmp") return this.jump(inst.targets[0]!, next);
    if (mayFault(inst)) this.site(inst.loc, inst.op === "trapIf" ? null : inst.trap);
    else this.sourceLine(inst.loc);
    switch (inst.op) {
      case "jcc":
        return this.branch(inst, next);
      case "switch":
        return this.jumpTable(inst, block);
      case "ret":
        this.leaveFrame(block.frame);
        return this.line("ret");
      case "enter":
        // The prologue starts without a frame: stack overflow strikes in it.
        this.site(inst.loc, null);
        return this.enterFrame(inst.frame);
      case "leave":
        this.leaveFrame(inst.frame);
        return this.setFrame(NO_FRAME);
      case "trapIf":
        return this.trapIf(inst);
      case "movi":
        return this.constant(inst, block);
      default:
        this.plain(inst);
    }
  }

  private jump(target: MBlock, next: MBlock | null): void {
    if (target === next) return;
    // Returning right here is no longer than jumping to the return.
    const frame = returning(target, this.frame);
    if (!frame || frame.localBytes || frame.saved.length > MAX_POPS) return this.line(`jmp .b${target.id}`);
    this.leaveFrame(frame);
    this.line("ret");
  }

  private branch(inst: MInst, next: MBlock | null): void {
    const [then, otherwise] = inst.targets as [MBlock, MBlock];
    if (then === otherwise) return this.jump(then, next);
    if (then === next) {
      this.line(`j${invert(inst.cc)} .b${otherwise.id}`);
      return;
    }
    this.line(`j${inst.cc} .b${then.id}`);
    this.jump(otherwise, next);
  }

  private jumpTable(inst: MInst, block: MBlock): void {
    const targets = inst.targets.slice(0, -1);
    const index = inst.operands[0]!;
    const table = `${this.symbol}_switch${block.id}`;
    this.line(`cmp ${this.operand(index, 4)}, ${targets.length}`);
    this.line(`jae .b${inst.targets.at(-1)!.id}`);
    this.line(`jmp [${table}+${this.operand(index, 8)}*8]`);
    this.rodata.push(`${table}:`, ...targets.map((t) => `  dq ${this.symbol}.b${t.id}`));
  }

  private trapIf(inst: MInst): void {
    const label = this.label("t");
    this.line(`j${inst.cc} ${label}`);
    this.stubs.push({ label, inst, frame: this.frame });
  }

  private emitStub({ label, inst, frame }: Stub): void {
    this.text.push(`${label}:`);
    this.setFrame(frame);
    const place = inst.operands[0];
    if (place && inst.trapZero) {
      const zero = this.label("t");
      this.line(`cmp ${this.operand(place, 4)}, 0`);
      this.line(`je ${zero}`);
      this.site(inst.loc, inst.trap);
      this.line("ud2");
      this.text.push(`${zero}:`);
      this.site(inst.loc, inst.trapZero);
    } else this.site(inst.loc, inst.trap);
    this.line("ud2");
  }

  /** xor is shorter, but writes the flags. */
  private constant(inst: MInst, block: MBlock): void {
    const [to, value] = inst.operands as [Operand, Operand & { kind: "imm" }];
    if (value.value === 0n && !flagsLiveAfter(block, inst)) {
      const r = this.operand(to, 4);
      return this.line(`xor ${r}, ${r}`);
    }
    const unsigned = BigInt.asUintN(inst.width * 8, value.value);
    if (unsigned <= 0xffff_ffffn)
      return this.line(`mov ${this.operand(to, 4)}, ${this.operand({ kind: "imm", value: unsigned }, 8)}`);
    this.line(`mov ${this.operand(to, 8)}, ${this.operand(value, 8)}`);
  }

  private plain(inst: MInst): void {
    const unique = this.labels++;
    for (const line of inst.spec.text.split("\n")) {
      const text = line
        .replace(/%(\d)(?::(\w))?/g, (_, n: string, w?: string) => this.template(inst, Number(n), w))
        .replace("%c", inst.cc)
        .replace("%s", inst.symbol)
        .replace(/%u/g, String(unique));
      if (/^\.\w+:$/.test(text)) this.text.push(text);
      else if (text) this.line(text);
    }
  }

  private template(inst: MInst, n: number, width: string | undefined): string {
    const operand = inst.operands[n]!;
    if (width === "a" && operand.kind === "mem") return addressText(operand, this.frameBase);
    if (inst.op === "lea" && operand.kind === "mem") return addressText(operand, this.frameBase);
    return this.operand(operand, width === undefined ? inst.width : (Number(width) as Width));
  }
}

/** Whether a stack trace can show this instruction: it calls, or may raise an exception. */
function mayFault(inst: MInst): boolean {
  if (inst.op === "call" || inst.op === "asm" || (inst.trap && inst.op !== "trapIf")) return true;
  return (
    inst.op !== "lea" &&
    inst.operands.some((o) => o.kind === "mem" && !o.area && (o.base >= 0 || o.index >= 0 || o.segment))
  );
}

/** Whether an instruction after `inst` reads flags that one before it wrote. */
function flagsLiveAfter(block: MBlock, inst: MInst): boolean {
  for (let i = block.insts.indexOf(inst) + 1; i < block.insts.length; i++) {
    const next = block.insts[i]!;
    if (next.coalesced) continue;
    const { flags } = next.spec as { flags?: string };
    if (flags === "read") return true;
    if (flags === "write") return false;
  }
  return false;
}

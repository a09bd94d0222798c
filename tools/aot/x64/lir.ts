import type { TrapKind } from "../ir/ir.ts";
import { registerName, type Width } from "./registers.ts";

/**
 * The machine-level representation: x86-64 instructions over virtual and machine registers.
 * One table says for each instruction how it is written and what it does with each operand.
 */

export interface RegOperand {
  readonly kind: "reg";
  readonly reg: number;
}

export interface ImmOperand {
  readonly kind: "imm";
  readonly value: bigint;
}

/** Where a frame-relative operand lives; the displacement is within the area. */
export type FrameArea = "spill" | "outgoing" | "incoming";

export interface MemOperand {
  readonly kind: "mem";
  /** -1: none. */
  readonly base: number;
  readonly index: number;
  readonly scale: 1 | 2 | 4 | 8;
  readonly disp: number;
  readonly symbol: string;
  readonly segment: "" | "gs" | "fs";
  /** Address arithmetic modulo 2^32 (67h prefix): base and index are read as 32-bit registers. */
  readonly wrap32: boolean;
  readonly area: FrameArea | null;
}

export type Operand = RegOperand | ImmOperand | MemOperand;

export function reg(r: number): RegOperand {
  return { kind: "reg", reg: r };
}

export function imm(value: bigint | number): ImmOperand {
  return { kind: "imm", value: BigInt(value) };
}

export function mem(parts: Partial<Omit<MemOperand, "kind">>): MemOperand {
  return {
    kind: "mem",
    base: -1,
    index: -1,
    scale: 1,
    disp: 0,
    symbol: "",
    segment: "",
    wrap32: false,
    area: null,
    ...parts,
  };
}

export type Condition =
  | "e"
  | "ne"
  | "l"
  | "b"
  | "g"
  | "a"
  | "le"
  | "be"
  | "ge"
  | "ae"
  | "s"
  | "ns"
  | "c"
  | "nc"
  | "z"
  | "nz";

/**
 * How an operand is used: `d`efined, `u`sed, `m`odified (both), `i`mmediate, `a`ddress only (lea).
 * Registers inside a memory operand are always used.
 */
export interface InstrSpec {
  /** NASM text: %0 is operand 0 in the instruction's width, %0:4 in a fixed width, %c the condition. */
  readonly text: string;
  readonly roles: string;
  /** Operands that may be a memory operand, so that a spilled register can stay in its slot. */
  readonly memory?: readonly number[];
  readonly flags?: "write" | "read";
  /** Ends a block, or transfers control in a way that the block graph shows. */
  readonly control?: boolean;
}

const ALU: InstrSpec = { text: "", roles: "mu", memory: [0, 1], flags: "write" };
const SHIFT: InstrSpec = { text: "", roles: "mi", memory: [0], flags: "write" };
const UNARY: InstrSpec = { text: "", roles: "m", memory: [0], flags: "write" };

function alu(name: string): InstrSpec {
  return { ...ALU, text: `${name} %0, %1` };
}

function shift(name: string): [InstrSpec, InstrSpec] {
  return [
    { ...SHIFT, text: `${name} %0, %1:1` },
    { ...UNARY, text: `${name} %0, cl` },
  ];
}

const [shl, shlCl] = shift("shl");
const [shr, shrCl] = shift("shr");
const [sar, sarCl] = shift("sar");
const [rol, rolCl] = shift("rol");
const [ror, rorCl] = shift("ror");

export const SPECS = {
  // data movement
  mov: { text: "mov %0, %1", roles: "du", memory: [0, 1] },
  /** Constant; printed as xor when the flags are free. */
  movi: { text: "mov %0, %1", roles: "di" },
  /** Clears the upper half: never coalesced. */
  zext: { text: "mov %0:4, %1:4", roles: "du", memory: [1] },
  movzx8: { text: "movzx %0:4, %1:1", roles: "du", memory: [1] },
  movzx16: { text: "movzx %0:4, %1:2", roles: "du", memory: [1] },
  movsx8: { text: "movsx %0, %1:1", roles: "du", memory: [1] },
  movsx16: { text: "movsx %0, %1:2", roles: "du", memory: [1] },
  movsxd: { text: "movsxd %0:8, %1:4", roles: "du", memory: [1] },
  lea: { text: "lea %0, %1", roles: "da" },
  xchg: { text: "xchg %0, %1", roles: "mm" },
  bswap: { text: "bswap %0", roles: "m" },
  // arithmetic
  add: alu("add"),
  sub: alu("sub"),
  and: alu("and"),
  or: alu("or"),
  xor: alu("xor"),
  adc: { ...alu("adc"), flags: "read" },
  imul: { text: "imul %0, %1", roles: "mu", memory: [1], flags: "write" },
  imul3: { text: "imul %0, %1, %2", roles: "dui", memory: [1], flags: "write" },
  neg: { ...UNARY, text: "neg %0" },
  not: { text: "not %0", roles: "m", memory: [0] },
  inc: { ...UNARY, text: "inc %0" },
  dec: { ...UNARY, text: "dec %0" },
  shl,
  shlCl,
  shr,
  shrCl,
  sar,
  sarCl,
  rol,
  rolCl,
  ror,
  rorCl,
  shrd: { text: "shrd %0, %1, %2:1", roles: "mui", memory: [0], flags: "write" },
  mul: { text: "mul %0", roles: "u", memory: [0], flags: "write" },
  imul1: { text: "imul %0", roles: "u", memory: [0], flags: "write" },
  div: { text: "div %0", roles: "u", memory: [0], flags: "write" },
  idiv: { text: "idiv %0", roles: "u", memory: [0], flags: "write" },
  cdq: { text: "cdq", roles: "" },
  cqo: { text: "cqo", roles: "" },
  bsf: { text: "bsf %0, %1", roles: "mu", memory: [1], flags: "write" },
  bsr: { text: "bsr %0, %1", roles: "mu", memory: [1], flags: "write" },
  /** For sources that are not zero, where the destination is always written. */
  bsfNonzero: { text: "bsf %0, %1", roles: "du", memory: [1], flags: "write" },
  bsrNonzero: { text: "bsr %0, %1", roles: "du", memory: [1], flags: "write" },
  popcnt: { text: "popcnt %0, %1", roles: "du", memory: [1], flags: "write" },
  // flags
  cmp: { text: "cmp %0, %1", roles: "uu", memory: [0, 1], flags: "write" },
  test: { text: "test %0, %1", roles: "uu", memory: [0], flags: "write" },
  bt: { text: "bt %0, %1:1", roles: "ui", flags: "write" },
  set: { text: "set%c %0:1", roles: "m", flags: "read" },
  cmov: { text: "cmov%c %0, %1", roles: "mu", memory: [1], flags: "read" },
  // atomics
  lockAdd: { text: "lock add %0, %1", roles: "uu", flags: "write" },
  lockAnd: { text: "lock and %0, %1", roles: "uu", flags: "write" },
  lockOr: { text: "lock or %0, %1", roles: "uu", flags: "write" },
  lockXor: { text: "lock xor %0, %1", roles: "uu", flags: "write" },
  lockXadd: { text: "lock xadd %0, %1", roles: "um", flags: "write" },
  lockCmpxchg: { text: "lock cmpxchg %0, %1", roles: "uu", flags: "write" },
  mfence: { text: "mfence", roles: "" },
  // control
  call: { text: "call %s", roles: "", flags: "write" },
  callIndirect: { text: "call %0:8", roles: "u", memory: [0], flags: "write" },
  /** Out-of-line trap when the condition holds; a memory operand that is zero makes it the second kind. */
  trapIf: { text: "j%c %t", roles: "u", flags: "read" },
  jmp: { text: "jmp", roles: "", control: true },
  jcc: { text: "j%c", roles: "", flags: "read", control: true },
  /** cmp index, n; jae default; jmp [table + index*8] */
  switch: { text: "jmp", roles: "u", flags: "write", control: true },
  ret: { text: "ret", roles: "", control: true },
  trap: { text: "ud2", roles: "", control: true },
  /** The frame begins or ends here, on an edge between blocks. */
  enter: { text: "", roles: "", flags: "write" },
  leave: { text: "", roles: "", flags: "write" },
  /** Text of an intrinsic: operands by number. */
  asm: { text: "", roles: "", flags: "write" },
} satisfies Record<string, InstrSpec>;

export type MOp = keyof typeof SPECS;

/** What a part of a function keeps on the stack. */
export interface Frame {
  /** Callee-saved registers that it writes, in push order. */
  readonly saved: readonly number[];
  /** Bytes of stack slots and of arguments for callees. */
  readonly localBytes: number;
}

export const NO_FRAME: Frame = { saved: [], localBytes: 0 };

export class MInst {
  cc: Condition = "e";
  symbol = "";
  trap: TrapKind | null = null;
  /** The trap of a `trapIf` whose memory operand reads zero. */
  trapZero: TrapKind | null = null;
  /** Registers read and written beside the operands. */
  uses: readonly number[] = [];
  defs: readonly number[] = [];
  targets: MBlock[] = [];
  /** Of a copy: separates two parts of a live range, and is not to be coalesced. */
  splits = false;
  /** Of `enter` and `leave`: the frame. */
  frame: Frame = NO_FRAME;
  /** Of `asm`: its own text and roles. */
  asm: InstrSpec | null = null;
  /** Register allocation found source and destination in one register: takes no space. */
  coalesced = false;
  /** The operands before register allocation, for the checker. */
  original: readonly Operand[] | null = null;

  constructor(
    readonly op: MOp,
    public width: Width,
    public operands: Operand[],
    public loc: number,
  ) {}

  get spec(): InstrSpec {
    return this.asm ?? SPECS[this.op];
  }

  /** A copy between registers, which coalescing may remove. */
  get isCopy(): boolean {
    return this.op === "mov" && this.operands[0]!.kind === "reg" && this.operands[1]!.kind === "reg";
  }
}

export class MBlock {
  insts: MInst[] = [];
  succs: MBlock[] = [];
  preds: MBlock[] = [];
  frame: Frame = NO_FRAME;

  constructor(
    readonly id: number,
    readonly depth: number,
  ) {}
}

export class MFunc {
  blocks: MBlock[] = [];
  nextVirtual: number;
  /** Bytes of each area of the frame. */
  spillBytes = 0;
  outgoingBytes = 0;
  /** Compiled for speed rather than for size. */
  isHot = false;

  constructor(
    readonly index: number,
    readonly name: string,
    firstVirtual: number,
  ) {
    this.nextVirtual = firstVirtual;
  }

  newVirtual(): number {
    return this.nextVirtual++;
  }
}

/** Calls back for each register that an instruction reads; `role` tells operands from address parts. */
export function forEachUse(inst: MInst, visit: (reg: number) => void): void {
  const roles = inst.spec.roles;
  inst.operands.forEach((operand, i) => {
    if (operand.kind === "reg") {
      if (roles[i] === "u" || roles[i] === "m") visit(operand.reg);
    } else if (operand.kind === "mem") {
      if (operand.base >= 0) visit(operand.base);
      if (operand.index >= 0) visit(operand.index);
    }
  });
  for (const r of inst.uses) visit(r);
}

export function forEachDef(inst: MInst, visit: (reg: number) => void): void {
  const roles = inst.spec.roles;
  inst.operands.forEach((operand, i) => {
    if (operand.kind === "reg" && (roles[i] === "d" || roles[i] === "m")) visit(operand.reg);
  });
  for (const r of inst.defs) visit(r);
}

/** Replaces registers in an operand. */
export function mapOperand(operand: Operand, map: (reg: number) => number): Operand {
  if (operand.kind === "reg") return reg(map(operand.reg));
  if (operand.kind === "imm") return operand;
  const base = operand.base < 0 ? -1 : map(operand.base);
  const index = operand.index < 0 ? -1 : map(operand.index);
  return { ...operand, base, index };
}

const SIZE_WORDS: Record<Width, string> = { 1: "byte", 2: "word", 4: "dword", 8: "qword" };

/** Text of a memory operand without its size word. */
export function addressText(m: MemOperand, frameBase: (area: FrameArea) => number = () => 0): string {
  const width: Width = m.wrap32 ? 4 : 8;
  const parts: string[] = [];
  if (m.area) parts.push("rsp");
  if (m.base >= 0) parts.push(registerName(m.base, width));
  if (m.index >= 0)
    parts.push(m.scale === 1 ? registerName(m.index, width) : `${registerName(m.index, width)}*${m.scale}`);
  if (m.symbol) parts.push(m.symbol);
  const disp = m.disp + (m.area ? frameBase(m.area) : 0);
  let text = parts.join("+");
  if (!parts.length) text = `abs ${disp}`;
  else if (disp) text += disp < 0 ? `${disp}` : `+${disp}`;
  if (m.symbol && m.base < 0 && m.index < 0 && !m.segment) return `[rel ${text}]`;
  return m.segment ? `[${m.segment}:${text}]` : `[${text}]`;
}

export function operandText(operand: Operand, width: Width, frameBase?: (area: FrameArea) => number): string {
  if (operand.kind === "reg") return registerName(operand.reg, width);
  if (operand.kind === "imm") return immediateText(operand.value, width);
  return `${SIZE_WORDS[width]} ${addressText(operand, frameBase)}`;
}

function immediateText(value: bigint, width: Width): string {
  const signed = width === 8 ? BigInt.asIntN(64, value) : BigInt.asIntN(width * 8, value);
  return signed > 0xffffn || signed < -0xffffn
    ? `${signed < 0n ? "-" : ""}0x${abs(signed).toString(16)}`
    : `${signed}`;
}

function abs(value: bigint): bigint {
  return value < 0n ? -value : value;
}

import { internalError } from "../errors.ts";
import { INTRINSICS_MODULE } from "../intrinsics.ts";
import { pruneBlocks } from "../ir/graph.ts";
import { type Block, FuncIR, type Op, Terminator, type TrapKind, type Type, type Value } from "../ir/ir.ts";
import { signatureOf } from "../ir/signature.ts";
import type { Func, Instr, Module } from "../wasm/module.ts";
import type { FuncType } from "../wasm/types.ts";

/** An edge into a label: where it comes from, and the locals and operands that it carries. */
interface Edge {
  from: Block;
  locals: Value[];
  values: Value[];
}

/** An open structured instruction. */
interface Frame {
  name: "func" | "block" | "loop" | "if" | "else";
  type: FuncType;
  height: number;
  /** Where branches to this label go: a loop's header, else the block after its end. */
  target: Block;
  edges: Edge[];
  /** Of a loop: phis of the assigned locals, then of the parameters. */
  phis: Value[];
  assigned: number[];
  /** Of an `if`: the state in which `else` starts. */
  otherwise: { block: Block; locals: Value[]; values: Value[] } | null;
  /** Opened in unreachable code: nothing inside is translated. */
  dead: boolean;
}

const BINARY: Record<string, Op> = Object.fromEntries(
  (
    "add sub mul and or xor shl shr_s shr_u rotl rotr div_s div_u rem_s rem_u " +
    "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u"
  )
    .split(" ")
    .map((name) => [name, name as Op]),
);

const UNARY: Record<string, Op> = {
  clz: "clz",
  ctz: "ctz",
  popcnt: "popcnt",
  wrap_i64: "wrap",
  extend_i32_s: "extend_s",
  extend_i32_u: "extend_u",
  extend8_s: "extend8_s",
  extend16_s: "extend16_s",
  extend32_s: "extend32_s",
};

/** Instructions on memory and tables that become one operation with the same operands. */
const DIRECT = new Set([
  "memory.copy",
  "memory.fill",
  "memory.init",
  "data.drop",
  "table.init",
  "table.copy",
  "elem.drop",
]);

/**
 * Builds SSA form straight from structured control flow: every label's incoming states are known when
 * its block ends, and a loop's header gets phis for the locals that the loop assigns.
 */
export function buildSsa(module: Module, func: Func): FuncIR {
  return new Builder(module, func).build();
}

class Builder {
  private readonly ir: FuncIR;
  private frames: Frame[] = [];
  private stack: Value[] = [];
  private locals: Value[] = [];
  /** The block being filled; null in unreachable code. */
  private block: Block | null;
  private at = 0;

  constructor(
    private readonly module: Module,
    private readonly func: Func,
  ) {
    this.ir = new FuncIR(func.index, func.name, signatureOf(func.type));
    this.block = this.ir.newBlock();
  }

  build(): FuncIR {
    const { func } = this;
    this.at = func.offset;
    func.locals.forEach((type, i) => {
      if (i >= func.type.params.length) {
        this.locals.push(this.constant(type as Type, 0n));
        return;
      }
      const param = this.emit("param", type as Type, []);
      param.index = i;
      this.locals.push(param);
    });
    this.open("func", { params: [], results: func.type.results }, []);
    const assigned = assignedInLoops(func.body);
    func.body.forEach((instr, i) => {
      this.at = instr.offset;
      this.instruction(instr, assigned.get(i) ?? []);
    });
    pruneBlocks(this.ir);
    return this.ir;
  }

  private emit(op: Op, type: Type | null, args: Value[]): Value {
    const v = this.ir.newValue(op, type, args, this.at);
    v.block = this.block!;
    this.block!.body.push(v);
    return v;
  }

  private constant(type: Type, value: bigint): Value {
    const v = this.ir.constant(type, value, this.at);
    v.block = this.block!;
    this.block!.body.push(v);
    return v;
  }

  private pop(): Value {
    return this.stack.pop()!;
  }

  private popN(count: number): Value[] {
    return count ? this.stack.splice(-count) : [];
  }

  private terminate(op: Terminator["op"], args: Value[], targets: Block[]): Terminator {
    const term = new Terminator(op, args, targets, this.at);
    this.block!.term = term;
    this.block = null;
    return term;
  }

  private trap(kind: TrapKind): void {
    this.terminate("trap", [], []).trap = kind;
  }

  // --- labels ---------------------------------------------------------------------------------------------------

  private open(name: Frame["name"], type: FuncType, assigned: number[]): void {
    const dead = this.block === null;
    const height = this.stack.length - (dead ? 0 : type.params.length);
    const target = this.ir.newBlock();
    const frame: Frame = { name, type, height, target, edges: [], phis: [], assigned, otherwise: null, dead };
    this.frames.push(frame);
    if (dead || name !== "loop") return;
    const values = this.popN(type.params.length);
    const initial = [...assigned.map((i) => this.locals[i]!), ...values];
    const from = this.block!;
    this.terminate("jump", [], [target]);
    target.preds.push(from);
    frame.phis = initial.map((v) => this.phi(target, v.type!, [v]));
    this.locals = [...this.locals];
    assigned.forEach((local, i) => {
      this.locals[local] = frame.phis[i]!;
    });
    this.stack.push(...frame.phis.slice(assigned.length));
    this.block = target;
  }

  private phi(block: Block, type: Type, args: Value[]): Value {
    const phi = this.ir.newValue("phi", type, args, this.at);
    phi.block = block;
    block.phis.push(phi);
    return phi;
  }

  /** Records an edge from the current block to a label. The caller sets the terminator. */
  private branchTo(depth: number): Block {
    const frame = this.frames.at(-1 - depth)!;
    const from = this.block!;
    if (frame.name === "loop") {
      const values = this.stack.slice(this.stack.length - frame.type.params.length);
      const args = [...frame.assigned.map((i) => this.locals[i]!), ...values];
      frame.target.preds.push(from);
      frame.phis.forEach((phi, i) => phi.args.push(args[i]!));
    } else {
      const arity = frame.type.results.length;
      frame.edges.push({ from, locals: this.locals, values: this.stack.slice(this.stack.length - arity) });
    }
    return frame.target;
  }

  /** Continues in a label's block with the states of all edges into it merged. */
  private merge(frame: Frame): void {
    const { edges, target } = frame;
    this.stack.length = Math.min(this.stack.length, frame.height);
    this.block = null;
    const first = edges[0];
    if (!first) return;
    target.preds = edges.map((e) => e.from);
    const join = (get: (edge: Edge) => Value): Value => {
      const values = edges.map(get);
      const v = values[0]!;
      return values.every((other) => other === v) ? v : this.phi(target, v.type!, values);
    };
    this.locals = first.locals.map((_, i) => join((e) => e.locals[i]!));
    this.stack.push(...first.values.map((_, i) => join((e) => e.values[i]!)));
    this.block = target;
  }

  private end(): void {
    const frame = this.frames.pop()!;
    if (frame.dead) return;
    if (frame.name === "loop") return this.endLoop(frame);
    if (this.block) {
      this.frames.push(frame);
      const target = this.branchTo(0);
      this.frames.pop();
      this.terminate("jump", [], [target]);
    }
    if (frame.otherwise) {
      const { block, locals, values } = frame.otherwise;
      frame.edges.push({ from: block, locals, values });
      block.term = new Terminator("jump", [], [frame.target], this.at);
    }
    this.merge(frame);
    if (frame.name === "func" && this.block)
      this.terminate("return", this.popN(frame.type.results.length), []);
  }

  /** The end of a loop is not a label: control simply continues. */
  private endLoop(frame: Frame): void {
    if (!this.block) this.stack.length = Math.min(this.stack.length, frame.height);
  }

  private openIf(type: FuncType): void {
    if (!this.block) return this.open("if", type, []);
    const condition = this.pop();
    const then = this.ir.newBlock();
    const otherwise = this.ir.newBlock();
    then.preds.push(this.block);
    otherwise.preds.push(this.block);
    this.terminate("branch", [condition], [then, otherwise]);
    this.block = then;
    this.open("if", type, []);
    const values = this.stack.slice(this.stack.length - type.params.length);
    this.frames.at(-1)!.otherwise = { block: otherwise, locals: this.locals, values };
  }

  private startElse(): void {
    const frame = this.frames.at(-1)!;
    if (frame.dead) return;
    if (this.block) {
      const target = this.branchTo(0);
      this.terminate("jump", [], [target]);
    }
    const { block, locals, values } = frame.otherwise!;
    frame.otherwise = null;
    frame.name = "else";
    this.stack.length = frame.height;
    this.stack.push(...values);
    this.locals = locals;
    this.block = block;
  }

  private branchIf(depth: number): void {
    const condition = this.pop();
    const next = this.ir.newBlock();
    const target = this.branchTo(depth);
    next.preds.push(this.block!);
    this.terminate("branch", [condition], [target, next]);
    this.block = next;
  }

  private branchTable(instr: Instr): void {
    const index = this.pop();
    const targets = [...instr.labels, instr.index].map((depth) => this.branchTo(depth));
    const term = this.terminate("switch", [index], targets);
    term.cases = instr.labels.map((_, i) => BigInt(i));
  }

  private returnNow(): void {
    const target = this.frames.length - 1;
    const block = this.branchTo(target);
    this.terminate("jump", [], [block]);
  }

  // --- instructions ---------------------------------------------------------------------------------------------

  private instruction(instr: Instr, assigned: number[]): void {
    const { name } = instr.op;
    switch (name) {
      case "block":
      case "loop":
        return this.open(name, instr.block!, name === "loop" ? assigned : []);
      case "if":
        return this.openIf(instr.block!);
      case "else":
        return this.startElse();
      case "end":
        return this.end();
    }
    if (this.block) this.reachable(instr);
  }

  private reachable(instr: Instr): void {
    const { name } = instr.op;
    switch (name) {
      case "nop":
        return;
      case "unreachable":
        return this.trap("unreachable");
      case "br":
        this.terminate("jump", [], [this.branchTo(instr.index)]);
        return;
      case "br_if":
        return this.branchIf(instr.index);
      case "br_table":
        return this.branchTable(instr);
      case "return":
        return this.returnNow();
      case "call":
      case "call_indirect":
        return this.call(instr);
      case "drop":
        this.pop();
        return;
      case "select":
      case "select_t":
        return this.push(this.emit("select", this.stack.at(-2)!.type, this.popN(3)));
      case "local.get":
        return this.push(this.locals[instr.index]!);
      case "local.set":
        return this.setLocal(instr.index, this.pop());
      case "local.tee":
        return this.setLocal(instr.index, this.stack.at(-1)!);
      default:
        return this.operation(instr);
    }
  }

  private push(v: Value): void {
    this.stack.push(v);
  }

  private setLocal(index: number, v: Value): void {
    this.locals = [...this.locals];
    this.locals[index] = v;
  }

  private operation(instr: Instr): void {
    const { op, index } = instr;
    const result = (op.results[0] ?? null) as Type | null;
    switch (op.name) {
      case "i32.const":
      case "i64.const":
        return this.push(this.constant(result!, instr.value));
      case "i32.eqz":
      case "i64.eqz": {
        const v = this.pop();
        return this.push(this.emit("eq", "i32", [v, this.constant(v.type!, 0n)]));
      }
      case "global.get": {
        const v = this.emit("global.get", this.module.globals[index]!.type as Type, []);
        v.index = index;
        return this.push(v);
      }
      case "global.set":
        this.emit("global.set", null, [this.pop()]).index = index;
        return;
      case "memory.size":
      case "memory.grow":
        return this.push(this.emit(op.name, "i32", this.popN(op.params.length)));
      case "atomic.fence":
        this.emit("fence", null, []);
        return;
      case "table.size":
        this.emit("table.size", "i32", []).index = index;
        return this.push(this.block!.body.at(-1)!);
    }
    if (op.atomic) return this.atomic(instr);
    if (op.access) return this.memoryAccess(instr);
    if (DIRECT.has(op.name)) {
      const v = this.emit(op.name as Op, null, this.popN(op.params.length));
      v.index = index;
      v.index2 = instr.index2;
      return;
    }
    const short = op.name.slice(op.name.indexOf(".") + 1);
    const simple = BINARY[short] ?? UNARY[short];
    if (!simple) throw internalError(`no translation of ${op.name}`);
    this.push(this.emit(simple, result, this.popN(op.params.length)));
  }

  private memoryAccess(instr: Instr): void {
    const { op } = instr;
    const isLoad = op.results.length > 0;
    const v = this.emit(
      isLoad ? "load" : "store",
      (op.results[0] ?? null) as Type | null,
      this.popN(op.params.length),
    );
    v.mem = { offset: Number(instr.value), bytes: op.access!.bytes, signed: op.access!.signed };
    if (isLoad) this.push(v);
  }

  private atomic(instr: Instr): void {
    const { op } = instr;
    const kind = /atomic\.(load|store|rmw\d*\.(\w+?)(_u)?$)/.exec(op.name)!;
    const args = this.popN(op.params.length);
    let name = kind[2] ?? kind[1]!.replace(/\d.*/, "");
    if (name === "sub") {
      args[1] = this.emit("sub", args[1]!.type, [this.constant(args[1]!.type!, 0n), args[1]!]);
      name = "add";
    }
    const v = this.emit(`atomic.${name}` as Op, (op.results[0] ?? null) as Type | null, args);
    v.mem = { offset: Number(instr.value), bytes: op.access!.bytes, signed: false };
    if (v.type) this.push(v);
  }

  private call(instr: Instr): void {
    const indirect = instr.op.name === "call_indirect";
    const callee = this.module.funcs[instr.index];
    const type = indirect ? this.module.types[instr.index]! : callee!.type;
    const args = this.popN(type.params.length + (indirect ? 1 : 0));
    const intrinsic = !indirect && callee!.import?.module === INTRINSICS_MODULE;
    const op = intrinsic ? "intrinsic" : indirect ? "call_indirect" : "call";
    const v = this.emit(op, (type.results[0] ?? null) as Type | null, args);
    v.index = instr.index;
    v.index2 = instr.index2;
    if (intrinsic) v.name = callee!.import!.name;
    if (v.type) this.push(v);
    for (let i = 1; i < type.results.length; i++) {
      const proj = this.emit("proj", type.results[i] as Type, [v]);
      proj.index = i;
      this.push(proj);
    }
  }
}

/** For every `loop` instruction, by its position: the locals that are set inside. */
function assignedInLoops(body: Instr[]): Map<number, number[]> {
  const result = new Map<number, number[]>();
  const open: { at: number; set: Set<number> | null }[] = [];
  body.forEach((instr, i) => {
    const { name, imm } = instr.op;
    if (imm === "block") open.push({ at: i, set: name === "loop" ? new Set() : null });
    else if (name === "end") {
      const frame = open.pop();
      if (!frame?.set) return;
      result.set(
        frame.at,
        [...frame.set].sort((a, b) => a - b),
      );
      const outer = open.findLast((f) => f.set);
      for (const local of frame.set) outer?.set?.add(local);
    } else if (name === "local.set" || name === "local.tee")
      open.findLast((f) => f.set)?.set?.add(instr.index);
  });
  return result;
}

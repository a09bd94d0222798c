import { invalid } from "../errors.ts";
import type { ConstExpr, Func, Instr, Module, SegmentMode } from "./module.ts";
import type { ValueType } from "./opcodes.ts";
import type { FuncType, Limits } from "./types.ts";

const MAX_PAGES = 65_536;

/**
 * Checks a decoded module against the validation rules.
 * Throws a {@link CompileError} of kind "invalid" with the offset of the construct at fault.
 * Source: WebAssembly Core Specification, "Validation".
 */
export function validate(module: Module): void {
  validateLimits(module);
  validateGlobals(module);
  validateSegments(module);
  validateExports(module);
  const declared = declaredFunctions(module);
  for (const func of module.funcs) if (!func.import) new BodyValidator(module, func, declared).run();
}

function validateLimits(module: Module): void {
  for (const { limits } of module.tables) checkLimits(limits, 0xffff_ffff, "table");
  for (const { limits } of module.memories) {
    checkLimits(limits, MAX_PAGES, "memory");
    if (limits.shared && limits.max === null) throw invalid("shared memory must have a maximum", 0);
  }
  if (module.memories.length > 1) {
    const advice = "there is one linear memory; other memory is reached by intrinsics";
    throw invalid(`multiple memories: multi-memory is not translated: ${advice}`, 0);
  }
}

function checkLimits({ min, max }: Limits, most: number, what: string): void {
  if (min > most || (max ?? 0) > most) throw invalid(`${what} size must be at most ${most}`, 0);
  if (max !== null && min > max) throw invalid(`${what}: size minimum must not be greater than maximum`, 0);
}

function constType(module: Module, expr: ConstExpr, globals: number): ValueType {
  switch (expr.op) {
    case "const":
    case "null":
      return expr.type;
    case "func":
      if (!module.funcs[expr.index]) throw invalid(`unknown function ${expr.index}`, expr.offset);
      return "funcref";
    case "global": {
      const global = module.globals[expr.index];
      if (!global || expr.index >= globals) throw invalid(`unknown global ${expr.index}`, expr.offset);
      if (global.mutable) throw invalid("constant expression required: the global is mutable", expr.offset);
      return global.type;
    }
    default:
      throw invalid(expr.why, expr.offset);
  }
}

function checkConst(module: Module, expr: ConstExpr, type: ValueType, globals: number): void {
  const actual = constType(module, expr, globals);
  if (actual !== type) throw invalid(`type mismatch: ${actual} instead of ${type}`, expr.offset);
}

function importedGlobals(module: Module): number {
  return module.globals.filter((g) => g.import).length;
}

function validateGlobals(module: Module): void {
  const visible = importedGlobals(module);
  for (const global of module.globals) if (global.init) checkConst(module, global.init, global.type, visible);
}

function checkMode(module: Module, mode: SegmentMode, kind: "memory" | "table", offset: number): void {
  if (mode.kind !== "active") return;
  const space = kind === "memory" ? module.memories : module.tables;
  if (!space[mode.index]) throw invalid(`unknown ${kind} ${mode.index}`, offset);
  checkConst(module, mode.at, "i32", importedGlobals(module));
}

function validateSegments(module: Module): void {
  for (const data of module.datas) checkMode(module, data.mode, "memory", data.offset);
  for (const elem of module.elems) {
    checkMode(module, elem.mode, "table", elem.offset);
    if (elem.mode.kind === "active" && module.tables[elem.mode.index]!.type !== elem.type) {
      throw invalid("type mismatch between element segment and table", elem.offset);
    }
    for (const item of elem.items) checkConst(module, item, elem.type, importedGlobals(module));
  }
}

function validateExports(module: Module): void {
  const seen = new Set<string>();
  const spaces = {
    func: module.funcs,
    table: module.tables,
    memory: module.memories,
    global: module.globals,
  };
  for (const { name, kind, index } of module.exports) {
    if (seen.has(name)) throw invalid(`duplicate export name "${name}"`, 0);
    seen.add(name);
    if (!spaces[kind][index]) throw invalid(`unknown ${kind} ${index}`, 0);
  }
  if (module.start === null) return;
  const start = module.funcs[module.start];
  if (!start) throw invalid(`unknown function ${module.start}`, 0);
  if (start.type.params.length || start.type.results.length)
    throw invalid("start function must have no type", 0);
}

/** Functions that `ref.func` may name: those that occur outside of function bodies. */
function declaredFunctions(module: Module): Set<number> {
  const declared = new Set<number>();
  const note = (expr: ConstExpr | null) => {
    if (expr?.op === "func") declared.add(expr.index);
  };
  for (const elem of module.elems) elem.items.forEach(note);
  for (const global of module.globals) note(global.init);
  for (const { kind, index } of module.exports) if (kind === "func") declared.add(index);
  return declared;
}

interface Control {
  name: string;
  type: FuncType;
  height: number;
  unreachable: boolean;
}

/** A type on the operand stack; null is the bottom type of unreachable code. */
type StackType = ValueType | null;

function isRef(type: StackType): boolean {
  return type === null || type === "funcref" || type === "externref";
}

/** The algorithm of the specification's appendix, "Validation Algorithm". */
class BodyValidator {
  private stack: StackType[] = [];
  private controls: Control[] = [];
  private at!: Instr;

  constructor(
    private readonly module: Module,
    private readonly func: Func,
    private readonly declared: Set<number>,
  ) {}

  run(): void {
    this.pushControl("func", { params: [], results: this.func.type.results });
    for (const instr of this.func.body) {
      this.at = instr;
      this.instruction(instr);
    }
  }

  private fail(message: string): never {
    throw invalid(`${message} in ${this.func.name}, instruction ${this.at.op.name}`, this.at.offset);
  }

  private get(space: string, items: readonly unknown[], index: number): void {
    if (index >= items.length) this.fail(`unknown ${space} ${index}`);
  }

  private push(type: StackType): void {
    this.stack.push(type);
  }

  private pushAll(types: readonly ValueType[]): void {
    for (const type of types) this.stack.push(type);
  }

  private pop(expect: StackType = null): StackType {
    const top = this.controls.at(-1)!;
    if (this.stack.length === top.height) {
      if (top.unreachable) return null;
      this.fail(`type mismatch: expected ${expect ?? "a value"}, but the stack is empty`);
    }
    const actual = this.stack.pop()!;
    if (actual !== null && expect !== null && actual !== expect) {
      this.fail(`type mismatch: expected ${expect}, found ${actual}`);
    }
    return actual;
  }

  private popAll(types: readonly ValueType[]): void {
    for (let i = types.length - 1; i >= 0; i--) this.pop(types[i]);
  }

  private pushControl(name: string, type: FuncType): void {
    this.controls.push({ name, type, height: this.stack.length, unreachable: false });
    this.pushAll(type.params);
  }

  private popControl(): Control {
    const control = this.controls.at(-1)!;
    this.popAll(control.type.results);
    if (this.stack.length !== control.height) this.fail("type mismatch: values left on the stack");
    this.controls.pop();
    return control;
  }

  private label(depth: number): readonly ValueType[] {
    const control = this.controls.at(-1 - depth);
    if (!control) this.fail(`unknown label ${depth}`);
    return control.name === "loop" ? control.type.params : control.type.results;
  }

  private setUnreachable(): void {
    const top = this.controls.at(-1)!;
    this.stack.length = top.height;
    top.unreachable = true;
  }

  private instruction(instr: Instr): void {
    const { op, index } = instr;
    switch (op.imm) {
      case "none":
        return this.plain(instr);
      case "block":
        if (op.name === "if") this.pop("i32");
        this.popAll(instr.block!.params);
        return this.pushControl(op.name, instr.block!);
      case "label":
        return this.branch(instr);
      case "labels":
        return this.branchTable(instr);
      case "func":
        return this.functionIndex(instr);
      case "indirect":
        return this.callIndirect(instr);
      case "local":
        this.get("local", this.func.locals, index);
        return this.variable(op.name, this.func.locals[index]!);
      case "global":
        this.get("global", this.module.globals, index);
        if (op.name === "global.set" && !this.module.globals[index]!.mutable)
          this.fail("global is immutable");
        return this.variable(op.name, this.module.globals[index]!.type);
      case "memarg":
        return this.memoryAccess(instr);
      case "types":
        if (instr.types.length !== 1) this.fail("invalid result arity");
        return this.select(instr.types[0]!);
      case "reftype":
        return this.push(instr.types[0]!);
      default:
        return this.bulk(instr);
    }
  }

  private simple(instr: Instr): void {
    this.popAll(instr.op.params);
    this.pushAll(instr.op.results);
  }

  private plain(instr: Instr): void {
    switch (instr.op.name) {
      case "unreachable":
        return this.setUnreachable();
      case "else": {
        if (this.controls.at(-1)!.name !== "if") this.fail("else without if");
        const { type } = this.popControl();
        return this.pushControl("else", type);
      }
      case "end": {
        const { name, type } = this.popControl();
        if (name === "if" && !sameTypes(type.params, type.results))
          this.fail("type mismatch: if without else");
        return this.pushAll(type.results);
      }
      case "return":
        this.popAll(this.func.type.results);
        return this.setUnreachable();
      case "drop":
        this.pop();
        return;
      case "select":
        return this.select(null);
      case "ref.is_null":
        if (!isRef(this.pop())) this.fail("type mismatch: expected a reference");
        return this.push("i32");
      default:
        return this.simple(instr);
    }
  }

  private select(type: ValueType | null): void {
    this.pop("i32");
    const a = this.pop(type);
    const b = this.pop(type);
    if (type) return this.push(type);
    if ((a !== null && isRef(a)) || (b !== null && isRef(b)))
      this.fail("type mismatch: select of references needs a type");
    if (a !== null && b !== null && a !== b) this.fail("type mismatch: select of two types");
    this.push(a ?? b);
  }

  private branch(instr: Instr): void {
    if (instr.op.name === "br_if") this.pop("i32");
    const types = this.label(instr.index);
    this.popAll(types);
    if (instr.op.name === "br") this.setUnreachable();
    else this.pushAll(types);
  }

  private branchTable(instr: Instr): void {
    this.pop("i32");
    const arity = this.label(instr.index).length;
    for (const depth of instr.labels) {
      const types = this.label(depth);
      if (types.length !== arity) this.fail("type mismatch: labels of br_table differ in arity");
      const popped = [...types].reverse().map((type) => this.pop(type));
      for (const type of popped.reverse()) this.push(type);
    }
    this.popAll(this.label(instr.index));
    this.setUnreachable();
  }

  private functionIndex(instr: Instr): void {
    this.get("function", this.module.funcs, instr.index);
    if (instr.op.name === "call") {
      const { type } = this.module.funcs[instr.index]!;
      this.popAll(type.params);
      return this.pushAll(type.results);
    }
    if (!this.declared.has(instr.index)) this.fail("undeclared function reference");
    this.push("funcref");
  }

  private callIndirect(instr: Instr): void {
    this.get("table", this.module.tables, instr.index2);
    if (this.module.tables[instr.index2]!.type !== "funcref")
      this.fail("type mismatch: call through a table of externref");
    this.get("type", this.module.types, instr.index);
    const type = this.module.types[instr.index]!;
    this.pop("i32");
    this.popAll(type.params);
    this.pushAll(type.results);
  }

  private variable(name: string, type: ValueType): void {
    if (!name.endsWith(".get")) this.pop(type);
    if (!name.endsWith(".set")) this.push(type);
  }

  private memoryAccess(instr: Instr): void {
    this.get("memory", this.module.memories, 0);
    const align = 2 ** instr.index2;
    const bytes = instr.op.access!.bytes;
    if (align > bytes) this.fail("alignment must not be larger than natural");
    if (instr.op.atomic && align !== bytes) this.fail("alignment of an atomic access must be natural");
    this.simple(instr);
  }

  /** Memory, table and segment instructions. */
  private bulk(instr: Instr): void {
    const { module } = this;
    const { op, index, index2 } = instr;
    if (["memory", "memories", "data"].includes(op.imm)) this.get("memory", module.memories, 0);
    if (op.imm === "data" || op.imm === "segment") this.get("data segment", module.datas, index);
    if (op.imm === "elem" || op.imm === "elemSegment") this.get("elem segment", module.elems, index);
    if (op.imm === "table" || op.imm === "tables") this.get("table", module.tables, index);
    if (op.imm === "tables" || op.imm === "elem") this.get("table", module.tables, index2);
    const type = module.tables[index]?.type ?? "funcref";
    switch (op.name) {
      case "table.get":
        this.pop("i32");
        return this.push(type);
      case "table.set":
        this.pop(type);
        this.pop("i32");
        return;
      case "table.grow":
        this.pop("i32");
        this.pop(type);
        return this.push("i32");
      case "table.fill":
        this.popAll(["i32", type, "i32"]);
        return;
      case "table.init":
        if (module.tables[index2]!.type !== module.elems[index]!.type)
          this.fail("type mismatch in table.init");
        return this.simple(instr);
      case "table.copy":
        if (type !== module.tables[index2]!.type) this.fail("type mismatch in table.copy");
        return this.simple(instr);
      default:
        return this.simple(instr);
    }
  }
}

function sameTypes(a: readonly ValueType[], b: readonly ValueType[]): boolean {
  return a.length === b.length && a.every((type, i) => type === b[i]);
}

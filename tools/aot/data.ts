import { dataLines } from "./data-lines.ts";
import { CompileError } from "./errors.ts";
import { linearImageLines } from "./linear-image.ts";
import { constantValue } from "./linkage.ts";
import { instantiatedByCode, isConstantTable, sharesTables } from "./sharing.ts";
import { entrySymbol, functionSymbol, tableCodes, tableTypes, trapRoutine } from "./symbols.ts";
import { NULL_PAGE_BYTES, type Target, WASM_PAGE_BYTES } from "./target.ts";
import type { ConstExpr, Module, SegmentMode } from "./wasm/module.ts";

function evaluate(module: Module, expr: ConstExpr): bigint {
  const value = constantValue(module, expr);
  if (value !== null) return value;
  throw new CompileError(
    "unsupported",
    "constant expression whose value is not known at compile time",
    expr.offset,
  );
}

/** Where an active segment goes. */
export function placeOf(module: Module, at: ConstExpr): number {
  return Number(BigInt.asUintN(32, evaluate(module, at)));
}

/** Types of entries that lead to a routine that traps. */
const EMPTY = 0;
const BEHIND = -1;

/** Gives every index a code address, so that a function is found without branches: empty entries, and one behind the table. */
function completeForCallees(codes: string[], types: number[]): void {
  types.forEach((type, i) => {
    if (type === EMPTY) codes[i] = trapRoutine("uninitialized element");
  });
  codes.push(trapRoutine("undefined element"));
  types.push(BEHIND);
}

/** Everything that is laid out at compile time: globals, tables, segments and the initial memory. */
export class StaticData {
  readonly rodata: string[] = [];
  readonly data: string[] = [];
  readonly linear: string[] = [];

  constructor(
    private readonly module: Module,
    private readonly target: Target,
  ) {
    this.globals();
    this.tables();
    this.memory();
    this.passiveSegments();
  }

  private globals(): void {
    if (!this.target.linked) this.data.push("tv_globals:");
    this.module.globals.forEach((global, i) => {
      if (global.import) return;
      const value = BigInt.asUintN(global.type === "i32" ? 32 : 64, evaluate(this.module, global.init!));
      this.data.push(`tv_global_${i}: dq 0x${value.toString(16)}`);
    });
    if (!this.target.linked) this.data.push("tv_globals_end:");
  }

  private tables(): void {
    const { module } = this;
    module.tables.forEach((table, t) => {
      if (table.import) return;
      const size = table.limits.min;
      const codes = new Array<string>(Math.min(size, MAX_TABLE)).fill("0");
      const types = new Array<number>(codes.length).fill(EMPTY);
      if (size > MAX_TABLE)
        throw new CompileError("unsupported", `table of ${size} elements; at most ${MAX_TABLE}`, 0);
      for (const elem of instantiatedByCode(module) ? [] : module.elems) {
        if (elem.mode.kind !== "active" || elem.mode.index !== t) continue;
        const at = placeOf(module, elem.mode.at);
        if (at + elem.items.length > size) throw instantiation("out of bounds table access", elem.offset);
        elem.items.forEach((item, i) => {
          [codes[at + i], types[at + i]] = this.element(item);
        });
      }
      const isConstant = isConstantTable(module, this.target, t);
      if (isConstant) completeForCallees(codes, types);
      const section = isConstant ? this.rodata : this.data;
      section.push("align 8", `${tableCodes(t)}:`, ...codes.map((c) => `  dq ${c}`));
      section.push(`${tableTypes(t)}:`, ...types.map((c) => `  dd ${c}`));
    });
    this.passiveElements();
  }

  private element(item: ConstExpr): [string, number] {
    if (item.op !== "func") return ["0", 0];
    const func = this.module.funcs[item.index]!;
    const symbol = this.target.linked && sharesTables(this.module) ? entrySymbol(func) : functionSymbol(func);
    return [symbol, this.module.typeNumbers[func.typeIndex]!];
  }

  private passiveElements(): void {
    const used = this.usedSegments("table.init", "elem.drop");
    this.module.elems.forEach((elem, i) => {
      if (!used.has(i) && !this.isCopied(elem.mode)) return;
      const items = elem.items.map((item) => this.element(item));
      const length = elem.mode.kind === "passive" || this.isCopied(elem.mode) ? items.length : 0;
      this.rodata.push("align 8", `tv_elem_${i}_code:`, ...items.map(([code]) => `  dq ${code}`));
      this.rodata.push(`tv_elem_${i}_type:`, ...items.map(([, type]) => `  dd ${type}`));
      this.data.push(`tv_elem_${i}_length: dq ${length}`);
    });
  }

  /** Whether the start code copies an active segment, so that it begins as a passive one. */
  private isCopied(mode: SegmentMode): boolean {
    return mode.kind === "active" && instantiatedByCode(this.module);
  }

  private usedSegments(...ops: string[]): Set<number> {
    const used = new Set<number>();
    for (const f of this.module.funcs)
      for (const { op, index } of f.body) if (ops.includes(op.name)) used.add(index);
    return used;
  }

  /** Initial contents: from the first mapped page to the last byte that is not zero. */
  private memory(): void {
    const memory = this.module.memories[0];
    const size = (memory?.limits.min ?? 0) * WASM_PAGE_BYTES;
    const parts: { at: number; bytes: Uint8Array }[] = [];
    for (const data of this.module.datas) {
      if (data.mode.kind !== "active" || this.isCopied(data.mode)) continue;
      const at = placeOf(this.module, data.mode.at);
      if (at + data.bytes.length > size) throw instantiation("out of bounds memory access", data.offset);
      parts.push({ at, bytes: data.bytes });
    }
    const end = parts.reduce((most, p) => Math.max(most, p.at + p.bytes.length), 0);
    const image = new Uint8Array(end);
    for (const { at, bytes } of parts) image.set(bytes, at);
    const start = this.target.nullPage ? NULL_PAGE_BYTES : 0;
    if (image.subarray(0, start).some((byte) => byte !== 0)) {
      const advice = `build with --memoryBase ${NULL_PAGE_BYTES}`;
      throw new CompileError(
        "unsupported",
        `data below address ${NULL_PAGE_BYTES}, which is never mapped: ${advice}`,
        0,
      );
    }
    if (this.target.sparseMemory) {
      this.linear.push(...linearImageLines(image, start));
      return;
    }
    let last = image.length;
    while (last > start && image[last - 1] === 0) last--;
    this.linear.push(...dataLines(image.subarray(start, Math.max(last, start))));
  }

  private passiveSegments(): void {
    const used = this.usedSegments("memory.init", "data.drop");
    this.module.datas.forEach((data, i) => {
      if (!used.has(i) && !this.isCopied(data.mode)) return;
      const length = data.mode.kind === "passive" || this.isCopied(data.mode) ? data.bytes.length : 0;
      this.rodata.push(`tv_data_${i}:`, ...dataLines(data.bytes));
      this.data.push(`tv_data_${i}_length: dq ${length}`);
    });
  }
}

/** Largest table, in elements. */
const MAX_TABLE = 65_536;

/** A segment that does not fit: instantiation would trap. */
function instantiation(what: string, offset: number): CompileError {
  return new CompileError("invalid", `instantiation traps: ${what}`, offset);
}

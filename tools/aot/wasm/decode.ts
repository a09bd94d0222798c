import { CompileError, invalid, malformed } from "../errors.ts";
import { readBody, readLocals, readRefType, readValueType } from "./body.ts";
import type { ConstExpr, DataSegment, ElemSegment, Func, Import, Module, SegmentMode } from "./module.ts";
import { nameFunctions, readNameSection } from "./names.ts";
import { refusedTag, refusedType } from "./proposals.ts";
import { Reader } from "./reader.ts";
import type { ExternKind, FuncType, Limits } from "./types.ts";
import { typeKey } from "./types.ts";

const MAGIC = 0x6d73_6100;
const VERSION = 1;

const EXTERN_KINDS: readonly ExternKind[] = ["func", "table", "memory", "global"];

type SectionReader = (r: Reader, state: DecodeState) => void;

/** What the sections before the code section announce about it. */
interface DecodeState {
  module: Module;
  names: Map<number, string>;
  bodies: number;
  declared: number;
  /** What is not translated, and the function that it is in: only later sections know its name. */
  refused: CompileError | null;
  refusedIn: Func | null;
}

const CODE_SECTION = 10;
const TAG_SECTION = 13;

/** Sections in the order that the binary format demands; the data count (12) comes before the code (10). */
const SECTIONS: Record<number, { order: number; name: string; read: SectionReader }> = {
  1: { order: 1, name: "type", read: typeSection },
  2: { order: 2, name: "import", read: importSection },
  3: { order: 3, name: "function", read: functionSection },
  4: { order: 4, name: "table", read: tableSection },
  5: { order: 5, name: "memory", read: memorySection },
  6: { order: 6, name: "global", read: globalSection },
  7: { order: 7, name: "export", read: exportSection },
  8: { order: 8, name: "start", read: startSection },
  9: { order: 9, name: "element", read: elementSection },
  12: { order: 10, name: "data count", read: dataCountSection },
  10: { order: 11, name: "code", read: codeSection },
  11: { order: 12, name: "data", read: dataSection },
};

function emptyModule(): Module {
  return {
    types: [],
    typeNumbers: [],
    imports: [],
    funcs: [],
    tables: [],
    memories: [],
    globals: [],
    exports: [],
    start: null,
    elems: [],
    datas: [],
    dataCount: null,
    sourceMapUrl: null,
  };
}

/**
 * Decodes a module in the binary format.
 * Throws a {@link CompileError} with the offset when the bytes are malformed.
 * Source: WebAssembly Core Specification, "Binary Format".
 */
export function decode(bytes: Uint8Array): Module {
  const r = new Reader(bytes);
  if (bytes.length < 4 || r.fixed32() !== MAGIC) throw malformed("magic header not detected", 0);
  if (bytes.length < 8 || r.fixed32() !== VERSION) throw malformed("unknown binary version", 4);
  const state: DecodeState = {
    module: emptyModule(),
    names: new Map(),
    bodies: 0,
    declared: 0,
    refused: null,
    refusedIn: null,
  };
  let lastOrder = 0;
  while (!r.atEnd) {
    const start = r.pos;
    const id = r.u8();
    const size = r.u32();
    const body = new Reader(bytes, r.pos, r.pos + size);
    r.take(size);
    if (id === 0) {
      customSection(body, state);
      continue;
    }
    if (id === TAG_SECTION) {
      // What throws is in a function, whose name says more.
      state.refused ??= refusedTag(`malformed section id ${id}`, start);
      continue;
    }
    const section = SECTIONS[id];
    if (!section) throw malformed(`malformed section id ${id}`, start);
    if (section.order <= lastOrder)
      throw malformed(`unexpected content after last section: ${section.name}`, start);
    lastOrder = section.order;
    if (state.refused && id !== CODE_SECTION) continue;
    section.read(body, state);
    if (state.refused) continue;
    if (!body.atEnd) throw malformed(`section size mismatch in the ${section.name} section`, body.pos);
  }
  if (state.refused) throw named(state);
  checkCounts(state, bytes.length);
  nameFunctions(state.module, state.names);
  state.module.typeNumbers = numberTypes(state.module.types);
  return state.module;
}

/** Each type's number: the place, from 1, of the first that is the same. */
function numberTypes(types: readonly FuncType[]): number[] {
  const first = new Map<string, number>();
  return types.map((type, i) => {
    const key = typeKey(type);
    if (!first.has(key)) first.set(key, i + 1);
    return first.get(key)!;
  });
}

/** The refusal of a module, with the name of the function at fault. */
function named({ module, names, refused, refusedIn }: DecodeState): CompileError {
  if (!refusedIn) return refused!;
  nameFunctions(module, names);
  return refused!.in(`in ${refusedIn.name}`);
}

function checkCounts({ module, bodies, declared }: DecodeState, end: number): void {
  if (bodies !== declared) throw malformed("function and code section have inconsistent lengths", end);
  if (module.dataCount !== null && module.dataCount !== module.datas.length) {
    throw malformed("data count and data section have inconsistent lengths", end);
  }
}

function customSection(r: Reader, state: DecodeState): void {
  const name = r.name();
  if (name === "name") state.names = readNameSection(r);
  if (name === "sourceMappingURL") state.module.sourceMapUrl = r.name();
}

function typeSection(r: Reader, { module }: DecodeState): void {
  r.vector(() => {
    const offset = r.pos;
    const form = r.u8();
    if (form !== 0x60) throw refusedType(form, offset) ?? malformed("malformed function type", offset);
    module.types.push({
      params: r.vector(() => readValueType(r)),
      results: r.vector(() => readValueType(r)),
    });
  });
}

function importSection(r: Reader, { module }: DecodeState): void {
  r.vector(() => {
    const start = r.pos;
    const from = r.name();
    const name = r.name();
    const offset = r.pos;
    const code = r.u8();
    if (code === EXTERN_KINDS.length) throw refusedTag("malformed import kind", offset);
    const kind = EXTERN_KINDS[code];
    if (!kind) throw malformed("malformed import kind", offset);
    const entry: Import = { module: from, name, kind, index: 0, offset: start, provided: null };
    module.imports.push(entry);
    addImport(r, module, entry);
  });
}

function addImport(r: Reader, module: Module, entry: Import): void {
  switch (entry.kind) {
    case "func":
      entry.index = module.funcs.length;
      addFunc(r, module, entry);
      break;
    case "table":
      entry.index = module.tables.length;
      module.tables.push({ type: readRefType(r), limits: readTableLimits(r), import: entry });
      break;
    case "memory":
      entry.index = module.memories.length;
      module.memories.push({ limits: readLimits(r), import: entry });
      break;
    case "global":
      entry.index = module.globals.length;
      module.globals.push({ ...readGlobalType(r), init: null, import: entry, exports: [] });
  }
}

function addFunc(r: Reader, module: Module, entry: Import | null): void {
  const offset = r.pos;
  const typeIndex = r.u32();
  const type = module.types[typeIndex];
  if (!type) throw invalid(`unknown type ${typeIndex}`, offset);
  module.funcs.push({
    index: module.funcs.length,
    type,
    typeIndex,
    import: entry,
    name: "",
    locals: [],
    body: [],
    offset,
    exports: [],
  });
}

function functionSection(r: Reader, state: DecodeState): void {
  r.vector(() => addFunc(r, state.module, null));
  state.declared = state.module.funcs.filter((f) => !f.import).length;
}

function readLimits(r: Reader): Limits {
  const offset = r.pos;
  const flags = r.u8();
  if (flags > 3) throw malformed("malformed limits flags", offset);
  const min = r.u32();
  const max = flags & 1 ? r.u32() : null;
  return { min, max, shared: (flags & 2) !== 0 };
}

function readTableLimits(r: Reader): Limits {
  const offset = r.pos;
  const limits = readLimits(r);
  if (limits.shared) throw malformed("malformed limits flags: tables are not shared", offset);
  return limits;
}

function tableSection(r: Reader, { module }: DecodeState): void {
  r.vector(() => module.tables.push({ type: readRefType(r), limits: readTableLimits(r), import: null }));
}

function memorySection(r: Reader, { module }: DecodeState): void {
  r.vector(() => module.memories.push({ limits: readLimits(r), import: null }));
}

function readGlobalType(r: Reader): { type: ReturnType<typeof readValueType>; mutable: boolean } {
  const type = readValueType(r);
  const offset = r.pos;
  const mutability = r.u8();
  if (mutability > 1) throw malformed("malformed mutability", offset);
  return { type, mutable: mutability === 1 };
}

function globalSection(r: Reader, { module }: DecodeState): void {
  r.vector(() => {
    module.globals.push({ ...readGlobalType(r), init: readConstExpr(r, module), import: null, exports: [] });
  });
}

function readConstExpr(r: Reader, module: Module): ConstExpr {
  const offset = r.pos;
  const [first, ...rest] = readBody(r, module);
  if (!first || rest.length !== 1) return { op: "invalid", why: "constant expression required", offset };
  switch (first.op.name) {
    case "i32.const":
    case "i64.const":
    case "f32.const":
    case "f64.const":
      return { op: "const", type: first.op.results[0]!, value: first.value, offset };
    case "global.get":
      return { op: "global", index: first.index, offset };
    case "ref.func":
      return { op: "func", index: first.index, offset };
    case "ref.null":
      return { op: "null", type: first.types[0] === "externref" ? "externref" : "funcref", offset };
    default:
      return { op: "invalid", why: `constant expression required, not ${first.op.name}`, offset };
  }
}

function exportSection(r: Reader, { module }: DecodeState): void {
  r.vector(() => {
    const name = r.name();
    const offset = r.pos;
    const kind = EXTERN_KINDS[r.u8()];
    if (!kind) throw malformed("malformed export kind", offset);
    const index = r.u32();
    module.exports.push({ name, kind, index });
    if (kind === "func") module.funcs[index]?.exports.push(name);
    if (kind === "global") module.globals[index]?.exports.push(name);
  });
}

function startSection(r: Reader, { module }: DecodeState): void {
  module.start = r.u32();
}

/** The flags of an element segment: passive or declarative, explicit index, expressions. */
function elementSection(r: Reader, { module }: DecodeState): void {
  r.vector(() => module.elems.push(readElem(r, module)));
}

function readElem(r: Reader, module: Module): ElemSegment {
  const offset = r.pos;
  const flags = r.u32();
  if (flags > 7) throw malformed("malformed elements segment kind", offset);
  const passive = (flags & 1) !== 0;
  const explicit = (flags & 2) !== 0;
  const expressions = (flags & 4) !== 0;
  let mode: SegmentMode = { kind: explicit ? "declarative" : "passive" };
  if (!passive) mode = { kind: "active", index: explicit ? r.u32() : 0, at: readConstExpr(r, module) };
  let type: ElemSegment["type"] = "funcref";
  if (flags & 3) {
    const at = r.pos;
    if (expressions) type = readRefType(r);
    else if (r.u8() !== 0) throw malformed("malformed element kind", at);
  }
  const items = r.vector((): ConstExpr => {
    if (expressions) return readConstExpr(r, module);
    return { op: "func", offset: r.pos, index: r.u32() };
  });
  return { type, items, mode, offset };
}

function dataCountSection(r: Reader, { module }: DecodeState): void {
  module.dataCount = r.u32();
}

function codeSection(r: Reader, state: DecodeState): void {
  const { module } = state;
  const defined = module.funcs.filter((f) => !f.import);
  r.vector((i) => {
    const func = defined[i];
    if (!func) throw malformed("function and code section have inconsistent lengths", r.pos);
    readCode(r, state, func);
    state.bodies++;
  });
}

function readCode(r: Reader, state: DecodeState, func: Func): void {
  const { module } = state;
  const size = r.u32();
  const body = new Reader(r.bytes, r.pos, r.pos + size);
  r.take(size);
  func.offset = body.pos;
  if (state.refusedIn) return;
  try {
    func.locals = readLocals(body, func.type.params);
    func.body = readBody(body, module);
  } catch (error) {
    if (!(error instanceof CompileError) || error.kind !== "unsupported") throw error;
    state.refused = error;
    state.refusedIn = func;
    return;
  }
  if (!body.atEnd) throw malformed("END opcode expected: bytes after the end of a function", body.pos);
  if (module.dataCount === null) requireDataCount(func);
}

function requireDataCount(func: Func): void {
  const bad = func.body.find((i) => i.op.imm === "data" || i.op.imm === "segment");
  if (bad) throw malformed("data count section required", bad.offset);
}

function dataSection(r: Reader, { module }: DecodeState): void {
  r.vector((): void => {
    const offset = r.pos;
    const flags = r.u32();
    if (flags > 2) throw malformed("malformed data segment kind", offset);
    let mode: SegmentMode = { kind: "passive" };
    if (flags !== 1)
      mode = { kind: "active", index: flags === 2 ? r.u32() : 0, at: readConstExpr(r, module) };
    const segment: DataSegment = { mode, offset, bytes: r.take(r.u32()) };
    module.datas.push(segment);
  });
}

import type { Opcode, RefType, ValueType } from "./opcodes.ts";
import type { Extern, ExternKind, FuncType, Limits } from "./types.ts";

/** A decoded module: the sections of the binary format as plain data. */
export interface Module {
  types: FuncType[];
  /** For each type the number that tables hold of it, from 1: equal types have equal numbers. */
  typeNumbers: number[];
  imports: Import[];
  /** Imported functions first, then defined ones: the function index space. */
  funcs: Func[];
  tables: Table[];
  memories: Memory[];
  globals: Global[];
  exports: Export[];
  start: number | null;
  elems: ElemSegment[];
  datas: DataSegment[];
  dataCount: number | null;
  /** From the "sourceMappingURL" custom section. */
  sourceMapUrl: string | null;
}

export interface Import {
  module: string;
  name: string;
  kind: ExternKind;
  /** Index in the index space of its kind. */
  index: number;
  offset: number;
  /** What another module of the process provides for it. */
  provided: Extern | null;
}

export interface Func {
  index: number;
  type: FuncType;
  typeIndex: number;
  import: Import | null;
  /** From the name section, else made from an export or the index. */
  name: string;
  /** Types of parameters and locals together. */
  locals: ValueType[];
  body: Instr[];
  offset: number;
  exports: string[];
}

export interface Table {
  type: RefType;
  limits: Limits;
  import: Import | null;
}

/** Limits in pages of 64 KiB. */
export interface Memory {
  limits: Limits;
  import: Import | null;
}

export interface Global {
  type: ValueType;
  mutable: boolean;
  init: ConstExpr | null;
  import: Import | null;
  exports: string[];
}

export interface Export {
  name: string;
  kind: ExternKind;
  index: number;
}

/** A constant expression: in this language level always one instruction. */
export type ConstExpr =
  | { op: "const"; type: ValueType; value: bigint; offset: number }
  | { op: "global"; index: number; offset: number }
  | { op: "func"; index: number; offset: number }
  | { op: "null"; type: RefType; offset: number }
  | { op: "invalid"; why: string; offset: number };

export type SegmentMode =
  | { kind: "active"; index: number; at: ConstExpr }
  | { kind: "passive" }
  | { kind: "declarative" };

export interface ElemSegment {
  type: RefType;
  items: ConstExpr[];
  mode: SegmentMode;
  offset: number;
}

export interface DataSegment {
  bytes: Uint8Array;
  mode: SegmentMode;
  offset: number;
}

/** One instruction of a body, immediates decoded. Unused fields keep their defaults. */
export interface Instr {
  op: Opcode;
  /** Byte offset in the module. */
  offset: number;
  /** Index immediate: label, function, local, global, table, type, segment. */
  index: number;
  /** Second index immediate, or the memory access' alignment exponent. */
  index2: number;
  /** Constant, or the memory access' offset. */
  value: bigint;
  labels: number[];
  block: FuncType | null;
  types: ValueType[];
}

/**
 * Every instruction of the WebAssembly core specification up to bulk memory, reference types and
 * threads: its name, the shape of its immediates and its type. Vector instructions (prefix FD) are absent.
 */

export type NumberType = "i32" | "i64" | "f32" | "f64";
export type RefType = "funcref" | "externref";
export type ValueType = NumberType | RefType;

export type Immediate =
  | "none"
  | "block" // block type
  | "label"
  | "labels" // br_table
  | "func"
  | "indirect" // type, table
  | "local"
  | "global"
  | "table"
  | "tables" // two tables
  | "memory" // reserved memory index
  | "memories"
  | "memarg"
  | "i32"
  | "i64"
  | "f32"
  | "f64"
  | "data" // data segment, memory
  | "segment" // data segment
  | "elem" // element segment, table
  | "elemSegment"
  | "types" // typed select
  | "reftype"
  | "fence";

/** A memory access: bytes touched, and whether a narrow load extends the sign. */
export interface Access {
  readonly bytes: 1 | 2 | 4 | 8;
  readonly signed: boolean;
}

export interface Opcode {
  readonly code: number;
  readonly name: string;
  readonly imm: Immediate;
  /** Operand and result types of instructions whose type does not depend on the module. */
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
  readonly access?: Access;
  readonly atomic?: boolean;
}

const TYPE_LETTERS: Record<string, ValueType> = { i: "i32", l: "i64", f: "f32", d: "f64" };

function types(letters: string): ValueType[] {
  return [...letters].map((letter) => TYPE_LETTERS[letter]!);
}

export const OPCODES = new Map<number, Opcode>();

function define(
  code: number,
  name: string,
  imm: Immediate = "none",
  sig = ":",
  extra: Partial<Opcode> = {},
): void {
  const [params, results] = sig.split(":") as [string, string];
  OPCODES.set(code, { code, name, imm, params: types(params), results: types(results), ...extra });
}

/** Defines consecutive opcodes of one type. */
function run(first: number, prefix: string, names: string, sig: string): void {
  names.split(" ").forEach((name, i) => {
    define(first + i, `${prefix}.${name}`, "none", sig);
  });
}

function access(code: number, name: string, sig: string, bytes: 1 | 2 | 4 | 8, signed = false): void {
  define(code, name, "memarg", sig, { access: { bytes, signed } });
}

// Control
define(0x00, "unreachable");
define(0x01, "nop");
define(0x02, "block", "block");
define(0x03, "loop", "block");
define(0x04, "if", "block");
define(0x05, "else");
define(0x0b, "end");
define(0x0c, "br", "label");
define(0x0d, "br_if", "label");
define(0x0e, "br_table", "labels");
define(0x0f, "return");
define(0x10, "call", "func");
define(0x11, "call_indirect", "indirect");
// Parametric, variable and table access
define(0x1a, "drop");
define(0x1b, "select");
define(0x1c, "select_t", "types");
define(0x20, "local.get", "local");
define(0x21, "local.set", "local");
define(0x22, "local.tee", "local");
define(0x23, "global.get", "global");
define(0x24, "global.set", "global");
define(0x25, "table.get", "table");
define(0x26, "table.set", "table");
// Memory
access(0x28, "i32.load", "i:i", 4);
access(0x29, "i64.load", "i:l", 8);
access(0x2a, "f32.load", "i:f", 4);
access(0x2b, "f64.load", "i:d", 8);
access(0x2c, "i32.load8_s", "i:i", 1, true);
access(0x2d, "i32.load8_u", "i:i", 1);
access(0x2e, "i32.load16_s", "i:i", 2, true);
access(0x2f, "i32.load16_u", "i:i", 2);
access(0x30, "i64.load8_s", "i:l", 1, true);
access(0x31, "i64.load8_u", "i:l", 1);
access(0x32, "i64.load16_s", "i:l", 2, true);
access(0x33, "i64.load16_u", "i:l", 2);
access(0x34, "i64.load32_s", "i:l", 4, true);
access(0x35, "i64.load32_u", "i:l", 4);
access(0x36, "i32.store", "ii:", 4);
access(0x37, "i64.store", "il:", 8);
access(0x38, "f32.store", "if:", 4);
access(0x39, "f64.store", "id:", 8);
access(0x3a, "i32.store8", "ii:", 1);
access(0x3b, "i32.store16", "ii:", 2);
access(0x3c, "i64.store8", "il:", 1);
access(0x3d, "i64.store16", "il:", 2);
access(0x3e, "i64.store32", "il:", 4);
define(0x3f, "memory.size", "memory", ":i");
define(0x40, "memory.grow", "memory", "i:i");
// Constants
define(0x41, "i32.const", "i32", ":i");
define(0x42, "i64.const", "i64", ":l");
define(0x43, "f32.const", "f32", ":f");
define(0x44, "f64.const", "f64", ":d");
// Comparison
const INTEGER_COMPARE = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u";
const FLOAT_COMPARE = "eq ne lt gt le ge";
define(0x45, "i32.eqz", "none", "i:i");
run(0x46, "i32", INTEGER_COMPARE, "ii:i");
define(0x50, "i64.eqz", "none", "l:i");
run(0x51, "i64", INTEGER_COMPARE, "ll:i");
run(0x5b, "f32", FLOAT_COMPARE, "ff:i");
run(0x61, "f64", FLOAT_COMPARE, "dd:i");
// Arithmetic
const INTEGER_BINARY = "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr";
const FLOAT_UNARY = "abs neg ceil floor trunc nearest sqrt";
const FLOAT_BINARY = "add sub mul div min max copysign";
run(0x67, "i32", "clz ctz popcnt", "i:i");
run(0x6a, "i32", INTEGER_BINARY, "ii:i");
run(0x79, "i64", "clz ctz popcnt", "l:l");
run(0x7c, "i64", INTEGER_BINARY, "ll:l");
run(0x8b, "f32", FLOAT_UNARY, "f:f");
run(0x92, "f32", FLOAT_BINARY, "ff:f");
run(0x99, "f64", FLOAT_UNARY, "d:d");
run(0xa0, "f64", FLOAT_BINARY, "dd:d");
// Conversion
define(0xa7, "i32.wrap_i64", "none", "l:i");
run(0xa8, "i32", "trunc_f32_s trunc_f32_u", "f:i");
run(0xaa, "i32", "trunc_f64_s trunc_f64_u", "d:i");
run(0xac, "i64", "extend_i32_s extend_i32_u", "i:l");
run(0xae, "i64", "trunc_f32_s trunc_f32_u", "f:l");
run(0xb0, "i64", "trunc_f64_s trunc_f64_u", "d:l");
run(0xb2, "f32", "convert_i32_s convert_i32_u", "i:f");
run(0xb4, "f32", "convert_i64_s convert_i64_u", "l:f");
define(0xb6, "f32.demote_f64", "none", "d:f");
run(0xb7, "f64", "convert_i32_s convert_i32_u", "i:d");
run(0xb9, "f64", "convert_i64_s convert_i64_u", "l:d");
define(0xbb, "f64.promote_f32", "none", "f:d");
define(0xbc, "i32.reinterpret_f32", "none", "f:i");
define(0xbd, "i64.reinterpret_f64", "none", "d:l");
define(0xbe, "f32.reinterpret_i32", "none", "i:f");
define(0xbf, "f64.reinterpret_i64", "none", "l:d");
run(0xc0, "i32", "extend8_s extend16_s", "i:i");
run(0xc2, "i64", "extend8_s extend16_s extend32_s", "l:l");
// References
define(0xd0, "ref.null", "reftype");
define(0xd1, "ref.is_null");
define(0xd2, "ref.func", "func");
// Prefix FC: saturating truncation, bulk memory and tables
run(0xfc00, "i32", "trunc_sat_f32_s trunc_sat_f32_u", "f:i");
run(0xfc02, "i32", "trunc_sat_f64_s trunc_sat_f64_u", "d:i");
run(0xfc04, "i64", "trunc_sat_f32_s trunc_sat_f32_u", "f:l");
run(0xfc06, "i64", "trunc_sat_f64_s trunc_sat_f64_u", "d:l");
define(0xfc08, "memory.init", "data", "iii:");
define(0xfc09, "data.drop", "segment");
define(0xfc0a, "memory.copy", "memories", "iii:");
define(0xfc0b, "memory.fill", "memory", "iii:");
define(0xfc0c, "table.init", "elem", "iii:");
define(0xfc0d, "elem.drop", "elemSegment");
define(0xfc0e, "table.copy", "tables", "iii:");
define(0xfc0f, "table.grow", "table");
define(0xfc10, "table.size", "table", ":i");
define(0xfc11, "table.fill", "table");
// Prefix FE: threads
function atomic(code: number, name: string, sig: string, bytes: 1 | 2 | 4 | 8): void {
  define(code, name, "memarg", sig, { access: { bytes, signed: false }, atomic: true });
}
atomic(0xfe00, "memory.atomic.notify", "ii:i", 4);
atomic(0xfe01, "memory.atomic.wait32", "iil:i", 4);
atomic(0xfe02, "memory.atomic.wait64", "ill:i", 8);
define(0xfe03, "atomic.fence", "fence");

/** The seven widths in which every atomic access comes, in opcode order. */
const ATOMIC_WIDTHS = [
  ["i32", "", "i", 4],
  ["i64", "", "l", 8],
  ["i32", "8", "i", 1],
  ["i32", "16", "i", 2],
  ["i64", "8", "l", 1],
  ["i64", "16", "l", 2],
  ["i64", "32", "l", 4],
] as const;

ATOMIC_WIDTHS.forEach(([type, width, t, bytes], i) => {
  atomic(0xfe10 + i, `${type}.atomic.load${width}${width && "_u"}`, `i:${t}`, bytes);
  atomic(0xfe17 + i, `${type}.atomic.store${width}`, `i${t}:`, bytes);
  ["add", "sub", "and", "or", "xor", "xchg"].forEach((op, k) => {
    atomic(0xfe1e + 7 * k + i, `${type}.atomic.rmw${width}.${op}${width && "_u"}`, `i${t}:${t}`, bytes);
  });
  atomic(0xfe48 + i, `${type}.atomic.rmw${width}.cmpxchg${width && "_u"}`, `i${t}${t}:${t}`, bytes);
});

import { CompileError, invalid, malformed } from "../errors.ts";
import type { Instr, Module } from "./module.ts";
import { OPCODES, type Opcode, type RefType, type ValueType } from "./opcodes.ts";
import { refusedInstruction, refusedType } from "./proposals.ts";
import type { Reader } from "./reader.ts";
import type { FuncType } from "./types.ts";

/** Most locals of one function, parameters included: the limit of the JavaScript embedding. */
const MAX_LOCALS = 50_000;

const VALUE_TYPES = new Map<number, ValueType>([
  [0x7f, "i32"],
  [0x7e, "i64"],
  [0x7d, "f32"],
  [0x7c, "f64"],
  [0x70, "funcref"],
  [0x6f, "externref"],
]);

export function readValueType(r: Reader): ValueType {
  const offset = r.pos;
  const code = r.u8();
  const type = VALUE_TYPES.get(code);
  if (type) return type;
  throw refusedType(code, offset) ?? malformed(`unknown value type 0x${code.toString(16)}`, offset);
}

export function readRefType(r: Reader): RefType {
  const offset = r.pos;
  const type = readValueType(r);
  if (type === "funcref" || type === "externref") return type;
  throw malformed("malformed reference type", offset);
}

function readBlockType(r: Reader, module: Module): FuncType {
  const offset = r.pos;
  const code = r.bytes[r.pos];
  if (code === 0x40) {
    r.u8();
    return { params: [], results: [] };
  }
  const isType = code !== undefined && (VALUE_TYPES.has(code) || refusedType(code, offset) !== null);
  if (isType) return { params: [], results: [readValueType(r)] };
  const index = Number(r.signed(33));
  const type = module.types[index];
  if (index < 0) throw malformed("unknown block type", offset);
  if (!type) throw invalid(`unknown type ${index}`, offset);
  return type;
}

function readOpcode(r: Reader): Opcode {
  const offset = r.pos;
  let code = r.u8();
  if (code === 0xfc || code === 0xfe) code = code * 256 + Math.min(r.u32(), 255);
  const op = OPCODES.get(code);
  if (!op)
    throw refusedInstruction(code, offset) ?? malformed(`illegal opcode 0x${code.toString(16)}`, offset);
  return op;
}

/** In the flags of a memory access: the number of a memory follows. */
const MEMORY_INDEX_FLAG = 0x40;

/** The refusal of more than one memory. */
export function secondMemory(offset: number): CompileError {
  const advice =
    "multi-memory is not translated: there is one linear memory; other memory is reached by intrinsics";
  return new CompileError("unsupported", `access to a numbered memory: ${advice}`, offset);
}

function zeroByte(r: Reader): void {
  const offset = r.pos;
  if (r.u8() !== 0) throw malformed("zero byte expected", offset);
}

/** Reads one instruction with its immediates. */
export function readInstr(r: Reader, module: Module): Instr {
  const offset = r.pos;
  const op = readOpcode(r);
  const instr: Instr = { op, offset, index: 0, index2: 0, value: 0n, labels: [], block: null, types: [] };
  switch (op.imm) {
    case "none":
      break;
    case "block":
      instr.block = readBlockType(r, module);
      break;
    case "labels":
      instr.labels = r.vector(() => r.u32());
      instr.index = r.u32();
      break;
    case "indirect":
    case "tables":
      instr.index = r.u32();
      instr.index2 = r.u32();
      break;
    case "elem":
      instr.index = r.u32();
      instr.index2 = r.u32();
      break;
    case "data":
      instr.index = r.u32();
      zeroByte(r);
      break;
    case "memory":
    case "fence":
      zeroByte(r);
      break;
    case "memories":
      zeroByte(r);
      zeroByte(r);
      break;
    case "memarg":
      instr.index2 = r.u32();
      if (instr.index2 & MEMORY_INDEX_FLAG) throw secondMemory(offset);
      if (instr.index2 >= 32) throw malformed("malformed memop flags", offset);
      instr.value = BigInt(r.u32());
      break;
    case "i32":
      instr.value = r.signed(32);
      break;
    case "i64":
      instr.value = r.signed(64);
      break;
    case "f32":
      r.take(4);
      break;
    case "f64":
      r.take(8);
      break;
    case "types":
      instr.types = r.vector(() => readValueType(r));
      break;
    case "reftype":
      instr.types = [readRefType(r)];
      break;
    default:
      instr.index = r.u32();
  }
  return instr;
}

/** Reads the declarations of locals: runs of a count and a type. */
export function readLocals(r: Reader, params: ValueType[]): ValueType[] {
  const locals = [...params];
  const runs: [number, ValueType][] = r.vector(() => [r.u32(), readValueType(r)]);
  const total = runs.reduce((sum, [count]) => sum + count, params.length);
  if (total > 0xffff_ffff) throw malformed("too many locals", r.pos);
  if (total > MAX_LOCALS) throw invalid(`${total} locals; at most ${MAX_LOCALS}`, r.pos);
  for (const [count, type] of runs) for (let i = 0; i < count; i++) locals.push(type);
  return locals;
}

/** Reads instructions up to and including the `end` that closes the body. */
export function readBody(r: Reader, module: Module): Instr[] {
  const body: Instr[] = [];
  for (let depth = 1; depth > 0; ) {
    const instr = readInstr(r, module);
    if (instr.op.imm === "block") depth++;
    else if (instr.op.name === "end") depth--;
    body.push(instr);
  }
  return body;
}

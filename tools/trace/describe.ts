// One exit as one line, in a form that grep loves: fixed fields first, then `key=value` words of its class.
import * as exits from "../../kernel/abi/exits.ts";
import { RECORD_GPA, RECORD_RAX, RECORD_RIP } from "../../kernel/abi/trace.ts";
import { instructionText } from "./disassemble.ts";
import { ioAccess, memoryAccess, registerAccess } from "./fields.ts";
import { msrName } from "./msrs.ts";
import { className, outcomeName, reasonWord } from "./names.ts";
import type { TraceStart } from "./reader.ts";
import type { ExitRecord } from "./record.ts";
import type { Symbols } from "./symbols.ts";
import { Text } from "./text.ts";

const INDEX_WIDTH = 7;
const SECONDS_WIDTH = 14;

export const GPRS = [
  "rax rcx rdx rbx rsp rbp rsi rdi".split(" "),
  Array.from({ length: 8 }, (_, i) => `r${i + 8}`),
].flat();

/** A number as people write it in hexadecimal. */
export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

/** `12  0.004213570 vm0.0 rip=0xffffffff8105aa10 npf nested_fault gpa=0xfee00380 access=W -> advance 12.31us | mov [rdi],eax`. */
export function writeLine(
  text: Text,
  index: number,
  record: ExitRecord,
  start: TraceStart,
  symbols?: Symbols,
): void {
  text.decimal(index, INDEX_WIDTH);
  text.add(" ");
  text.point(Math.round(((record.tscIn - start.tsc) * 1e9) / start.tscHz), 9, SECONDS_WIDTH);
  text.add(" vm");
  text.decimal(record.vm);
  text.add(".");
  text.decimal(record.vcpu);
  text.add(" rip=");
  writeWord(text, record, RECORD_RIP);
  text.add(" ");
  text.add(reasonWord(start.backend, record.reason));
  text.add(" ");
  text.add(className(record.kind));
  text.add(" ");
  const before = text.length;
  writeDetail(text, record);
  text.add(text.length === before ? "-> " : " -> ");
  text.add(outcomeName(record.outcome));
  text.add(" ");
  text.fixed(((record.tscOut - record.tscIn) * 1e6) / start.tscHz, 2);
  text.add("us");
  const symbol = symbols?.find(record.highOf(RECORD_RIP), record.lowOf(RECORD_RIP));
  if (symbol !== undefined) text.add(` (${symbol})`);
  const instruction = instructionText(record);
  if (instruction === "") return;
  text.add(" | ");
  text.add(instruction);
}

/** The same as a string. */
export function describeLine(
  index: number,
  record: ExitRecord,
  start: TraceStart,
  symbols?: Symbols,
): string {
  const text = new Text();
  writeLine(text, index, record, start, symbols);
  return text.toString();
}

/** What the record says beyond its reason, as `key=value` words; empty for many classes. */
export function describeDetail(record: ExitRecord): string {
  const text = new Text();
  writeDetail(text, record);
  return text.toString();
}

/** The word at `offset` (RECORD_*) in hexadecimal. */
export function writeWord(text: Text, record: ExitRecord, offset: number): void {
  text.hex(record.highOf(offset), record.lowOf(offset));
}

/** The text of `describeDetail`. */
export function writeDetail(text: Text, record: ExitRecord): void {
  switch (record.kind) {
    case exits.EXIT_CPUID:
      text.add("leaf=");
      text.hex(0, record.raxLow);
      text.add(" subleaf=");
      text.hex(0, record.rcxLow);
      break;
    case exits.EXIT_RDMSR:
      writeMsr(text, record);
      break;
    case exits.EXIT_WRMSR:
      writeMsr(text, record);
      text.add(" value=");
      text.hex(record.rdxLow, record.raxLow);
      break;
    case exits.EXIT_IO:
      writeIo(text, record);
      break;
    case exits.EXIT_CR:
      writeRegister(text, record, "cr");
      break;
    case exits.EXIT_DR:
      writeRegister(text, record, "dr");
      break;
    case exits.EXIT_NESTED_FAULT:
      writeMemory(text, record);
      break;
    default:
      writeOther(text, record);
  }
}

/** Classes with one or two plain numbers. */
function writeOther(text: Text, record: ExitRecord): void {
  switch (record.kind) {
    case exits.EXIT_HYPERCALL:
      text.add("number=");
      writeWord(text, record, RECORD_RAX);
      break;
    case exits.EXIT_EXCEPTION:
      text.add("vector=");
      text.decimal(record.detailLow);
      text.add(" error=");
      text.hex(0, record.detailHigh);
      break;
    case exits.EXIT_EXTERNAL_INTERRUPT:
      if (record.detailLow === exits.NO_VECTOR) return;
      text.add("vector=");
      text.decimal(record.detailLow);
      break;
    case exits.EXIT_XSETBV:
      text.add("xcr=");
      text.decimal(record.rcxLow);
      text.add(" value=");
      text.hex(record.rdxLow, record.raxLow);
  }
}

function writeMsr(text: Text, record: ExitRecord): void {
  const name = msrName(record.detailLow);
  text.add("msr=");
  text.hex(0, record.detailLow);
  if (name === undefined) return;
  text.add(" (");
  text.add(name);
  text.add(")");
}

function writeIo(text: Text, record: ExitRecord): void {
  const io = ioAccess(record);
  text.add(io.in ? "in port=" : "out port=");
  text.hex(0, io.port);
  text.add(" size=");
  text.decimal(io.size);
  if (io.string) text.add(" string");
  if (io.rep) text.add(" rep");
  if (io.in || io.string) return;
  text.add(" value=");
  const bits = 8 * io.size;
  text.hex(lowest(record.highOf(RECORD_RAX), bits - 32), lowest(record.raxLow, bits));
}

/** The lowest `bits` bits of a number of 32 bits; none when `bits` is below 0. */
function lowest(value: number, bits: number): number {
  if (bits >= 32) return value;
  return bits <= 0 ? 0 : (value & ((1 << bits) - 1)) >>> 0;
}

function writeRegister(text: Text, record: ExitRecord, letters: string): void {
  const { number, access, gpr } = registerAccess(record);
  if (access === exits.CR_CLTS) return text.add("clts");
  if (access === exits.CR_LMSW) return text.add("lmsw");
  text.add(letters);
  text.decimal(number);
  if (access === exits.CR_WRITE) text.add(`<-${GPRS[gpr & 15]}`);
  if (access === exits.CR_READ) text.add(`->${GPRS[gpr & 15]}`);
}

function writeMemory(text: Text, record: ExitRecord): void {
  const access = memoryAccess(record);
  text.add("gpa=");
  writeWord(text, record, RECORD_GPA);
  text.add(" access=");
  text.add(access.kind);
  if (access.present) text.add(" present");
  if (access.pageWalk) text.add(" page-walk");
}

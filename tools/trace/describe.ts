// One exit as one line, in a form that grep loves: fixed fields first, then `key=value` words of its class.
import * as exits from "../../kernel/abi/exits.ts";
import { RECORD_GPA, RECORD_RAX, RECORD_RIP } from "../../kernel/abi/trace.ts";
import { ioAccess, memoryAccess, registerAccess } from "./fields.ts";
import { msrName } from "./msrs.ts";
import { className, outcomeName, reasonWord } from "./names.ts";
import type { TraceStart } from "./reader.ts";
import { type ExitRecord, hexOfHalves } from "./record.ts";
import type { Symbols } from "./symbols.ts";

export const GPRS = [
  "rax rcx rdx rbx rsp rbp rsi rdi".split(" "),
  Array.from({ length: 8 }, (_, i) => `r${i + 8}`),
].flat();

/** A number as people write it in hexadecimal. */
export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

/** `12  0.004213570 vm0.0 rip=0xffffffff8105aa10 npf nested_fault gpa=0xfee00380 access=W -> advance 12.31us`. */
export function describeLine(
  index: number,
  record: ExitRecord,
  start: TraceStart,
  symbols?: Symbols,
): string {
  const words = [
    String(index).padStart(7),
    seconds(record.tscIn - start.tsc, start.tscHz).padStart(14),
    `vm${record.vm}.${record.vcpu}`,
    `rip=${record.hex(RECORD_RIP)}`,
    reasonWord(start.backend, record.reason),
    className(record.kind),
    ...describeDetail(record),
    `-> ${outcomeName(record.outcome)}`,
    `${(((record.tscOut - record.tscIn) * 1e6) / start.tscHz).toFixed(2)}us`,
  ];
  const symbol = symbols?.find(record.rip);
  if (symbol !== undefined) words.push(`(${symbol})`);
  return words.join(" ");
}

/** Ticks as seconds to the nanosecond; `toFixed` takes several times longer. */
function seconds(ticks: number, hz: number): string {
  const ns = Math.round((ticks * 1e9) / hz);
  const whole = Math.floor(ns / 1e9);
  return `${whole}.${String(ns - whole * 1e9).padStart(9, "0")}`;
}

/** What the record says beyond its reason, as `key=value` words. */
export function describeDetail(record: ExitRecord): string[] {
  switch (record.kind) {
    case exits.EXIT_CPUID:
      return [`leaf=${hex(record.raxLow)}`, `subleaf=${hex(record.rcxLow)}`];
    case exits.EXIT_RDMSR:
      return msrWords(record);
    case exits.EXIT_WRMSR:
      return [...msrWords(record), `value=${hexOfHalves(record.rdxLow, record.raxLow)}`];
    case exits.EXIT_IO:
      return ioWords(record);
    case exits.EXIT_CR:
      return registerWords(record, "cr");
    case exits.EXIT_DR:
      return registerWords(record, "dr");
    case exits.EXIT_NESTED_FAULT:
      return memoryWords(record);
    case exits.EXIT_HYPERCALL:
      return [`number=${record.hex(RECORD_RAX)}`];
    case exits.EXIT_EXCEPTION:
      return [`vector=${record.detailLow}`, `error=${hex(record.detailHigh)}`];
    case exits.EXIT_EXTERNAL_INTERRUPT:
      return record.detailLow === exits.NO_VECTOR ? [] : [`vector=${record.detailLow}`];
    case exits.EXIT_XSETBV:
      return [`xcr=${record.rcxLow}`, `value=${hexOfHalves(record.rdxLow, record.raxLow)}`];
    default:
      return [];
  }
}

function msrWords(record: ExitRecord): string[] {
  const name = msrName(record.detailLow);
  return [`msr=${hex(record.detailLow)}`, ...(name === undefined ? [] : [`(${name})`])];
}

function ioWords(record: ExitRecord): string[] {
  const io = ioAccess(record);
  const words = [io.in ? "in" : "out", `port=${hex(io.port)}`, `size=${io.size}`];
  if (io.string) words.push("string");
  if (io.rep) words.push("rep");
  if (!io.in && !io.string) words.push(`value=${hex(BigInt.asUintN(8 * io.size, record.rax))}`);
  return words;
}

function registerWords(record: ExitRecord, letters: string): string[] {
  const { number, access, gpr } = registerAccess(record);
  const register = `${letters}${number}`;
  if (access === exits.CR_WRITE) return [`${register}<-${GPRS[gpr & 15]}`];
  if (access === exits.CR_READ) return [`${register}->${GPRS[gpr & 15]}`];
  if (access === exits.CR_CLTS) return ["clts"];
  return access === exits.CR_LMSW ? ["lmsw"] : [register];
}

function memoryWords(record: ExitRecord): string[] {
  const access = memoryAccess(record);
  const words = [`gpa=${record.hex(RECORD_GPA)}`, `access=${access.kind}`];
  if (access.present) words.push("present");
  if (access.pageWalk) words.push("page-walk");
  return words;
}

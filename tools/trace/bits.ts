// Fields of the hardware with their bits by name: VT-x exit qualifications (SDM volume 3, "Exit Qualification" tables of
// "Basic VM-Exit Information") and AMD-V's EXITINFO1 (APM volume 2, "IOIO Intercepts", "Nested versus Guest Page Faults,
// Fault Ordering", "MOV CRx Intercepts").
import * as exits from "../../kernel/abi/exits.ts";
import { GPRS, hex } from "./describe.ts";
import type { TraceBackend } from "./names.ts";

/** A run of bits with a name; a function of the value says what it means. */
interface BitField {
  high: number;
  low: number;
  name: string;
  meaning?: (value: number) => string;
}

const flag = (bit: number, name: string): BitField => ({ high: bit, low: bit, name });

const gpr = (value: number) => GPRS[value] as string;

const VMX_IO: BitField[] = [
  { high: 2, low: 0, name: "size of access", meaning: (value) => `${value + 1} bytes` },
  { high: 3, low: 3, name: "direction", meaning: (value) => (value === 1 ? "IN" : "OUT") },
  flag(4, "string instruction"),
  flag(5, "REP prefixed"),
  { high: 6, low: 6, name: "operand encoding", meaning: (value) => (value === 1 ? "immediate" : "DX") },
  { high: 31, low: 16, name: "port number", meaning: hex },
];

const VMX_CR: BitField[] = [
  { high: 3, low: 0, name: "control register", meaning: (value) => `CR${value}` },
  {
    high: 5,
    low: 4,
    name: "access type",
    meaning: (value) => ["MOV to CR", "MOV from CR", "CLTS", "LMSW"][value] as string,
  },
  { high: 6, low: 6, name: "LMSW operand", meaning: (value) => (value === 1 ? "memory" : "register") },
  { high: 11, low: 8, name: "general-purpose register", meaning: gpr },
  { high: 31, low: 16, name: "LMSW source data", meaning: hex },
];

const VMX_DR: BitField[] = [
  { high: 2, low: 0, name: "debug register", meaning: (value) => `DR${value}` },
  { high: 4, low: 4, name: "direction", meaning: (value) => (value === 1 ? "MOV from DR" : "MOV to DR") },
  { high: 11, low: 8, name: "general-purpose register", meaning: gpr },
];

const VMX_EPT: BitField[] = [
  flag(0, "data read"),
  flag(1, "data write"),
  flag(2, "instruction fetch"),
  flag(3, "translation readable"),
  flag(4, "translation writable"),
  flag(5, "translation executable"),
  flag(7, "guest linear address valid"),
  {
    high: 8,
    low: 8,
    name: "access to",
    meaning: (value) =>
      value === 1 ? "the translation of the address" : "a paging-structure entry, or no address",
  },
  flag(12, "NMI unblocking due to IRET"),
];

const SVM_IO: BitField[] = [
  { high: 0, low: 0, name: "TYPE", meaning: (value) => (value === 1 ? "IN" : "OUT") },
  flag(2, "STR: string instruction"),
  flag(3, "REP prefixed"),
  flag(4, "SZ8: 1 byte"),
  flag(5, "SZ16: 2 bytes"),
  flag(6, "SZ32: 4 bytes"),
  flag(7, "A16: 16-bit address"),
  flag(8, "A32: 32-bit address"),
  flag(9, "A64: 64-bit address"),
  {
    high: 12,
    low: 10,
    name: "SEG",
    meaning: (value) => "ES CS SS DS FS GS".split(" ")[value] ?? String(value),
  },
  { high: 31, low: 16, name: "PORT", meaning: hex },
];

const SVM_NPF: BitField[] = [
  {
    high: 0,
    low: 0,
    name: "P",
    meaning: (value) => (value === 1 ? "protection violation" : "page not present"),
  },
  { high: 1, low: 1, name: "RW", meaning: (value) => (value === 1 ? "write" : "read") },
  { high: 2, low: 2, name: "US", meaning: (value) => (value === 1 ? "user access" : "supervisor access") },
  flag(3, "RSV: reserved bit set in the nested tables"),
  flag(4, "ID: instruction fetch"),
  flag(32, "fault at the final guest-physical address"),
  flag(33, "fault while walking the guest's page tables"),
];

const SVM_CR: BitField[] = [
  { high: 3, low: 0, name: "general-purpose register", meaning: gpr },
  flag(63, "MOV CRx instruction"),
];

const SVM_MSR: BitField[] = [
  { high: 0, low: 0, name: "instruction", meaning: (value) => (value === 1 ? "WRMSR" : "RDMSR") },
];

const LAYOUTS: Record<TraceBackend, Record<number, BitField[]>> = {
  vmx: {
    [exits.EXIT_IO]: VMX_IO,
    [exits.EXIT_CR]: VMX_CR,
    [exits.EXIT_DR]: VMX_DR,
    [exits.EXIT_NESTED_FAULT]: VMX_EPT,
  },
  svm: {
    [exits.EXIT_IO]: SVM_IO,
    [exits.EXIT_CR]: SVM_CR,
    [exits.EXIT_NESTED_FAULT]: SVM_NPF,
    [exits.EXIT_NESTED_MISCONFIG]: SVM_NPF,
    [exits.EXIT_RDMSR]: SVM_MSR,
    [exits.EXIT_WRMSR]: SVM_MSR,
  },
};

/** One line for each field that is set or has a meaning when it is not. Empty when the class has no layout. */
export function describeBits(backend: TraceBackend, kind: number, value: bigint): string[] {
  return (LAYOUTS[backend][kind] ?? []).flatMap((field) => {
    const bits = Number(BigInt.asUintN(field.high - field.low + 1, value >> BigInt(field.low)));
    if (field.meaning === undefined && bits === 0) return [];
    const place = field.high === field.low ? `bit ${field.low}` : `bits ${field.high}..${field.low}`;
    const meaning = field.meaning === undefined ? "" : `: ${field.meaning(bits)}`;
    return [`${place.padEnd(12)} ${field.name}${meaning}`];
  });
}

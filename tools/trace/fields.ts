// The fields of a record that mean something for its class, as numbers: the one place that knows how `detail` is packed
// (kernel/abi/trace.ts). Fields of other classes may hold leftovers of earlier exits and are not looked at.
import * as exits from "../../kernel/abi/exits.ts";
import type { TraceBackend } from "./names.ts";
import type { ExitRecord } from "./record.ts";

const LOW_32 = 0xffff_ffffn;

/** Classes for which VT-x gives an exit qualification that the hypervisor reads. AMD-V always gives EXITINFO1. */
const QUALIFIED: ReadonlySet<number> = new Set([
  exits.EXIT_IO,
  exits.EXIT_CR,
  exits.EXIT_DR,
  exits.EXIT_NESTED_FAULT,
  exits.EXIT_EXCEPTION,
  exits.EXIT_INVLPG,
  exits.EXIT_TASK_SWITCH,
  exits.EXIT_SIPI,
  exits.EXIT_ENTRY_FAILURE,
]);

/** Whether the record's qualification (VT-x) or EXITINFO1 (AMD-V) belongs to this exit. */
export function hasQualification(backend: TraceBackend, kind: number): boolean {
  return backend === "svm" || QUALIFIED.has(kind);
}

/** Whether the record's guest-physical address belongs to this exit. */
export function hasGpa(kind: number): boolean {
  return kind === exits.EXIT_NESTED_FAULT || kind === exits.EXIT_NESTED_MISCONFIG;
}

export interface IoAccess {
  port: number;
  /** Bytes. */
  size: number;
  in: boolean;
  string: boolean;
  rep: boolean;
}

/** Of an exit of class `io`. */
export function ioAccess(record: ExitRecord): IoAccess {
  const detail = record.detailLow;
  const flags = detail >>> 24;
  return {
    port: detail & 0xffff,
    size: (detail >>> 16) & 0xff,
    in: (flags & exits.IO_IN) !== 0,
    string: (flags & exits.IO_STRING) !== 0,
    rep: (flags & exits.IO_REP) !== 0,
  };
}

const KINDS = ["", "R", "W", "RW", "X", "RX", "WX", "RWX"];

export interface MemoryAccess {
  /** `R`, `W` or `X`, several when the processor reports several. */
  kind: string;
  present: boolean;
  pageWalk: boolean;
}

/** Of an exit of class `nested_fault`. */
export function memoryAccess(record: ExitRecord): MemoryAccess {
  const flags = (record.detailLow >>> 24) | (record.detailHigh << 8);
  const read = (flags & exits.ACCESS_READ) !== 0 ? 1 : 0;
  const write = (flags & exits.ACCESS_WRITE) !== 0 ? 2 : 0;
  const fetch = (flags & exits.ACCESS_FETCH) !== 0 ? 4 : 0;
  return {
    kind: KINDS[read | write | fetch] as string,
    present: (flags & exits.ACCESS_PRESENT) !== 0,
    pageWalk: (flags & exits.ACCESS_PAGE_WALK) !== 0,
  };
}

export interface RegisterAccess {
  number: number;
  /** CR_*. */
  access: number;
  gpr: number;
}

/** Of an exit of class `cr` or `dr`. */
export function registerAccess(record: ExitRecord): RegisterAccess {
  const detail = record.detailLow;
  return { number: detail & 0xff, access: (detail >>> 8) & 0xff, gpr: (detail >>> 16) & 0xff };
}

/** CPUID leaves whose answer depends on ECX (SDM volume 2, "CPUID"; APM volume 3, "CPUID"); and the counters' own leaves. */
const LEAVES_WITH_SUBLEAVES: ReadonlySet<number> = new Set([
  ...[0x4, 0x7, 0xb, 0xd, 0xf, 0x10, 0x12, 0x14, 0x17, 0x18, 0x1a, 0x1d, 0x1f, 0x20, 0x23, 0x24],
  ...[0x8000001d, 0x80000020, 0x80000026, 0x4ffffffe, 0x4fffffff],
]);

/** Of an exit of class `cpuid`: the leaf, and the subleaf where the leaf has some. */
export function cpuidQuery(record: ExitRecord): { leaf: number; subleaf?: number } {
  const leaf = low32(record.rax);
  return LEAVES_WITH_SUBLEAVES.has(leaf) ? { leaf, subleaf: low32(record.rcx) } : { leaf };
}

/** The low 32 bits of a register. */
export function low32(value: bigint): number {
  return Number(value & LOW_32);
}

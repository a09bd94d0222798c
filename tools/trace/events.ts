// What `perf kvm stat report --event` counts: which exits, and by what. `vmexit`, `mmio`, `ioport` and `msr` have the keys
// that perf prints; `cpuid` counts by leaf and subleaf.
import { EXIT_CPUID, EXIT_IO, EXIT_NESTED_FAULT, EXIT_RDMSR, EXIT_WRMSR } from "../../kernel/abi/exits.ts";
import { ioAccess, low32, memoryAccess } from "./fields.ts";
import { reasonName, type TraceBackend } from "./names.ts";
import type { ExitRecord } from "./record.ts";

/** OUTCOME_ADVANCE: an access that was emulated, hence to a device. */
const ADVANCE = 1;

export interface Event {
  /** Title of the key column. */
  heading: string;
  /** The record's key; undefined: not this event. */
  key(record: ExitRecord, backend: TraceBackend): string | undefined;
}

export const EVENTS: Record<string, Event> = {
  vmexit: { heading: "VM-EXIT", key: (record, backend) => cachedName(backend, record.reason) },
  mmio: { heading: "MMIO Access", key: mmioKey },
  ioport: { heading: "IO Port Access", key: ioKey },
  msr: { heading: "MSR Access", key: msrKey },
  cpuid: { heading: "CPUID Leaf", key: cpuidKey },
};

const names = { vmx: new Map<number, string>(), svm: new Map<number, string>() };

function cachedName(backend: TraceBackend, reason: number): string {
  let name = names[backend].get(reason);
  if (name === undefined) {
    name = reasonName(backend, reason);
    names[backend].set(reason, name);
  }
  return name;
}

/** Whether an exit was an access to a device's memory. */
export function isMmio(record: ExitRecord): boolean {
  return record.kind === EXIT_NESTED_FAULT && record.outcome === ADVANCE;
}

function mmioKey(record: ExitRecord): string | undefined {
  if (!isMmio(record)) return undefined;
  const { gpa, kind } = memoryAccess(record);
  return `0x${gpa.toString(16)}:${kind.includes("W") ? "W" : "R"}`;
}

function ioKey(record: ExitRecord): string | undefined {
  if (record.kind !== EXIT_IO) return undefined;
  const io = ioAccess(record);
  return `0x${io.port.toString(16)}:${io.in ? "PIN" : "POUT"}`;
}

function msrKey(record: ExitRecord): string | undefined {
  if (record.kind !== EXIT_RDMSR && record.kind !== EXIT_WRMSR) return undefined;
  return `0x${record.detailLow.toString(16)}:${record.kind === EXIT_WRMSR ? "W" : "R"}`;
}

function cpuidKey(record: ExitRecord): string | undefined {
  if (record.kind !== EXIT_CPUID) return undefined;
  return `0x${low32(record.rax).toString(16)}.${low32(record.rcx).toString(16)}`;
}

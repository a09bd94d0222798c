// What `perf kvm stat report --event` counts: which exits, and by what. `vmexit`, `mmio`, `ioport` and `msr` have the keys
// that perf prints; the others count what perf has no event for: leaves, control and debug registers, vectors, hypercalls.
import * as exits from "../../kernel/abi/exits.ts";
import { cpuidQuery, ioAccess, memoryAccess, registerAccess } from "./fields.ts";
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
  vmexit: { heading: "VM-EXIT", key: (record, backend) => reasonName(backend, record.reason) },
  mmio: { heading: "MMIO Access", key: mmioKey },
  ioport: { heading: "IO Port Access", key: ioKey },
  msr: { heading: "MSR Access", key: msrKey },
  cpuid: { heading: "CPUID Leaf", key: cpuidKey },
  cr: { heading: "Register Access", key: registerKey },
  vector: { heading: "Vector", key: vectorKey },
  hypercall: { heading: "Hypercall", key: hypercallKey },
};

/** What tells one exit from others of its reason, in the words of the events; undefined where nothing does. */
export function detailKey(record: ExitRecord, backend: TraceBackend): string | undefined {
  for (const [name, event] of Object.entries(EVENTS)) {
    const key = name === "vmexit" ? undefined : event.key(record, backend);
    if (key !== undefined) return `${name} ${key}`;
  }
  return undefined;
}

/** Whether an exit was an access to a device's memory. */
export function isMmio(record: ExitRecord): boolean {
  return record.kind === exits.EXIT_NESTED_FAULT && record.outcome === ADVANCE;
}

function mmioKey(record: ExitRecord): string | undefined {
  if (!isMmio(record)) return undefined;
  const { kind } = memoryAccess(record);
  return `0x${record.gpa.toString(16)}:${kind.includes("W") ? "W" : "R"}`;
}

function ioKey(record: ExitRecord): string | undefined {
  if (record.kind !== exits.EXIT_IO) return undefined;
  const io = ioAccess(record);
  return `0x${io.port.toString(16)}:${io.in ? "PIN" : "POUT"}`;
}

function msrKey(record: ExitRecord): string | undefined {
  if (record.kind !== exits.EXIT_RDMSR && record.kind !== exits.EXIT_WRMSR) return undefined;
  return `0x${record.detailLow.toString(16)}:${record.kind === exits.EXIT_WRMSR ? "W" : "R"}`;
}

function cpuidKey(record: ExitRecord): string | undefined {
  if (record.kind !== exits.EXIT_CPUID) return undefined;
  const { leaf, subleaf } = cpuidQuery(record);
  return `0x${leaf.toString(16)}${subleaf === undefined ? "" : `.${subleaf.toString(16)}`}`;
}

/** `cr4:W`, `dr7:R`, `clts`, `lmsw`; without the letter where the processor does not tell the direction. */
function registerKey(record: ExitRecord): string | undefined {
  if (record.kind !== exits.EXIT_CR && record.kind !== exits.EXIT_DR) return undefined;
  const { number, access } = registerAccess(record);
  if (access === exits.CR_CLTS) return "clts";
  if (access === exits.CR_LMSW) return "lmsw";
  const name = `${record.kind === exits.EXIT_CR ? "cr" : "dr"}${number}`;
  if (access === exits.CR_WRITE) return `${name}:W`;
  return access === exits.CR_READ ? `${name}:R` : name;
}

/** Vectors of exceptions and of the physical machine's interrupts; AMD-V does not tell the latter. */
function vectorKey(record: ExitRecord): string | undefined {
  if (record.kind !== exits.EXIT_EXCEPTION && record.kind !== exits.EXIT_EXTERNAL_INTERRUPT) return undefined;
  return record.detailLow === exits.NO_VECTOR ? undefined : `0x${record.detailLow.toString(16)}`;
}

function hypercallKey(record: ExitRecord): string | undefined {
  return record.kind === exits.EXIT_HYPERCALL ? `0x${record.rax.toString(16)}` : undefined;
}

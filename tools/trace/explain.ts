// One exit in full: what the processor said, bit by bit, what the instruction was, and what the hypervisor made of it.
import * as exits from "../../kernel/abi/exits.ts";
import { RECORD_RIP } from "../../kernel/abi/trace.ts";
import { describeBits } from "./bits.ts";
import { describeDetail, hex } from "./describe.ts";
import { disassemble } from "./disassemble.ts";
import { hasGpa, hasQualification } from "./fields.ts";
import { manualSection } from "./manual.ts";
import { className, outcomeName, reasonName } from "./names.ts";
import type { TraceStart } from "./reader.ts";
import type { ExitRecord } from "./record.ts";
import type { Symbols } from "./symbols.ts";

/** What each class of exit is, for someone who has never opened the manual. */
const MEANINGS: Record<number, string> = {
  [exits.EXIT_CPUID]:
    "The guest asked what the processor can do. The answer is the hypervisor's, not the processor's.",
  [exits.EXIT_RDMSR]: "The guest read a model-specific register that the hypervisor answers for.",
  [exits.EXIT_WRMSR]: "The guest wrote a model-specific register that the hypervisor keeps or checks.",
  [exits.EXIT_IO]: "The guest used an I/O port: a device of the hypervisor's answers.",
  [exits.EXIT_CR]: "The guest touched a control register bit that the hypervisor owns.",
  [exits.EXIT_DR]: "The guest touched a debug register.",
  [exits.EXIT_NESTED_FAULT]:
    "The guest-physical address has no mapping that allows the access: a device's register, or memory not mapped yet.",
  [exits.EXIT_NESTED_MISCONFIG]: "The hypervisor's own tables are wrong: a bug in it.",
  [exits.EXIT_HLT]:
    "The guest has nothing to do until the next interrupt. The time of this exit includes the wait.",
  [exits.EXIT_HYPERCALL]: "The guest called the hypervisor.",
  [exits.EXIT_EXTERNAL_INTERRUPT]:
    "An interrupt of the physical machine, such as the hypervisor's own timer.",
  [exits.EXIT_INTERRUPT_WINDOW]: "The guest can take an interrupt now; one was waiting for that.",
  [exits.EXIT_DEADLINE]: "A timer of one of the guest's devices is due.",
  [exits.EXIT_EXCEPTION]: "The guest raised an exception that the hypervisor wants to see first.",
  [exits.EXIT_TRIPLE_FAULT]: "The guest failed to deliver a double fault: the processor would reset.",
  [exits.EXIT_PAUSE]: "The guest spins.",
};

/** What an outcome (kernel/vcpu/outcome.ts) means. */
const OUTCOME_MEANINGS = [
  "entered the guest again at the same instruction",
  "emulated the instruction and went on behind it",
  "delivered an exception to the guest",
  "skipped the instruction and waited for an event",
  "stopped the VM",
  "reset the VM",
];

/** Lines of text about one exit. */
export function explain(index: number, record: ExitRecord, start: TraceStart, symbols?: Symbols): string[] {
  const { backend } = start;
  const micros = (ticks: number) => `${((ticks * 1e6) / start.tscHz).toFixed(2)} us`;
  const symbol = symbols?.find(record.highOf(RECORD_RIP), record.lowOf(RECORD_RIP));
  const lines = [
    `Exit ${index} of VM ${record.vm}, vCPU ${record.vcpu}: ${reasonName(backend, record.reason)}`,
    "",
    ...(MEANINGS[record.kind] === undefined ? [] : [`  ${MEANINGS[record.kind]}`, ""]),
    field("reason", `${record.reason} (${hex(record.reason)}), class ${className(record.kind)}`),
    field("manual", manualSection(backend, record.kind)),
    field("time", `${((record.tscIn - start.tsc) / start.tscHz).toFixed(9)} s after the trace began`),
    field("duration", `${micros(record.tscOut - record.tscIn)} (${record.tscOut - record.tscIn} ticks)`),
    field("RIP", hex(record.rip) + (symbol === undefined ? "" : ` (${symbol})`)),
    ...instruction(record),
    ...qualification(record, start),
    ...(hasGpa(record.kind) ? [field("guest-physical", hex(record.gpa))] : []),
  ];
  const detail = describeDetail(record);
  if (detail !== "") lines.push(field("decoded", detail));
  lines.push(
    field(
      "registers",
      `rax ${hex(record.rax)}, rcx ${hex(record.rcx)}, rdx ${hex(record.rdx)} (at the exit)`,
    ),
    field("hypervisor", `${outcomeName(record.outcome)}: ${OUTCOME_MEANINGS[record.outcome] ?? "?"}`),
  );
  return lines;
}

function field(name: string, text: string): string {
  return `  ${name.padEnd(15)} ${text}`;
}

function instruction(record: ExitRecord): string[] {
  const bytes = record.bytes;
  if (bytes.length === 0) return [];
  const { text, length } = disassemble(bytes, record.rip);
  const raw = [...bytes.subarray(0, length)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return [field("instruction", text), field("bytes", raw)];
}

function qualification(record: ExitRecord, start: TraceStart): string[] {
  if (!hasQualification(start.backend, record.kind)) return [];
  const name = start.backend === "vmx" ? "qualification" : "EXITINFO1";
  const bits = describeBits(start.backend, record.kind, record.qualification);
  return [field(name, hex(record.qualification)), ...bits.map((line) => field("", line))];
}

// Where the manuals describe an exit: section titles, since numbers change with every edition.
import * as exits from "../../kernel/abi/exits.ts";
import type { TraceBackend } from "./names.ts";

const SDM = "Intel SDM volume 3";
const APM = "AMD APM volume 2";

/** What SDM and APM call the section; absent: the general one. */
const SECTIONS: Record<number, { vmx?: string; svm?: string }> = {
  [exits.EXIT_CPUID]: {
    vmx: "Instructions That Cause VM Exits Unconditionally",
    svm: "Instruction Intercepts",
  },
  [exits.EXIT_RDMSR]: { vmx: "MSR-Bitmap Address", svm: "MSR Intercepts" },
  [exits.EXIT_WRMSR]: { vmx: "MSR-Bitmap Address", svm: "MSR Intercepts" },
  [exits.EXIT_IO]: { vmx: "Exit Qualification for I/O Instructions", svm: "IOIO Intercepts" },
  [exits.EXIT_CR]: { vmx: "Exit Qualification for Control-Register Accesses", svm: "Instruction Intercepts" },
  [exits.EXIT_DR]: { vmx: "Exit Qualification for MOV DR", svm: "Instruction Intercepts" },
  [exits.EXIT_NESTED_FAULT]: {
    vmx: "Exit Qualification for EPT Violations",
    svm: "Nested versus Guest Page Faults, Fault Ordering",
  },
  [exits.EXIT_NESTED_MISCONFIG]: {
    vmx: "EPT Misconfigurations",
    svm: "Nested versus Guest Page Faults, Fault Ordering",
  },
  [exits.EXIT_HLT]: { vmx: "Instructions That Cause VM Exits Conditionally", svm: "Instruction Intercepts" },
  [exits.EXIT_HYPERCALL]: {
    vmx: "Instructions That Cause VM Exits Unconditionally",
    svm: "VMMCALL Instruction",
  },
  [exits.EXIT_EXTERNAL_INTERRUPT]: { vmx: "Other Causes of VM Exits", svm: "INTR Intercept" },
  [exits.EXIT_NMI]: { vmx: "Other Causes of VM Exits", svm: "NMI Intercept" },
  [exits.EXIT_INTERRUPT_WINDOW]: {
    vmx: "Interrupt-Window Exiting and Virtual-Interrupt Delivery",
    svm: "Virtual Interrupts",
  },
  [exits.EXIT_DEADLINE]: { vmx: "VMX-Preemption Timer" },
  [exits.EXIT_EXCEPTION]: {
    vmx: "Information for VM Exits Due to Vectored Events",
    svm: "Exception Intercepts",
  },
  [exits.EXIT_TRIPLE_FAULT]: { vmx: "Other Causes of VM Exits", svm: "Shutdown Intercept" },
  [exits.EXIT_PAUSE]: {
    vmx: "Instructions That Cause VM Exits Conditionally",
    svm: "Pause Intercept Filtering",
  },
  [exits.EXIT_TASK_SWITCH]: { vmx: "Treatment of Task Switches", svm: "Task Switch Intercept" },
  [exits.EXIT_ENTRY_FAILURE]: {
    vmx: "VM-Entry Failures During or After Loading Guest State",
    svm: "Canonicalization and Consistency Checks",
  },
};

/** The manual's section on exits of this class, such as `AMD APM volume 2, "IOIO Intercepts"`. */
export function manualSection(backend: TraceBackend, kind: number): string {
  const section = SECTIONS[kind]?.[backend];
  if (backend === "vmx") return `${SDM}, "${section ?? "Basic VM-Exit Information"}"`;
  return `${APM}, "${section ?? "Instruction Intercepts"}"`;
}

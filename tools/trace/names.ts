// Names of what trace records carry as numbers: exit reasons as Linux's kvm_exit event prints them, and the neutral class
// and outcome that both backends share.
import { EXIT_NAMES, OUTCOME_NAMES } from "../../kernel/abi/exits.ts";
import { exitName } from "../../kernel/abi/svm-reasons.ts";
import { REASON_ENTRY_FAILED, reasonName as vmxReasonName } from "../../kernel/abi/vmx-reasons.ts";

export type TraceBackend = "vmx" | "svm";

/** Exit reasons that are looked at when one is searched by name. */
const VMX_REASONS = 78;
const SVM_REASONS = 0x404;
const CACHED_REASONS = 1024;

/** Indexed by EXIT_*. */
const CLASSES = EXIT_NAMES.split(" ");

/** Indexed by OUTCOME_*. */
const OUTCOMES = OUTCOME_NAMES.split(" ");

const nameCache = { vmx: new Map<number, string>(), svm: new Map<number, string>() };
const wordCache = { vmx: new Map<number, string>(), svm: new Map<number, string>() };

/** An exit reason as kvm_exit prints it; a number when the manual knows none. */
export function reasonName(backend: TraceBackend, reason: number): string {
  return remembered(nameCache[backend], reason, () => findName(backend, reason));
}

/** The same as one word: blanks are written as `_`. */
export function reasonWord(backend: TraceBackend, reason: number): string {
  return remembered(wordCache[backend], reason, () => reasonName(backend, reason).replaceAll(" ", "_"));
}

/** A damaged trace may have millions of reasons: what does not fit into the cache is made each time. */
function remembered(cache: Map<number, string>, reason: number, make: () => string): string {
  const known = cache.get(reason);
  if (known !== undefined) return known;
  const made = make();
  if (cache.size < CACHED_REASONS) cache.set(reason, made);
  return made;
}

function findName(backend: TraceBackend, reason: number): string {
  if (backend === "svm") {
    const name = exitName(reason);
    return name === "unknown" ? `0x${reason.toString(16)}` : name;
  }
  const name = vmxReasonName(reason);
  if (name.startsWith("UNDEFINED")) return `0x${reason.toString(16)}`;
  return (reason & REASON_ENTRY_FAILED) !== 0 && name !== "VMFAIL" ? `${name} (entry failed)` : name;
}

/** The neutral class of an exit, such as `nested_fault`. */
export function className(kind: number): string {
  return CLASSES[kind] ?? `class ${kind}`;
}

/** What the handler decided. */
export function outcomeName(outcome: number): string {
  return OUTCOMES[outcome] ?? `outcome ${outcome}`;
}

/** Reasons of either backend with this name, without regard to case; blanks are written as `_`. */
export function reasonsCalled(name: string): number[] {
  const wanted = fold(name);
  const vmx = Array.from({ length: VMX_REASONS }, (_, reason) => reason);
  const svm = Array.from({ length: SVM_REASONS }, (_, reason) => reason);
  return [
    ...vmx.filter((reason) => fold(vmxReasonName(reason)) === wanted),
    ...svm.filter((reason) => exitName(reason) !== "unknown" && fold(exitName(reason)) === wanted),
  ];
}

function fold(name: string): string {
  return name.replaceAll(" ", "_").toLowerCase();
}

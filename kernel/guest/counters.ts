// CPUID leaves 4FFFFFFCh to 4FFFFFFFh, by which a guest asks how often and how long it exited. The counters are
// kernel/trace's; it installs the function that answers.
import { Vcpu } from "../vcpu/vcpu";

export const COUNTERS_FIRST_LEAF: u32 = 0x4ffffffc;

let answer: (vcpu: Vcpu, leaf: u32, subleaf: u32) => void = noCounters;

function noCounters(_vcpu: Vcpu, _leaf: u32, _subleaf: u32): void {}

/** Installs what answers these leaves: it writes EAX, EBX, ECX and EDX of the vCPU, which are zero before. */
export function setCounters(give: (vcpu: Vcpu, leaf: u32, subleaf: u32) => void): void {
  answer = give;
}

/** One of the four leaves, for `vcpu`. */
export function countersLeaf(vcpu: Vcpu, leaf: u32, subleaf: u32): void {
  answer(vcpu, leaf, subleaf);
}

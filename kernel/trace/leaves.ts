// The counters as a guest may read them: CPUID leaves 4FFFFFFCh to 4FFFFFFFh, as in the well-known course assignment.
// 64-bit values come as EBX (high) and ECX (low).
import { backend } from "../vcpu/backend";
import { Vcpu } from "../vcpu/vcpu";
import { exitsOf, ticksOf, totalExits, totalTicks } from "./counters";
import { isNamed } from "./options";

/** EAX: all exits. EBX:ECX: ticks spent on them. */
const LEAF_ALL: u32 = 0x4ffffffc;
/** EBX:ECX: ticks spent on all exits. */
const LEAF_ALL_TICKS: u32 = 0x4ffffffd;
/** EAX: exits of reason ECX. */
const LEAF_REASON: u32 = 0x4ffffffe;
/** EBX:ECX: ticks spent on exits of reason ECX. */
const LEAF_REASON_TICKS: u32 = 0x4fffffff;

function giveTicks(vcpu: Vcpu, ticks: u64): void {
  vcpu.rbx = ticks >> 32;
  vcpu.rcx = <u32>ticks;
}

/** Answers one of the leaves. A reason that the manual does not define: EDX all ones, the others zero. */
export function answerLeaf(vcpu: Vcpu, leaf: u32, subleaf: u32): void {
  vcpu.rax = 0;
  vcpu.rdx = 0;
  giveTicks(vcpu, 0);
  if (leaf == LEAF_ALL || leaf == LEAF_ALL_TICKS) {
    if (leaf == LEAF_ALL) vcpu.rax = <u32>totalExits(vcpu);
    giveTicks(vcpu, totalTicks(vcpu));
    return;
  }
  if (!isNamed(backend().reasonName(subleaf))) {
    vcpu.rdx = 0xffffffff;
    return;
  }
  if (leaf == LEAF_REASON) vcpu.rax = <u32>exitsOf(vcpu, subleaf);
  if (leaf == LEAF_REASON_TICKS) giveTicks(vcpu, ticksOf(vcpu, subleaf));
}

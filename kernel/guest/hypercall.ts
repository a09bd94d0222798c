// Hypercalls by KVM's convention: number in RAX, result in RAX. Source: Linux, "Linux KVM Hypercall".
import { Vcpu } from "../vcpu/vcpu";

/** Asks for nothing: returns at once. */
const KVM_HC_VAPIC_POLL_IRQ: u64 = 1;
const NO_SUCH_CALL: u64 = -1000;

/** Carries out the vCPU's hypercall. */
export function hypercall(vcpu: Vcpu): void {
  vcpu.rax = (vcpu.rax & 0xffffffff) == KVM_HC_VAPIC_POLL_IRQ ? 0 : NO_SUCH_CALL;
}

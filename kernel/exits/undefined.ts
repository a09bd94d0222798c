// Instructions that the guest's CPUID does not offer: MONITOR, MWAIT, nested virtualization, SMX, SGX, RSM outside of SMM.
import { raise, VECTOR_UD } from "../vcpu/raise";
import { Vcpu } from "../vcpu/vcpu";

export function handleUndefined(vcpu: Vcpu): u32 {
  return raise(vcpu, VECTOR_UD);
}

// VMCALL and VMMCALL.
import { machine } from "../vcpu/machine";
import { Vcpu } from "../vcpu/vcpu";
import { finish } from "./advance";

export function handleHypercall(vcpu: Vcpu): u32 {
  machine().hypercall(vcpu);
  return finish(vcpu);
}

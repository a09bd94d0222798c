// `vmcs`, `vmcb`: the control structure of the processor's own virtualization, field by field.
import { backend } from "../../vcpu/backend";
import { Vcpu } from "../../vcpu/vcpu";
import { STAY } from "../command";

export function vmcs(vcpu: Vcpu, _args: usize): u32 {
  backend().dump(vcpu);
  return STAY;
}

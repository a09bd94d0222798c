// `continue`: back to the guest.
import { Vcpu } from "../../vcpu/vcpu";
import { LEAVE } from "../command";

export function leave(_vcpu: Vcpu, _args: usize): u32 {
  return LEAVE;
}

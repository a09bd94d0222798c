// `clear`: the vCPU's counters start again from zero.
import { countersClear } from "../../trace/counters";
import { Vcpu } from "../../vcpu/vcpu";
import { STAY } from "../command";

export function clear(vcpu: Vcpu, _args: usize): u32 {
  countersClear(vcpu);
  return STAY;
}

// HLT (SDM, "HLT—Halt").
import { OUTCOME_HALT } from "../vcpu/outcome";
import { Vcpu } from "../vcpu/vcpu";

/** The run loop decides how long: an interrupt may be waiting already. */
export function handleHlt(_vcpu: Vcpu): u32 {
  return OUTCOME_HALT;
}

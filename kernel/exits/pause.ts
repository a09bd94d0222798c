// PAUSE, when loops of it are intercepted: the exit itself has given other vCPUs their chance.
import { OUTCOME_ADVANCE } from "../vcpu/outcome";
import { Vcpu } from "../vcpu/vcpu";

export function handlePause(_vcpu: Vcpu): u32 {
  return OUTCOME_ADVANCE;
}

// Entry points for `typevisor replay`, which runs this module under Node. Natively nothing calls them.
import { RECORD_OUTCOME } from "../abi/trace";
import { pause } from "../arch/intrinsics";
import { fillRecord } from "../trace/ring";
import { Vcpu } from "../vcpu/vcpu";
import { recorder, recordSpace } from "./state";

/** Goes on from the beginning of a window, until the VM is to be stopped or reset. Node's intrinsics end it earlier. */
export function replay_run(vcpu: usize): void {
  recorder().run(changetype<Vcpu>(vcpu), handleReplayed);
}

/** One exit; true: enter again. */
function handleReplayed(vcpu: Vcpu): bool {
  const state = recorder();
  fillRecord(recordSpace(), vcpu);
  const goOn = state.onExit(vcpu);
  state.exits++;
  store<u8>(recordSpace() + RECORD_OUTCOME, <u8>state.outcome);
  // Nothing logs this intrinsic: it tells Node that the exit is handled.
  pause();
  return goOn;
}

/** Linear address of the last exit that was handled, as an exit record (kernel/abi/trace.ts) without its time of entry. */
export function replay_record(): usize {
  return recordSpace();
}

// Entry points for `typevisor replay`, which runs this module under Node. Natively nothing calls them.
import { RECORD_OUTCOME } from "../abi/trace";
import { pause } from "../arch/intrinsics";
import { fillRecord } from "../trace/ring";
import { Vcpu } from "../vcpu/vcpu";
import { handleExit, leaveLoop, mayEnter, recorder, recordSpace } from "./state";

/** Goes on from the beginning of a window, until the VM is to be stopped or reset. Node's intrinsics end it earlier. */
export function replay_run(vcpu: usize): void {
  recorder().goOn = 1;
  recorder().run(changetype<Vcpu>(vcpu), mayEnter, handleReplayed);
}

/** One exit, up to readiness for the next entry. */
function handleReplayed(vcpu: Vcpu): void {
  const state = recorder();
  fillRecord(recordSpace(), vcpu);
  const goOn = handleExit(vcpu);
  state.exits++;
  store<u8>(recordSpace() + RECORD_OUTCOME, <u8>state.outcome);
  // Nothing logs this intrinsic: it tells Node that the exit is handled.
  pause();
  leaveLoop(vcpu, goOn);
}

/** Linear address of the last exit that was handled, as an exit record (kernel/abi/trace.ts) without its time of entry. */
export function replay_record(): usize {
  return recordSpace();
}

// What the rest of the kernel tells the recorder. In the plain image, which is compiled without the constant RECORDING, these
// functions are empty and the recorder is not in it.
import { recorderInstall } from "./recorder";
import { outcomeForRecord } from "../vcpu/outcome";
import { recorder } from "./state";

/** Boot time, after the backend is installed. `backendCode`: TRACE_BACKEND_* (kernel/abi/trace.ts). */
export function recordPrepare(backendCode: u32): void {
  if (isDefined(RECORDING)) recorderInstall(backendCode);
}

/** What a handler decided (kernel/vcpu/outcome.ts). */
export function recordOutcome(outcome: u32): void {
  if (isDefined(RECORDING)) recorder().outcome = outcomeForRecord(outcome);
}

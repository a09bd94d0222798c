// Task switches by hardware task management.
import { Vcpu } from "../vcpu/vcpu";
import { dumpAndStop } from "./unknown";

export function handleTaskSwitch(vcpu: Vcpu): u32 {
  return dumpAndStop(vcpu, "hardware task switch");
}

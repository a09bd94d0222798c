// What becomes of an instruction on device memory that the emulator does not cover (docs/guest-platform.md lists those that it
// does). A processor would execute it, so that no answer is right; #UD is the one that a guest can act on: the process that has
// mapped a device's registers is told of an illegal instruction, and the guest's kernel names the address and the bytes. To skip
// the instruction would leave wrong results behind that nobody hears of. `vmN.unknown=stop` stops the VM instead.
import { STATUS_UNHANDLED_EXIT } from "../../abi/status";
import { LOG_ERROR, logDecimal, logEnd, logHex, logHexFixed, logStart, logText } from "../../lib/log";
import { machine } from "../../vcpu/machine";
import { raise, VECTOR_UD } from "../../vcpu/raise";
import { Emulator } from "./emulator";
import { Instruction } from "./instruction";
import { OUTCOME_INJECT, OUTCOME_STOP } from "../../vcpu/outcome";

/**
 * Ends the instruction in `e.instruction`, which is not covered, with #UD, or the VM if its owner wants that. Returns false, with
 * `e.outcome` set.
 */
export function refuse(e: Emulator): bool {
  const stops = machine().stopsAtUnknown(e.vcpu);
  e.refused++;
  // The log grows with the logarithm of what a guest does: the first, the second, the fourth …
  if (stops || (e.refused & (e.refused - 1)) == 0) logRefused(e);
  e.outcome = stops ? machine().stop(e.vcpu, STATUS_UNHANDLED_EXIT) : raise(e.vcpu, VECTOR_UD);
  if (isDefined(CHECKED))
    assert(e.outcome == OUTCOME_STOP || e.outcome == OUTCOME_INJECT, "refuse: the guest would go on");
  return false;
}

function logRefused(e: Emulator): void {
  assert(e.refused != 0, "refuse: nothing was refused");
  if (!logStart(LOG_ERROR)) return;
  logText("vm");
  logDecimal(e.vcpu.vmIndex);
  logText(": an instruction that is not emulated, on what is not RAM: guest-physical ");
  logHex(e.vcpu.exit.gpa);
  logText(", RIP ");
  logHex(e.vcpu.rip);
  logText(", bytes");
  logInstruction(e.instruction);
  logText("; number ");
  logDecimal(e.refused);
  logText(" of this vCPU");
  logEnd();
}

function logInstruction(i: Instruction): void {
  assert(i.available <= 15, "refuse: more bytes than an instruction has");
  const count = i.length != 0 && i.length < i.available ? i.length : i.available;
  for (let n: u32 = 0; n < count; n++) {
    logText(" ");
    logHexFixed(i.byteAt(n), 2);
  }
}

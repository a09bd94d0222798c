// Why a VM entry failed: the processor says only which group of checks, so the rules are checked again in software, one by
// one, and those that are broken are named (SDM volume 3, chapter "VM Entries").
import { LOG_ERROR, logDecimal, logEnd, logHex, logLine, logStart, logText } from "../lib/log";
import { Vcpu } from "../vcpu/vcpu";
import { checkControls } from "./checkcontrols";
import { checkGuest } from "./checkguest";
import { checkHost } from "./checkhost";
import { checkSegments } from "./checksegments";
import { instructionErrorName, REASON_MSR_LOAD_FAIL, REASON_VMFAIL, reasonName } from "../abi/vmx-reasons";
import { violation, violationCount, violationsClear } from "../vcpu/violations";

/** Checks every rule on the current VMCS. Returns how many are broken; violation(i) names them. */
export function checkEntry(): u32 {
  violationsClear();
  checkControls();
  checkHost();
  checkGuest();
  checkSegments();
  return violationCount();
}

/** What the exit qualification of a failed entry says (SDM volume 3, "VM-Entry Failures During or After Loading Guest State"). */
function qualificationName(qualification: u64): string {
  if (qualification == 2) return "PDPTE loading";
  if (qualification == 3) return "NMI injection while blocked by STI";
  return qualification == 4 ? "VMCS link pointer" : "guest state";
}

function logReason(vcpu: Vcpu): void {
  const exit = vcpu.exit;
  if (!logStart(LOG_ERROR)) return;
  logText("VM entry failed: ");
  if (exit.reason == REASON_VMFAIL) {
    logText(instructionErrorName(<u32>exit.qualification));
  } else if ((exit.reason & 0xffff) == REASON_MSR_LOAD_FAIL) {
    logText("MSR loading, entry ");
    logDecimal(exit.qualification);
  } else {
    logText(reasonName(exit.reason));
    logText(", ");
    logText(qualificationName(exit.qualification));
  }
  logText(", at RIP ");
  logHex(exit.rip);
  logEnd();
}

/** Backend.explainEntryFailure. */
export function explainEntryFailure(vcpu: Vcpu): void {
  logReason(vcpu);
  const count = checkEntry();
  for (let i: u32 = 0; i < count; i++) {
    if (!logStart(LOG_ERROR)) return;
    logText("  broken rule: ");
    logText(violation(i));
    logEnd();
  }
  if (count == 0) logLine(LOG_ERROR, "  no broken rule found in software: see the dump of the VMCS");
}

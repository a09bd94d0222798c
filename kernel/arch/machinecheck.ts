// Machine checks: what the processor has noted of a hardware error is the computer's, whoever was running (SDM volume 3,
// "Machine-Check Architecture"; APM volume 2, "Machine Check Architecture").
import { LOG_ERROR, logDecimal, logEnd, logHex, logStart, logText } from "../lib/log";
import { cpuidFeature, EDX } from "./cpuid";
import { rdmsr, rdmsr_safe, wrmsr_safe } from "./intrinsics";
import { IA32_MC0_STATUS, IA32_MCG_CAP, IA32_MCG_STATUS } from "./msr";

const CPUID_MCA_BIT: u32 = 14;
const BANK_STRIDE: u32 = 4;
/** From a bank's STATUS to its ADDR. */
const ADDRESS: u32 = 1;
const CAP_BANKS: u64 = 0xff;
const MAX_BANKS: u32 = 32;

// MCi_STATUS.
const STATUS_VALID: u64 = 1 << 63;
const STATUS_ADDRESS_VALID: u64 = 1 << 58;
const STATUS_CONTEXT_CORRUPT: u64 = 1 << 57;
/** MCG_STATUS: a machine check has come; execution can go on where it was interrupted. */
const IN_PROGRESS: u64 = 1 << 2;
const RESTART_VALID: u64 = 1 << 0;

const value = memory.data(8, 8);

/**
 * If a machine check is in progress, logs what every bank has noted, and clears it. False: the processor's own state is lost, so
 * that nothing on this computer can be relied on any more.
 */
export function takeMachineCheck(): bool {
  if (!cpuidFeature(1, 0, EDX, CPUID_MCA_BIT)) return true;
  const global = rdmsr(IA32_MCG_STATUS);
  if ((global & IN_PROGRESS) == 0) return true;
  let sound = (global & RESTART_VALID) != 0;
  const banks = min<u32>(<u32>(rdmsr(IA32_MCG_CAP) & CAP_BANKS), MAX_BANKS);
  for (let bank: u32 = 0; bank < banks; bank++) {
    const at = IA32_MC0_STATUS + bank * BANK_STRIDE;
    if (rdmsr_safe(at, value) == 0) continue;
    const status = load<u64>(value);
    if ((status & STATUS_VALID) == 0) continue;
    if ((status & STATUS_CONTEXT_CORRUPT) != 0) sound = false;
    logBank(bank, status, at);
    wrmsr_safe(at, 0);
  }
  wrmsr_safe(IA32_MCG_STATUS, 0);
  return sound;
}

function logBank(bank: u32, status: u64, at: u32): void {
  if (!logStart(LOG_ERROR)) return;
  logText("machine check: bank ");
  logDecimal(bank);
  logText(", status ");
  logHex(status);
  if ((status & STATUS_ADDRESS_VALID) != 0 && rdmsr_safe(at + ADDRESS, value) != 0) {
    logText(", address ");
    logHex(load<u64>(value));
  }
  logEnd();
}

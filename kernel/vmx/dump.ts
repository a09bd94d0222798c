// The current VMCS on the log, field by field, for people who study an exit that nothing handles.
import { vmread } from "../arch/intrinsics";
import { LOG_WARN, logEnd, logHex, logHexFixed, logLine, logStart, logText } from "../lib/log";
import { Vcpu } from "../vcpu/vcpu";
import {
  CR0_MASK,
  CR0_READ_SHADOW,
  CR4_MASK,
  CR4_READ_SHADOW,
  ENTRY_CONTROLS,
  ENTRY_EXCEPTION_ERROR_CODE,
  ENTRY_INSTRUCTION_LENGTH,
  ENTRY_INTERRUPTION_INFO,
  EPT_POINTER,
  EXCEPTION_BITMAP,
  EXIT_CONTROLS,
  EXIT_INSTRUCTION_INFO,
  EXIT_INSTRUCTION_LENGTH,
  EXIT_INTERRUPTION_ERROR_CODE,
  EXIT_INTERRUPTION_INFO,
  EXIT_QUALIFICATION,
  EXIT_REASON,
  GUEST_ACTIVITY,
  GUEST_CR0,
  GUEST_CR3,
  GUEST_CR4,
  GUEST_DEBUGCTL,
  GUEST_DR7,
  GUEST_EFER,
  GUEST_ES_ACCESS,
  GUEST_ES_BASE,
  GUEST_ES_LIMIT,
  GUEST_ES_SELECTOR,
  GUEST_GDTR_BASE,
  GUEST_GDTR_LIMIT,
  GUEST_IDTR_BASE,
  GUEST_IDTR_LIMIT,
  GUEST_INTERRUPTIBILITY,
  GUEST_LINEAR_ADDRESS,
  GUEST_PAT,
  GUEST_PENDING_DEBUG,
  GUEST_PHYSICAL_ADDRESS,
  GUEST_RFLAGS,
  GUEST_RIP,
  GUEST_RSP,
  GUEST_SYSENTER_CS,
  GUEST_SYSENTER_EIP,
  GUEST_SYSENTER_ESP,
  HOST_CR0,
  HOST_CR3,
  HOST_CR4,
  HOST_CS_SELECTOR,
  HOST_DS_SELECTOR,
  HOST_EFER,
  HOST_ES_SELECTOR,
  HOST_FS_BASE,
  HOST_FS_SELECTOR,
  HOST_GDTR_BASE,
  HOST_GS_BASE,
  HOST_GS_SELECTOR,
  HOST_IDTR_BASE,
  HOST_PAT,
  HOST_RIP,
  HOST_RSP,
  HOST_SS_SELECTOR,
  HOST_TR_BASE,
  HOST_TR_SELECTOR,
  IDT_VECTORING_ERROR_CODE,
  IDT_VECTORING_INFO,
  IO_BITMAP_A,
  IO_BITMAP_B,
  MSR_BITMAP,
  PIN_CONTROLS,
  PREEMPTION_TIMER_VALUE,
  PRIMARY_CONTROLS,
  SECONDARY_CONTROLS,
  TSC_OFFSET,
  VMCS_LINK_POINTER,
  VM_INSTRUCTION_ERROR,
  VPID,
} from "./fields";
import { reasonName } from "../abi/vmx-reasons";

const SEGMENT_NAMES: StaticArray<string> = ["ES  ", "CS  ", "SS  ", "DS  ", "FS  ", "GS  ", "LDTR", "TR  "];

function field(name: string, encoding: u32): void {
  if (!logStart(LOG_WARN)) return;
  logText("  ");
  logText(name);
  for (let i = name.length; i < 30; i++) logText(" ");
  logHex(vmread(encoding));
  logEnd();
}

function segments(): void {
  for (let i: u32 = 0; i < 8; i++) {
    if (!logStart(LOG_WARN)) return;
    logText("  ");
    logText(SEGMENT_NAMES[i]);
    logText(" selector ");
    logHexFixed(vmread(GUEST_ES_SELECTOR + 2 * i), 4);
    logText(" base ");
    logHexFixed(vmread(GUEST_ES_BASE + 2 * i), 16);
    logText(" limit ");
    logHexFixed(vmread(GUEST_ES_LIMIT + 2 * i), 8);
    logText(" access ");
    logHexFixed(vmread(GUEST_ES_ACCESS + 2 * i), 5);
    logEnd();
  }
}

function guestState(): void {
  logLine(LOG_WARN, "Guest state");
  field("GUEST_RIP", GUEST_RIP);
  field("GUEST_RSP", GUEST_RSP);
  field("GUEST_RFLAGS", GUEST_RFLAGS);
  field("GUEST_CR0", GUEST_CR0);
  field("GUEST_CR3", GUEST_CR3);
  field("GUEST_CR4", GUEST_CR4);
  field("CR0_READ_SHADOW", CR0_READ_SHADOW);
  field("CR4_READ_SHADOW", CR4_READ_SHADOW);
  field("GUEST_EFER", GUEST_EFER);
  field("GUEST_PAT", GUEST_PAT);
  field("GUEST_DR7", GUEST_DR7);
  field("GUEST_DEBUGCTL", GUEST_DEBUGCTL);
  field("GUEST_SYSENTER_CS", GUEST_SYSENTER_CS);
  field("GUEST_SYSENTER_ESP", GUEST_SYSENTER_ESP);
  field("GUEST_SYSENTER_EIP", GUEST_SYSENTER_EIP);
  field("GUEST_GDTR_BASE", GUEST_GDTR_BASE);
  field("GUEST_GDTR_LIMIT", GUEST_GDTR_LIMIT);
  field("GUEST_IDTR_BASE", GUEST_IDTR_BASE);
  field("GUEST_IDTR_LIMIT", GUEST_IDTR_LIMIT);
  field("GUEST_INTERRUPTIBILITY", GUEST_INTERRUPTIBILITY);
  field("GUEST_ACTIVITY", GUEST_ACTIVITY);
  field("GUEST_PENDING_DEBUG", GUEST_PENDING_DEBUG);
  field("VMCS_LINK_POINTER", VMCS_LINK_POINTER);
  segments();
}

function controls(): void {
  logLine(LOG_WARN, "Controls");
  field("PIN_CONTROLS", PIN_CONTROLS);
  field("PRIMARY_CONTROLS", PRIMARY_CONTROLS);
  field("SECONDARY_CONTROLS", SECONDARY_CONTROLS);
  field("EXIT_CONTROLS", EXIT_CONTROLS);
  field("ENTRY_CONTROLS", ENTRY_CONTROLS);
  field("EXCEPTION_BITMAP", EXCEPTION_BITMAP);
  field("CR0_MASK", CR0_MASK);
  field("CR4_MASK", CR4_MASK);
  field("TSC_OFFSET", TSC_OFFSET);
  field("EPT_POINTER", EPT_POINTER);
  field("VPID", VPID);
  field("MSR_BITMAP", MSR_BITMAP);
  field("IO_BITMAP_A", IO_BITMAP_A);
  field("IO_BITMAP_B", IO_BITMAP_B);
  field("PREEMPTION_TIMER_VALUE", PREEMPTION_TIMER_VALUE);
  field("ENTRY_INTERRUPTION_INFO", ENTRY_INTERRUPTION_INFO);
  field("ENTRY_EXCEPTION_ERROR_CODE", ENTRY_EXCEPTION_ERROR_CODE);
  field("ENTRY_INSTRUCTION_LENGTH", ENTRY_INSTRUCTION_LENGTH);
}

function hostState(): void {
  logLine(LOG_WARN, "Host state");
  field("HOST_RIP", HOST_RIP);
  field("HOST_RSP", HOST_RSP);
  field("HOST_CR0", HOST_CR0);
  field("HOST_CR3", HOST_CR3);
  field("HOST_CR4", HOST_CR4);
  field("HOST_EFER", HOST_EFER);
  field("HOST_PAT", HOST_PAT);
  field("HOST_CS_SELECTOR", HOST_CS_SELECTOR);
  field("HOST_SS_SELECTOR", HOST_SS_SELECTOR);
  field("HOST_DS_SELECTOR", HOST_DS_SELECTOR);
  field("HOST_ES_SELECTOR", HOST_ES_SELECTOR);
  field("HOST_FS_SELECTOR", HOST_FS_SELECTOR);
  field("HOST_GS_SELECTOR", HOST_GS_SELECTOR);
  field("HOST_TR_SELECTOR", HOST_TR_SELECTOR);
  field("HOST_FS_BASE", HOST_FS_BASE);
  field("HOST_GS_BASE", HOST_GS_BASE);
  field("HOST_TR_BASE", HOST_TR_BASE);
  field("HOST_GDTR_BASE", HOST_GDTR_BASE);
  field("HOST_IDTR_BASE", HOST_IDTR_BASE);
}

function lastExit(): void {
  logLine(LOG_WARN, "Last exit");
  field("EXIT_REASON", EXIT_REASON);
  field("EXIT_QUALIFICATION", EXIT_QUALIFICATION);
  field("EXIT_INTERRUPTION_INFO", EXIT_INTERRUPTION_INFO);
  field("EXIT_INTERRUPTION_ERROR_CODE", EXIT_INTERRUPTION_ERROR_CODE);
  field("IDT_VECTORING_INFO", IDT_VECTORING_INFO);
  field("IDT_VECTORING_ERROR_CODE", IDT_VECTORING_ERROR_CODE);
  field("EXIT_INSTRUCTION_LENGTH", EXIT_INSTRUCTION_LENGTH);
  field("EXIT_INSTRUCTION_INFO", EXIT_INSTRUCTION_INFO);
  field("GUEST_PHYSICAL_ADDRESS", GUEST_PHYSICAL_ADDRESS);
  field("GUEST_LINEAR_ADDRESS", GUEST_LINEAR_ADDRESS);
  field("VM_INSTRUCTION_ERROR", VM_INSTRUCTION_ERROR);
}

/** Backend.dump. */
export function dumpVmcs(vcpu: Vcpu): void {
  if (logStart(LOG_WARN)) {
    logText("VMCS after ");
    logText(reasonName(vcpu.exit.reason));
    logEnd();
  }
  lastExit();
  guestState();
  controls();
  hostState();
}

// biome-ignore-all format: aligned tables.
//
// The current VMCS on the log, field by field, by the manual's names (SDM volume 3, appendix "Field Encoding in VMCS"),
// with the bits that are set.
import { vmread } from "../arch/intrinsics";
import { EXCEPTIONS, logChoice, logEvent, logFieldName, logFlags, logRights } from "../lib/fields";
import { LOG_WARN, logEnd, logHex, logHexFixed, logStart, logText, logWord } from "../lib/log";
import { Vcpu } from "../vcpu/vcpu";
import { reasonName } from "../abi/vmx-reasons";
import {
  ACTIVITY_NAMES, ENTRY_NAMES, EVENT_TYPES, EXIT_NAMES, INTERRUPTIBILITY_NAMES, PENDING_DEBUG_NAMES, PIN_NAMES,
  PRIMARY_NAMES, SECONDARY_NAMES,
} from "./bitnames";
import {
  CR0_MASK, CR0_READ_SHADOW, CR4_MASK, CR4_READ_SHADOW, ENTRY_CONTROLS, ENTRY_EXCEPTION_ERROR_CODE,
  ENTRY_INSTRUCTION_LENGTH, ENTRY_INTERRUPTION_INFO, EPT_POINTER, EXCEPTION_BITMAP, EXIT_CONTROLS,
  EXIT_INSTRUCTION_INFO, EXIT_INSTRUCTION_LENGTH, EXIT_INTERRUPTION_ERROR_CODE, EXIT_INTERRUPTION_INFO,
  EXIT_QUALIFICATION, EXIT_REASON, GUEST_ACTIVITY, GUEST_CR0, GUEST_CR3, GUEST_CR4, GUEST_DEBUGCTL, GUEST_DR7,
  GUEST_EFER, GUEST_ES_ACCESS, GUEST_ES_BASE, GUEST_ES_LIMIT, GUEST_ES_SELECTOR, GUEST_GDTR_BASE, GUEST_GDTR_LIMIT,
  GUEST_IDTR_BASE, GUEST_IDTR_LIMIT, GUEST_INTERRUPTIBILITY, GUEST_LINEAR_ADDRESS, GUEST_PAT, GUEST_PENDING_DEBUG,
  GUEST_PHYSICAL_ADDRESS, GUEST_RFLAGS, GUEST_RIP, GUEST_RSP, GUEST_SYSENTER_CS, GUEST_SYSENTER_EIP,
  GUEST_SYSENTER_ESP, HOST_CR0, HOST_CR3, HOST_CR4, HOST_CS_SELECTOR, HOST_DS_SELECTOR, HOST_EFER, HOST_ES_SELECTOR,
  HOST_FS_BASE, HOST_FS_SELECTOR, HOST_GDTR_BASE, HOST_GS_BASE, HOST_GS_SELECTOR, HOST_IDTR_BASE, HOST_PAT, HOST_RIP,
  HOST_RSP, HOST_SS_SELECTOR, HOST_TR_BASE, HOST_TR_SELECTOR, IDT_VECTORING_ERROR_CODE, IDT_VECTORING_INFO,
  IO_BITMAP_A, IO_BITMAP_B, MSR_BITMAP, PIN_CONTROLS, PREEMPTION_TIMER_VALUE, PRIMARY_CONTROLS, SECONDARY_CONTROLS,
  TSC_OFFSET, VMCS_LINK_POINTER, VM_INSTRUCTION_ERROR, VPID,
} from "./fields";

/** Fields in the order that they are shown: the last exit, the guest, controls, the host. `names` has the same order. */
const fields: StaticArray<u32> = [
  EXIT_REASON, EXIT_QUALIFICATION, EXIT_INTERRUPTION_INFO, EXIT_INTERRUPTION_ERROR_CODE, IDT_VECTORING_INFO,
  IDT_VECTORING_ERROR_CODE, EXIT_INSTRUCTION_LENGTH, EXIT_INSTRUCTION_INFO, GUEST_PHYSICAL_ADDRESS,
  GUEST_LINEAR_ADDRESS, VM_INSTRUCTION_ERROR,
  GUEST_RIP, GUEST_RSP, GUEST_RFLAGS, GUEST_CR0, GUEST_CR3, GUEST_CR4, CR0_READ_SHADOW, CR4_READ_SHADOW, GUEST_EFER,
  GUEST_PAT, GUEST_DR7, GUEST_DEBUGCTL, GUEST_SYSENTER_CS, GUEST_SYSENTER_ESP, GUEST_SYSENTER_EIP, GUEST_GDTR_BASE,
  GUEST_GDTR_LIMIT, GUEST_IDTR_BASE, GUEST_IDTR_LIMIT, GUEST_INTERRUPTIBILITY, GUEST_ACTIVITY, GUEST_PENDING_DEBUG,
  VMCS_LINK_POINTER,
  PIN_CONTROLS, PRIMARY_CONTROLS, SECONDARY_CONTROLS, EXIT_CONTROLS, ENTRY_CONTROLS, EXCEPTION_BITMAP, CR0_MASK,
  CR4_MASK, TSC_OFFSET, EPT_POINTER, VPID, MSR_BITMAP, IO_BITMAP_A, IO_BITMAP_B, PREEMPTION_TIMER_VALUE,
  ENTRY_INTERRUPTION_INFO, ENTRY_EXCEPTION_ERROR_CODE, ENTRY_INSTRUCTION_LENGTH,
  HOST_RIP, HOST_RSP, HOST_CR0, HOST_CR3, HOST_CR4, HOST_EFER, HOST_PAT, HOST_CS_SELECTOR, HOST_SS_SELECTOR,
  HOST_DS_SELECTOR, HOST_ES_SELECTOR, HOST_FS_SELECTOR, HOST_GS_SELECTOR, HOST_TR_SELECTOR, HOST_FS_BASE, HOST_GS_BASE,
  HOST_TR_BASE, HOST_GDTR_BASE, HOST_IDTR_BASE,
];

const names: string =
  "Exit reason|Exit qualification|VM-exit interruption information|VM-exit interruption error code|" +
  "IDT-vectoring information|IDT-vectoring error code|VM-exit instruction length|VM-exit instruction information|" +
  "Guest-physical address|Guest-linear address|VM-instruction error|" +
  "Guest RIP|Guest RSP|Guest RFLAGS|Guest CR0|Guest CR3|Guest CR4|CR0 read shadow|CR4 read shadow|" +
  "Guest IA32_EFER|Guest IA32_PAT|Guest DR7|Guest IA32_DEBUGCTL|Guest IA32_SYSENTER_CS|Guest IA32_SYSENTER_ESP|" +
  "Guest IA32_SYSENTER_EIP|Guest GDTR base|Guest GDTR limit|Guest IDTR base|Guest IDTR limit|" +
  "Guest interruptibility state|Guest activity state|Guest pending debug exceptions|VMCS link pointer|" +
  "Pin-based controls|Primary processor-based controls|Secondary processor-based controls|VM-exit controls|" +
  "VM-entry controls|Exception bitmap|CR0 guest/host mask|CR4 guest/host mask|TSC offset|EPT pointer|" +
  "Virtual-processor identifier|Address of MSR bitmaps|Address of I/O bitmap A|Address of I/O bitmap B|" +
  "VMX-preemption timer value|VM-entry interruption information|VM-entry exception error code|" +
  "VM-entry instruction length|" +
  "Host RIP|Host RSP|Host CR0|Host CR3|Host CR4|Host IA32_EFER|Host IA32_PAT|Host CS selector|Host SS selector|" +
  "Host DS selector|Host ES selector|Host FS selector|Host GS selector|Host TR selector|Host FS base|" +
  "Host GS base|Host TR base|Host GDTR base|Host IDTR base";

const SEGMENT_NAMES: string = "ES CS SS DS FS GS LDTR TR";
const SEGMENTS: u32 = 8;

/** Logs what the bits of a field mean. */
function describe(field: u32, value: u64): void {
  switch (field) {
    case PIN_CONTROLS:           logFlags(value, PIN_NAMES); break;
    case PRIMARY_CONTROLS:       logFlags(value, PRIMARY_NAMES); break;
    case SECONDARY_CONTROLS:     logFlags(value, SECONDARY_NAMES); break;
    case EXIT_CONTROLS:          logFlags(value, EXIT_NAMES); break;
    case ENTRY_CONTROLS:         logFlags(value, ENTRY_NAMES); break;
    case EXCEPTION_BITMAP:       logFlags(value, EXCEPTIONS); break;
    case GUEST_INTERRUPTIBILITY: logFlags(value, INTERRUPTIBILITY_NAMES); break;
    case GUEST_PENDING_DEBUG:    logFlags(value, PENDING_DEBUG_NAMES); break;
    case GUEST_ACTIVITY:         logChoice(value, ACTIVITY_NAMES); break;
    case EXIT_INTERRUPTION_INFO:
    case IDT_VECTORING_INFO:
    case ENTRY_INTERRUPTION_INFO: logEvent(value, EVENT_TYPES);
  }
}

function logSegment(index: u32): void {
  if (!logStart(LOG_WARN)) return;
  logText("Guest ");
  logWord(SEGMENT_NAMES, index);
  logText(" selector ");
  logHexFixed(vmread(GUEST_ES_SELECTOR + 2 * index), 4);
  logText(" base ");
  logHexFixed(vmread(GUEST_ES_BASE + 2 * index), 16);
  logText(" limit ");
  logHexFixed(vmread(GUEST_ES_LIMIT + 2 * index), 8);
  logText(" access rights ");
  const rights = <u32>vmread(GUEST_ES_ACCESS + 2 * index);
  logHexFixed(rights, 5);
  logRights(rights);
  logEnd();
}

/** Backend.dump. */
export function dumpVmcs(vcpu: Vcpu): void {
  if (logStart(LOG_WARN)) {
    logText("VMCS after ");
    logText(reasonName(vcpu.exit.reason));
    logEnd();
  }
  let name = 0;
  for (let i = 0; i < fields.length; i++) {
    if (!logStart(LOG_WARN)) return;
    name = logFieldName(names, name);
    const field = unchecked(fields[i]);
    const value = vmread(field);
    logHex(value);
    describe(field, value);
    logEnd();
  }
  for (let i: u32 = 0; i < SEGMENTS; i++) logSegment(i);
}

// biome-ignore-all format: aligned tables.
//
// The VMCB on the log, field by field in the manual's order and by its names (APM volume 2, appendix "Layout of VMCB"), with
// the bits that are set. Intercepts have the names of the exits that they cause.
import { phys_load16, phys_load32, phys_load64, phys_load8 } from "../arch/intrinsics";
import { logChoice, logEvent, logFieldName, logFlags, logRights } from "../lib/fields";
import { LOG_WARN, logDecimal, logEnd, logHex, logHexFixed, logStart, logText, logWord } from "../lib/log";
import { SEG_TR, SEGMENT_UNUSABLE } from "../vcpu/registers";
import { exitName } from "../abi/svm-reasons";
import { accessFromAttributes } from "./state";
import {
  VMCB_CLEAN, VMCB_EVENTINJ, VMCB_EXITCODE, VMCB_EXITINTINFO, VMCB_GDTR, VMCB_IDTR, VMCB_INTERCEPT_MISC3,
  VMCB_INTERRUPT_SHADOW, VMCB_NESTED_CONTROL, VMCB_TLB_CONTROL, VMCB_VINTR, vmcbSegment,
} from "./vmcb";

/** Names of the scalar fields, separated by `|`; `places` has their offsets and widths. */
const names: string =
  "CR intercepts|DR intercepts|Exception intercepts|Intercepts, vector 3|Intercepts, vector 4|Intercepts, vector 5|" +
  "IOPM_BASE_PA|MSRPM_BASE_PA|TSC_OFFSET|Guest ASID|TLB_CONTROL|Virtual interrupts|Interrupt shadow|" +
  "EXITCODE|EXITINFO1|EXITINFO2|EXITINTINFO|Nested paging|EVENTINJ|N_CR3|VMCB clean bits|nRIP|" +
  "CPL|EFER|CR4|CR3|CR0|DR7|DR6|RFLAGS|RIP|RSP|RAX|STAR|LSTAR|CSTAR|SFMASK|" +
  "KernelGsBase|SYSENTER_CS|SYSENTER_ESP|SYSENTER_EIP|CR2|G_PAT|DBGCTL";

/** Offset << 4 | bytes, row by row as `names`. */
const places: StaticArray<u16> = [
  0x0004, 0x0044, 0x0084, 0x00c4, 0x0104, 0x0144,
  0x0408, 0x0488, 0x0508, 0x0584, 0x05c1, 0x0608, 0x0688,
  0x0708, 0x0788, 0x0808, 0x0888, 0x0908, 0x0a88, 0x0b08, 0x0c04, 0x0c88,
  0x4cb1, 0x4d08, 0x5488, 0x5508, 0x5588, 0x5608, 0x5688, 0x5708, 0x5788, 0x5d88, 0x5f88, 0x6008, 0x6088, 0x6108, 0x6188,
  0x6208, 0x6288, 0x6308, 0x6388, 0x6408, 0x6688, 0x6708,
];

const SEGMENT_NAMES: string = "ES CS SS DS FS GS LDTR TR GDTR IDTR";

// --- bits, in the form of kernel/lib/fields.ts ---------------------------------------------------------------------------

/** Without V_TPR, V_INTR_PRIO and V_INTR_VECTOR, which are numbers. */
const VINTR_NAMES: string =
  "8|V_IRQ|VGIF|1|V_NMI|V_NMI_MASK|7|V_IGN_TPR|3|V_INTR_MASKING|VGIF enable|V_NMI_ENABLE|3|x2AVIC enable|AVIC enable";
const VINTR_NUMBERS: u64 = 0xff_000f_00ff;
const SHADOW_NAMES: string = "INTERRUPT_SHADOW|GUEST_INTERRUPT_MASK";
const NESTED_NAMES: string =
  "NP_ENABLE|SEV enable|SEV-ES enable|GMET enable|SSSCheckEn|Virtual transparent encryption|ReadOnlyGPT|INVLPGB/TLBSYNC enable";
const CLEAN_NAMES: string = "I|IOPM|ASID|TPR|NP|CRx|DRx|DT|SEG|CR2|LBR|AVIC|CET";
/** By number. */
const TLB_NAMES: string =
  "Do nothing|Flush entire TLB|1|Flush this guest's TLB entries|3|Flush this guest's non-global TLB entries";
const EVENT_TYPES: string = "INTR|1|NMI|Exception|Software interrupt";

function loadField(at: u64, bytes: u32): u64 {
  if (bytes == 8) return phys_load64(at);
  if (bytes == 4) return phys_load32(at);
  return bytes == 2 ? phys_load16(at) : phys_load8(at);
}

/** Logs what the bits of the field at `offset` mean. */
function describe(offset: u32, value: u64): void {
  if (offset <= VMCB_INTERCEPT_MISC3) return logIntercepts(offset << 3, <u32>value);
  switch (offset) {
    case <u32>VMCB_TLB_CONTROL:      logChoice(value, TLB_NAMES); break;
    case <u32>VMCB_VINTR:            logVirtualInterrupts(value); break;
    case <u32>VMCB_INTERRUPT_SHADOW: logFlags(value, SHADOW_NAMES); break;
    case <u32>VMCB_NESTED_CONTROL:   logFlags(value, NESTED_NAMES); break;
    case <u32>VMCB_CLEAN:            logFlags(value, CLEAN_NAMES); break;
    case <u32>VMCB_EXITINTINFO:
    case <u32>VMCB_EVENTINJ:         logEvent(value, EVENT_TYPES);
  }
}

/** The intercept words are one bitmap: bit n asks for the exit with code n, `first` being the word's first. */
function logIntercepts(first: u32, word: u32): void {
  let separator = ": ";
  for (let bit: u32 = 0; bit < 32; bit++) {
    if (((word >> bit) & 1) == 0) continue;
    logText(separator);
    separator = ", ";
    logText(exitName(first + bit));
  }
}

function logVirtualInterrupts(value: u64): void {
  logText(" V_TPR ");
  logDecimal(value & 0xff);
  logText(" V_INTR_PRIO ");
  logDecimal((value >> 16) & 0xf);
  logText(" V_INTR_VECTOR ");
  logDecimal((value >> 32) & 0xff);
  logFlags(value & ~VINTR_NUMBERS, VINTR_NAMES);
}

function dumpDescriptor(index: u32, at: u64): void {
  if (!logStart(LOG_WARN)) return;
  logWord(SEGMENT_NAMES, index);
  const isSegment = index <= SEG_TR;
  if (isSegment) {
    logText(" selector ");
    logHexFixed(phys_load16(at), 4);
  }
  logText(" base ");
  logHexFixed(phys_load64(at + 8), 16);
  logText(" limit ");
  logHexFixed(phys_load32(at + 4), 8);
  if (isSegment) {
    const attributes = phys_load16(at + 2);
    logText(" attributes ");
    logHexFixed(attributes, 3);
    logRights(accessFromAttributes(attributes) & ~SEGMENT_UNUSABLE);
  }
  logEnd();
}

/** Logs the whole VMCB at level `warn`. */
export function dumpVmcb(vmcb: u64): void {
  if (logStart(LOG_WARN)) {
    logText("VMCB after ");
    logText(exitName(phys_load32(vmcb + VMCB_EXITCODE)));
    logEnd();
  }
  let name = 0;
  for (let i = 0; i < places.length; i++) {
    if (!logStart(LOG_WARN)) return;
    name = logFieldName(names, name);
    const place: u32 = unchecked(places[i]);
    const value = loadField(vmcb + (place >> 4), place & 15);
    logHex(value);
    describe(place >> 4, value);
    logEnd();
  }
  for (let i: u32 = 0; i <= SEG_TR; i++) dumpDescriptor(i, vmcb + vmcbSegment(i));
  dumpDescriptor(SEG_TR + 1, vmcb + VMCB_GDTR);
  dumpDescriptor(SEG_TR + 2, vmcb + VMCB_IDTR);
}

// biome-ignore-all format: aligned tables.
//
// The VMCB on the log, decoded, in the manual's order and by its names.
import { phys_load16, phys_load32, phys_load64, phys_load8 } from "../arch/intrinsics";
import { LOG_WARN, logEnd, logHex, logHexFixed, logStart, logText } from "../lib/log";
import { SEG_TR } from "../vcpu/registers";
import { exitName } from "../abi/svm-reasons";
import { VMCB_EXITCODE, VMCB_GDTR, VMCB_IDTR, vmcbSegment } from "./vmcb";

/** Names of the scalar fields; `places` has their offsets and widths. */
const names: StaticArray<string> = [
  "CR intercepts", "DR intercepts", "exception intercepts", "misc. intercepts 1", "misc. intercepts 2", "misc. intercepts 3",
  "IOPM_BASE_PA", "MSRPM_BASE_PA", "TSC_OFFSET", "guest ASID", "TLB_CONTROL", "V_INTR", "INTERRUPT_SHADOW",
  "EXITCODE", "EXITINFO1", "EXITINFO2", "EXITINTINFO", "NP_ENABLE", "EVENTINJ", "N_CR3", "VMCB clean bits", "nRIP",
  "CPL", "EFER", "CR4", "CR3", "CR0", "DR7", "DR6", "RFLAGS", "RIP", "RSP", "RAX", "STAR", "LSTAR", "CSTAR", "SFMASK",
  "KernelGsBase", "SYSENTER_CS", "SYSENTER_ESP", "SYSENTER_EIP", "CR2", "G_PAT", "DBGCTL",
];

/** Offset << 4 | bytes, row by row as `names`. */
const places: StaticArray<u32> = [
  0x0004, 0x0044, 0x0084, 0x00c4, 0x0104, 0x0144,
  0x0408, 0x0488, 0x0508, 0x0584, 0x05c1, 0x0604, 0x0688,
  0x0708, 0x0788, 0x0808, 0x0888, 0x0908, 0x0a88, 0x0b08, 0x0c04, 0x0c88,
  0x4cb1, 0x4d08, 0x5488, 0x5508, 0x5588, 0x5608, 0x5688, 0x5708, 0x5788, 0x5d88, 0x5f88, 0x6008, 0x6088, 0x6108, 0x6188,
  0x6208, 0x6288, 0x6308, 0x6388, 0x6408, 0x6688, 0x6708,
];

const segmentNames: StaticArray<string> = ["ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR"];
/** Fields to a line. */
const PER_LINE: i32 = 4;

function loadField(at: u64, bytes: u32): u64 {
  if (bytes == 8) return phys_load64(at);
  if (bytes == 4) return phys_load32(at);
  return bytes == 2 ? phys_load16(at) : phys_load8(at);
}

function dumpDescriptor(name: string, at: u64, isTable: bool): void {
  if (!logStart(LOG_WARN)) return;
  logText("vmcb ");
  logText(name);
  if (!isTable) {
    logText(" selector ");
    logHexFixed(phys_load16(at), 4);
    logText(" attributes ");
    logHexFixed(phys_load16(at + 2), 3);
  }
  logText(" limit ");
  logHex(phys_load32(at + 4));
  logText(" base ");
  logHex(phys_load64(at + 8));
  logEnd();
}

/** Logs the whole VMCB at level `warn`. */
export function dumpVmcb(vmcb: u64): void {
  if (logStart(LOG_WARN)) {
    logText("vmcb exit: ");
    logText(exitName(phys_load32(vmcb + VMCB_EXITCODE)));
    logEnd();
  }
  for (let i = 0; i < names.length; i += PER_LINE) {
    if (!logStart(LOG_WARN)) return;
    logText("vmcb");
    for (let j = i; j < i + PER_LINE && j < names.length; j++) {
      const place = unchecked(places[j]);
      logText(j == i ? " " : ", ");
      logText(unchecked(names[j]));
      logText(" ");
      logHex(loadField(vmcb + (place >> 4), place & 15));
    }
    logEnd();
  }
  for (let i: u32 = 0; i <= SEG_TR; i++) dumpDescriptor(unchecked(segmentNames[i]), vmcb + vmcbSegment(i), false);
  dumpDescriptor("GDTR", vmcb + VMCB_GDTR, true);
  dumpDescriptor("IDTR", vmcb + VMCB_IDTR, true);
}

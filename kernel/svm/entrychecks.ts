// Why VMRUN refused: the manual's rules for guest state, checked in software one by one (APM volume 2, "Canonicalization and
// Consistency Checks", "Nested Paging", "Event Injection"). The processor only says VMEXIT_INVALID.
import { physicalAddressBits } from "../arch/cpuid";
import { CR0_CD, CR0_NW, CR0_PE, CR0_PG, CR4_PAE } from "../arch/cr";
import { phys_load16, phys_load32, phys_load64 } from "../arch/intrinsics";
import {
  EFER_FFXSR,
  EFER_LMA,
  EFER_LME,
  EFER_LMSLE,
  EFER_NXE,
  EFER_SCE,
  EFER_SVME,
  EFER_TCE,
} from "../arch/msr";
import { LOG_ERROR, logEnd, logHex, logLine, logStart, logText } from "../lib/log";
import { EVENT_EXCEPTION, EVENT_NMI, EVENT_SOFT_INTERRUPT, EVENT_TYPE_MASK, EVENT_VALID } from "../vcpu/vcpu";
import { rule, violation, violationCount, violationsClear } from "../vcpu/violations";
import { svmAsidCount } from "./capabilities";
import { INTERCEPT_VMRUN } from "./controls";
import { IO_MAP_BYTES, MSR_MAP_BYTES } from "./maps";
import {
  NESTED_PAGING_ENABLE,
  VMCB_ASID,
  VMCB_CR0,
  VMCB_CR3,
  VMCB_CR4,
  VMCB_CS,
  VMCB_DR6,
  VMCB_DR7,
  VMCB_EFER,
  VMCB_EVENTINJ,
  VMCB_INTERCEPT_MISC2,
  VMCB_IOPM_BASE,
  VMCB_MSRPM_BASE,
  VMCB_N_CR3,
  VMCB_NESTED_CONTROL,
} from "./vmcb";

const CS_LONG: u32 = 1 << 9;
const CS_DEFAULT: u32 = 1 << 10;
const EFER_DEFINED: u64 =
  EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME | EFER_LMSLE | EFER_FFXSR | EFER_TCE;
/** Bits 17..18 and 20..22 beside those below 13, 16: everything that any processor defines (APM, "CR4 Register"). */
const CR4_DEFINED: u64 = 0x00f7_1fff;

function highHalf(value: u64): bool {
  return value >> 32 != 0;
}

function beyondMemory(address: u64): bool {
  return address >> physicalAddressBits() != 0;
}

function longPaging(vmcb: u64): bool {
  return (phys_load64(vmcb + VMCB_EFER) & EFER_LME) != 0 && (phys_load64(vmcb + VMCB_CR0) & CR0_PG) != 0;
}

function cr3Reserved(vmcb: u64): bool {
  return (phys_load64(vmcb + VMCB_EFER) & EFER_LMA) != 0 && beyondMemory(phys_load64(vmcb + VMCB_CR3));
}

function longAndDefault(vmcb: u64): bool {
  const both = CS_LONG | CS_DEFAULT;
  const pae = (phys_load64(vmcb + VMCB_CR4) & CR4_PAE) != 0;
  return longPaging(vmcb) && pae && (phys_load16(vmcb + VMCB_CS + 2) & both) == both;
}

function mapsBeyondMemory(vmcb: u64): bool {
  const msrEnd = phys_load64(vmcb + VMCB_MSRPM_BASE) + MSR_MAP_BYTES - 1;
  const ioEnd = phys_load64(vmcb + VMCB_IOPM_BASE) + IO_MAP_BYTES - 1;
  return beyondMemory(msrEnd) || beyondMemory(ioEnd);
}

/** Reserved type, an exception that is none (NMI's vector, or above 31), NMI is fine with any vector. */
function illegalEvent(vmcb: u64): bool {
  const event = phys_load32(vmcb + VMCB_EVENTINJ);
  if ((event & EVENT_VALID) == 0) return false;
  const type = event & EVENT_TYPE_MASK;
  if (type == EVENT_EXCEPTION) return (event & 0xff) == 2 || (event & 0xff) > 31;
  return type != 0 && type != EVENT_NMI && type != EVENT_SOFT_INTERRUPT;
}

/** Notes `text`, the manual's words for what is illegal, when it is so. */
function illegal(isSo: bool, text: string): void {
  rule(!isSo, text);
}

/** Checks the guest's state; what it breaks goes to the list of violations. */
export function checkGuest(vmcb: u64): void {
  const cr0 = phys_load64(vmcb + VMCB_CR0);
  const cr4 = phys_load64(vmcb + VMCB_CR4);
  const efer = phys_load64(vmcb + VMCB_EFER);
  const long = longPaging(vmcb);
  illegal((efer & EFER_SVME) == 0, "EFER.SVME is zero");
  illegal((cr0 & (CR0_CD | CR0_NW)) == CR0_NW, "CR0.CD is zero and CR0.NW is set");
  illegal(highHalf(cr0), "CR0[63:32] are not zero");
  illegal(cr3Reserved(vmcb), "any MBZ bit of CR3 is set");
  illegal((cr4 & ~CR4_DEFINED) != 0, "any MBZ bit of CR4 is set");
  illegal(highHalf(phys_load64(vmcb + VMCB_DR6)), "DR6[63:32] are not zero");
  illegal(highHalf(phys_load64(vmcb + VMCB_DR7)), "DR7[63:32] are not zero");
  illegal((efer & ~EFER_DEFINED) != 0, "any MBZ bit of EFER is set");
  illegal(long && (cr4 & CR4_PAE) == 0, "EFER.LME and CR0.PG are both set and CR4.PAE is zero");
  illegal(long && (cr0 & CR0_PE) == 0, "EFER.LME and CR0.PG are both set and CR0.PE is zero");
  illegal(longAndDefault(vmcb), "EFER.LME, CR0.PG, CR4.PAE, CS.L and CS.D are all non-zero");
  illegal((cr0 & (CR0_PG | CR0_PE)) == CR0_PG, "CR0.PG is set and CR0.PE is zero");
}

/** The same for the event that is to be injected. */
export function checkEvent(vmcb: u64): void {
  illegal(illegalEvent(vmcb), "illegal event injection");
}

/** The same for the rest of the control area. */
function checkControls(vmcb: u64): void {
  const asid = phys_load32(vmcb + VMCB_ASID);
  const isNested = (phys_load64(vmcb + VMCB_NESTED_CONTROL) & NESTED_PAGING_ENABLE) != 0;
  illegal(
    (phys_load32(vmcb + VMCB_INTERCEPT_MISC2) & INTERCEPT_VMRUN) == 0,
    "the VMRUN intercept bit is clear",
  );
  illegal(
    mapsBeyondMemory(vmcb),
    "the MSR or IOIO intercept tables extend to a physical address that is greater than or equal to the maximum supported",
  );
  illegal(asid == 0, "ASID is equal to zero");
  illegal(asid >= svmAsidCount(), "ASID is not below the number of ASIDs supported");
  illegal(!isNested, "nested paging is off: this hypervisor never runs a guest without it");
  illegal(
    beyondMemory(phys_load64(vmcb + VMCB_N_CR3)),
    "N_CR3 is not a physical address supported by the processor",
  );
}

/** Checks every rule on a VMCB. Returns how many are broken; violation(i) names them. */
export function checkEntry(vmcb: u64): u32 {
  violationsClear();
  checkGuest(vmcb);
  checkEvent(vmcb);
  checkControls(vmcb);
  return violationCount();
}

/** Logs every rule that the VMCB breaks. */
export function explainInvalid(vmcb: u64): void {
  const count = checkEntry(vmcb);
  if (count == 0) {
    logLine(
      LOG_ERROR,
      "VMRUN refused the guest, and no known rule is broken: a reserved bit of CR3 or CR4 of this processor?",
    );
  }
  for (let i: u32 = 0; i < count; i++) logRule(vmcb, violation(i));
}

function logRule(vmcb: u64, text: string): void {
  if (!logStart(LOG_ERROR)) return;
  logText("VMRUN refused the guest: ");
  logText(text);
  logText(" (CR0 ");
  logHex(phys_load64(vmcb + VMCB_CR0));
  logText(", CR3 ");
  logHex(phys_load64(vmcb + VMCB_CR3));
  logText(", CR4 ");
  logHex(phys_load64(vmcb + VMCB_CR4));
  logText(", EFER ");
  logHex(phys_load64(vmcb + VMCB_EFER));
  logText(")");
  logEnd();
}

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
import { LOG_ERROR, logEnd, logHex, logStart, logText } from "../lib/log";
import { EVENT_EXCEPTION, EVENT_NMI, EVENT_SOFT_INTERRUPT, EVENT_TYPE_MASK, EVENT_VALID } from "../vcpu/vcpu";
import { svmAsidCount } from "./capabilities";
import { INTERCEPT_VMRUN } from "./controls";
import { IO_MAP_BYTES } from "./iomap";
import { MSR_MAP_BYTES } from "./msrmap";
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

/** The rules, by number; the words are the manual's. */
const rules: StaticArray<string> = [
  "EFER.SVME is zero",
  "CR0.CD is zero and CR0.NW is set",
  "CR0[63:32] are not zero",
  "any MBZ bit of CR3 is set",
  "any MBZ bit of CR4 is set",
  "DR6[63:32] are not zero",
  "DR7[63:32] are not zero",
  "any MBZ bit of EFER is set",
  "EFER.LME and CR0.PG are both set and CR4.PAE is zero",
  "EFER.LME and CR0.PG are both set and CR0.PE is zero",
  "EFER.LME, CR0.PG, CR4.PAE, CS.L and CS.D are all non-zero",
  "CR0.PG is set and CR0.PE is zero",
  "the VMRUN intercept bit is clear",
  "the MSR or IOIO intercept tables extend to a physical address that is greater than or equal to the maximum supported",
  "illegal event injection",
  "ASID is equal to zero",
  "ASID is not below the number of ASIDs supported",
  "nested paging is off: this hypervisor never runs a guest without it",
  "N_CR3 is not a physical address supported by the processor",
];

export const NO_RULE: u32 = 0xffffffff;

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

function pagingWithoutProtection(vmcb: u64): bool {
  return (phys_load64(vmcb + VMCB_CR0) & (CR0_PG | CR0_PE)) == CR0_PG;
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

/** Whether the VMCB breaks rule `rule`, an index of `rules`. */
function breaks(vmcb: u64, rule: u32): bool {
  const cr0 = phys_load64(vmcb + VMCB_CR0);
  const efer = phys_load64(vmcb + VMCB_EFER);
  switch (rule) {
    case 0:
      return (efer & EFER_SVME) == 0;
    case 1:
      return (cr0 & (CR0_CD | CR0_NW)) == CR0_NW;
    case 2:
      return highHalf(cr0);
    case 3:
      return cr3Reserved(vmcb);
    case 4:
      return (phys_load64(vmcb + VMCB_CR4) & ~CR4_DEFINED) != 0;
    case 5:
      return highHalf(phys_load64(vmcb + VMCB_DR6));
    case 6:
      return highHalf(phys_load64(vmcb + VMCB_DR7));
    case 7:
      return (efer & ~EFER_DEFINED) != 0;
    case 8:
      return longPaging(vmcb) && (phys_load64(vmcb + VMCB_CR4) & CR4_PAE) == 0;
    case 9:
      return longPaging(vmcb) && (cr0 & CR0_PE) == 0;
    case 10:
      return longAndDefault(vmcb);
    case 11:
      return pagingWithoutProtection(vmcb);
    case 12:
      return (phys_load32(vmcb + VMCB_INTERCEPT_MISC2) & INTERCEPT_VMRUN) == 0;
    case 13:
      return mapsBeyondMemory(vmcb);
    case 14:
      return illegalEvent(vmcb);
    case 15:
      return phys_load32(vmcb + VMCB_ASID) == 0;
    case 16:
      return phys_load32(vmcb + VMCB_ASID) >= svmAsidCount();
    case 17:
      return (phys_load64(vmcb + VMCB_NESTED_CONTROL) & NESTED_PAGING_ENABLE) == 0;
    case 18:
      return beyondMemory(phys_load64(vmcb + VMCB_N_CR3));
  }
  return false;
}

/** The first rule from `from` on that the VMCB breaks, or NO_RULE. */
export function brokenRule(vmcb: u64, from: u32): u32 {
  for (let rule = from; rule < <u32>rules.length; rule++) if (breaks(vmcb, rule)) return rule;
  return NO_RULE;
}

/** The rule in the manual's words. */
export function ruleText(rule: u32): string {
  return rule < <u32>rules.length ? unchecked(rules[rule]) : "no such rule";
}

/** Logs every rule that the VMCB breaks. */
export function explainInvalid(vmcb: u64): void {
  let rule = brokenRule(vmcb, 0);
  if (rule == NO_RULE && logStart(LOG_ERROR)) {
    logText(
      "VMRUN refused the guest, and no known rule is broken: a reserved bit of CR3 or CR4 of this processor?",
    );
    logEnd();
  }
  while (rule != NO_RULE) {
    if (logStart(LOG_ERROR)) {
      logText("VMRUN refused the guest: ");
      logText(ruleText(rule));
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
    rule = brokenRule(vmcb, rule + 1);
  }
}

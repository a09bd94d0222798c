// The local APIC's registers by number, the bits that can be written, and which of them exist as x2APIC MSRs
// (Intel SDM volume 3, "x2APIC Register Address Space").
import { LVT_REMOTE_IRR } from "./lapic_state";
import { DIVIDE_WRITABLE } from "./lapic_timer";

// Register numbers: MMIO offset / 16, and MSR - 800h.
export const ID: u32 = 0x02;
export const VERSION: u32 = 0x03;
export const TPR: u32 = 0x08;
export const ARBITRATION: u32 = 0x09;
export const PPR: u32 = 0x0a;
export const EOI: u32 = 0x0b;
export const REMOTE_READ: u32 = 0x0c;
export const LDR: u32 = 0x0d;
export const DFR: u32 = 0x0e;
export const SVR: u32 = 0x0f;
export const ISR_FIRST: u32 = 0x10;
export const TMR_FIRST: u32 = 0x18;
export const IRR_FIRST: u32 = 0x20;
export const ESR: u32 = 0x28;
export const ICR_LOW: u32 = 0x30;
export const ICR_HIGH: u32 = 0x31;
export const LVT_TIMER: u32 = 0x32;
export const LVT_THERMAL: u32 = 0x33;
export const LVT_COUNTERS: u32 = 0x34;
export const LVT_LINT0: u32 = 0x35;
export const LVT_LINT1: u32 = 0x36;
export const LVT_ERROR: u32 = 0x37;
export const INITIAL_COUNT: u32 = 0x38;
export const CURRENT_COUNT: u32 = 0x39;
export const DIVIDE: u32 = 0x3e;
export const SELF_IPI: u32 = 0x3f;

// Bits that software can write.
export const SVR_WRITABLE: u32 = 0x13ff;
export const TIMER_WRITABLE: u32 = 0x000700ff;
export const THERMAL_WRITABLE: u32 = 0x000107ff;
export const LINT_WRITABLE: u32 = 0x0001a7ff;
export const ERROR_WRITABLE: u32 = 0x000100ff;
/** Delivery status: read-only, but no reserved bit. */
const LVT_STATUS: u32 = 1 << 12;

/** Registers that RDMSR can read in x2APIC mode. */
export function readableInX2apic(register: u32): bool {
  if (register >= ISR_FIRST && register <= ESR) return true;
  switch (register) {
    case ID:
    case VERSION:
    case TPR:
    case PPR:
    case LDR:
    case SVR:
    case ICR_LOW:
    case DIVIDE:
      return true;
    default:
      return register >= LVT_TIMER && register <= CURRENT_COUNT;
  }
}

/** Registers besides the ICR that WRMSR can write in x2APIC mode. */
export function hasX2apicWrite(register: u32): bool {
  switch (register) {
    case TPR:
    case EOI:
    case SVR:
    case ESR:
    case DIVIDE:
    case SELF_IPI:
      return true;
    default:
      return register >= LVT_TIMER && register <= INITIAL_COUNT;
  }
}

/** Bits that WRMSR may set in x2APIC mode; others are reserved and fault. EOI and ESR take zero only. */
export function writableInX2apic(register: u32): u32 {
  switch (register) {
    case TPR:
    case SELF_IPI:
      return 0xff;
    case SVR:
      return SVR_WRITABLE;
    case LVT_TIMER:
      return TIMER_WRITABLE | LVT_STATUS;
    case LVT_THERMAL:
    case LVT_COUNTERS:
      return THERMAL_WRITABLE | LVT_STATUS;
    case LVT_LINT0:
    case LVT_LINT1:
      return LINT_WRITABLE | LVT_STATUS | LVT_REMOTE_IRR;
    case LVT_ERROR:
      return ERROR_WRITABLE | LVT_STATUS;
    case INITIAL_COUNT:
      return 0xffffffff;
    case DIVIDE:
      return DIVIDE_WRITABLE;
    default:
      return 0;
  }
}

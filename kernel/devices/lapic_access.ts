// Guest accesses to the local APIC's registers, as xAPIC MMIO and as x2APIC MSRs (Intel SDM volume 3, "Local
// APIC Register Address Map" and "x2APIC Register Address Space"). Version 14h with six LVT entries.
import { isPortSize } from "../lib/sizes";
import { ipiSend, x2apicLogicalId } from "./lapic_ipi";
import { endOfInterrupt, isLevelFixed, sampleLevelLint } from "./lapic_pins";
import {
  ESR_ILLEGAL_REGISTER,
  hardwareEnabled,
  inX2apicMode,
  inXapicMode,
  IRR,
  ISR,
  Lapic,
  lapicRaiseError,
  LVT_MASKED,
  LVT_REMOTE_IRR,
  processorPriority,
  setWord,
  softwareEnabled,
  SVR_ENABLE,
  TMR,
} from "./lapic_state";
import {
  DIVIDE_WRITABLE,
  lapicAdvance,
  timerCurrentCount,
  timerSetDivide,
  timerSetInitialCount,
  timerSetLvt,
} from "./lapic_timer";

// Register numbers: MMIO offset / 16, and MSR - 800h.
const ID: u32 = 0x02;
const VERSION: u32 = 0x03;
const TPR: u32 = 0x08;
const ARBITRATION: u32 = 0x09;
const PPR: u32 = 0x0a;
const EOI: u32 = 0x0b;
const REMOTE_READ: u32 = 0x0c;
const LDR: u32 = 0x0d;
const DFR: u32 = 0x0e;
const SVR: u32 = 0x0f;
const ISR_FIRST: u32 = 0x10;
const TMR_FIRST: u32 = 0x18;
const IRR_FIRST: u32 = 0x20;
const ESR: u32 = 0x28;
const ICR_LOW: u32 = 0x30;
const ICR_HIGH: u32 = 0x31;
const LVT_TIMER: u32 = 0x32;
const LVT_THERMAL: u32 = 0x33;
const LVT_COUNTERS: u32 = 0x34;
const LVT_LINT0: u32 = 0x35;
const LVT_LINT1: u32 = 0x36;
const LVT_ERROR: u32 = 0x37;
const INITIAL_COUNT: u32 = 0x38;
const CURRENT_COUNT: u32 = 0x39;
const DIVIDE: u32 = 0x3e;
const SELF_IPI: u32 = 0x3f;

// Bits that software can write.
const SVR_WRITABLE: u32 = 0x13ff;
const TIMER_WRITABLE: u32 = 0x000700ff;
const THERMAL_WRITABLE: u32 = 0x000107ff;
const LINT_WRITABLE: u32 = 0x0001a7ff;
const ERROR_WRITABLE: u32 = 0x000100ff;
/** Delivery status: read-only, but no reserved bit. */
const LVT_STATUS: u32 = 1 << 12;

const X2APIC_FIRST_MSR: u32 = 0x800;
const X2APIC_LAST_MSR: u32 = 0x8ff;

/** Version 14h, LVT entries 0..5, EOI broadcasts can be suppressed. */
const VERSION_VALUE: u32 = (1 << 24) | (5 << 16) | 0x14;
const ICR_LOW_WRITABLE: u32 = 0x000ccfff;

/**
 * xAPIC MMIO read; `offset` 0..FFFh. Registers are 32 bits at multiples of 16; what is between them reads as
 * zero. Outside xAPIC mode nobody answers.
 */
export function lapicRead(l: Lapic, offset: u32, size: u32, now: u64): u32 {
  if (isDefined(CHECKED)) assert(isPortSize(size) && offset <= 0xfff, "lapic: an access");
  if (!inXapicMode(l)) return 0xffffffff;
  const inside = offset & 15;
  if (inside + size > 4) return 0;
  const value = readRegister(l, (offset >> 4) & 0xff, now) >> (inside * 8);
  return size == 4 ? value : value & ((1 << (size * 8)) - 1);
}

/** xAPIC MMIO write. Only 32-bit writes at a register's address count. */
export function lapicWrite(l: Lapic, offset: u32, size: u32, value: u32, now: u64): void {
  if (isDefined(CHECKED)) assert(isPortSize(size) && offset <= 0xfff, "lapic: an access");
  if (!inXapicMode(l) || (offset & 15) != 0 || size != 4) return;
  if (offset >> 4 == EOI) endOfInterrupt(l);
  else writeXapic(l, (offset >> 4) & 0xff, value, now);
}

/** Whether RDMSR of 800h..8FFh finds a register. False: #GP(0), since there is none such in this mode. */
export function lapicHasMsr(l: Lapic, msr: u32): bool {
  if (!inX2apicMode(l) || msr < X2APIC_FIRST_MSR || msr > X2APIC_LAST_MSR) return false;
  return readableInX2apic(msr - X2APIC_FIRST_MSR);
}

/** RDMSR of a register that `lapicHasMsr` knows. */
export function lapicMsrRead(l: Lapic, msr: u32, now: u64): u64 {
  if (isDefined(CHECKED)) assert(lapicHasMsr(l, msr), "lapic: no such register");
  const register = msr - X2APIC_FIRST_MSR;
  return register == ICR_LOW ? l.icr : readRegister(l, register, now);
}

/** WRMSR of 800h..8FFh. False: #GP(0): read-only or no such register, or reserved bits set. */
export function lapicMsrWrite(l: Lapic, msr: u32, value: u64, now: u64): bool {
  if (!inX2apicMode(l) || msr < X2APIC_FIRST_MSR || msr > X2APIC_LAST_MSR) return false;
  const register = msr - X2APIC_FIRST_MSR;
  if (register == EOI && value == 0) {
    endOfInterrupt(l); // by far the most frequent write
    return true;
  }
  if (register == ICR_LOW) {
    if ((<u32>value & ~ICR_LOW_WRITABLE) != 0) return false;
    l.icr = value;
    ipiSend(l, value);
    return true;
  }
  if ((value & ~(<u64>writableInX2apic(register))) != 0 || !hasX2apicWrite(register)) return false;
  if (register == SELF_IPI) ipiSend(l, (1 << 18) | value);
  else writeRegister(l, register, <u32>value, now);
  return true;
}

function readRegister(l: Lapic, register: u32, now: u64): u32 {
  if (isDefined(CHECKED)) assert(register <= 0xff, "lapic: register");
  switch (register) {
    case ID:
      return inX2apicMode(l) ? l.apicId : l.apicId << 24;
    case VERSION:
      return VERSION_VALUE;
    case TPR:
      return l.tpr;
    case PPR:
      return processorPriority(l);
    case LDR:
      return inX2apicMode(l) ? x2apicLogicalId(l) : l.ldr;
    case DFR:
      return l.dfr;
    case SVR:
      return l.svr;
    case ESR:
      return l.esr;
    case ICR_LOW:
      return <u32>l.icr;
    case ICR_HIGH:
      return <u32>(l.icr >> 32);
    case LVT_TIMER:
      return l.lvtTimer;
    case LVT_THERMAL:
      return l.lvtThermal;
    case LVT_COUNTERS:
      return l.lvtCounters;
    case LVT_LINT0:
      return l.lvtLint0;
    case LVT_LINT1:
      return l.lvtLint1;
    case LVT_ERROR:
      return l.lvtError;
    case INITIAL_COUNT:
      return l.initialCount;
    case CURRENT_COUNT:
      lapicAdvance(l, now);
      return timerCurrentCount(l, now);
    case DIVIDE:
      return l.divide;
    case EOI:
    case ARBITRATION:
    case REMOTE_READ:
      return 0;
    default:
      return readSetRegister(l, register);
  }
}

/** ISR, TMR and IRR: eight registers each, one after the other. */
function readSetRegister(l: Lapic, register: u32): u32 {
  if (isDefined(CHECKED)) assert(register <= 0xff, "lapic: register");
  if (register >= ISR_FIRST && register < TMR_FIRST) return setWord(l, ISR, register & 7);
  if (register >= TMR_FIRST && register < IRR_FIRST) return setWord(l, TMR, register & 7);
  if (register >= IRR_FIRST && register < ESR) return setWord(l, IRR, register & 7);
  lapicRaiseError(l, ESR_ILLEGAL_REGISTER);
  return 0;
}

/** Writes that exist in xAPIC mode only, and those of both modes. */
function writeXapic(l: Lapic, register: u32, value: u32, now: u64): void {
  if (isDefined(CHECKED)) assert(inXapicMode(l), "lapic: a register of xAPIC mode");
  if (isDefined(CHECKED)) assert(register != EOI && register <= 0xff, "lapic: register");
  switch (register) {
    case LDR:
      l.ldr = value & 0xff000000;
      break;
    case DFR:
      l.dfr = value | 0x0fffffff;
      break;
    case ICR_LOW:
      l.icr = (l.icr & 0xffffffff00000000) | <u64>(value & ICR_LOW_WRITABLE);
      ipiSend(l, l.icr);
      break;
    case ICR_HIGH:
      l.icr = (l.icr & 0xffffffff) | ((<u64>(value & 0xff000000)) << 32);
      break;
    default:
      writeRegister(l, register, value, now);
      break;
  }
}

/** Writes common to both modes; reserved bits are dropped (x2APIC mode has refused them before). */
function writeRegister(l: Lapic, register: u32, value: u32, now: u64): void {
  if (isDefined(CHECKED)) assert(register != EOI && register != ICR_LOW, "lapic: a command is no register");
  if (isDefined(CHECKED)) assert(hardwareEnabled(l), "lapic: a disabled APIC has no registers");
  switch (register) {
    case TPR:
      l.tpr = value & 0xff;
      break;
    case SVR:
      writeSpuriousVector(l, value & SVR_WRITABLE);
      break;
    case ESR:
      l.esr = l.newErrors;
      l.newErrors = 0;
      break;
    case INITIAL_COUNT:
      lapicAdvance(l, now);
      timerSetInitialCount(l, value, now);
      break;
    case DIVIDE:
      lapicAdvance(l, now);
      timerSetDivide(l, value, now);
      break;
    case ID:
    case VERSION:
    case ARBITRATION:
    case PPR:
    case REMOTE_READ:
    case CURRENT_COUNT:
      break; // read-only
    default:
      writeLvt(l, register, value, now);
      break;
  }
}

/** Software-disabling masks the whole local vector table. */
function writeSpuriousVector(l: Lapic, value: u32): void {
  if (isDefined(CHECKED)) assert((value & ~SVR_WRITABLE) == 0, "lapic: spurious vector");
  l.svr = value;
  if (softwareEnabled(l)) return;
  l.lvtTimer |= LVT_MASKED;
  l.lvtThermal |= LVT_MASKED;
  l.lvtCounters |= LVT_MASKED;
  l.lvtLint0 |= LVT_MASKED;
  l.lvtLint1 |= LVT_MASKED;
  l.lvtError |= LVT_MASKED;
  if (isDefined(CHECKED)) assert((l.svr & SVR_ENABLE) == 0, "lapic: masked while it is enabled");
}

/** While the APIC is software-disabled, mask bits cannot be cleared. */
function writeLvt(l: Lapic, register: u32, value: u32, now: u64): void {
  if (isDefined(CHECKED)) assert((l.lvtTimer & ~TIMER_WRITABLE) == 0, "lapic: local vector table");
  if (isDefined(CHECKED)) assert((l.lvtError & ~ERROR_WRITABLE) == 0, "lapic: local vector table");
  const forced: u32 = softwareEnabled(l) ? 0 : LVT_MASKED;
  switch (register) {
    case LVT_TIMER:
      lapicAdvance(l, now);
      timerSetLvt(l, (value & TIMER_WRITABLE) | forced);
      break;
    case LVT_THERMAL:
      l.lvtThermal = (value & THERMAL_WRITABLE) | forced;
      break;
    case LVT_COUNTERS:
      l.lvtCounters = (value & THERMAL_WRITABLE) | forced;
      break;
    case LVT_LINT0:
      l.lvtLint0 = (value & LINT_WRITABLE) | forced | keptRemoteIrr(l.lvtLint0, value);
      if (isLevelFixed(l.lvtLint0)) sampleLevelLint(l, 0);
      break;
    case LVT_LINT1:
      l.lvtLint1 = (value & LINT_WRITABLE) | forced | keptRemoteIrr(l.lvtLint1, value);
      if (isLevelFixed(l.lvtLint1)) sampleLevelLint(l, 1);
      break;
    case LVT_ERROR:
      l.lvtError = (value & ERROR_WRITABLE) | forced;
      break;
    default:
      if (register < ISR_FIRST || register >= ESR) lapicRaiseError(l, ESR_ILLEGAL_REGISTER);
      break;
  }
}

/** Remote IRR is read-only, and means something to level-triggered fixed entries only. */
function keptRemoteIrr(before: u32, value: u32): u32 {
  if (isDefined(CHECKED))
    assert((before & ~(LINT_WRITABLE | LVT_REMOTE_IRR)) == 0, "lapic: local vector table");
  return isLevelFixed(value) ? before & LVT_REMOTE_IRR : 0;
}

// --- which registers exist as MSRs, and which of their bits can be written ------------------------------------------------

/** Registers that RDMSR can read in x2APIC mode. */
function readableInX2apic(register: u32): bool {
  if (isDefined(CHECKED)) assert(register <= 0xff, "lapic: register");
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
function hasX2apicWrite(register: u32): bool {
  if (isDefined(CHECKED)) assert(register != ICR_LOW, "lapic: the ICR has 64 bits");
  if (isDefined(CHECKED)) assert(register <= 0xff, "lapic: register");
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
function writableInX2apic(register: u32): u32 {
  if (isDefined(CHECKED)) assert(register != ICR_LOW, "lapic: the ICR has 64 bits");
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

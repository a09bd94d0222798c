// The local APIC: its registers as xAPIC MMIO and x2APIC MSRs (Intel SDM volume 3, "Local APIC Register Address Map" and
// "x2APIC Register Address Space"), its pins, and what the platform asks of it. Version 14h with six LVT entries.
import { arenaNewWithTail } from "../lib/arena";
import { ipiSend, x2apicLogicalId } from "./lapic_ipi";
import {
  BASE_BSP, BASE_DEFAULT, BASE_ENABLE, BASE_X2APIC, DELIVERY_EXTINT, DELIVERY_FIXED, DELIVERY_NMI, ESR_ILLEGAL_REGISTER,
  hardwareEnabled, inX2apicMode, inXapicMode, IRR, ISR, Lapic, lapicDeliver, lapicRaiseError, LVT_LEVEL, LVT_MASKED, LVT_MODE_SHIFT,
  LVT_REMOTE_IRR, LVT_VECTOR, NO_VECTOR, processorPriority, SET_BYTES, setHas, setHighest, setAdd, setRemove, setWord,
  softwareEnabled, SVR_ENABLE, SVR_SUPPRESS_EOI, TMR,
} from "./lapic_state";
import {
  DIVIDE_WRITABLE, lapicAdvance, timerCurrentCount, timerSetDivide, timerSetInitialCount, timerSetLvt,
} from "./lapic_timer";

export {
  DELIVERY_EXTINT, DELIVERY_FIXED, DELIVERY_INIT, DELIVERY_LOWEST, DELIVERY_NMI, DELIVERY_SMI, DELIVERY_STARTUP, Lapic,
  lapicDeliver, NO_VECTOR,
} from "./lapic_state";
export { LAPIC_TIMER_HZ, lapicAdvance, lapicDeadline, lapicSetTscDeadline, lapicTscDeadline } from "./lapic_timer";
export { lapicIpi, lapicIpiMatches, lapicMatches, lapicMessage, lapicTakeIpi, NO_IPI } from "./lapic_ipi";

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

const X2APIC_FIRST_MSR: u32 = 0x800;
const X2APIC_LAST_MSR: u32 = 0x8ff;

/** Version 14h, LVT entries 0..5, EOI broadcasts can be suppressed. */
const VERSION_VALUE: u32 = (1 << 24) | (5 << 16) | 0x14;
const SVR_WRITABLE: u32 = 0x13ff;
const TIMER_WRITABLE: u32 = 0x000700ff;
const THERMAL_WRITABLE: u32 = 0x000107ff;
const LINT_WRITABLE: u32 = 0x0001a7ff;
const ERROR_WRITABLE: u32 = 0x000100ff;
const ICR_LOW_WRITABLE: u32 = 0x000ccfff;
/** Bits of IA32_APIC_BASE that must be zero: 7..0, 9, and above the architecture's widest physical address. */
const BASE_RESERVED: u64 = 0xfff00000000002ff;

/** Storage for one; boot time only. */
export function lapicNew(): Lapic {
  return arenaNewWithTail<Lapic>(3 * SET_BYTES);
}

/** Power-up state: enabled in xAPIC mode, software-disabled. `bootCpu` sets the BSP flag. */
export function lapicReset(l: Lapic, apicId: u32, bootCpu: bool): void {
  l.base = BASE_DEFAULT | BASE_ENABLE | (bootCpu ? BASE_BSP : 0);
  l.apicId = apicId;
  l.lintLevels = 0;
  l.nmiPending = false;
  l.initPending = false;
  l.sipiPending = false;
  l.sipiVector = 0;
  lapicInit(l);
}

/** State after INIT: as after power-up, but APIC ID, IA32_APIC_BASE and the levels of the pins stay. */
export function lapicInit(l: Lapic): void {
  l.tpr = 0;
  l.ldr = 0;
  l.dfr = 0xffffffff;
  l.svr = 0xff;
  l.esr = 0;
  l.newErrors = 0;
  l.icr = 0;
  l.ipiPending = false;
  l.eoiVector = NO_VECTOR;
  l.lvtTimer = LVT_MASKED;
  l.lvtThermal = LVT_MASKED;
  l.lvtCounters = LVT_MASKED;
  l.lvtLint0 = LVT_MASKED;
  l.lvtLint1 = LVT_MASKED;
  l.lvtError = LVT_MASKED;
  l.divide = 0;
  l.initialCount = 0;
  l.timerArmed = false;
  l.timerExpiry = 0;
  l.tscDeadline = 0;
  memory.fill(changetype<usize>(l) + offsetof<Lapic>(), 0, 3 * SET_BYTES);
}

/** The "virtual wire" in which firmware hands the boot CPU over: LINT0 passes the PIC's INTR, LINT1 is NMI. */
export function lapicSetVirtualWire(l: Lapic): void {
  l.svr = SVR_ENABLE | 0xff;
  l.lvtLint0 = DELIVERY_EXTINT << LVT_MODE_SHIFT;
  l.lvtLint1 = DELIVERY_NMI << LVT_MODE_SHIFT;
}

/**
 * xAPIC MMIO read; `offset` 0..FFFh. Registers are 32 bits at multiples of 16; what is between them reads as zero. Outside
 * xAPIC mode nobody answers.
 */
export function lapicRead(l: Lapic, offset: u32, size: u32, now: u64): u32 {
  if (!inXapicMode(l)) return 0xffffffff;
  const inside = offset & 15;
  if (inside + size > 4) return 0;
  const value = readRegister(l, (offset >> 4) & 0xff, now) >> (inside * 8);
  return size == 4 ? value : value & ((1 << (size * 8)) - 1);
}

/** xAPIC MMIO write. Only 32-bit writes at a register's address count. */
export function lapicWrite(l: Lapic, offset: u32, size: u32, value: u32, now: u64): void {
  if (!inXapicMode(l) || (offset & 15) != 0 || size != 4) return;
  writeXapic(l, (offset >> 4) & 0xff, value, now);
}

/** RDMSR of 800h..8FFh: stores the value at `result`. False: #GP(0), since there is no such register in this mode. */
export function lapicMsrRead(l: Lapic, msr: u32, result: usize, now: u64): bool {
  if (!inX2apicMode(l) || msr < X2APIC_FIRST_MSR || msr > X2APIC_LAST_MSR) return false;
  const register = msr - X2APIC_FIRST_MSR;
  if (!readableInX2apic(register)) return false;
  store<u64>(result, register == ICR_LOW ? l.icr : readRegister(l, register, now));
  return true;
}

/** WRMSR of 800h..8FFh. False: #GP(0): read-only or no such register, or reserved bits set. */
export function lapicMsrWrite(l: Lapic, msr: u32, value: u64, now: u64): bool {
  if (!inX2apicMode(l) || msr < X2APIC_FIRST_MSR || msr > X2APIC_LAST_MSR) return false;
  const register = msr - X2APIC_FIRST_MSR;
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

/** IA32_APIC_BASE. */
export function lapicBase(l: Lapic): u64 {
  return l.base;
}

/**
 * Write of IA32_APIC_BASE. False: #GP(0), for reserved bits and for transitions the manual forbids (into x2APIC mode from
 * disabled, from x2APIC mode to xAPIC mode). Disabling loses all state.
 */
export function lapicSetBase(l: Lapic, value: u64): bool {
  if ((value & BASE_RESERVED) != 0) return false;
  const before = l.base & (BASE_ENABLE | BASE_X2APIC);
  const after = value & (BASE_ENABLE | BASE_X2APIC);
  if (after == BASE_X2APIC) return false;
  if (before == 0 && after == (BASE_ENABLE | BASE_X2APIC)) return false;
  if (before == (BASE_ENABLE | BASE_X2APIC) && after == BASE_ENABLE) return false;
  l.base = value;
  if (before != 0 && after == 0) lapicInit(l);
  return true;
}

/** Task-priority class 0..15, as MOV from CR8 gives it. */
export function lapicTprClass(l: Lapic): u32 {
  return l.tpr >> 4;
}

/** MOV to CR8: the sub-class becomes zero. */
export function lapicSetTprClass(l: Lapic, value: u32): void {
  l.tpr = (value & 15) << 4;
}

/** Vector that the CPU would take now if it could, or NO_VECTOR. */
export function lapicHighestPending(l: Lapic): i32 {
  const vector = setHighest(l, IRR);
  if (vector < 0 || !hardwareEnabled(l)) return NO_VECTOR;
  return (<u32>vector & 0xf0) > (processorPriority(l) & 0xf0) ? vector : NO_VECTOR;
}

/** Moves the highest pending vector into service and returns it; the spurious vector if there is none any more. */
export function lapicAcknowledge(l: Lapic): u32 {
  const vector = lapicHighestPending(l);
  if (vector < 0) return l.svr & 0xff;
  setRemove(l, IRR, <u32>vector);
  setAdd(l, ISR, <u32>vector);
  return <u32>vector;
}

/** Vector of a level-triggered interrupt whose EOI is to be broadcast to the IOAPICs, once, or NO_VECTOR. */
export function lapicTakeEoi(l: Lapic): i32 {
  const vector = l.eoiVector;
  l.eoiVector = NO_VECTOR;
  return vector;
}

/** Level of input pin LINT0 or LINT1 (`pin` 0 or 1). LINT0 is the PIC's INTR, LINT1 the NMI. */
export function lapicSetLint(l: Lapic, pin: u32, level: bool): void {
  const bit: u32 = 1 << pin;
  const rising = level && (l.lintLevels & bit) == 0;
  l.lintLevels = level ? l.lintLevels | bit : l.lintLevels & ~bit;
  const entry = pin == 0 ? l.lvtLint0 : l.lvtLint1;
  if (!hardwareEnabled(l) || (entry & LVT_MASKED) != 0) return;
  const mode = (entry >> LVT_MODE_SHIFT) & 7;
  if (mode == DELIVERY_NMI && rising) l.nmiPending = true;
  if (mode != DELIVERY_FIXED) return;
  if ((entry & LVT_LEVEL) != 0) sampleLevelLint(l, pin);
  else if (rising) lapicDeliver(l, entry & LVT_VECTOR, false);
}

/** Whether the PIC's INTR on LINT0 reaches the CPU as ExtINT (always when the APIC is off): the PIC gives the vector. */
export function lapicExtIntPending(l: Lapic): bool {
  if ((l.lintLevels & 1) == 0) return false;
  if (!hardwareEnabled(l)) return true;
  return (l.lvtLint0 & (LVT_MASKED | (7 << LVT_MODE_SHIFT))) == DELIVERY_EXTINT << LVT_MODE_SHIFT;
}

/** Whether the CPU has an interrupt to take, priority permitting. */
export function lapicLine(l: Lapic, _now: u64): bool {
  return lapicHighestPending(l) >= 0 || lapicExtIntPending(l);
}

/** A level-triggered fixed LINT interrupts while its pin is high and its last interrupt has had its EOI. */
function sampleLevelLint(l: Lapic, pin: u32): void {
  const entry = pin == 0 ? l.lvtLint0 : l.lvtLint1;
  if ((l.lintLevels & (1 << pin)) == 0 || (entry & (LVT_MASKED | LVT_REMOTE_IRR)) != 0) return;
  if (pin == 0) l.lvtLint0 = entry | LVT_REMOTE_IRR;
  else l.lvtLint1 = entry | LVT_REMOTE_IRR;
  lapicDeliver(l, entry & LVT_VECTOR, true);
}

function endOfInterrupt(l: Lapic): void {
  const vector = setHighest(l, ISR);
  if (vector < 0) return;
  setRemove(l, ISR, <u32>vector);
  if (!setHas(l, TMR, <u32>vector)) return;
  if ((l.svr & SVR_SUPPRESS_EOI) == 0) l.eoiVector = vector;
  if ((l.lvtLint0 & (LVT_REMOTE_IRR | LVT_VECTOR)) == (LVT_REMOTE_IRR | <u32>vector)) {
    l.lvtLint0 &= ~LVT_REMOTE_IRR;
    sampleLevelLint(l, 0);
  }
  if ((l.lvtLint1 & (LVT_REMOTE_IRR | LVT_VECTOR)) == (LVT_REMOTE_IRR | <u32>vector)) {
    l.lvtLint1 &= ~LVT_REMOTE_IRR;
    sampleLevelLint(l, 1);
  }
}

function readRegister(l: Lapic, register: u32, now: u64): u32 {
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
  if (register >= ISR_FIRST && register < TMR_FIRST) return setWord(l, ISR, register & 7);
  if (register >= TMR_FIRST && register < IRR_FIRST) return setWord(l, TMR, register & 7);
  if (register >= IRR_FIRST && register < ESR) return setWord(l, IRR, register & 7);
  lapicRaiseError(l, ESR_ILLEGAL_REGISTER);
  return 0;
}

/** Writes that exist in xAPIC mode only, and those of both modes. */
function writeXapic(l: Lapic, register: u32, value: u32, now: u64): void {
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
      l.icr = (l.icr & 0xffffffff) | (<u64>(value & 0xff000000) << 32);
      break;
    default:
      writeRegister(l, register, value, now);
      break;
  }
}

/** Writes common to both modes; reserved bits are dropped (x2APIC mode has refused them before). */
function writeRegister(l: Lapic, register: u32, value: u32, now: u64): void {
  switch (register) {
    case EOI:
      endOfInterrupt(l);
      break;
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
  l.svr = value;
  if (softwareEnabled(l)) return;
  l.lvtTimer |= LVT_MASKED;
  l.lvtThermal |= LVT_MASKED;
  l.lvtCounters |= LVT_MASKED;
  l.lvtLint0 |= LVT_MASKED;
  l.lvtLint1 |= LVT_MASKED;
  l.lvtError |= LVT_MASKED;
}

/** While the APIC is software-disabled, mask bits cannot be cleared. */
function writeLvt(l: Lapic, register: u32, value: u32, now: u64): void {
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
  return isLevelFixed(value) ? before & LVT_REMOTE_IRR : 0;
}

function isLevelFixed(entry: u32): bool {
  return (entry & (LVT_LEVEL | (7 << LVT_MODE_SHIFT))) == LVT_LEVEL;
}

/** Registers that RDMSR can read in x2APIC mode. */
function readableInX2apic(register: u32): bool {
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
  switch (register) {
    case TPR:
    case SELF_IPI:
      return 0xff;
    case SVR:
      return SVR_WRITABLE;
    case LVT_TIMER:
      return TIMER_WRITABLE | (1 << 12);
    case LVT_THERMAL:
    case LVT_COUNTERS:
      return THERMAL_WRITABLE | (1 << 12);
    case LVT_LINT0:
    case LVT_LINT1:
      return LINT_WRITABLE | (1 << 12) | LVT_REMOTE_IRR;
    case LVT_ERROR:
      return ERROR_WRITABLE | (1 << 12);
    case INITIAL_COUNT:
      return 0xffffffff;
    case DIVIDE:
      return DIVIDE_WRITABLE;
    default:
      return 0;
  }
}

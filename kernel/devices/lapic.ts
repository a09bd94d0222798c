// The local APIC as the platform uses it: life cycle, mode, priorities, what the CPU takes; and all that its other files have for
// the platform. A map of them, each of which needs only files below it:
//
//   lapic.ts         this one
//   lapic_access.ts  what the guest reads and writes: the registers by number, as MMIO and as MSRs
//   lapic_ipi.ts     messages: from this local APIC to others, from others and from the I/O APIC to this one
//   lapic_pins.ts    LINT0 and LINT1, and the end of an interrupt
//   lapic_timer.ts   the timer
//   lapic_state.ts   what all of them work on: Lapic with IRR, ISR and TMR
//
// The way of an interrupt: whoever has one puts it into IRR (`lapicDeliver`, state); the platform asks for the highest
// (`lapicHighestPending`) and takes it into ISR (`lapicAccept`); the guest's EOI ends it (`endOfInterrupt`, pins), and the I/O
// APIC is told if it was level-triggered (`lapicTakeEoi`).
import { arenaNewWithTail } from "../lib/arena";
import { lapicExtIntPending } from "./lapic_pins";
import {
  BASE_BSP,
  BASE_DEFAULT,
  BASE_ENABLE,
  BASE_X2APIC,
  DELIVERY_EXTINT,
  DELIVERY_NMI,
  FIRST_LEGAL_VECTOR,
  hardwareEnabled,
  IRR,
  ISR,
  Lapic,
  LVT_MASKED,
  LVT_MODE_SHIFT,
  NO_VECTOR,
  processorPriority,
  SET_BYTES,
  setAdd,
  setHighest,
  setRemove,
  SVR_ENABLE,
} from "./lapic_state";

export { lapicHasMsr, lapicMsrRead, lapicMsrWrite, lapicRead, lapicWrite } from "./lapic_access";
export { lapicIpi, lapicIpiMatches, lapicMatches, lapicMessage, lapicTakeIpi, NO_IPI } from "./lapic_ipi";
export { lapicExtIntPending, lapicMayGetSignals, lapicSetLint } from "./lapic_pins";
export {
  DELIVERY_EXTINT,
  DELIVERY_FIXED,
  DELIVERY_INIT,
  DELIVERY_LOWEST,
  DELIVERY_NMI,
  DELIVERY_SMI,
  DELIVERY_STARTUP,
  Lapic,
  lapicDeliver,
  NO_VECTOR,
  SIGNAL_INIT,
  SIGNAL_NMI,
} from "./lapic_state";
export {
  LAPIC_TIMER_HZ,
  lapicAdvance,
  lapicDeadline,
  lapicSetTscDeadline,
  lapicTscDeadline,
} from "./lapic_timer";

/**
 * Bits of IA32_APIC_BASE that must be zero: 7..0, 9, and above the architecture's widest physical address.
 */
const BASE_RESERVED: u64 = 0xfff00000000002ff;

/** Storage for one; boot time only. */
export function lapicNew(): Lapic {
  return arenaNewWithTail<Lapic>(3 * SET_BYTES);
}

/** Power-up state: enabled in xAPIC mode, software-disabled. `bootCpu` sets the BSP flag. */
export function lapicReset(l: Lapic, apicId: u32, bootCpu: bool): void {
  assert(apicId >> 20 == 0, "lapic: APIC ID");
  l.base = BASE_DEFAULT | BASE_ENABLE | (bootCpu ? BASE_BSP : 0);
  l.apicId = apicId;
  l.lintLevels = 0;
  l.signals = 0;
  l.sipiVector = 0;
  lapicInit(l);
}

/** State after INIT: as after power-up, but APIC ID, IA32_APIC_BASE and the levels of the pins stay. */
function lapicInit(l: Lapic): void {
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
  assert(
    setHighest(l, IRR) == NO_VECTOR && setHighest(l, ISR) == NO_VECTOR,
    "lapic: an interrupt outlives INIT",
  );
}

/**
 * The "virtual wire" in which firmware hands the boot CPU over: LINT0 passes the PIC's INTR, LINT1 is NMI.
 */
export function lapicSetVirtualWire(l: Lapic): void {
  assert(hardwareEnabled(l), "lapic: virtual wire of a disabled APIC");
  l.svr = SVR_ENABLE | 0xff;
  l.lvtLint0 = DELIVERY_EXTINT << LVT_MODE_SHIFT;
  l.lvtLint1 = DELIVERY_NMI << LVT_MODE_SHIFT;
}

/** Linear address of IA32_APIC_BASE, which only `lapicSetBase` changes. */
export function lapicBaseAddress(l: Lapic): usize {
  return changetype<usize>(l) + offsetof<Lapic>("base");
}

/** IA32_APIC_BASE. */
export function lapicBase(l: Lapic): u64 {
  if (isDefined(CHECKED)) assert((l.base & BASE_RESERVED) == 0, "lapic: IA32_APIC_BASE");
  return l.base;
}

/**
 * Write of IA32_APIC_BASE. False: #GP(0), for reserved bits and for transitions the manual forbids (into
 * x2APIC mode from disabled, from x2APIC mode to xAPIC mode). Disabling loses all state.
 */
export function lapicSetBase(l: Lapic, value: u64): bool {
  if ((value & BASE_RESERVED) != 0) return false;
  const before = l.base & (BASE_ENABLE | BASE_X2APIC);
  if (isDefined(CHECKED)) assert(before != BASE_X2APIC, "lapic: x2APIC mode while disabled");
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
  if (isDefined(CHECKED)) assert(l.tpr <= 0xff, "lapic: task priority");
  return l.tpr >> 4;
}

/** MOV to CR8: the sub-class becomes zero. */
export function lapicSetTprClass(l: Lapic, value: u32): void {
  l.tpr = (value & 15) << 4;
}

/** Vector that the CPU would take now if it could, or NO_VECTOR. */
export function lapicHighestPending(l: Lapic): i32 {
  const vector = setHighest(l, IRR);
  if (isDefined(CHECKED)) assert(vector == NO_VECTOR || <u32>vector >= FIRST_LEGAL_VECTOR, "lapic: vector");
  if (vector < 0 || !hardwareEnabled(l)) return NO_VECTOR;
  return (<u32>vector & 0xf0) > (processorPriority(l) & 0xf0) ? vector : NO_VECTOR;
}

/** The same for the `vector` that `lapicHighestPending` has just given. Returns it. */
export function lapicAccept(l: Lapic, vector: u32): u32 {
  if (isDefined(CHECKED)) assert(<i32>vector == lapicHighestPending(l), "lapic: another one is the highest");
  setRemove(l, IRR, vector);
  setAdd(l, ISR, vector);
  if (isDefined(CHECKED))
    assert(setHighest(l, ISR) == <i32>vector, "lapic: it interrupts only what is lower");
  return vector;
}

/** Vector of a level-triggered interrupt whose EOI is to be broadcast to the IOAPICs, once, or NO_VECTOR. */
export function lapicTakeEoi(l: Lapic): i32 {
  const vector = l.eoiVector;
  if (isDefined(CHECKED))
    assert(vector == NO_VECTOR || (<u32>vector >= FIRST_LEGAL_VECTOR && vector <= 0xff), "lapic: vector");
  l.eoiVector = NO_VECTOR;
  return vector;
}

/** Whether the CPU has an interrupt to take, priority permitting. */
export function lapicLine(l: Lapic, _now: u64): bool {
  return lapicHighestPending(l) >= 0 || lapicExtIntPending(l);
}

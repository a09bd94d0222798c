// The local APIC's input pins LINT0 and LINT1 (Intel SDM volume 3, "Local Vector Table"), and the end of
// interrupts, which lets level-triggered pins interrupt again.
import {
  DELIVERY_EXTINT,
  DELIVERY_FIXED,
  DELIVERY_INIT,
  DELIVERY_NMI,
  FIRST_LEGAL_VECTOR,
  hardwareEnabled,
  ISR,
  Lapic,
  lapicDeliver,
  LVT_LEVEL,
  LVT_MASKED,
  LVT_MODE_SHIFT,
  LVT_REMOTE_IRR,
  LVT_VECTOR,
  setHas,
  setHighest,
  setRemove,
  SIGNAL_INIT,
  SIGNAL_NMI,
  SVR_SUPPRESS_EOI,
  TMR,
} from "./lapic_state";

/** Level of input pin LINT0 or LINT1 (`pin` 0 or 1). LINT0 is the PIC's INTR, LINT1 the NMI. */
export function lapicSetLint(l: Lapic, pin: u32, level: bool): void {
  if (isDefined(CHECKED)) assert(pin <= 1, "lapic pins: pin");
  const bit: u32 = 1 << pin;
  const rising = level && (l.lintLevels & bit) == 0;
  l.lintLevels = level ? l.lintLevels | bit : l.lintLevels & ~bit;
  const entry = pin == 0 ? l.lvtLint0 : l.lvtLint1;
  if (!hardwareEnabled(l) || (entry & LVT_MASKED) != 0) return;
  const mode = (entry >> LVT_MODE_SHIFT) & 7;
  if (mode == DELIVERY_NMI && rising) l.signals |= SIGNAL_NMI;
  if (mode == DELIVERY_INIT && rising) l.signals |= SIGNAL_INIT;
  if (mode != DELIVERY_FIXED) return;
  if ((entry & LVT_LEVEL) != 0) sampleLevelLint(l, pin);
  else if (rising) lapicDeliver(l, entry & LVT_VECTOR, false);
}

/**
 * Whether the PIC's INTR on LINT0 reaches the CPU as ExtINT (always when the APIC is off): the PIC gives the
 * vector.
 */
export function lapicExtIntPending(l: Lapic): bool {
  if (isDefined(CHECKED)) assert(l.lintLevels <= 3, "lapic pins: two pins");
  if ((l.lintLevels & 1) == 0) return false;
  if (!hardwareEnabled(l)) return true;
  return (l.lvtLint0 & (LVT_MASKED | (7 << LVT_MODE_SHIFT))) == DELIVERY_EXTINT << LVT_MODE_SHIFT;
}

/** Whether LINT0 can bring an NMI or INIT, which wake a CPU that takes no interrupts. */
export function lapicMayGetSignals(l: Lapic): bool {
  if (isDefined(CHECKED)) assert(l.lintLevels <= 3, "lapic pins: two pins");
  if (!hardwareEnabled(l) || (l.lvtLint0 & LVT_MASKED) != 0) return false;
  const mode = (l.lvtLint0 >> LVT_MODE_SHIFT) & 7;
  return mode == DELIVERY_NMI || mode == DELIVERY_INIT;
}

/** A level-triggered fixed LINT interrupts while its pin is high and its last interrupt has had its EOI. */
export function sampleLevelLint(l: Lapic, pin: u32): void {
  if (isDefined(CHECKED)) assert(pin <= 1, "lapic pins: pin");
  const entry = pin == 0 ? l.lvtLint0 : l.lvtLint1;
  if ((l.lintLevels & (1 << pin)) == 0 || (entry & (LVT_MASKED | LVT_REMOTE_IRR)) != 0) return;
  if (pin == 0) l.lvtLint0 = entry | LVT_REMOTE_IRR;
  else l.lvtLint1 = entry | LVT_REMOTE_IRR;
  lapicDeliver(l, entry & LVT_VECTOR, true);
}

export function isLevelFixed(entry: u32): bool {
  return (entry & (LVT_LEVEL | (7 << LVT_MODE_SHIFT))) == LVT_LEVEL;
}

export function endOfInterrupt(l: Lapic): void {
  const vector = setHighest(l, ISR);
  if (vector < 0) return;
  if (isDefined(CHECKED)) assert(<u32>vector >= FIRST_LEGAL_VECTOR, "lapic pins: vector in service");
  setRemove(l, ISR, <u32>vector);
  if (!setHas(l, TMR, <u32>vector)) return;
  if (isDefined(CHECKED)) assert(!setHas(l, ISR, <u32>vector), "lapic pins: its service has ended");
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

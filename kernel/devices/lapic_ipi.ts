// The local APIC as sender and receiver of interrupt messages (Intel SDM volume 3, "Issuing Interprocessor
// Interrupts" and "Determining IPI Destination"). The platform carries messages from one APIC to the others.
//
// Interrupt command register:
//
//   63..56 (32 in x2APIC)  19..18     15     14     12      11       10..8  7..0
//   destination            shorthand  level  asser  status  logical  mode   vector
import {
  DELIVERY_FIXED,
  DELIVERY_INIT,
  DELIVERY_LOWEST,
  DELIVERY_NMI,
  DELIVERY_STARTUP,
  ESR_SEND_ILLEGAL_VECTOR,
  FIRST_LEGAL_VECTOR,
  hardwareEnabled,
  inX2apicMode,
  Lapic,
  lapicDeliver,
  lapicRaiseError,
  SIGNAL_INIT,
  SIGNAL_NMI,
  SIGNAL_SIPI,
} from "./lapic_state";

/** Result of `lapicTakeIpi` when there is none. */
export const NO_IPI: u64 = u64.MAX_VALUE;

const ICR_LOGICAL: u64 = 1 << 11;
const ICR_ASSERT: u64 = 1 << 14;
const ICR_LEVEL: u64 = 1 << 15;
const SHORTHAND_NONE: u32 = 0;
const SHORTHAND_SELF: u32 = 1;
const SHORTHAND_ALL: u32 = 2;

const XAPIC_BROADCAST: u32 = 0xff;
const X2APIC_BROADCAST: u32 = 0xffffffff;

function shorthandOf(icr: u64): u32 {
  return <u32>(icr >> 18) & 3;
}

function modeOf(icr: u64): u32 {
  return <u32>(icr >> 8) & 7;
}

/** Logical ID in x2APIC mode, derived from the APIC ID: cluster in 31..16, one bit in 15..0. */
export function x2apicLogicalId(l: Lapic): u32 {
  if (isDefined(CHECKED)) assert(l.apicId >> 20 == 0, "lapic ipi: APIC ID");
  return ((l.apicId >> 4) << 16) | (1 << (l.apicId & 15));
}

/** Carries out an ICR command as far as this CPU goes; leaves it for the platform if others may be meant. */
export function ipiSend(l: Lapic, icr: u64): void {
  if (isDefined(CHECKED)) assert(hardwareEnabled(l), "lapic ipi: a disabled APIC sends nothing");
  const mode = modeOf(icr);
  if (mode == DELIVERY_INIT && (icr & (ICR_ASSERT | ICR_LEVEL)) == ICR_LEVEL) return; // INIT level de-assert
  const fixed = mode == DELIVERY_FIXED || mode == DELIVERY_LOWEST;
  if (fixed && (<u32>icr & 0xff) < FIRST_LEGAL_VECTOR) {
    lapicRaiseError(l, ESR_SEND_ILLEGAL_VECTOR);
    return;
  }
  const shorthand = shorthandOf(icr);
  const toSelf =
    shorthand == SHORTHAND_NONE
      ? icrDestinationMatches(icr, l, l)
      : shorthand == SHORTHAND_SELF || shorthand == SHORTHAND_ALL;
  if (toSelf) lapicIpi(l, icr);
  const takenBySelf = toSelf && mode == DELIVERY_LOWEST;
  l.ipiPending = shorthand != SHORTHAND_SELF && !takenBySelf;
  if (isDefined(CHECKED))
    assert(!l.ipiPending || icr == l.icr, "lapic ipi: the platform carries what the ICR holds");
}

/**
 * An ICR command whose targets may include other CPUs, once, or NO_IPI. Its effects on this CPU are done
 * already.
 */
export function lapicTakeIpi(l: Lapic): u64 {
  if (isDefined(CHECKED))
    assert(!l.ipiPending || shorthandOf(l.icr) != SHORTHAND_SELF, "lapic ipi: to itself alone");
  if (!l.ipiPending) return NO_IPI;
  l.ipiPending = false;
  return l.icr;
}

/**
 * Whether the ICR command `icr` written by `source` is for `target`, another CPU; deliver it with `lapicIpi`.
 */
export function lapicIpiMatches(icr: u64, source: Lapic, target: Lapic): bool {
  if (isDefined(CHECKED)) assert(source != target, "lapic ipi: its effects here are done");
  const shorthand = shorthandOf(icr);
  if (shorthand == SHORTHAND_NONE) return icrDestinationMatches(icr, source, target);
  return shorthand != SHORTHAND_SELF;
}

function icrDestinationMatches(icr: u64, source: Lapic, target: Lapic): bool {
  if (isDefined(CHECKED))
    assert(shorthandOf(icr) == SHORTHAND_NONE, "lapic ipi: a shorthand has no destination");
  const logical = (icr & ICR_LOGICAL) != 0;
  if (inX2apicMode(source)) return matches(target, <u32>(icr >> 32), logical, X2APIC_BROADCAST);
  return lapicMatches(target, <u32>(icr >> 56), logical);
}

/** Receives the ICR command `icr` of another CPU. */
export function lapicIpi(target: Lapic, icr: u64): void {
  lapicMessage(target, modeOf(icr), <u32>icr & 0xff, false);
}

/**
 * Accepts an interrupt message of any delivery mode (from IOAPIC, MSI or an ICR). SMI and ExtINT have no
 * effect here.
 */
export function lapicMessage(l: Lapic, mode: u32, vector: u32, level: bool): void {
  if (isDefined(CHECKED)) assert(mode <= 7 && vector <= 0xff, "lapic ipi: message");
  if (!hardwareEnabled(l)) return;
  switch (mode) {
    case DELIVERY_FIXED:
    case DELIVERY_LOWEST:
      lapicDeliver(l, vector, level);
      break;
    case DELIVERY_NMI:
      l.signals |= SIGNAL_NMI;
      break;
    case DELIVERY_INIT:
      l.signals |= SIGNAL_INIT;
      break;
    case DELIVERY_STARTUP:
      l.signals |= SIGNAL_SIPI;
      l.sipiVector = vector;
      break;
    default:
      break;
  }
}

/**
 * Whether a message with an 8-bit destination (IOAPIC, MSI) is for this APIC. `logical`: destination mode.
 */
export function lapicMatches(l: Lapic, destination: u32, logical: bool): bool {
  if (isDefined(CHECKED)) assert(destination <= 0xff, "lapic ipi: destination");
  return matches(l, destination, logical, XAPIC_BROADCAST);
}

function matches(l: Lapic, destination: u32, logical: bool, broadcast: u32): bool {
  if (isDefined(CHECKED)) assert(destination <= broadcast, "lapic ipi: destination");
  if (!hardwareEnabled(l)) return false;
  if (destination == broadcast) return true;
  if (!logical) return destination == l.apicId;
  return inX2apicMode(l) ? matchesCluster(x2apicLogicalId(l), destination) : matchesLogical(l, destination);
}

function matchesCluster(logicalId: u32, destination: u32): bool {
  if (isDefined(CHECKED)) assert((logicalId & 0xffff) != 0, "lapic ipi: one bit of a cluster");
  return destination >> 16 == logicalId >> 16 && (destination & logicalId & 0xffff) != 0;
}

/**
 * xAPIC: the flat model is eight CPUs of one bit each; the cluster model is a 4-bit cluster and four CPUs of
 * one bit.
 */
function matchesLogical(l: Lapic, destination: u32): bool {
  if (isDefined(CHECKED)) assert(!inX2apicMode(l), "lapic ipi: xAPIC mode");
  if (isDefined(CHECKED)) assert((l.dfr & 0x0fffffff) == 0x0fffffff, "lapic ipi: destination format");
  if (destination > 0xff) return false;
  const mine = l.ldr >> 24;
  const flat = l.dfr >> 28 == 0xf;
  if (flat) return (destination & mine) != 0;
  return (destination >> 4 == mine >> 4 || destination >> 4 == 0xf) && (destination & mine & 0xf) != 0;
}

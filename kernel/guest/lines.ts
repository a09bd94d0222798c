// Interrupt lines: from the devices to the PIC and the I/O APIC, from there to the local APICs, and what a vCPU can take.
// Nothing here runs unless an access or the clock may have changed something: accesses mark their device stale and set
// REQUEST_SAMPLE; the run loop then calls `platformSample` once before the next entry.
//
//   device line ──┬─ PIC pair ── INTR ──┬─ LINT0 of the boot CPU's local APIC (ExtINT)
//                 │                     └─ I/O APIC pin 0
//                 └─ I/O APIC pin ── message ── local APIC ── vCPU
import { acpiPmAdvance, acpiPmDeadline, acpiPmLine, acpiPmSetRtcSignal } from "../devices/acpi_pm";
import {
  HPET_TIMERS,
  hpetAdvance,
  hpetDeadline,
  hpetIsLevel,
  hpetLevels,
  hpetReplacesLegacy,
  hpetRoute,
  hpetTakeEdges,
} from "../devices/hpet";
import { i8042Line } from "../devices/i8042";
import {
  ioapicEntry,
  ioapicEoi,
  ioapicExtIntPending,
  ioapicLine,
  ioapicMaySendSignals,
  ioapicSetPin,
  ioapicTakePending,
  NO_PIN,
} from "../devices/ioapic";
import {
  DELIVERY_LOWEST,
  lapicAccept,
  lapicAdvance,
  lapicDeadline,
  lapicExtIntPending,
  lapicHighestPending,
  lapicIpi,
  lapicIpiMatches,
  Lapic,
  lapicMatches,
  lapicMayGetSignals,
  lapicMessage,
  lapicSetLint,
  lapicTakeEoi,
  lapicTakeIpi,
  NO_IPI,
  SIGNAL_INIT,
  SIGNAL_NMI,
} from "../devices/lapic";
import { pic8259Acknowledge, pic8259IsLevel, pic8259Line, pic8259SetPin } from "../devices/pic8259";
import { pit8254Advance, pit8254Deadline, pit8254TakeEdges } from "../devices/pit8254";
import { rtcAdvance, rtcDeadline, rtcLine } from "../devices/rtc";
import { uart16550Advance, uart16550Deadline, uart16550Line } from "../devices/uart16550";
import { REQUEST_HOST, REQUEST_INTERRUPT, REQUEST_NMI, REQUEST_SAMPLE, Vcpu } from "../vcpu/vcpu";
import {
  DEVICE_ACPI_PM,
  DEVICE_HPET,
  DEVICE_I8042,
  DEVICE_IOAPIC,
  DEVICE_PIC,
  DEVICE_PIT,
  DEVICE_RTC,
  DEVICE_UART,
  lapicAt,
  lapicOf,
  Platform,
  platformOf,
} from "./platform";
import {
  GSI_PIC,
  GSI_PIT,
  HPET_GSI_FIRST,
  HPET_GSIS,
  IRQ_COM1,
  IRQ_I8042,
  IRQ_PIT,
  IRQ_RTC,
  IRQ_SCI,
  ISA_IRQS,
} from "./ports";
import { touch } from "./settle";
import { requestReset, Vm, vmNow, vmOf, vmVcpu } from "./vm";

const STALE_UART: u32 = 1 << DEVICE_UART;
const STALE_PIT: u32 = 1 << DEVICE_PIT;
const STALE_RTC: u32 = 1 << DEVICE_RTC;
const STALE_ACPI_PM: u32 = 1 << DEVICE_ACPI_PM;
const STALE_I8042: u32 = 1 << DEVICE_I8042;
const STALE_PIC: u32 = 1 << DEVICE_PIC;
const STALE_IOAPIC: u32 = 1 << DEVICE_IOAPIC;
const STALE_HPET: u32 = 1 << DEVICE_HPET;
/** Devices that a guest hardly asks once it runs: they share one question in every sample. */
const STALE_RARE: u32 = STALE_RTC | STALE_ACPI_PM | STALE_I8042 | STALE_HPET;
/** How long a guest may run before the hypervisor's own work is looked at, nanoseconds of VM time. */
const LOOK_UP_NS: u64 = 50_000_000;
/** Bit of `Platform.lines` for the PIC's INTR. */
const LINE_INTR: u32 = STALE_PIC;

/**
 * Brings lines, messages and deadlines up to date, for the vCPU about to enter. Sets REQUEST_INTERRUPT if there is
 * something to take (or clears it), REQUEST_NMI if an NMI arrived, and `vcpu.deadline` to the VM time at which to call this
 * again; clears REQUEST_SAMPLE.
 */
export function platformSample(vcpu: Vcpu): void {
  const vm = vmOf(vcpu);
  const p = platformOf(vm);
  const l = lapicOf(vcpu);
  const now = vmNow(vm);
  if (l.eoiVector >= 0 || l.ipiPending) sendFromLapic(vm, p, l);
  if (p.stale != 0 || p.deadline <= now) sampleDevices(vcpu, vm, p, now);
  let deadline = lapicDeadline(l, now);
  if (deadline <= now) {
    lapicAdvance(l, now);
    deadline = lapicDeadline(l, now);
  }
  vcpu.deadline = min(deadline, p.deadline);
  let requests = vcpu.requests & ~(REQUEST_SAMPLE | REQUEST_INTERRUPT);
  if (platformHasInterrupt(vcpu)) requests |= REQUEST_INTERRUPT;
  vcpu.requests = requests;
  if (l.signals != 0) takeSignals(vm, vcpu, l);
}

/**
 * NMI and INIT. The boot processor goes on at the reset vector after INIT, where a PC's firmware starts the computer anew: so
 * does this VM. A SIPI means nothing to a processor that runs.
 */
function takeSignals(vm: Vm, vcpu: Vcpu, l: Lapic): void {
  const signals = l.signals;
  l.signals = 0;
  if ((signals & SIGNAL_NMI) != 0) vcpu.requests |= REQUEST_NMI;
  if ((signals & SIGNAL_INIT) != 0 && vcpu.index == 0) requestReset(vm);
}

/** VM time at which a vCPU that has halted has to look up: when a device or its timer wants it to. */
export function platformIdleDeadline(vcpu: Vcpu): u64 {
  const p = platformOf(vmOf(vcpu));
  return min(lapicDeadline(lapicOf(vcpu), 0), devicesDeadline(p));
}

/** Whether anything can still wake a vCPU that has halted with interrupts off. */
export function platformMayWake(vcpu: Vcpu): bool {
  return lapicMayGetSignals(lapicOf(vcpu)) || ioapicMaySendSignals(platformOf(vmOf(vcpu)).ioapic);
}

/** Has the next sample set a deadline not after VM time `ns`: a device is then looked at early, which does no harm. */
export function platformWakeAt(vm: Vm, ns: u64): void {
  const p = platformOf(vm);
  p.rtcDeadline = min(p.rtcDeadline, ns);
  p.rareDeadline = min(p.rareDeadline, ns);
  p.deadline = min(p.deadline, ns);
}

/** Has the run loop see to the hypervisor's own work (REQUEST_HOST) not after VM time `ns`. */
export function platformLookUpAt(vm: Vm, ns: u64): void {
  const p = platformOf(vm);
  p.lookUpAt = min(p.lookUpAt, ns);
  p.deadline = min(p.deadline, ns);
}

/** Devices whose own deadline has passed. */
function dueDevices(p: Platform, now: u64): u32 {
  let due: u32 = 0;
  if (p.uartDeadline <= now) due |= STALE_UART;
  if (p.pitDeadline <= now) due |= STALE_PIT;
  if (p.rareDeadline <= now) due |= dueRareDevices(p, now);
  return due;
}

function dueRareDevices(p: Platform, now: u64): u32 {
  let due: u32 = 0;
  if (p.rtcDeadline <= now) due |= STALE_RTC;
  if (p.acpiPmDeadline <= now) due |= STALE_ACPI_PM;
  if (p.hpetDeadline <= now) due |= STALE_HPET;
  return due;
}

function sampleDevices(vcpu: Vcpu, vm: Vm, p: Platform, now: u64): void {
  const stale = p.stale | dueDevices(p, now);
  p.stale = stale & (STALE_PIC | STALE_IOAPIC);
  if ((stale & STALE_UART) != 0) {
    uart16550Advance(p.uart, now);
    setLine(p, STALE_UART, IRQ_COM1, uart16550Line(p.uart, now));
    p.uartDeadline = uart16550Deadline(p.uart, now);
  }
  if ((stale & STALE_PIT) != 0) samplePit(p, now);
  if ((stale & STALE_RARE) != 0) sampleRareDevices(p, stale, now);
  if ((p.stale & STALE_PIC) != 0) sampleIntr(vm, p, now);
  if ((p.stale & STALE_IOAPIC) != 0) sendMessages(vm, p);
  p.stale = 0;
  if (p.lookUpAt <= now) {
    p.lookUpAt = now + LOOK_UP_NS;
    vcpu.requests |= REQUEST_HOST;
  }
  p.deadline = min(devicesDeadline(p), p.lookUpAt);
}

function devicesDeadline(p: Platform): u64 {
  return min(min(p.uartDeadline, p.pitDeadline), p.rareDeadline);
}

function sampleRareDevices(p: Platform, stale: u32, now: u64): void {
  if ((stale & STALE_HPET) != 0) sampleHpet(p, now);
  let event = false;
  if ((stale & STALE_RTC) != 0) {
    rtcAdvance(p.rtc, now);
    const level = rtcLine(p.rtc, now);
    if (!hpetReplacesLegacy(p.hpet)) setLine(p, STALE_RTC, IRQ_RTC, level);
    event = acpiPmSetRtcSignal(p.acpiPm, level);
    p.rtcDeadline = rtcDeadline(p.rtc, now);
  }
  if ((stale & STALE_ACPI_PM) != 0 || event) {
    acpiPmAdvance(p.acpiPm, now);
    setLine(p, STALE_ACPI_PM, IRQ_SCI, acpiPmLine(p.acpiPm, now));
    p.acpiPmDeadline = acpiPmDeadline(p.acpiPm, now);
  }
  if ((stale & STALE_I8042) != 0) setLine(p, STALE_I8042, IRQ_I8042, i8042Line(p.i8042, now));
  p.rareDeadline = min(min(p.rtcDeadline, p.acpiPmDeadline), p.hpetDeadline);
}

/** The timers' interrupts: to the pins that they are routed to, or in the place of the 8254's and the RTC's. */
function sampleHpet(p: Platform, now: u64): void {
  const h = p.hpet;
  hpetAdvance(h, now);
  const edges = hpetTakeEdges(h);
  const levels = hpetLevels(h, now);
  const legacy = hpetReplacesLegacy(h);
  if (legacy) {
    replaceLine(p, 0, edges, levels, STALE_PIT, IRQ_PIT);
    replaceLine(p, 1, edges, levels, STALE_RTC, IRQ_RTC);
  }
  let pulses: u32 = 0;
  let held: u32 = 0;
  for (let i: u32 = legacy ? 2 : 0; i < HPET_TIMERS; i++) {
    const pin: u32 = 1 << hpetRoute(h, i);
    if ((edges & (1 << i)) != 0) pulses |= pin;
    if ((levels & (1 << i)) != 0) held |= pin;
  }
  for (let pin = HPET_GSI_FIRST; pin < HPET_GSI_FIRST + HPET_GSIS; pin++) {
    setHpetPin(p, pin, (pulses & (1 << pin)) != 0, (held & (1 << pin)) != 0);
  }
  p.hpetDeadline = hpetDeadline(h, now);
}

/** An ISA interrupt that timer `index` drives; after an edge the line stays up until the next one, as in `samplePit`. */
function replaceLine(p: Platform, index: u32, edges: u32, levels: u32, bit: u32, irq: u32): void {
  const own: u32 = 1 << index;
  if ((edges & own) != 0) setLine(p, bit, irq, false);
  if (((edges | levels) & own) != 0) setLine(p, bit, irq, true);
  else if (hpetIsLevel(p.hpet, index)) setLine(p, bit, irq, false);
}

function setHpetPin(p: Platform, pin: u32, pulse: bool, level: bool): void {
  if (pulse) {
    ioapicSetPin(p.ioapic, pin, true);
    ioapicSetPin(p.ioapic, pin, false);
  }
  ioapicSetPin(p.ioapic, pin, level);
  p.stale |= STALE_IOAPIC;
}

/**
 * IRQ 0 rises with every edge of OUT 0 and stays up until the next one. OUT 0 itself falls for 838 ns at the end of every
 * period: a CPU answers within that on a PC, but not in a virtual machine that is not running just then, and the 8259 forgets
 * a request whose line falls before the answer.
 */
function samplePit(p: Platform, now: u64): void {
  pit8254Advance(p.pit, now);
  if (pit8254TakeEdges(p.pit) != 0 && !hpetReplacesLegacy(p.hpet)) {
    setLine(p, STALE_PIT, IRQ_PIT, false);
    setLine(p, STALE_PIT, IRQ_PIT, true);
  }
  p.pitDeadline = pit8254Deadline(p.pit, now);
}

/** Level of an ISA interrupt, whose device has bit `bit`: to both interrupt controllers, if it changed. */
function setLine(p: Platform, bit: u32, irq: u32, level: bool): void {
  if (((p.lines & bit) != 0) == level) return;
  p.lines ^= bit;
  pic8259SetPin(p.pic, irq, level);
  ioapicSetPin(p.ioapic, irq == IRQ_PIT ? GSI_PIT : irq, level);
  p.stale |= STALE_PIC | STALE_IOAPIC;
}

/**
 * A change of interrupt line `irq` from outside of any device: at once, so that no pulse is lost. For the same reason a fall is
 * kept from an edge-triggered input of the PIC, which would forget a request that waits; the next rise is an edge all the same.
 * On a line that a device has too, the last of the two to change counts.
 */
export function platformDriveLine(vcpu: Vcpu, irq: u32, level: bool): void {
  const p = platformOf(vmOf(vcpu));
  if (irq < ISA_IRQS && (level || pic8259IsLevel(p.pic, irq))) {
    pic8259SetPin(p.pic, irq, false);
    pic8259SetPin(p.pic, irq, level);
  }
  ioapicSetPin(p.ioapic, irq == IRQ_PIT ? GSI_PIT : irq, level);
  touch(vcpu, p, DEVICE_PIC);
  touch(vcpu, p, DEVICE_IOAPIC);
}

/** The PIC's INTR: LINT0 of the boot CPU, and pin 0 of the I/O APIC. */
function sampleIntr(vm: Vm, p: Platform, now: u64): void {
  const level = pic8259Line(p.pic, now);
  if (((p.lines & LINE_INTR) != 0) == level) return;
  p.lines ^= LINE_INTR;
  lapicSetLint(lapicAt(vm, 0), 0, level);
  ioapicSetPin(p.ioapic, GSI_PIC, level);
  p.stale |= STALE_IOAPIC;
}

/** Sends what the I/O APIC has to send. Bounded: every pin sends at most once until a CPU answers. */
function sendMessages(vm: Vm, p: Platform): void {
  if (!ioapicLine(p.ioapic, 0)) return;
  for (let pin = ioapicTakePending(p.ioapic); pin != NO_PIN; pin = ioapicTakePending(p.ioapic)) {
    sendMessage(vm, ioapicEntry(p.ioapic, <u32>pin));
  }
}

/**
 * Interrupt message of a redirection entry.
 *
 *   63..56       15     11       10..8          7..0
 *   destination  level  logical  delivery mode  vector
 */
function sendMessage(vm: Vm, entry: u64): void {
  const mode = <u32>(entry >> 8) & 7;
  const level = ((entry >> 15) & 1) != 0;
  const logical = ((entry >> 11) & 1) != 0;
  const destination = <u32>(entry >> 56);
  for (let i: u32 = 0; i < vm.cpus; i++) {
    const target = lapicAt(vm, i);
    if (!lapicMatches(target, destination, logical)) continue;
    lapicMessage(target, mode, <u32>entry & 0xff, level);
    wake(vm, i);
    if (mode == DELIVERY_LOWEST) return;
  }
}

/** Another vCPU has something to look at. */
function wake(vm: Vm, index: u32): void {
  vmVcpu(vm, index).requests |= REQUEST_SAMPLE;
}

/** Consequences of the vCPU's own accesses to its local APIC: an EOI to broadcast, an IPI to send. */
function sendFromLapic(vm: Vm, p: Platform, l: Lapic): void {
  const vector = lapicTakeEoi(l);
  if (vector >= 0) {
    ioapicEoi(p.ioapic, <u32>vector);
    p.stale |= STALE_IOAPIC;
  }
  const icr = lapicTakeIpi(l);
  if (icr == NO_IPI) return;
  for (let i: u32 = 0; i < vm.cpus; i++) {
    const target = lapicAt(vm, i);
    if (target == l || !lapicIpiMatches(icr, l, target)) continue;
    lapicIpi(target, icr);
    wake(vm, i);
  }
}

// --- what the vCPU can take ----------------------------------------------------------------------------------------------

/** Whether there is an interrupt that the vCPU would take now: which one, only the acknowledge tells. */
export function platformHasInterrupt(vcpu: Vcpu): bool {
  const l = lapicOf(vcpu);
  return lapicHighestPending(l) >= 0 || isExternalPending(vcpu, l);
}

/** The PIC reaches the boot CPU through LINT0, or through an ExtINT entry of the I/O APIC. */
function isExternalPending(vcpu: Vcpu, l: Lapic): bool {
  if (lapicExtIntPending(l)) return true;
  return vcpu.index == 0 && ioapicExtIntPending(platformOf(vmOf(vcpu)).ioapic);
}

/** Takes the interrupt that `platformHasInterrupt` announced: the local APIC's first, else the PIC's. Returns its vector. */
export function platformAcknowledge(vcpu: Vcpu): u32 {
  const l = lapicOf(vcpu);
  const pending = lapicHighestPending(l);
  if (pending >= 0) return lapicAccept(l, <u32>pending);
  const p = platformOf(vmOf(vcpu));
  const vector = pic8259Acknowledge(p.pic);
  p.stale |= STALE_PIC;
  vcpu.requests |= REQUEST_SAMPLE;
  return vector;
}

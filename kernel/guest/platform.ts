// The PC around the vCPUs: which devices a VM has, at which ports and addresses, and the access to them. The only place,
// with ports.ts and memory-map.ts, that knows both what a device is and where it is. How interrupt lines reach the CPUs is in
// lines.ts.
import { ACPI_PM_BYTES, AcpiPm, acpiPmNew, acpiPmRead, acpiPmReset, acpiPmWrite } from "../devices/acpi_pm";
import {
  Bus,
  busClaimMmio,
  busClaimPorts,
  busFindMmio,
  busNew,
  busPortDevice,
  busRange,
  NO_DEVICE,
} from "../devices/bus";
import { DebugExit, debugExitNew, debugExitRead, debugExitReset, debugExitWrite } from "../devices/debugexit";
import {
  I8042,
  I8042_COMMAND,
  I8042_DATA,
  I8042_PORT_A,
  i8042New,
  i8042Read,
  i8042Reset,
  i8042Write,
} from "../devices/i8042";
import { ignoredRangeCount, ignoredRangeFirst, ignoredRangePorts } from "../devices/ignored_ports";
import { Ioapic, ioapicNew, ioapicRead, ioapicReset, ioapicWrite } from "../devices/ioapic";
import { KvmClock, kvmClockNew, kvmClockReset } from "../devices/kvmclock";
import {
  Lapic,
  lapicBase,
  lapicNew,
  lapicRead,
  lapicReset,
  lapicSetVirtualWire,
  lapicWrite,
} from "../devices/lapic";
import {
  PCI_PORTS,
  Pci,
  pciEcamRead,
  pciEcamWrite,
  pciNew,
  pciRead,
  pciReset,
  pciWrite,
} from "../devices/pci";
import {
  PIC_ELCR,
  PIC_MASTER,
  PIC_SLAVE,
  Pic8259,
  pic8259New,
  pic8259Read,
  pic8259Reset,
  pic8259Write,
} from "../devices/pic8259";
import { PIT_PORT_B, Pit8254, pit8254New, pit8254Read, pit8254Reset, pit8254Write } from "../devices/pit8254";
import {
  PVPANIC_PANICKED,
  Pvpanic,
  pvpanicNew,
  pvpanicRead,
  pvpanicReset,
  pvpanicWrite,
} from "../devices/pvpanic";
import {
  ResetControl,
  resetControlNew,
  resetControlRead,
  resetControlReset,
  resetControlWrite,
} from "../devices/reset_control";
import { Rtc, rtcNew, rtcRead, rtcReset, rtcSetMemory, rtcSetTime, rtcWrite } from "../devices/rtc";
import { Uart16550, uart16550New, uart16550Read, uart16550Reset, uart16550Write } from "../devices/uart16550";
import { STATUS_GUEST_PANIC, STATUS_POWEROFF } from "../abi/status";
import { tscHz } from "../arch/clock";
import { arenaNewWithTail, tailOf } from "../lib/arena";
import { REQUEST_SAMPLE, Vcpu } from "../vcpu/vcpu";
import { APIC_BYTES, ECAM, ECAM_BYTES, IOAPIC_BASE, ramAbove4G, ramBelow4G } from "./memory-map";
import {
  PORT_ACPI_PM,
  PORT_COM1,
  PORT_ELCR,
  PORT_I8042_COMMAND,
  PORT_I8042_DATA,
  PORT_PCI_CONFIG,
  PORT_PIC_MASTER,
  PORT_PIC_SLAVE,
  PORT_PIT,
  PORT_PVPANIC,
  PORT_RESET_CONTROL,
  PORT_RTC,
  PORT_SYSTEM_A,
  PORT_SYSTEM_B,
} from "./ports";
import { requestReset, stopByDebugExit, stopVmWith, Vm, vmNow, vmOf } from "./vm";

// Devices by their number on the bus. Those with an interrupt line come first: the number is the device's bit in
// `Platform.stale` and `Platform.lines`.
export const DEVICE_UART: u32 = 1;
export const DEVICE_PIT: u32 = 2;
export const DEVICE_RTC: u32 = 3;
export const DEVICE_ACPI_PM: u32 = 4;
export const DEVICE_I8042: u32 = 5;
export const DEVICE_PIC: u32 = 6;
export const DEVICE_IOAPIC: u32 = 7;
const DEVICE_PCI: u32 = 8;
const DEVICE_PCI_ECAM: u32 = 9;
const DEVICE_PVPANIC: u32 = 10;
const DEVICE_DEBUG_EXIT: u32 = 11;
const DEVICE_IGNORED: u32 = 12;
const DEVICE_SYSTEM_A: u32 = 13;
const DEVICE_SYSTEM_B: u32 = 14;
const DEVICE_PIC_SLAVE: u32 = 15;
const DEVICE_PIC_ELCR: u32 = 16;

const ALL_ONES: u32 = 0xffffffff;
const NS_PER_SECOND: u64 = 1_000_000_000;

/** Ends in the local APIC and the kvm-clock of each vCPU (two pointers each). */
@unmanaged
export class Platform {
  bus: Bus;
  uart: Uart16550;
  pit: Pit8254;
  rtc: Rtc;
  acpiPm: AcpiPm;
  i8042: I8042;
  pic: Pic8259;
  ioapic: Ioapic;
  pci: Pci;
  pvpanic: Pvpanic;
  debugExit: DebugExit;
  resetControl: ResetControl;

  // -- kept by lines.ts ---------------------------------------------------------------------------------------------------
  /** Devices whose line or deadline may have changed since the last sample: bit DEVICE_*. */
  stale: u32;
  /** Levels of the devices' lines at the last sample, same bits. */
  lines: u32;
  uartDeadline: u64;
  pitDeadline: u64;
  rtcDeadline: u64;
  acpiPmDeadline: u64;

  // -- kept by console.ts -------------------------------------------------------------------------------------------------
  /** Characters of the panic message that the console has shown last. */
  panicMatched: u32;
}

export function platformOf(vm: Vm): Platform {
  return changetype<Platform>(vm.platform);
}

/** Pointers of vCPU `index`: local APIC, then kvm-clock. */
function slotOf(vm: Vm, index: u32): usize {
  return tailOf(platformOf(vm)) + <usize>index * (2 * sizeof<usize>());
}

/** The local APIC of vCPU `index` of a VM. */
export function lapicAt(vm: Vm, index: u32): Lapic {
  return changetype<Lapic>(load<usize>(slotOf(vm, index)));
}

export function lapicOf(vcpu: Vcpu): Lapic {
  return lapicAt(vmOf(vcpu), vcpu.index);
}

export function kvmClockOf(vcpu: Vcpu): KvmClock {
  return changetype<KvmClock>(load<usize>(slotOf(vmOf(vcpu), vcpu.index), sizeof<usize>()));
}

// --- building ------------------------------------------------------------------------------------------------------------

/** Creates the devices of a VM and puts them on its bus; boot time only. */
export function platformCreate(vm: Vm): void {
  const p = arenaNewWithTail<Platform>(<usize>vm.cpus * 2 * sizeof<usize>());
  vm.platform = changetype<usize>(p);
  p.bus = busNew();
  p.uart = uart16550New();
  p.pit = pit8254New();
  p.rtc = rtcNew();
  p.acpiPm = acpiPmNew();
  p.i8042 = i8042New();
  p.pic = pic8259New();
  p.ioapic = ioapicNew();
  p.pci = pciNew();
  p.pvpanic = pvpanicNew();
  p.debugExit = debugExitNew();
  p.resetControl = resetControlNew();
  for (let i: u32 = 0; i < vm.cpus; i++) {
    store<usize>(slotOf(vm, i), changetype<usize>(lapicNew()));
    store<usize>(slotOf(vm, i), changetype<usize>(kvmClockNew()), sizeof<usize>());
  }
  claimPorts(p.bus);
  busClaimMmio(p.bus, IOAPIC_BASE, APIC_BYTES, DEVICE_IOAPIC);
  busClaimMmio(p.bus, ECAM, ECAM_BYTES, DEVICE_PCI_ECAM);
}

function claimPorts(bus: Bus): void {
  busClaimPorts(bus, PORT_PIC_MASTER, 2, DEVICE_PIC);
  busClaimPorts(bus, PORT_PIC_SLAVE, 2, DEVICE_PIC_SLAVE);
  busClaimPorts(bus, PORT_ELCR, 2, DEVICE_PIC_ELCR);
  busClaimPorts(bus, PORT_PIT, 4, DEVICE_PIT);
  busClaimPorts(bus, PORT_SYSTEM_B, 1, DEVICE_SYSTEM_B);
  busClaimPorts(bus, PORT_I8042_DATA, 1, DEVICE_I8042);
  busClaimPorts(bus, PORT_I8042_COMMAND, 1, DEVICE_I8042);
  busClaimPorts(bus, PORT_SYSTEM_A, 1, DEVICE_SYSTEM_A);
  busClaimPorts(bus, PORT_RTC, 2, DEVICE_RTC);
  busClaimPorts(bus, PORT_COM1, 8, DEVICE_UART);
  busClaimPorts(bus, PORT_PVPANIC, 1, DEVICE_PVPANIC);
  busClaimPorts(bus, PORT_ACPI_PM, ACPI_PM_BYTES, DEVICE_ACPI_PM);
  busClaimPorts(bus, PORT_PCI_CONFIG, PCI_PORTS, DEVICE_PCI);
  for (let i: u32 = 0; i < ignoredRangeCount(); i++) {
    busClaimPorts(bus, ignoredRangeFirst(i), ignoredRangePorts(i), DEVICE_IGNORED);
  }
}

/** Puts the opt-in debug-exit device at `port`. False: another device is there. Boot time only. */
export function platformAddDebugExit(vm: Vm, port: u32): bool {
  const bus = platformOf(vm).bus;
  if (busPortDevice(bus, port) != NO_DEVICE) return false;
  busClaimPorts(bus, port, 1, DEVICE_DEBUG_EXIT);
  return true;
}

/** Power-up state of every device, as firmware hands them over: the boot CPU's APIC is the PIC's virtual wire. */
export function platformReset(vm: Vm): void {
  const p = platformOf(vm);
  const now = vmNow(vm);
  uart16550Reset(p.uart);
  pit8254Reset(p.pit);
  rtcReset(p.rtc);
  rtcSetTime(p.rtc, (vm.startUnixNs + now) / NS_PER_SECOND, now);
  rtcSetMemory(p.rtc, ramBelow4G(vm), ramAbove4G(vm));
  acpiPmReset(p.acpiPm);
  i8042Reset(p.i8042);
  pic8259Reset(p.pic);
  ioapicReset(p.ioapic);
  pciReset(p.pci);
  pvpanicReset(p.pvpanic);
  debugExitReset(p.debugExit);
  resetControlReset(p.resetControl);
  for (let i: u32 = 0; i < vm.cpus; i++) {
    lapicReset(lapicAt(vm, i), i, i == 0);
    kvmClockReset(changetype<KvmClock>(load<usize>(slotOf(vm, i), sizeof<usize>())), tscHz());
  }
  lapicSetVirtualWire(lapicAt(vm, 0));
  p.stale = ALL_ONES;
  p.panicMatched = 0;
}

// --- ports ---------------------------------------------------------------------------------------------------------------

/** What of a device's access may change its line or deadline: the next entry samples it. */
function touch(vcpu: Vcpu, p: Platform, device: u32): void {
  p.stale |= 1 << device;
  vcpu.requests |= REQUEST_SAMPLE;
}

/** IN of `size` bytes (1, 2, 4). Ports that nobody claimed read as ones. */
export function platformPortRead(vcpu: Vcpu, port: u32, size: u32): u32 {
  const vm = vmOf(vcpu);
  const p = platformOf(vm);
  switch (busPortDevice(p.bus, port)) {
    case DEVICE_UART:
      touch(vcpu, p, DEVICE_UART);
      return uart16550Read(p.uart, port - PORT_COM1, size, vmNow(vm));
    case DEVICE_PIT:
      return pit8254Read(p.pit, port - PORT_PIT, size, vmNow(vm));
    case DEVICE_SYSTEM_B:
      return pit8254Read(p.pit, PIT_PORT_B, size, vmNow(vm));
    case DEVICE_RTC:
      touch(vcpu, p, DEVICE_RTC);
      return rtcRead(p.rtc, port - PORT_RTC, size, vmNow(vm));
    case DEVICE_ACPI_PM:
      return acpiPmRead(p.acpiPm, port - PORT_ACPI_PM, size, vmNow(vm));
    case DEVICE_I8042:
      touch(vcpu, p, DEVICE_I8042);
      return i8042Read(p.i8042, i8042Offset(port), size, vmNow(vm));
    case DEVICE_SYSTEM_A:
      return i8042Read(p.i8042, I8042_PORT_A, size, vmNow(vm));
    case DEVICE_PIC:
      touch(vcpu, p, DEVICE_PIC); // a poll acknowledges
      return pic8259Read(p.pic, PIC_MASTER + (port - PORT_PIC_MASTER), size, 0);
    case DEVICE_PIC_SLAVE:
      touch(vcpu, p, DEVICE_PIC);
      return pic8259Read(p.pic, PIC_SLAVE + (port - PORT_PIC_SLAVE), size, 0);
    case DEVICE_PIC_ELCR:
      return pic8259Read(p.pic, PIC_ELCR + (port - PORT_ELCR), size, 0);
    case DEVICE_PCI:
      if (port == PORT_RESET_CONTROL && size == 1) return resetControlRead(p.resetControl, 0, size, 0);
      return pciRead(p.pci, port - PORT_PCI_CONFIG, size, 0);
    case DEVICE_PVPANIC:
      return pvpanicRead(p.pvpanic, port - PORT_PVPANIC, size, 0);
    case DEVICE_DEBUG_EXIT:
      return debugExitRead(p.debugExit, 0, size, 0);
    default:
      return ALL_ONES;
  }
}

function i8042Offset(port: u32): u32 {
  return port == PORT_I8042_DATA ? I8042_DATA : I8042_COMMAND;
}

/** OUT of `size` bytes (1, 2, 4). */
export function platformPortWrite(vcpu: Vcpu, port: u32, size: u32, value: u32): void {
  const vm = vmOf(vcpu);
  const p = platformOf(vm);
  switch (busPortDevice(p.bus, port)) {
    case DEVICE_UART:
      touch(vcpu, p, DEVICE_UART);
      uart16550Write(p.uart, port - PORT_COM1, size, value, vmNow(vm));
      break;
    case DEVICE_PIT:
      touch(vcpu, p, DEVICE_PIT);
      pit8254Write(p.pit, port - PORT_PIT, size, value, vmNow(vm));
      break;
    case DEVICE_SYSTEM_B:
      pit8254Write(p.pit, PIT_PORT_B, size, value, vmNow(vm));
      break;
    case DEVICE_RTC:
      touch(vcpu, p, DEVICE_RTC);
      rtcWrite(p.rtc, port - PORT_RTC, size, value, vmNow(vm));
      break;
    case DEVICE_PIC:
      touch(vcpu, p, DEVICE_PIC);
      pic8259Write(p.pic, PIC_MASTER + (port - PORT_PIC_MASTER), size, value, 0);
      break;
    case DEVICE_PIC_SLAVE:
      touch(vcpu, p, DEVICE_PIC);
      pic8259Write(p.pic, PIC_SLAVE + (port - PORT_PIC_SLAVE), size, value, 0);
      break;
    case DEVICE_PIC_ELCR:
      touch(vcpu, p, DEVICE_PIC);
      pic8259Write(p.pic, PIC_ELCR + (port - PORT_ELCR), size, value, 0);
      break;
    case DEVICE_PCI:
      if (port == PORT_RESET_CONTROL && size == 1) writeResetControl(vm, p, value);
      else pciWrite(p.pci, port - PORT_PCI_CONFIG, size, value, 0);
      break;
    default:
      writeRareDevice(vcpu, p, port, size, value);
  }
}

/** Devices whose writes can end the VM. */
function writeRareDevice(vcpu: Vcpu, p: Platform, port: u32, size: u32, value: u32): void {
  const vm = vmOf(vcpu);
  switch (busPortDevice(p.bus, port)) {
    case DEVICE_ACPI_PM:
      touch(vcpu, p, DEVICE_ACPI_PM);
      acpiPmWrite(p.acpiPm, port - PORT_ACPI_PM, size, value, vmNow(vm));
      if (p.acpiPm.powerOffRequested) stopVmWith(vm, STATUS_POWEROFF);
      break;
    case DEVICE_I8042:
      touch(vcpu, p, DEVICE_I8042);
      i8042Write(p.i8042, i8042Offset(port), size, value, vmNow(vm));
      if (p.i8042.resetRequested) requestReset(vm);
      break;
    case DEVICE_SYSTEM_A:
      i8042Write(p.i8042, I8042_PORT_A, size, value, vmNow(vm));
      if (p.i8042.resetRequested) requestReset(vm);
      break;
    case DEVICE_PVPANIC:
      pvpanicWrite(p.pvpanic, port - PORT_PVPANIC, size, value, 0);
      if ((p.pvpanic.events & PVPANIC_PANICKED) != 0) stopVmWith(vm, STATUS_GUEST_PANIC);
      break;
    case DEVICE_DEBUG_EXIT:
      debugExitWrite(p.debugExit, 0, size, value, 0);
      stopByDebugExit(vm, p.debugExit.value);
      break;
    default:
      break;
  }
}

function writeResetControl(vm: Vm, p: Platform, value: u32): void {
  resetControlWrite(p.resetControl, 0, 1, value, 0);
  if (p.resetControl.resetRequested) requestReset(vm);
}

// --- memory-mapped registers ---------------------------------------------------------------------------------------------

const APIC_BASE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/** Devices' registers are at most 32 bits wide; an 8-byte access is two. */
const WORD: u32 = 4;

/** Read of 1, 2, 4 or 8 bytes of guest-physical addresses that are not RAM. Unclaimed addresses read as ones. */
export function platformMmioRead(vcpu: Vcpu, gpa: u64, size: u32): u64 {
  if (size > WORD) return <u64>readWord(vcpu, gpa, WORD) | ((<u64>readWord(vcpu, gpa + WORD, WORD)) << 32);
  return readWord(vcpu, gpa, size);
}

export function platformMmioWrite(vcpu: Vcpu, gpa: u64, size: u32, value: u64): void {
  if (size <= WORD) {
    writeWord(vcpu, gpa, size, <u32>value);
    return;
  }
  writeWord(vcpu, gpa, WORD, <u32>value);
  writeWord(vcpu, gpa + WORD, WORD, <u32>(value >> 32));
}

/** Offset of an access inside the vCPU's local APIC page; 4096 and more: outside. */
function lapicOffset(vcpu: Vcpu, gpa: u64): u64 {
  return gpa - (lapicBase(lapicOf(vcpu)) & APIC_BASE_ADDRESS);
}

function readWord(vcpu: Vcpu, gpa: u64, size: u32): u32 {
  const vm = vmOf(vcpu);
  const offset = lapicOffset(vcpu, gpa);
  if (offset < APIC_BYTES) return lapicRead(lapicOf(vcpu), <u32>offset, size, vmNow(vm));
  const p = platformOf(vm);
  const index = busFindMmio(p.bus, gpa, size);
  if (index < 0) return ALL_ONES;
  const range = busRange(p.bus, <u32>index);
  const at = <u32>(gpa - range.start);
  switch (range.device) {
    case DEVICE_IOAPIC:
      return ioapicRead(p.ioapic, at, size, 0);
    case DEVICE_PCI_ECAM:
      return pciEcamRead(p.pci, at, size, 0);
    default:
      return ALL_ONES;
  }
}

function writeWord(vcpu: Vcpu, gpa: u64, size: u32, value: u32): void {
  const vm = vmOf(vcpu);
  const p = platformOf(vm);
  const offset = lapicOffset(vcpu, gpa);
  if (offset < APIC_BYTES) {
    vcpu.requests |= REQUEST_SAMPLE;
    lapicWrite(lapicOf(vcpu), <u32>offset, size, value, vmNow(vm));
    return;
  }
  const index = busFindMmio(p.bus, gpa, size);
  if (index < 0) return;
  const range = busRange(p.bus, <u32>index);
  const at = <u32>(gpa - range.start);
  switch (range.device) {
    case DEVICE_IOAPIC:
      touch(vcpu, p, DEVICE_IOAPIC);
      ioapicWrite(p.ioapic, at, size, value, 0);
      break;
    case DEVICE_PCI_ECAM:
      pciEcamWrite(p.pci, at, size, value, 0);
      break;
    default:
      break;
  }
}

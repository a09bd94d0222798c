// The PC around the vCPUs: which devices a VM has and where; with ports.ts and memory-map.ts the only place that knows both.
// Accesses to them are in port-access.ts and mmio-access.ts, their interrupt lines in lines.ts.
import { tscHz } from "../arch/clock";
import { ACPI_PM_BYTES, AcpiPm, acpiPmNew, acpiPmReset } from "../devices/acpi_pm";
import { Bus, NO_DEVICE, busClaimMmio, busClaimPorts, busNew, busPortDevice } from "../devices/bus";
import { DebugExit, debugExitNew, debugExitReset } from "../devices/debugexit";
import { Hpet, hpetNew, hpetReset } from "../devices/hpet";
import { I8042, i8042New, i8042Reset } from "../devices/i8042";
import { ignoredRangeCount, ignoredRangeFirst, ignoredRangePorts } from "../devices/ignored_ports";
import { Ioapic, ioapicNew, ioapicReset } from "../devices/ioapic";
import { KvmClock, kvmClockNew, kvmClockReset } from "../devices/kvmclock";
import { Lapic, lapicNew, lapicReset, lapicSetVirtualWire } from "../devices/lapic";
import { PCI_PORTS, Pci, pciNew, pciReset } from "../devices/pci";
import { Pic8259, pic8259New, pic8259Reset } from "../devices/pic8259";
import { Pit8254, pit8254New, pit8254Reset } from "../devices/pit8254";
import { Pvpanic, pvpanicNew, pvpanicReset } from "../devices/pvpanic";
import { ResetControl, resetControlNew, resetControlReset } from "../devices/reset_control";
import { Rtc, rtcNew, rtcReset, rtcSetMemory, rtcSetTime } from "../devices/rtc";
import { TESTDEV_MEMORY, TESTDEV_PORTS, Testdev, testdevNew, testdevReset } from "../devices/testdev";
import { Uart16550, uart16550New, uart16550Reset } from "../devices/uart16550";
import { arenaNewWithTail } from "../lib/arena";
import { PlatformLink } from "../lib/links";
import { tailItem } from "../lib/tail";
import { Vcpu } from "../vcpu/vcpu";
import {
  APIC_BYTES,
  ECAM,
  ECAM_BYTES,
  HPET_BASE,
  HPET_PAGE_BYTES,
  IOAPIC_BASE,
  ramAbove4G,
  ramBelow4G,
  TESTDEV_BASE,
} from "./memory-map";
import {
  HPET_GSI_FIRST,
  HPET_GSIS,
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
  PORT_RTC,
  PORT_SMI_COMMAND,
  PORT_SYSTEM_A,
  PORT_SYSTEM_B,
  PORT_TESTDEV,
  PORT_TESTDEV_EXIT,
  PORT_TESTDEV_LINES,
  TESTDEV_LINES,
} from "./ports";
import { Vm, vmNow, vmOf } from "./vm";

// Devices by their number on the bus, below 32: the number of one with an interrupt line is its bit in `Platform.stale` and
// `Platform.lines`.
export const DEVICE_UART: u32 = 1;
export const DEVICE_PIT: u32 = 2;
export const DEVICE_RTC: u32 = 3;
export const DEVICE_ACPI_PM: u32 = 4;
export const DEVICE_I8042: u32 = 5;
export const DEVICE_PIC: u32 = 6;
export const DEVICE_IOAPIC: u32 = 7;
export const DEVICE_PCI: u32 = 8;
export const DEVICE_PCI_ECAM: u32 = 9;
export const DEVICE_PVPANIC: u32 = 10;
export const DEVICE_DEBUG_EXIT: u32 = 11;
const DEVICE_IGNORED: u32 = 12;
export const DEVICE_SYSTEM_A: u32 = 13;
export const DEVICE_SYSTEM_B: u32 = 14;
export const DEVICE_PIC_SLAVE: u32 = 15;
export const DEVICE_PIC_ELCR: u32 = 16;
export const DEVICE_TESTDEV: u32 = 17;
export const DEVICE_TESTDEV_LINES: u32 = 18;
export const DEVICE_TESTDEV_MEMORY: u32 = 19;
export const DEVICE_HPET: u32 = 20;
/** No device: calls of the BIOS. */
export const DEVICE_BIOS: u32 = 21;

const ALL_ONES: u32 = 0xffffffff;
const NS_PER_SECOND: u64 = 1_000_000_000;

/** What each vCPU has of its own. */
@unmanaged
class PlatformCpu {
  lapic: Lapic;
  clock: KvmClock;
}

/** Ends in a PlatformCpu for each vCPU. */
@unmanaged
export class Platform extends PlatformLink {
  bus: Bus;
  uart: Uart16550;
  pit: Pit8254;
  rtc: Rtc;
  acpiPm: AcpiPm;
  hpet: Hpet;
  i8042: I8042;
  pic: Pic8259;
  ioapic: Ioapic;
  pci: Pci;
  pvpanic: Pvpanic;
  debugExit: DebugExit;
  resetControl: ResetControl;
  /** Only in a VM that asked for it. */
  testdev: Testdev | null;

  // -- kept by lines.ts ---------------------------------------------------------------------------------------------------
  /** Devices whose line or deadline may have changed since the last sample: bit DEVICE_*. */
  stale: u32;
  /** Levels of the devices' lines at the last sample, same bits. */
  lines: u32;
  /** VM time at which the first device other than a local APIC needs attention, and each one's own. */
  deadline: u64;
  uartDeadline: u64;
  pitDeadline: u64;
  rtcDeadline: u64;
  acpiPmDeadline: u64;
  hpetDeadline: u64;
  /** The first of the RTC, ACPI and the HPET: most samples ask for no more than this. */
  rareDeadline: u64;
  /** VM time at which the run loop is to see to the hypervisor's own work, whatever the guest does. */
  lookUpAt: u64;

  // -- kept by console.ts -------------------------------------------------------------------------------------------------
  /** Characters of the panic message that the console has shown last. */
  panicMatched: u32;
  /** VM time at which the console had shown all of it, while the guest shows no life since; U64.MAX_VALUE: it lives. */
  panicSince: u64;
}

export function platformOf(vm: Vm): Platform {
  return changetype<Platform>(vm.platform);
}

function platformCpu(vm: Vm, index: u32): PlatformCpu {
  return tailItem<Platform, PlatformCpu>(platformOf(vm), index);
}

/** The local APIC of vCPU `index` of a VM. */
export function lapicAt(vm: Vm, index: u32): Lapic {
  return platformCpu(vm, index).lapic;
}

/** Gives a vCPU, whose VM has its devices, its local APIC; boot time only. */
export function platformAttach(vcpu: Vcpu): void {
  vcpu.lapic = lapicAt(vmOf(vcpu), vcpu.index);
}

export function lapicOf(vcpu: Vcpu): Lapic {
  return changetype<Lapic>(vcpu.lapic);
}

export function kvmClockOf(vcpu: Vcpu): KvmClock {
  return platformCpu(vmOf(vcpu), vcpu.index).clock;
}

// --- building ------------------------------------------------------------------------------------------------------------

/** Creates the devices of a VM and puts them on its bus; boot time only. */
export function platformCreate(vm: Vm): void {
  const p = arenaNewWithTail<Platform>(<usize>vm.cpus * offsetof<PlatformCpu>());
  vm.platform = p;
  p.bus = busNew();
  p.uart = uart16550New();
  p.pit = pit8254New();
  p.rtc = rtcNew();
  p.acpiPm = acpiPmNew();
  p.hpet = hpetNew();
  p.i8042 = i8042New();
  p.pic = pic8259New();
  p.ioapic = ioapicNew();
  p.pci = pciNew();
  p.pvpanic = pvpanicNew();
  p.debugExit = debugExitNew();
  p.resetControl = resetControlNew();
  for (let i: u32 = 0; i < vm.cpus; i++) {
    platformCpu(vm, i).lapic = lapicNew();
    platformCpu(vm, i).clock = kvmClockNew();
  }
  claimPorts(p.bus);
  busClaimMmio(p.bus, IOAPIC_BASE, APIC_BYTES, DEVICE_IOAPIC);
  busClaimMmio(p.bus, HPET_BASE, HPET_PAGE_BYTES, DEVICE_HPET);
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
  busClaimPorts(bus, PORT_SMI_COMMAND, 1, DEVICE_BIOS);
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

/** Adds the opt-in test device, and where nothing else is asked for, the debug-exit port that goes with it. Boot time only. */
export function platformAddTestdev(vm: Vm): void {
  const p = platformOf(vm);
  p.testdev = testdevNew();
  busClaimPorts(p.bus, PORT_TESTDEV, TESTDEV_PORTS, DEVICE_TESTDEV);
  busClaimPorts(p.bus, PORT_TESTDEV_LINES, TESTDEV_LINES, DEVICE_TESTDEV_LINES);
  busClaimMmio(p.bus, TESTDEV_BASE, TESTDEV_MEMORY, DEVICE_TESTDEV_MEMORY);
  if (vm.debugExitPort == 0) vm.debugExitPort = PORT_TESTDEV_EXIT;
}

/** The test device of a VM that has one: accesses reach it through claims of its own only. */
export function testdevOf(p: Platform): Testdev {
  const testdev = p.testdev;
  assert(testdev !== null, "platform: no test device");
  return changetype<Testdev>(testdev);
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
  hpetReset(p.hpet, ((1 << HPET_GSIS) - 1) << HPET_GSI_FIRST);
  i8042Reset(p.i8042);
  pic8259Reset(p.pic);
  ioapicReset(p.ioapic);
  pciReset(p.pci);
  pvpanicReset(p.pvpanic);
  debugExitReset(p.debugExit);
  resetControlReset(p.resetControl);
  const testdev = p.testdev;
  if (testdev !== null) testdevReset(testdev);
  for (let i: u32 = 0; i < vm.cpus; i++) {
    lapicReset(lapicAt(vm, i), i, i == 0);
    kvmClockReset(platformCpu(vm, i).clock, tscHz());
  }
  lapicSetVirtualWire(lapicAt(vm, 0));
  p.stale = ALL_ONES;
  p.lookUpAt = now;
  p.panicMatched = 0;
  p.panicSince = U64.MAX_VALUE;
}

// The DSDT: the devices that ACPI cannot find by itself, and the S5 sleep state. What it says is what platform.ts wires.
import { SLEEP_TYPE_S5 } from "../../devices/acpi_pm";
import { HPET_BYTES } from "../../devices/hpet";
import { ECAM, ECAM_BYTES, HPET_BASE, PCI_HOLE, PCI_HOLE_END, VGA_WINDOW } from "../memory-map";
import {
  IRQ_COM1,
  IRQ_PIT,
  IRQ_RTC,
  PCI_GSI_FIRST,
  PCI_GSIS,
  PORT_ACPI_PM,
  PORT_COM1,
  PORT_ELCR,
  PORT_PCI_CONFIG,
  PORT_PIC_MASTER,
  PORT_PIC_SLAVE,
  PORT_PIT,
  PORT_PVPANIC,
  PORT_RTC,
  PORT_SYSTEM_B,
} from "../ports";
import {
  amlDeviceStart,
  amlEnd,
  amlHardwareName,
  amlInteger,
  amlName,
  amlNameInteger,
  amlPackageStart,
  amlPnpId,
  amlScopeStart,
  crsEnd,
  crsFixedMemory,
  crsIrq,
  crsMemoryWindow,
  crsPorts,
  crsStart,
  crsWordWindow,
  SPACE_BUS,
  SPACE_IO,
} from "./aml";
import { tableEnd, tableStart } from "./header";

const PCI_SLOTS: u32 = 32;
const PCI_PINS: u32 = 4;
/** _STA: present, enabled, shown, functioning. */
const STATUS_WORKING: u32 = 0xf;
const IRQ_CASCADE: u32 = 2;
const IRQ_FPU: u32 = 13;

/** Writes the table. Integers are 64 bits wide (revision 2). */
export function writeDsdt(): void {
  const table = tableStart("DSDT", 2);
  writeSleepState();
  const scope = amlScopeStart("_SB_");
  writePciHostBridge();
  writeLegacyDevices();
  writeSerialPort();
  writePanicDevice();
  amlEnd(scope);
  tableEnd(table);
}

/** \_S5: SLP_TYPa and SLP_TYPb. */
function writeSleepState(): void {
  amlName("_S5_");
  const values = amlPackageStart(4);
  amlInteger(SLEEP_TYPE_S5);
  amlInteger(SLEEP_TYPE_S5);
  amlInteger(0);
  amlInteger(0);
  amlEnd(values);
}

function writePciHostBridge(): void {
  const device = amlDeviceStart("PCI0");
  amlPnpId(0x0a03);
  amlNameInteger("_UID", 0);
  amlNameInteger("_BBN", 0);
  const resources = crsStart();
  crsWordWindow(SPACE_BUS, 0, 0);
  crsPorts(PORT_PCI_CONFIG, 8);
  crsWordWindow(SPACE_IO, 0, PORT_PCI_CONFIG - 1);
  crsWordWindow(SPACE_IO, PORT_PCI_CONFIG + 8, 0xffff);
  crsMemoryWindow(<u32>VGA_WINDOW, 0xbffff);
  crsMemoryWindow(<u32>PCI_HOLE, <u32>PCI_HOLE_END - 1);
  crsEnd(resources);
  writeInterruptRouting();
  amlEnd(device);
}

/** _PRT: pin `p` of slot `s` goes straight to GSI PCI_GSI_FIRST + (s + p) mod PCI_GSIS. */
function writeInterruptRouting(): void {
  amlName("_PRT");
  const table = amlPackageStart((PCI_SLOTS - 1) * PCI_PINS);
  for (let slot: u32 = 1; slot < PCI_SLOTS; slot++) {
    for (let pin: u32 = 0; pin < PCI_PINS; pin++) {
      const entry = amlPackageStart(4);
      amlInteger((slot << 16) | 0xffff);
      amlInteger(pin);
      amlInteger(0);
      amlInteger(PCI_GSI_FIRST + ((slot + pin) % PCI_GSIS));
      amlEnd(entry);
    }
  }
  amlEnd(table);
}

function writeLegacyDevices(): void {
  writeDevice("PIC_", 0x0000, PORT_PIC_MASTER, 2, PORT_PIC_SLAVE, 2, IRQ_CASCADE);
  writeDevice("TIMR", 0x0100, PORT_PIT, 4, 0, 0, IRQ_PIT);
  writeDevice("RTC_", 0x0b00, PORT_RTC, 2, 0, 0, IRQ_RTC);
  writeDevice("FPU_", 0x0c04, 0xf0, 1, 0, 0, IRQ_FPU);
  writeEventTimers();
  writeMotherboard();
}

function writeEventTimers(): void {
  const device = amlDeviceStart("HPET");
  amlPnpId(0x0103);
  const resources = crsStart();
  crsFixedMemory(<u32>HPET_BASE, HPET_BYTES);
  crsEnd(resources);
  amlEnd(device);
}

/** A device with one or two ranges of ports and an interrupt. */
function writeDevice(name: string, id: u32, first: u32, ports: u32, second: u32, more: u32, irq: u32): void {
  const device = amlDeviceStart(name);
  amlPnpId(id);
  const resources = crsStart();
  crsPorts(first, ports);
  if (more != 0) crsPorts(second, more);
  crsIrq(irq);
  crsEnd(resources);
  amlEnd(device);
}

/** What belongs to no device of its own: so that the guest gives it to nobody else. */
function writeMotherboard(): void {
  const device = amlDeviceStart("MBRD");
  amlPnpId(0x0c02);
  const resources = crsStart();
  crsPorts(PORT_SYSTEM_B, 1);
  crsPorts(PORT_ELCR, 2);
  crsPorts(PORT_ACPI_PM, 16);
  crsFixedMemory(<u32>ECAM, <u32>ECAM_BYTES);
  crsEnd(resources);
  amlEnd(device);
}

function writeSerialPort(): void {
  const device = amlDeviceStart("COM1");
  amlPnpId(0x0501);
  amlNameInteger("_UID", 1);
  amlNameInteger("_STA", STATUS_WORKING);
  const resources = crsStart();
  crsPorts(PORT_COM1, 8);
  crsIrq(IRQ_COM1);
  crsEnd(resources);
  amlEnd(device);
}

/** pvpanic: a guest with the driver reports its panics. */
function writePanicDevice(): void {
  const device = amlDeviceStart("PVPN");
  amlHardwareName("QEMU0001");
  amlNameInteger("_STA", STATUS_WORKING);
  const resources = crsStart();
  crsPorts(PORT_PVPANIC, 1);
  crsEnd(resources);
  amlEnd(device);
}

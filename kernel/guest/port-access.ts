// The guest's port accesses: from the bus's device number to the device.
import { STATUS_GUEST_PANIC, STATUS_POWEROFF } from "../abi/status";
import { acpiPmRead, acpiPmWrite } from "../devices/acpi_pm";
import { busPortDevice } from "../devices/bus";
import { debugExitRead, debugExitWrite } from "../devices/debugexit";
import { I8042_COMMAND, I8042_DATA, I8042_PORT_A, i8042Read, i8042Write } from "../devices/i8042";
import { pciRead, pciWrite } from "../devices/pci";
import { PIC_ELCR, PIC_MASTER, PIC_SLAVE, pic8259Read, pic8259Write } from "../devices/pic8259";
import { PIT_PORT_B, pit8254Read, pit8254ReadPortB, pit8254Write } from "../devices/pit8254";
import { PVPANIC_PANICKED, pvpanicRead, pvpanicWrite } from "../devices/pvpanic";
import { resetControlRead, resetControlWrite } from "../devices/reset_control";
import { rtcRead, rtcWrite } from "../devices/rtc";
import { testdevRead, testdevSetLevel, testdevWrite } from "../devices/testdev";
import { uart16550Read, uart16550Write } from "../devices/uart16550";
import { Vcpu } from "../vcpu/vcpu";
import { biosCall } from "./bios/services";
import { platformDriveLine } from "./lines";
import {
  DEVICE_ACPI_PM,
  DEVICE_BIOS,
  DEVICE_DEBUG_EXIT,
  DEVICE_I8042,
  DEVICE_PCI,
  DEVICE_PIC,
  DEVICE_PIC_ELCR,
  DEVICE_PIC_SLAVE,
  DEVICE_PIT,
  DEVICE_PVPANIC,
  DEVICE_RTC,
  DEVICE_SYSTEM_A,
  DEVICE_SYSTEM_B,
  DEVICE_TESTDEV,
  DEVICE_TESTDEV_LINES,
  DEVICE_UART,
  Platform,
  platformOf,
  testdevOf,
} from "./platform";
import {
  PORT_ACPI_PM,
  PORT_COM1,
  PORT_ELCR,
  PORT_I8042_DATA,
  PORT_PCI_CONFIG,
  PORT_PIC_MASTER,
  PORT_PIC_SLAVE,
  PORT_PIT,
  PORT_PVPANIC,
  PORT_RESET_CONTROL,
  PORT_RTC,
  PORT_TESTDEV,
  PORT_TESTDEV_LINES,
} from "./ports";
import { settlePic, settleUart, touch } from "./settle";
import { Vm, requestReset, stopByDebugExit, stopVmWith, vmNow, vmOf } from "./vm";

const ALL_ONES: u32 = 0xffffffff;

/** First and last port of CONFIG_DATA, behind CONFIG_ADDRESS. */
const PORT_PCI_DATA: u32 = PORT_PCI_CONFIG + 4;
const PORT_PCI_LAST: u32 = PORT_PCI_CONFIG + 7;
const LAST_PORT: u32 = 0xffff;

/**
 * Whether one device answers a wide access as a whole. Else each byte goes to who owns its port, as an 8-bit bus does it.
 * CONFIG_ADDRESS is there for 32-bit accesses only (PCI Local Bus Specification, "Software Generation of Configuration
 * Transactions"); the debug-exit port takes what it gets, however wide.
 */
function isWhole(p: Platform, port: u32, size: u32): bool {
  const device = busPortDevice(p.bus, port);
  if (device == DEVICE_DEBUG_EXIT) return true;
  const last = port + size - 1;
  if (device == DEVICE_PCI) {
    return port < PORT_PCI_DATA ? port == PORT_PCI_CONFIG && size == 4 : last <= PORT_PCI_LAST;
  }
  if (last > LAST_PORT) return false;
  for (let next = port + 1; next <= last; next++) {
    if (busPortDevice(p.bus, next) != device) return false;
  }
  return true;
}

/** Ports behind the last one belong to nobody. */
function readBytes(vcpu: Vcpu, port: u32, size: u32): u32 {
  let value = ALL_ONES;
  for (let i: u32 = 0; i < size && port + i <= LAST_PORT; i++) {
    const byte = platformPortRead(vcpu, port + i, 1) & 0xff;
    value = (value & ~(0xff << (i * 8))) | (byte << (i * 8));
  }
  return value;
}

function writeBytes(vcpu: Vcpu, port: u32, size: u32, value: u32): void {
  for (let i: u32 = 0; i < size && port + i <= LAST_PORT; i++) {
    platformPortWrite(vcpu, port + i, 1, (value >> (i * 8)) & 0xff);
  }
}

/** IN of 2 or 4 bytes: apart, since most accesses are of one byte and would pay 14 instructions for the question. */
export function platformPortReadWide(vcpu: Vcpu, port: u32, size: u32): u32 {
  if (isWhole(platformOf(vmOf(vcpu)), port, size)) return platformPortRead(vcpu, port, size);
  return readBytes(vcpu, port, size);
}

/** OUT of 2 or 4 bytes. */
export function platformPortWriteWide(vcpu: Vcpu, port: u32, size: u32, value: u32): void {
  if (isWhole(platformOf(vmOf(vcpu)), port, size)) platformPortWrite(vcpu, port, size, value);
  else writeBytes(vcpu, port, size, value);
}

/** IN of one byte, or of `size` bytes (2, 4) of one device. Ports that nobody claimed read as ones. */
export function platformPortRead(vcpu: Vcpu, port: u32, size: u32): u32 {
  const vm = vmOf(vcpu);
  const p = platformOf(vm);
  switch (busPortDevice(p.bus, port)) {
    case DEVICE_UART:
      return readUart(vcpu, p, port - PORT_COM1, size, vmNow(vm));
    case DEVICE_PIT:
      return pit8254Read(p.pit, port - PORT_PIT, size, vmNow(vm));
    case DEVICE_SYSTEM_B:
      return pit8254ReadPortB(p.pit, size, vmNow(vm));
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
      return readPic(vcpu, p, PIC_MASTER + (port - PORT_PIC_MASTER), size);
    case DEVICE_PIC_SLAVE:
      return readPic(vcpu, p, PIC_SLAVE + (port - PORT_PIC_SLAVE), size);
    case DEVICE_PIC_ELCR:
      return pic8259Read(p.pic, PIC_ELCR + (port - PORT_ELCR), size, 0);
    case DEVICE_PCI:
      if (port == PORT_RESET_CONTROL && size == 1) return resetControlRead(p.resetControl, 0, size, 0);
      return pciRead(p.pci, port - PORT_PCI_CONFIG, size, 0);
    case DEVICE_PVPANIC:
      return pvpanicRead(p.pvpanic, port - PORT_PVPANIC, size, 0);
    case DEVICE_DEBUG_EXIT:
      return debugExitRead(p.debugExit, 0, size, 0);
    case DEVICE_TESTDEV:
      return testdevRead(testdevOf(p), port - PORT_TESTDEV, size, 0);
    default:
      return ALL_ONES;
  }
}

function readUart(vcpu: Vcpu, p: Platform, offset: u32, size: u32, now: u64): u32 {
  const value = uart16550Read(p.uart, offset, size, now);
  settleUart(vcpu, p, offset == 0, now);
  return value;
}

/** A read may be a poll, which acknowledges. */
function readPic(vcpu: Vcpu, p: Platform, offset: u32, size: u32): u32 {
  const value = pic8259Read(p.pic, offset, size, 0);
  settlePic(vcpu, p);
  return value;
}

function i8042Offset(port: u32): u32 {
  return port == PORT_I8042_DATA ? I8042_DATA : I8042_COMMAND;
}

/** OUT of one byte, or of `size` bytes (2, 4) of one device. */
export function platformPortWrite(vcpu: Vcpu, port: u32, size: u32, value: u32): void {
  const vm = vmOf(vcpu);
  const p = platformOf(vm);
  switch (busPortDevice(p.bus, port)) {
    case DEVICE_UART:
      writeUart(vcpu, p, port - PORT_COM1, size, value, vmNow(vm));
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
      writePic(vcpu, p, PIC_MASTER + (port - PORT_PIC_MASTER), size, value);
      break;
    case DEVICE_PIC_SLAVE:
      writePic(vcpu, p, PIC_SLAVE + (port - PORT_PIC_SLAVE), size, value);
      break;
    case DEVICE_PIC_ELCR:
      writePic(vcpu, p, PIC_ELCR + (port - PORT_ELCR), size, value);
      break;
    case DEVICE_PCI:
      if (port == PORT_RESET_CONTROL && size == 1) writeResetControl(vm, p, value);
      else pciWrite(p.pci, port - PORT_PCI_CONFIG, size, value, 0);
      break;
    default:
      writeRareDevice(vcpu, p, port, size, value);
  }
}

function writeUart(vcpu: Vcpu, p: Platform, offset: u32, size: u32, value: u32, now: u64): void {
  uart16550Write(p.uart, offset, size, value, now);
  settleUart(vcpu, p, false, now);
}

function writePic(vcpu: Vcpu, p: Platform, offset: u32, size: u32, value: u32): void {
  pic8259Write(p.pic, offset, size, value, 0);
  settlePic(vcpu, p);
}

/** Devices whose writes are rare: most can end the VM. */
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
    case DEVICE_TESTDEV:
      testdevWrite(testdevOf(p), port - PORT_TESTDEV, size, value, 0);
      break;
    case DEVICE_BIOS:
      biosCall(vcpu);
      break;
    case DEVICE_TESTDEV_LINES:
      driveLines(vcpu, p, port - PORT_TESTDEV_LINES, size, value);
      break;
    default:
      break;
  }
}

/** A line for each byte. */
function driveLines(vcpu: Vcpu, p: Platform, first: u32, size: u32, value: u32): void {
  for (let i: u32 = 0; i < size; i++) {
    const level = ((value >> (i * 8)) & 0xff) != 0;
    if (testdevSetLevel(testdevOf(p), first + i, level)) platformDriveLine(vcpu, first + i, level);
  }
}

function writeResetControl(vm: Vm, p: Platform, value: u32): void {
  resetControlWrite(p.resetControl, 0, 1, value, 0);
  if (p.resetControl.resetRequested) requestReset(vm);
}

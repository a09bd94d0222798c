// The ACPI tables in the BIOS area: RSDP first, where its signature is searched; each following table at a multiple of 64.
// Sources: ACPI specification, "ACPI System Description Tables"; PCI Firmware Specification, "MCFG Table Description";
// IA-PC HPET Specification, "The ACPI 2.0 HPET Description Table".
import {
  GPE0,
  GPE0_BYTES,
  PM1_CONTROL,
  PM1_CONTROL_BYTES,
  PM1_EVENT,
  PM1_EVENT_BYTES,
  PM_TIMER,
  PM_TIMER_BYTES,
} from "../../devices/acpi_pm";
import { HPET_ID, HPET_MIN_TICKS } from "../../devices/hpet";
import { RESET_CONTROL_VALUE } from "../../devices/reset_control";
import { guestWrite } from "../../mm/guestmem";
import { ACPI_TABLES, ACPI_TABLES_BYTES, ECAM, HPET_BASE, IOAPIC_BASE, LAPIC_BASE } from "../memory-map";
import { GSI_PIT, IRQ_PIT, IRQ_SCI, PORT_ACPI_PM, PORT_RESET_CONTROL } from "../ports";
import { Vm } from "../vm";
import { writeDsdt } from "./dsdt";
import { tableEnd, tableStart } from "./header";
import {
  checksum,
  put16,
  put32,
  put64,
  put8,
  putText,
  putZeros,
  writerAlign,
  writerAt,
  writerBuffer,
  writerOffset,
  writerStart,
} from "./writer";

const RSDP_BYTES: u32 = 36;
/** Bytes of the RSDP that its first checksum covers: the structure of ACPI 1.0. */
const RSDP_1_BYTES: u32 = 20;
const TABLE_ALIGN: u32 = 64;

/** Writes all tables into the guest's memory. Sets `vm.rsdp`. */
export function writeAcpiTables(vm: Vm): void {
  writerStart();
  putZeros(RSDP_BYTES);
  const facs = nextTable();
  writeFacs();
  const dsdt = nextTable();
  writeDsdt();
  const fadt = nextTable();
  writeFadt(<u32>facs, dsdt);
  const madt = nextTable();
  writeMadt(vm);
  const mcfg = nextTable();
  writeMcfg();
  const hpet = nextTable();
  writeHpet();
  const rsdt = nextTable();
  writeRootTable("RSDT", 4, fadt, madt, mcfg, hpet);
  const xsdt = nextTable();
  writeRootTable("XSDT", 8, fadt, madt, mcfg, hpet);
  fillRsdp(writerBuffer(), <u32>rsdt, xsdt);
  assert(writerOffset() <= ACPI_TABLES_BYTES, "acpi: tables too long");
  assert(guestWrite(vm.memory, ACPI_TABLES, writerBuffer(), writerOffset()), "acpi: no RAM for the tables");
  vm.rsdp = ACPI_TABLES;
}

/** Guest-physical address of a table that starts now. */
function nextTable(): u64 {
  writerAlign(TABLE_ALIGN);
  return ACPI_TABLES + writerOffset();
}

/**
 *   0          8         9       15        16    20      24    32                 33
 *   signature  checksum  OEM ID  revision  RSDT  length  XSDT  extended checksum  reserved
 */
function fillRsdp(at: usize, rsdt: u32, xsdt: u64): void {
  // "RSD PTR " and "TYPVSR" as little-endian numbers.
  store<u64>(at, 0x2052545020445352);
  store<u32>(at + 9, 0x56505954);
  store<u16>(at + 13, 0x5253);
  store<u8>(at + 15, 2);
  store<u32>(at + 16, rsdt);
  store<u32>(at + 20, RSDP_BYTES);
  store<u64>(at + 24, xsdt);
  store<u8>(at + 8, <u8>checksum(at, RSDP_1_BYTES));
  store<u8>(at + 32, <u8>checksum(at, RSDP_BYTES));
}

/** RSDT or XSDT: addresses of the tables, `width` bytes each. */
function writeRootTable(signature: string, width: u32, fadt: u64, madt: u64, mcfg: u64, hpet: u64): void {
  const table = tableStart(signature, 1);
  putAddress(fadt, width);
  putAddress(madt, width);
  putAddress(mcfg, width);
  putAddress(hpet, width);
  tableEnd(table);
}

function putAddress(address: u64, width: u32): void {
  if (width == 8) put64(address);
  else put32(<u32>address);
}

/** Nothing in it matters without sleep states but S5 and without firmware that shares the global lock. */
function writeFacs(): void {
  const start = writerAt();
  putText("FACS");
  put32(64);
  putZeros(24);
  put8(2);
  putZeros(<u32>(start + 64 - writerAt()));
}

const FADT_WBINVD: u32 = 1 << 0;
const FADT_PROC_C1: u32 = 1 << 2;
/** No fixed-hardware sleep button. */
const FADT_SLP_BUTTON: u32 = 1 << 5;
/** The PM timer is 32 bits wide. */
const FADT_TMR_VAL_EXT: u32 = 1 << 8;
const FADT_RESET_REG_SUP: u32 = 1 << 10;
/** Idling in S0 saves more than any sleep state: there is none but S5. */
const FADT_LOW_POWER_S0_IDLE: u32 = 1 << 21;
/** FIX_RTC (bit 6) is clear: the RTC wakes through RTC_STS and RTC_EN of the PM1 registers. */
const FADT_FLAGS: u32 =
  FADT_WBINVD |
  FADT_PROC_C1 |
  FADT_SLP_BUTTON |
  FADT_TMR_VAL_EXT |
  FADT_RESET_REG_SUP |
  FADT_LOW_POWER_S0_IDLE;

/** IA-PC boot architecture: legacy devices on the bus; no 8042 that serves a keyboard; no VGA. */
const BOOT_LEGACY_DEVICES: u32 = 1 << 0;
const BOOT_NO_VGA: u32 = 1 << 2;
/** CMOS byte that holds the century. */
const CMOS_CENTURY: u32 = 0x32;
/** Latency that says: C2 or C3 is not there. */
const NO_C_STATE: u32 = 0xffff;

/** Fixed ACPI Description Table, revision 6. SMI_CMD is 0: the machine is in ACPI mode for good. */
function writeFadt(facs: u32, dsdt: u64): void {
  const table = tableStart("FACP", 6);
  put32(facs);
  put32(<u32>dsdt);
  put8(0);
  put8(0); // preferred profile: unspecified
  put16(IRQ_SCI);
  putZeros(8); // SMI_CMD, ACPI_ENABLE, ACPI_DISABLE, S4BIOS_REQ, PSTATE_CNT
  writeRegisterBlocks();
  put16(NO_C_STATE);
  put16(NO_C_STATE);
  putZeros(8); // flush size and stride, duty cycle, day and month alarm
  put8(CMOS_CENTURY);
  put16(BOOT_LEGACY_DEVICES | BOOT_NO_VGA);
  put8(0);
  put32(FADT_FLAGS);
  putIoAddress(PORT_RESET_CONTROL, 1);
  put8(RESET_CONTROL_VALUE);
  putZeros(3); // ARM boot architecture, minor version
  // One of the two addresses of the FACS must be 0.
  put64(0);
  put64(dsdt);
  writeExtendedBlocks();
  tableEnd(table);
}

/** PM1a event, PM1b event, PM1a control, PM1b control, PM2 control, PM timer, GPE0, GPE1; then their lengths. */
function writeRegisterBlocks(): void {
  put32(PORT_ACPI_PM + PM1_EVENT);
  put32(0);
  put32(PORT_ACPI_PM + PM1_CONTROL);
  put32(0);
  put32(0);
  put32(PORT_ACPI_PM + PM_TIMER);
  put32(PORT_ACPI_PM + GPE0);
  put32(0);
  put8(PM1_EVENT_BYTES);
  put8(PM1_CONTROL_BYTES);
  put8(0);
  put8(PM_TIMER_BYTES);
  put8(GPE0_BYTES);
  putZeros(3); // GPE1 length and base, CST_CNT
}

/** The same blocks as generic addresses, sleep control and status (hardware-reduced only), hypervisor vendor. */
function writeExtendedBlocks(): void {
  putIoAddress(PORT_ACPI_PM + PM1_EVENT, PM1_EVENT_BYTES);
  putIoAddress(0, 0);
  putIoAddress(PORT_ACPI_PM + PM1_CONTROL, PM1_CONTROL_BYTES);
  putIoAddress(0, 0);
  putIoAddress(0, 0);
  putIoAddress(PORT_ACPI_PM + PM_TIMER, PM_TIMER_BYTES);
  putIoAddress(PORT_ACPI_PM + GPE0, GPE0_BYTES);
  putIoAddress(0, 0);
  putIoAddress(0, 0);
  putIoAddress(0, 0);
  putText("TYPEVISR");
}

/** Generic Address Structure of `bytes` ports from `port`; all zero for none. */
function putIoAddress(port: u32, bytes: u32): void {
  put8(bytes == 0 ? 0 : 1); // system I/O
  put8(bytes * 8);
  put8(0);
  put8(bytes == 1 ? 1 : bytes == 2 ? 2 : bytes == 4 ? 3 : 0); // access size
  put64(port);
}

const MADT_PCAT_COMPAT: u32 = 1;
const LAPIC_ENABLED: u32 = 1;
/** MPS INTI flags: active high, level-triggered. */
const INTI_LEVEL_HIGH: u32 = 0x000d;
const ALL_PROCESSORS: u32 = 0xff;

/** Multiple APIC Description Table. */
function writeMadt(vm: Vm): void {
  const table = tableStart("APIC", 5);
  put32(<u32>LAPIC_BASE);
  put32(MADT_PCAT_COMPAT);
  for (let i: u32 = 0; i < vm.cpus; i++) {
    put16(0x0800); // type 0: local APIC, 8 bytes
    put8(i);
    put8(i);
    put32(LAPIC_ENABLED);
  }
  put16(0x0c01); // type 1: I/O APIC, 12 bytes
  put8(0);
  put8(0);
  put32(<u32>IOAPIC_BASE);
  put32(0);
  putSourceOverride(IRQ_PIT, GSI_PIT, 0);
  putSourceOverride(IRQ_SCI, IRQ_SCI, INTI_LEVEL_HIGH);
  put16(0x0604); // type 4: local APIC NMI, 6 bytes
  put8(ALL_PROCESSORS);
  put16(0);
  put8(1); // LINT1
  tableEnd(table);
}

function putSourceOverride(irq: u32, gsi: u32, flags: u32): void {
  put16(0x0a02); // type 2: interrupt source override, 10 bytes
  put8(0); // ISA
  put8(irq);
  put32(gsi);
  put16(flags);
}

/** Memory-mapped configuration space of segment 0, bus 0. */
function writeMcfg(): void {
  const table = tableStart("MCFG", 1);
  putZeros(8);
  put64(ECAM);
  put16(0);
  put8(0);
  put8(0);
  put32(0);
  tableEnd(table);
}

/** The HPET: block ID, address, number, shortest periodic tick, no page protection. */
function writeHpet(): void {
  const table = tableStart("HPET", 1);
  put32(HPET_ID);
  put8(0); // system memory
  put8(64);
  put8(0);
  put8(0);
  put64(HPET_BASE);
  put8(0);
  put16(HPET_MIN_TICKS);
  put8(0);
  tableEnd(table);
}

// The fixed ACPI description table: the power-management timer, and how to switch the computer off.
// (ACPI Specification, "Fixed ACPI Description Table", "\_Sx (System States)".)
import { in16, in32, out16, out8, phys_load32, phys_load8 } from "../arch/intrinsics";
import { acpiTable, checkedTable, NO_TABLE, tableBytes } from "./acpi";

/** "FACP" */
const SIGNATURE: u32 = 0x50434146;
const FADT_DSDT: u64 = 40;
const FADT_SMI_COMMAND: u64 = 48;
const FADT_ACPI_ENABLE: u64 = 52;
const FADT_PM1A_CONTROL: u64 = 64;
const FADT_PM1B_CONTROL: u64 = 68;
const FADT_PM_TIMER: u64 = 76;
/** Tables of ACPI 1.0 end here. */
const FADT_SMALLEST: u32 = 116;

const PM1_SCI_ENABLE: u32 = 1 << 0;
const PM1_SLEEP_TYPE_SHIFT: u32 = 10;
const PM1_SLEEP_ENABLE: u32 = 1 << 13;
/** Polls until ACPI mode is on. */
const PATIENCE: u32 = 1_000_000;

/** Ticks per second of the power-management timer, and its width that every computer has. */
export const PM_TIMER_HZ: u64 = 3_579_545;
export const PM_TIMER_MASK: u32 = 0xff_ffff;

let table: u64 = NO_TABLE;

/** Finds the table. False: there is none. */
export function fadtRead(): bool {
  table = acpiTable(SIGNATURE);
  if (table != NO_TABLE && tableBytes(table) < FADT_SMALLEST) table = NO_TABLE;
  return table != NO_TABLE;
}

/** I/O port of the power-management timer; 0: there is none. */
export function pmTimerPort(): u32 {
  return table == NO_TABLE ? 0 : phys_load32(table + FADT_PM_TIMER);
}

/** Ticks of the power-management timer, 24 bits. */
export function pmTimerRead(): u32 {
  return in32(pmTimerPort()) & PM_TIMER_MASK;
}

/** Enters S5, soft off. Returns when the computer does not obey. */
export function acpiPowerOff(): void {
  if (table == NO_TABLE) return;
  const types = findS5(checkedTable(phys_load32(table + FADT_DSDT)));
  if (types < 0) return;
  const a = phys_load32(table + FADT_PM1A_CONTROL);
  const b = phys_load32(table + FADT_PM1B_CONTROL);
  enableAcpi(a);
  out16(a, ((types & 7) << PM1_SLEEP_TYPE_SHIFT) | PM1_SLEEP_ENABLE);
  if (b != 0) out16(b, (((types >> 8) & 7) << PM1_SLEEP_TYPE_SHIFT) | PM1_SLEEP_ENABLE);
}

function enableAcpi(control: u32): void {
  const command = phys_load32(table + FADT_SMI_COMMAND);
  if ((in16(control) & PM1_SCI_ENABLE) != 0 || command == 0) return;
  out8(command, phys_load8(table + FADT_ACPI_ENABLE));
  for (let polls: u32 = 0; polls < PATIENCE && (in16(control) & PM1_SCI_ENABLE) == 0; polls++) {}
}

// In the DSDT: NameOp "_S5_" PackageOp PkgLength NumElements SLP_TYPa SLP_TYPb …
const S5_NAME: u32 = 0x5f35535f;
const AML_NAME: u32 = 0x08;
const AML_ZERO: u32 = 0x00;
const AML_ONE: u32 = 0x01;
const AML_BYTE: u32 = 0x0a;
const AML_PACKAGE: u32 = 0x12;

/** SLP_TYPa in bits 7..0 and SLP_TYPb in bits 15..8, or -1. Looks for the package's encoding: AML itself is not interpreted. */
function findS5(dsdt: u64): i32 {
  if (dsdt == NO_TABLE) return -1;
  const end = dsdt + tableBytes(dsdt) - 12;
  for (let at = dsdt + 36; at < end; at++) {
    if (phys_load32(at) != S5_NAME || phys_load8(at + 4) != AML_PACKAGE) continue;
    // A name in the root scope may be written with its leading backslash.
    if (phys_load8(at - 1) != AML_NAME && phys_load8(at - 2) != AML_NAME) continue;
    const first = at + 5 + (phys_load8(at + 5) >> 6) + 2;
    const second = first + (phys_load8(first) == AML_BYTE ? 2 : 1);
    return amlInteger(first) | (amlInteger(second) << 8);
  }
  return -1;
}

/** A small integer of a package; other encodings count as 0. */
function amlInteger(at: u64): i32 {
  const code = phys_load8(at);
  if (code == AML_BYTE) return phys_load8(at + 1);
  return code == AML_ONE ? 1 : AML_ZERO;
}

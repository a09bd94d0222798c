// ACPI tables of the computer: found through the RSDP, checked, copied nowhere: read through the direct map.
// (ACPI Specification, "Root System Description Pointer", "System Description Table Header".)
import { phys_load16, phys_load32, phys_load64, phys_load8 } from "../arch/intrinsics";
import { mapFirmware } from "../mm/paging";

/** Returned when there is no such table. */
export const NO_TABLE: u64 = 0;

// Header of every table: signature (4), length (4), revision (1), checksum (1), …
const TABLE_LENGTH: u64 = 4;
const TABLE_HEADER: u32 = 36;
/** A longer table is taken for damage. */
const TABLE_LONGEST: u32 = 16 << 20;

// RSDP: "RSD PTR ", checksum (1), OEM (6), revision (1), RSDT (4), length (4), XSDT (8), …
const RSDP_SIGNATURE: u64 = 0x2052_5450_2044_5352;
const RSDP_REVISION: u64 = 15;
const RSDP_RSDT: u64 = 16;
const RSDP_XSDT: u64 = 24;
const RSDP_BYTES: u32 = 20;

const EBDA_SEGMENT: u64 = 0x40e;
const BIOS_START: u64 = 0xe0000;
const BIOS_END: u64 = 0x100000;

let rootTable: u64 = NO_TABLE;
/** Bytes of an address in the root table: 8 in an XSDT, 4 in an RSDT. */
let addressBytes: u32 = 4;

/** Finds the tables. False: there are none. */
export function acpiStart(): bool {
  const rsdp = findRsdp();
  if (rsdp == 0) return false;
  const xsdt = phys_load8(rsdp + RSDP_REVISION) >= 2 ? phys_load64(rsdp + RSDP_XSDT) : 0;
  addressBytes = xsdt != 0 ? 8 : 4;
  rootTable = checkedTable(xsdt != 0 ? xsdt : phys_load32(rsdp + RSDP_RSDT));
  return rootTable != NO_TABLE;
}

/** Physical address of the first table with this four-letter signature (little-endian), whole and with a right checksum. */
export function acpiTable(signature: u32): u64 {
  if (rootTable == NO_TABLE) return NO_TABLE;
  const end = rootTable + tableBytes(rootTable);
  for (let at = rootTable + TABLE_HEADER; at + addressBytes <= end; at += addressBytes) {
    const table = addressBytes == 8 ? phys_load64(at) : phys_load32(at);
    mapFirmware(table, TABLE_HEADER);
    if (phys_load32(table) == signature) return checkedTable(table);
  }
  return NO_TABLE;
}

/** Length in bytes of a table, with its header. */
export function tableBytes(table: u64): u32 {
  return phys_load32(table + TABLE_LENGTH);
}

/** The same address, or NO_TABLE when the table's length or checksum is wrong. */
export function checkedTable(table: u64): u64 {
  if (table == 0) return NO_TABLE;
  mapFirmware(table, TABLE_HEADER);
  const bytes = tableBytes(table);
  if (bytes < TABLE_HEADER || bytes > TABLE_LONGEST) return NO_TABLE;
  mapFirmware(table, bytes);
  return sumsToZero(table, bytes) ? table : NO_TABLE;
}

/** On a 16-byte boundary in the first KiB of the extended BIOS data area, or in the BIOS's read-only memory. */
function findRsdp(): u64 {
  const ebda = (<u64>phys_load16(EBDA_SEGMENT)) << 4;
  const inEbda = ebda >= 0x400 && ebda < 0xa0000 ? findIn(ebda, min<u64>(ebda + 1024, 0xa0000)) : 0;
  return inEbda != 0 ? inEbda : findIn(BIOS_START, BIOS_END);
}

function findIn(start: u64, end: u64): u64 {
  for (let at = (start + 15) & ~15; at + RSDP_BYTES <= end; at += 16) {
    if (phys_load64(at) == RSDP_SIGNATURE && sumsToZero(at, RSDP_BYTES)) return at;
  }
  return 0;
}

function sumsToZero(start: u64, bytes: u32): bool {
  let sum: u32 = 0;
  for (let i: u32 = 0; i < bytes; i++) sum += phys_load8(start + i);
  return (sum & 0xff) == 0;
}

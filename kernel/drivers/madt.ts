// The multiple APIC description table: which CPUs, I/O APICs and interrupt overrides the computer has.
// (ACPI Specification, "Multiple APIC Description Table".)
import { phys_load16, phys_load32, phys_load8 } from "../arch/intrinsics";
import { acpiTable, NO_TABLE, tableBytes } from "./acpi";

/** "APIC" */
const SIGNATURE: u32 = 0x43495041;
const MADT_ENTRIES: u64 = 44;

// Kinds of entries; each starts with kind (1) and length (1).
const ENTRY_LOCAL_APIC: u32 = 0;
const ENTRY_IO_APIC: u32 = 1;
const ENTRY_OVERRIDE: u32 = 2;
const ENTRY_LOCAL_X2APIC: u32 = 9;
const ENTRY_SMALLEST: u32 = 6;

const CPU_ENABLED: u32 = 1 << 0;
/** An override's flags: polarity in bits 1..0, trigger mode in bits 3..2; 3 = active low, 3 = level. */
const POLARITY_MASK: u32 = 3;
const POLARITY_LOW: u32 = 3;
const TRIGGER_SHIFT: u32 = 2;
const TRIGGER_LEVEL: u32 = 3;

const ISA_LINES: u32 = 16;
const MAX_IO_APICS: u32 = 8;

/** How an ISA interrupt reaches the I/O APICs. */
@unmanaged
export class IsaRoute {
  /** Global system interrupt. */
  gsi: u32;
  activeLow: bool;
  level: bool;
}

@unmanaged
export class IoApicEntry {
  address: u64;
  /** Global system interrupt of its first input. */
  base: u32;
}

const ROUTE_BYTES: usize = 8;
const IO_APIC_BYTES: usize = 16;
const routes = memory.data(128, 16);
const ioApics = memory.data(128, 16);
let cpusFound: u32 = 0;
let ioApicCount: u32 = 0;

/** Reads the table. False: there is none. */
export function madtRead(): bool {
  for (let line: u32 = 0; line < ISA_LINES; line++) isaRoute(line).gsi = line;
  const table = acpiTable(SIGNATURE);
  if (table == NO_TABLE) return false;
  const end = table + tableBytes(table);
  for (let at = table + MADT_ENTRIES; at + ENTRY_SMALLEST <= end; ) {
    const length = phys_load8(at + 1);
    if (length < ENTRY_SMALLEST || at + length > end) break;
    readEntry(at, phys_load8(at));
    at += length;
  }
  return true;
}

function readEntry(at: u64, kind: u32): void {
  switch (kind) {
    case ENTRY_LOCAL_APIC:
      addCpu(phys_load32(at + 4));
      break;
    case ENTRY_LOCAL_X2APIC:
      addCpu(phys_load32(at + 8));
      break;
    case ENTRY_IO_APIC:
      addIoApic(phys_load32(at + 4), phys_load32(at + 8));
      break;
    case ENTRY_OVERRIDE:
      addOverride(phys_load8(at + 3), phys_load32(at + 4), phys_load16(at + 8));
      break;
    default:
      break;
  }
}

function addCpu(flags: u32): void {
  if ((flags & CPU_ENABLED) != 0) cpusFound++;
}

function addIoApic(address: u64, base: u32): void {
  if (ioApicCount == MAX_IO_APICS) return;
  const entry = ioApic(ioApicCount++);
  entry.address = address;
  entry.base = base;
}

function addOverride(line: u32, gsi: u32, flags: u32): void {
  if (line >= ISA_LINES) return;
  const route = isaRoute(line);
  route.gsi = gsi;
  route.activeLow = (flags & POLARITY_MASK) == POLARITY_LOW;
  route.level = ((flags >> TRIGGER_SHIFT) & 3) == TRIGGER_LEVEL;
}

/** CPUs that firmware has enabled. */
export function madtCpusFound(): u32 {
  return cpusFound;
}

export function madtIoApicCount(): u32 {
  return ioApicCount;
}

export function ioApic(index: u32): IoApicEntry {
  assert(index < MAX_IO_APICS, "madt: I/O APIC index");
  return changetype<IoApicEntry>(ioApics + index * IO_APIC_BYTES);
}

/** ISA interrupt `line` (0..15). */
export function isaRoute(line: u32): IsaRoute {
  assert(line < ISA_LINES, "madt: ISA line");
  return changetype<IsaRoute>(routes + line * ROUTE_BYTES);
}

// Where things are in a guest's physical address space, and the memory map that boot protocols hand over.
//
//   0                 interrupt vectors, BIOS data area
//   500               RAM; in it, until the kernel has taken over, the boot data (boot/boot-data.ts)
//   9FC00             extended BIOS data area (reserved)
//   A0000 - BFFFF     VGA window on a PC; RAM here, in no memory map
//   E0000 - FFFFF     BIOS area (reserved): ACPI tables, SMBIOS
//   100000            RAM, up to 3 GiB
//   C0000000          PCI memory window
//   E0000000          PCI configuration space of bus 0 (ECAM), reserved
//   FEC00000          I/O APIC
//   FED00000          HPET
//   FEE00000          local APIC
//   FF000000          memory of the test device, if there is one
//   FFFF0000          F0000 - FFFFF once more, read-only: a processor begins at FFFFFFF0 after reset
//   100000000         the rest of RAM
import { arenaAlloc } from "../lib/arena";
import { Vm } from "./vm";

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

// BIOS data area: segment of the extended one, equipment, KiB of conventional memory, ticks of the timer since midnight and
// whether midnight has passed.
export const BDA_EBDA_SEGMENT: u64 = 0x40e;
export const BDA_EQUIPMENT: u64 = 0x410;
export const BDA_BASE_MEMORY_KIB: u64 = 0x413;
export const BDA_TICKS: u64 = 0x46c;
export const BDA_MIDNIGHT: u64 = 0x470;
/** First words of the keyboard's buffer: a key, and whether it is there. */
export const BDA_KEY: u64 = 0x41e;
export const BDA_KEY_PRESENT: u64 = 0x420;

/** End of the interrupt vectors and the BIOS data area. */
export const LOW_MEMORY: u64 = 0x500;
export const EBDA: u64 = 0x9fc00;
export const VGA_WINDOW: u64 = 0xa0000;
const BIOS_AREA: u64 = 0xe0000;
export const ACPI_TABLES: u64 = 0xe0000;
export const ACPI_TABLES_BYTES: u32 = 0x4000;
export const SMBIOS: u64 = 0xf0000;
export const HIGH_MEMORY: u64 = MIB;

/** End of RAM below 4 GiB at most, and start of the PCI memory window. */
export const PCI_HOLE: u64 = 3 * GIB;
export const PCI_HOLE_END: u64 = 0xe0000000;
export const ECAM: u64 = 0xe0000000;
/** One bus. */
export const ECAM_BYTES: u64 = MIB;
export const IOAPIC_BASE: u64 = 0xfec00000;
export const HPET_BASE: u64 = 0xfed00000;
/** The page of which the HPET's registers are the first quarter. */
export const HPET_PAGE_BYTES: u64 = 0x1000;
export const LAPIC_BASE: u64 = 0xfee00000;
export const TESTDEV_BASE: u64 = 0xff000000;
export const APIC_BYTES: u64 = 0x1000;
export const ABOVE_4G: u64 = 4 * GIB;
/** The last 64 KiB below 1 MiB, and where they are seen once more, as a PC's firmware is. */
export const ROM_SOURCE: u64 = 0xf0000;
export const ROM_BYTES: u64 = 0x10000;
export const ROM_ALIAS: u64 = ABOVE_4G - ROM_BYTES;

/** Types of memory-map entries (ACPI specification, "System Address Map Interfaces"). */
const E820_RAM: u32 = 1;
const E820_RESERVED: u32 = 2;

/** One entry of the memory map; E820_ENTRY_BYTES in memory, without padding. */
@unmanaged
export class E820Entry {
  start: u64;
  bytes: u64;
  type: u32;
}

export const E820_ENTRY_BYTES: u32 = 20;
const E820_MAX_ENTRIES: u32 = 8;

/** Room for a VM's map; boot time only. */
export function memoryMapNew(): E820Entry {
  return changetype<E820Entry>(arenaAlloc(E820_MAX_ENTRIES * E820_ENTRY_BYTES, 16));
}

/** Bytes of a VM's RAM below, and from, 4 GiB. */
export function ramBelow4G(vm: Vm): u64 {
  return min(vm.memoryBytes, PCI_HOLE);
}
export function ramAbove4G(vm: Vm): u64 {
  return vm.memoryBytes - ramBelow4G(vm);
}

/** Builds the memory map of a VM; returns its entries' number. */
export function buildMemoryMap(vm: Vm): u32 {
  let count: u32 = 0;
  count = append(vm, count, 0, EBDA, E820_RAM);
  count = append(vm, count, EBDA, VGA_WINDOW, E820_RESERVED);
  count = append(vm, count, BIOS_AREA, HIGH_MEMORY, E820_RESERVED);
  const below = ramBelow4G(vm);
  if (below > HIGH_MEMORY) count = append(vm, count, HIGH_MEMORY, below, E820_RAM);
  count = append(vm, count, ECAM, ECAM + ECAM_BYTES, E820_RESERVED);
  const above = ramAbove4G(vm);
  if (above != 0) count = append(vm, count, ABOVE_4G, ABOVE_4G + above, E820_RAM);
  return count;
}

function append(vm: Vm, index: u32, start: u64, end: u64, type: u32): u32 {
  assert(index < E820_MAX_ENTRIES, "memory map: full");
  const entry = memoryMapEntry(vm, index);
  entry.start = start;
  entry.bytes = end - start;
  entry.type = type;
  return index + 1;
}

/** Entry `index` of a VM's map, which is built; the entries lie one behind the other, E820_ENTRY_BYTES each. */
export function memoryMapEntry(vm: Vm, index: u32): E820Entry {
  return changetype<E820Entry>(changetype<usize>(vm.memoryMap) + index * E820_ENTRY_BYTES);
}

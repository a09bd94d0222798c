// The hypervisor's own page tables, exact and W^X; they replace those that boot/tables.asm built.
//
//   0x0000_0000_0000_0000  linear memory without page 0         read, write
//   0xFFFF_8000_0000_0000  direct map: RAM read, write (the image's code and constants: read); devices on demand, uncached
//   0xFFFF_FF00_0000_0000  stacks with guard pages              read, write
//   0xFFFF_FFFF_8000_0000  image: code read, execute; constants read; data read, write
//
// Entry (SDM, "4-Level Paging"):  63  62..52  51..12   11..8  7  6  5  4    3    2    1    0
//                                 XD  0       address  0      PS D  A  PCD  PWT  U/S  R/W  P
import { cpuHasHugePages } from "../arch/features";
import { invlpg, phys_load64, phys_store64, write_cr3 } from "../arch/intrinsics";
import {
  LAYOUT_DATA_END,
  LAYOUT_DATA_START,
  LAYOUT_IMAGE_START,
  LAYOUT_LINEAR_BYTES,
  LAYOUT_LINEAR_START,
  LAYOUT_PML4,
  LAYOUT_RODATA_END,
  LAYOUT_RODATA_START,
  LAYOUT_TEXT_END,
  LAYOUT_TEXT_START,
} from "../abi/layout";
import { bootLayout } from "../lib/layout";
import { bootInfo, MEMORY_ACPI_RECLAIMABLE, MEMORY_USABLE, memoryRange } from "../lib/bootinfo";
import { FRAME_BYTES, frameAllocZeroed, NO_HPA } from "./frames";

export const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;
export const IMAGE_BASE: u64 = 0xffff_ffff_8000_0000;
/** Slot of the stacks in the top-level table. */
const STACK_SLOT: u64 = 510;

const PAGE_PRESENT: u64 = 1 << 0;
const PAGE_WRITE: u64 = 1 << 1;
const PAGE_WRITE_THROUGH: u64 = 1 << 3;
const PAGE_CACHE_DISABLE: u64 = 1 << 4;
const PAGE_LARGE: u64 = 1 << 7;
const PAGE_NO_EXECUTE: u64 = 1 << 63;
const PAGE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/** Rights of a mapping. */
const READ_ONLY: u64 = PAGE_NO_EXECUTE;
const READ_WRITE: u64 = PAGE_WRITE | PAGE_NO_EXECUTE;
const READ_EXECUTE: u64 = 0;
/** Entry 3 of the page-attribute table: uncacheable. */
const DEVICE: u64 = READ_WRITE | PAGE_CACHE_DISABLE | PAGE_WRITE_THROUGH;

const LOW_MEMORY: u64 = 1 << 20;
/** Levels of the tables; level n's leaves span 2^(12 + 9 (n - 1)) bytes. */
const ROOT_LEVEL: u32 = 4;

let root: u64 = 0;
let largestLeaf: u32 = 2;

/** Builds the tables from the loader's memory map and switches to them. */
export function pagingStart(): void {
  assert(root == 0, "paging: started twice");
  root = newTable();
  if (cpuHasHugePages()) largestLeaf = 3;
  mapLinearMemory();
  mapImage();
  // The stacks' tables are exact already.
  phys_store64(root + STACK_SLOT * 8, phys_load64(bootLayout(LAYOUT_PML4) + STACK_SLOT * 8));
  mapRam(0, LOW_MEMORY);
  for (let i: u32 = 0, n = bootInfo().rangeCount; i < n; i++) {
    const range = memoryRange(i);
    if (range.kind == MEMORY_USABLE || range.kind == MEMORY_ACPI_RECLAIMABLE)
      mapRam(range.start, range.bytes);
  }
  write_cr3(root);
}

/** Makes device registers reachable through the direct map, uncached. Pages that are mapped already stay as they are. */
export function mapDevice(hpa: u64, bytes: u64): void {
  mapOutwards(hpa, bytes, DEVICE);
}

/** Makes tables of the firmware readable through the direct map, wherever the firmware left them. */
export function mapFirmware(hpa: u64, bytes: u64): void {
  mapOutwards(hpa, bytes, READ_ONLY);
}

function mapOutwards(hpa: u64, bytes: u64, rights: u64): void {
  // The boot code's tables map the first 4 GiB.
  if (root == 0) return;
  const first = hpa & ~(FRAME_BYTES - 1);
  const end = (hpa + bytes + FRAME_BYTES - 1) & ~(FRAME_BYTES - 1);
  mapRange(DIRECT_MAP + first, first, end - first, rights);
}

function mapLinearMemory(): void {
  const start = bootLayout(LAYOUT_LINEAR_START);
  const bytes = bootLayout(LAYOUT_LINEAR_BYTES);
  assert(bytes > FRAME_BYTES, "paging: linear memory");
  mapRange(FRAME_BYTES, start + FRAME_BYTES, bytes - FRAME_BYTES, READ_WRITE);
}

function mapImage(): void {
  mapImagePart(LAYOUT_TEXT_START, LAYOUT_TEXT_END, READ_EXECUTE);
  mapImagePart(LAYOUT_RODATA_START, LAYOUT_RODATA_END, READ_ONLY);
  mapImagePart(LAYOUT_DATA_START, LAYOUT_DATA_END, READ_WRITE);
}

function mapImagePart(startWord: u32, endWord: u32, rights: u64): void {
  const start = bootLayout(startWord);
  assert(start >= IMAGE_BASE && bootLayout(endWord) >= start, "paging: part of the image");
  mapRange(start, start - IMAGE_BASE, bootLayout(endWord) - start, rights);
}

/** Direct map of RAM, whole pages; the image's code and constants stay read-only there too. */
function mapRam(start: u64, bytes: u64): void {
  const first = (start + FRAME_BYTES - 1) & ~(FRAME_BYTES - 1);
  const end = (start + bytes) & ~(FRAME_BYTES - 1);
  const constantsStart = bootLayout(LAYOUT_IMAGE_START);
  const constantsEnd = bootLayout(LAYOUT_RODATA_END) - IMAGE_BASE;
  mapDirect(first, min(end, constantsStart), READ_WRITE);
  mapDirect(max(first, constantsStart), min(end, constantsEnd), READ_ONLY);
  mapDirect(max(first, constantsEnd), end, READ_WRITE);
}

function mapDirect(start: u64, end: u64, rights: u64): void {
  if (start < end) mapRange(DIRECT_MAP + start, start, end - start, rights);
}

/** Maps whole pages with the largest leaves that fit. Pages that are mapped already stay as they are. */
function mapRange(virtualAddress: u64, hpa: u64, bytes: u64, rights: u64): void {
  assert(((virtualAddress | hpa | bytes) & (FRAME_BYTES - 1)) == 0, "paging: partial page");
  assert((rights & PAGE_WRITE) == 0 || (rights & PAGE_NO_EXECUTE) != 0, "paging: writable and executable");
  assert(virtualAddress >= FRAME_BYTES, "paging: the null page stays unmapped");
  assert(bytes == 0 || virtualAddress + (bytes - 1) >= virtualAddress, "paging: range wraps around");
  let done: u64 = 0;
  while (done < bytes) done += mapLeaf(virtualAddress + done, hpa + done, bytes - done, rights);
}

/** Maps one leaf of at most `bytes`. Returns the bytes that are now mapped from `virtualAddress` on. */
function mapLeaf(virtualAddress: u64, hpa: u64, bytes: u64, rights: u64): u64 {
  assert(bytes >= FRAME_BYTES, "paging: partial page");
  let table = root;
  let level = ROOT_LEVEL;
  while (true) {
    assert(level >= 1, "paging: level");
    const span = leafBytes(level);
    const at = table + ((virtualAddress >> leafShift(level)) & 511) * 8;
    const entry = phys_load64(at);
    if ((entry & PAGE_PRESENT) != 0 && (level == 1 || (entry & PAGE_LARGE) != 0))
      return span - (virtualAddress & (span - 1));
    const fits = level <= largestLeaf && ((virtualAddress | hpa) & (span - 1)) == 0 && bytes >= span;
    if ((entry & PAGE_PRESENT) == 0 && fits) {
      phys_store64(at, hpa | rights | PAGE_PRESENT | (level == 1 ? 0 : PAGE_LARGE));
      invlpg(virtualAddress);
      return span;
    }
    if ((entry & PAGE_PRESENT) == 0) phys_store64(at, newTable() | PAGE_PRESENT | PAGE_WRITE);
    table = phys_load64(at) & PAGE_ADDRESS;
    level--;
  }
}

function leafShift(level: u32): u64 {
  assert(level >= 1 && level <= ROOT_LEVEL, "paging: level");
  return 12 + 9 * (level - 1);
}

function leafBytes(level: u32): u64 {
  return (<u64>1) << leafShift(level);
}

function newTable(): u64 {
  const table = frameAllocZeroed(1, FRAME_BYTES);
  assert(table != NO_HPA, "paging: no memory for page tables");
  return table;
}

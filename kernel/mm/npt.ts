// Nested page-table entries: ordinary long-mode entries (APM volume 2, "Nested Paging"):
//
//   63  62..52   51..12         11..9    8  7     6  5  4    3    2   1   0
//   NX  ignored  frame address  ignored  G  leaf  D  A  PCD  PWT  US  RW  P
//
// The nested walk makes user accesses: US is set everywhere. PCD and PWT choose the memory type from the host's PAT, whose
// power-up entries are 0 = write-back, 1 = write-through, 3 = uncacheable.
import {
  MEMORY_UC,
  MEMORY_WB,
  MEMORY_WT,
  NESTED_ALL,
  NESTED_EXECUTE,
  NESTED_READ,
  NESTED_WRITE,
} from "./rights";

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const WRITE_THROUGH: u64 = 1 << 3;
const CACHE_DISABLE: u64 = 1 << 4;
const LEAF: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS_MASK: u64 = 0x000f_ffff_ffff_f000;

/** Entry of a table at host-physical address `table`: all rights, which the leaf narrows. */
export function nptTable(table: u64): u64 {
  if (isDefined(CHECKED)) assert((table & ~ADDRESS_MASK) == 0, "npt: a table is a frame");
  return table | PRESENT | WRITABLE | USER;
}

function rightsBits(rights: u32): u64 {
  if (isDefined(CHECKED))
    assert((rights & NESTED_READ) != 0 && (rights & ~NESTED_ALL) == 0, "npt: rights include read");
  if (rights == 0) return 0;
  const write: u64 = (rights & NESTED_WRITE) != 0 ? WRITABLE : 0;
  const execute: u64 = (rights & NESTED_EXECUTE) != 0 ? 0 : NO_EXECUTE;
  return PRESENT | USER | write | execute;
}

function memoryTypeBits(memoryType: u32): u64 {
  if (isDefined(CHECKED))
    assert(memoryType == MEMORY_UC || memoryType == MEMORY_WT || memoryType == MEMORY_WB, "npt: memory type");
  if (memoryType == MEMORY_WB) return 0;
  return memoryType == MEMORY_WT ? WRITE_THROUGH : CACHE_DISABLE | WRITE_THROUGH;
}

/** Leaf entry at `level` (1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB). */
export function nptLeaf(hpa: u64, level: u32, rights: u32, memoryType: u32): u64 {
  if (isDefined(CHECKED)) assert((hpa & ~ADDRESS_MASK) == 0, "npt: a page is made of frames");
  if (isDefined(CHECKED)) assert(level >= 1 && level <= 3, "npt: leaf level");
  return hpa | rightsBits(rights) | memoryTypeBits(memoryType) | (level > 1 ? LEAF : 0);
}

export function nptPresent(entry: u64): bool {
  return (entry & PRESENT) != 0;
}

export function nptIsLeaf(entry: u64, level: u32): bool {
  if (isDefined(CHECKED)) assert(level >= 1 && level <= 4, "npt: level");
  return level == 1 || (entry & LEAF) != 0;
}

export function nptAddress(entry: u64): u64 {
  if (isDefined(CHECKED)) assert(nptPresent(entry), "npt: the entry maps nothing");
  return entry & ADDRESS_MASK;
}

export function nptRights(entry: u64): u32 {
  if (!nptPresent(entry)) return 0;
  const write: u32 = (entry & WRITABLE) != 0 ? NESTED_WRITE : 0;
  return NESTED_READ | write | ((entry & NO_EXECUTE) == 0 ? NESTED_EXECUTE : 0);
}

/** Memory type of a leaf: MEMORY_*. */
export function nptMemoryType(entry: u64): u32 {
  if (isDefined(CHECKED)) assert(nptPresent(entry), "npt: the entry maps nothing");
  if ((entry & CACHE_DISABLE) != 0) return MEMORY_UC;
  return (entry & WRITE_THROUGH) != 0 ? MEMORY_WT : MEMORY_WB;
}

// Extended page-table entries (SDM volume 3, "EPT Translation Mechanism"):
//
//   63..52   51..12         11..10  9  8  7     6     5..3         2  1  0
//   ignored  frame address  0       D  A  leaf  IPAT  memory type  X  W  R
//
// Bits 7 to 3 of an entry that points at a table are reserved, and bit 7 of a level-1 entry is ignored. An entry with W or
// X set and R clear is a misconfiguration on CPUs without execute-only translations: rights always include R here.
import { MEMORY_UC, MEMORY_WB, MEMORY_WT, NESTED_READ } from "./rights";

/** NESTED_READ, NESTED_WRITE and NESTED_EXECUTE are the bits of the entry themselves. */
const RIGHTS_MASK: u64 = 7;
const MEMORY_TYPE_SHIFT: u64 = 3;
const MEMORY_TYPE_MASK: u64 = 7 << 3;
const LEAF: u64 = 1 << 7;
const ADDRESS_MASK: u64 = 0x000f_ffff_ffff_f000;

/** Entry of a table at host-physical address `table`: all rights, which the leaf narrows. */
export function eptTable(table: u64): u64 {
  if (isDefined(CHECKED)) assert((table & ~ADDRESS_MASK) == 0, "ept: a table is a frame");
  return table | RIGHTS_MASK;
}

/** Leaf entry at `level` (1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB). */
export function eptLeaf(hpa: u64, level: u32, rights: u32, memoryType: u32): u64 {
  if (isDefined(CHECKED)) assert((hpa & ~ADDRESS_MASK) == 0, "ept: a page is made of frames");
  if (isDefined(CHECKED)) assert(level >= 1 && level <= 3, "ept: leaf level");
  if (isDefined(CHECKED))
    assert((rights & NESTED_READ) != 0 && (<u64>rights & ~RIGHTS_MASK) == 0, "ept: rights include read");
  if (isDefined(CHECKED))
    assert(memoryType == MEMORY_UC || memoryType == MEMORY_WT || memoryType == MEMORY_WB, "ept: memory type");
  return (
    hpa | (<u64>rights & RIGHTS_MASK) | ((<u64>memoryType) << MEMORY_TYPE_SHIFT) | (level > 1 ? LEAF : 0)
  );
}

export function eptPresent(entry: u64): bool {
  return (entry & RIGHTS_MASK) != 0;
}

export function eptIsLeaf(entry: u64, level: u32): bool {
  if (isDefined(CHECKED)) assert(level >= 1 && level <= 4, "ept: level");
  return level == 1 || (entry & LEAF) != 0;
}

export function eptAddress(entry: u64): u64 {
  if (isDefined(CHECKED)) assert(eptPresent(entry), "ept: the entry maps nothing");
  return entry & ADDRESS_MASK;
}

export function eptRights(entry: u64): u32 {
  return <u32>(entry & RIGHTS_MASK);
}

/** Memory type of a leaf: MEMORY_*. */
export function eptMemoryType(entry: u64): u32 {
  if (isDefined(CHECKED)) assert(eptPresent(entry), "ept: the entry maps nothing");
  return <u32>((entry & MEMORY_TYPE_MASK) >> MEMORY_TYPE_SHIFT);
}

/** EPT pointer for these tables: write-back, 4 levels, accessed and dirty bits when the CPU has them. */
export function eptPointer(root: u64, accessedDirty: bool): u64 {
  if (isDefined(CHECKED)) assert((root & ~ADDRESS_MASK) == 0, "ept: a table is a frame");
  return root | <u64>MEMORY_WB | (3 << 3) | (accessedDirty ? 1 << 6 : 0);
}

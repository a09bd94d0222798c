// Nested page tables: guest-physical to host-physical. One walker over four levels of 512 entries; the two encodings of an
// entry are in ept.ts and npt.ts. Every walk is bounded by the four levels, every range operation by the pages of its range.
//
//   47..39    38..30    29..21    20..12    11..0
//   level 4   level 3   level 2   level 1   offset      leaves: level 1 = 4 KiB, level 2 = 2 MiB, level 3 = 1 GiB
//
// After a mapping that replaces another, the caller flushes the guest's translations (Backend.flush) before the next entry.
import { phys_load64, phys_store64 } from "../arch/intrinsics";
import { tailItem } from "../lib/tail";
import { eptAddress, eptIsLeaf, eptLeaf, eptMemoryType, eptPresent, eptRights, eptTable } from "./ept";
import { frameAllocZeroed, frameFree, NO_HPA } from "./frames";
import { NESTED_READ } from "./rights";
import { WalkEntry } from "./walkentry";
import { nptAddress, nptIsLeaf, nptLeaf, nptMemoryType, nptPresent, nptRights, nptTable } from "./npt";

/** Kinds of entry encoding. */
export const NESTED_EPT: u32 = 0;
export const NESTED_NPT: u32 = 1;

/** Bits of guest-physical address that four levels translate. */
const ADDRESS_BITS: u64 = 48;
export const NESTED_LEVELS: u32 = 4;
const TABLE_ENTRIES: u32 = 512;
const PAGE_BYTES: u64 = 4096;

let largestLeaf: u32 = 2;

/** The way to a guest-physical address. Ends in NESTED_LEVELS entries, of which the first `length` are its own. */
@unmanaged
export class NestedWalk {
  /** Entries from the root down: the last is the leaf, or is not present. Its level is NESTED_LEVELS + 1 - `length`. */
  length: u32;
  reserved: u32;
  /** Host-physical address of the byte asked for; NO_HPA when not mapped. */
  hpa: u64;
}

export const NESTED_WALK_BYTES: usize = offsetof<NestedWalk>() + <usize>NESTED_LEVELS * offsetof<WalkEntry>();

/** Largest leaf that the CPU takes: 1 (4 KiB), 2 (2 MiB, the default) or 3 (1 GiB). Set once, by the backend. */
export function nestedSetLargestLeaf(level: u32): void {
  assert(level >= 1 && level <= 3, "nested: leaf level");
  largestLeaf = level;
}

/** Bytes that a leaf at `level` maps. */
function nestedLeafBytes(level: u32): u64 {
  if (isDefined(CHECKED)) assert(level >= 1 && level <= 3, "nested: leaf level");
  return PAGE_BYTES << (9 * <u64>(level - 1));
}

// --- the two encodings ---------------------------------------------------------------------------------------------------

function tableEntry(kind: u32, table: u64): u64 {
  if (isDefined(CHECKED)) assert(kind == NESTED_EPT || kind == NESTED_NPT, "nested: kind of entry");
  return kind == NESTED_EPT ? eptTable(table) : nptTable(table);
}

function leafEntry(kind: u32, hpa: u64, level: u32, rights: u32, memoryType: u32): u64 {
  if (isDefined(CHECKED)) assert(kind == NESTED_EPT || kind == NESTED_NPT, "nested: kind of entry");
  return kind == NESTED_EPT
    ? eptLeaf(hpa, level, rights, memoryType)
    : nptLeaf(hpa, level, rights, memoryType);
}

function isPresent(kind: u32, entry: u64): bool {
  if (isDefined(CHECKED)) assert(kind == NESTED_EPT || kind == NESTED_NPT, "nested: kind of entry");
  return kind == NESTED_EPT ? eptPresent(entry) : nptPresent(entry);
}

function isLeaf(kind: u32, entry: u64, level: u32): bool {
  if (isDefined(CHECKED)) assert(kind == NESTED_EPT || kind == NESTED_NPT, "nested: kind of entry");
  return kind == NESTED_EPT ? eptIsLeaf(entry, level) : nptIsLeaf(entry, level);
}

/** Address field of an entry. The low bits of a large leaf's field are zero: `leafEntry` wrote it from an aligned address. */
function addressOf(kind: u32, entry: u64): u64 {
  if (isDefined(CHECKED)) assert(kind == NESTED_EPT || kind == NESTED_NPT, "nested: kind of entry");
  return kind == NESTED_EPT ? eptAddress(entry) : nptAddress(entry);
}

function rightsOf(kind: u32, entry: u64): u32 {
  if (isDefined(CHECKED)) assert(kind == NESTED_EPT || kind == NESTED_NPT, "nested: kind of entry");
  return kind == NESTED_EPT ? eptRights(entry) : nptRights(entry);
}

function memoryTypeOf(kind: u32, entry: u64): u32 {
  if (isDefined(CHECKED)) assert(kind == NESTED_EPT || kind == NESTED_NPT, "nested: kind of entry");
  return kind == NESTED_EPT ? eptMemoryType(entry) : nptMemoryType(entry);
}

// --- descending ------------------------------------------------------------------------------------------------------------

function entryAddress(table: u64, gpa: u64, level: u32): u64 {
  if (isDefined(CHECKED)) assert((table & (PAGE_BYTES - 1)) == 0, "nested: a table is a frame");
  if (isDefined(CHECKED)) assert(level >= 1 && level <= NESTED_LEVELS, "nested: level");
  const index = (gpa >> (12 + 9 * <u64>(level - 1))) & (TABLE_ENTRIES - 1);
  return table + index * 8;
}

/** Replaces the leaf `entry` (at `slot`, `level` > 1) by a table of 512 leaves of the next level that mean the same. */
function split(kind: u32, slot: u64, entry: u64, level: u32): u64 {
  if (isDefined(CHECKED)) assert(level > 1 && isLeaf(kind, entry, level), "nested: only a large page splits");
  const table = frameAllocZeroed(1, PAGE_BYTES);
  if (table == NO_HPA) return NO_HPA;
  const bytes = nestedLeafBytes(level - 1);
  const first = addressOf(kind, entry);
  const rights = rightsOf(kind, entry);
  const memoryType = memoryTypeOf(kind, entry);
  for (let i: u32 = 0; i < TABLE_ENTRIES; i++) {
    phys_store64(table + <u64>i * 8, leafEntry(kind, first + <u64>i * bytes, level - 1, rights, memoryType));
  }
  phys_store64(slot, tableEntry(kind, table));
  return table;
}

/**
 * Host-physical address of the entry for `gpa` at `target` level. Missing tables are made, larger leaves in the way are
 * split. NO_HPA: no frame left.
 */
function descend(root: u64, kind: u32, gpa: u64, target: u32): u64 {
  if (isDefined(CHECKED)) assert(target >= 1 && target <= largestLeaf, "nested: leaf level");
  let table = root;
  for (let level = NESTED_LEVELS; level > target; level--) {
    const slot = entryAddress(table, gpa, level);
    const entry = phys_load64(slot);
    if (!isPresent(kind, entry)) {
      table = frameAllocZeroed(1, PAGE_BYTES);
      if (table == NO_HPA) return NO_HPA;
      phys_store64(slot, tableEntry(kind, table));
    } else if (isLeaf(kind, entry, level)) {
      table = split(kind, slot, entry, level);
      if (table == NO_HPA) return NO_HPA;
    } else {
      table = addressOf(kind, entry);
    }
  }
  return entryAddress(table, gpa, target);
}

/** Gives back the tables below a table entry of `level`. The recursion is as deep as the levels. */
function freeBelow(kind: u32, entry: u64, level: u32): void {
  if (isDefined(CHECKED)) assert(level >= 1 && level < NESTED_LEVELS, "nested: level");
  if (!isPresent(kind, entry) || isLeaf(kind, entry, level)) return;
  const table = addressOf(kind, entry);
  if (level > 2) {
    for (let i: u32 = 0; i < TABLE_ENTRIES; i++) freeBelow(kind, phys_load64(table + <u64>i * 8), level - 1);
  }
  frameFree(table, 1);
}

/** The largest level at which a leaf for this piece of a range is allowed. */
function leafLevel(gpa: u64, hpa: u64, bytes: u64): u32 {
  if (isDefined(CHECKED)) assert(bytes >= PAGE_BYTES, "nested: range is not made of whole pages");
  for (let level = largestLeaf; level > 1; level--) {
    const size = nestedLeafBytes(level);
    if (((gpa | hpa) & (size - 1)) == 0 && bytes >= size) return level;
  }
  return 1;
}

function checkRange(gpa: u64, bytes: u64): void {
  assert(((gpa | bytes) & (PAGE_BYTES - 1)) == 0, "nested: range is not made of whole pages");
  const end: u64 = 1 << ADDRESS_BITS;
  assert(bytes <= end && gpa <= end - bytes, "nested: range past the 48-bit guest-physical address space");
}

// --- operations ------------------------------------------------------------------------------------------------------------

/** An empty root table. NO_HPA when no frame is left. */
export function nestedCreate(_kind: u32): u64 {
  assert(_kind == NESTED_EPT || _kind == NESTED_NPT, "nested: kind of entry");
  return frameAllocZeroed(1, PAGE_BYTES);
}

/**
 * Maps `bytes` at guest-physical `gpa` to host-physical `hpa` (all multiples of 4 KiB), in the largest pages that fit.
 * What was mapped there is replaced. `rights`: NESTED_*; `memoryType`: MEMORY_*. False when no frame is left for a table.
 */
export function nestedMap(
  root: u64,
  kind: u32,
  gpa: u64,
  hpa: u64,
  bytes: u64,
  rights: u32,
  memoryType: u32,
): bool {
  checkRange(gpa, bytes);
  if (isDefined(CHECKED)) assert(hpa <= U64.MAX_VALUE - bytes, "nested: host range wraps around");
  assert((hpa & (PAGE_BYTES - 1)) == 0, "nested: host address is not a page");
  assert((rights & NESTED_READ) != 0, "nested: a mapping without read access");
  let done: u64 = 0;
  while (done < bytes) {
    const level = leafLevel(gpa + done, hpa + done, bytes - done);
    const slot = descend(root, kind, gpa + done, level);
    if (slot == NO_HPA) return false;
    const old = phys_load64(slot);
    phys_store64(slot, leafEntry(kind, hpa + done, level, rights, memoryType));
    freeBelow(kind, old, level);
    done += nestedLeafBytes(level);
  }
  return true;
}

/** Entry `i` of a walk, from the root down. */
export function nestedEntry(walk: NestedWalk, i: u32): WalkEntry {
  if (isDefined(CHECKED)) assert(i < NESTED_LEVELS, "nested: entry of a walk");
  return tailItem<NestedWalk, WalkEntry>(walk, i);
}

/** Translates one address as the processor would, and writes down the way. True when mapped. */
export function nestedWalk(root: u64, kind: u32, gpa: u64, walk: NestedWalk): bool {
  checkRange(gpa & ~(PAGE_BYTES - 1), PAGE_BYTES);
  walk.length = 0;
  let table = root;
  let level = NESTED_LEVELS;
  let entry: u64 = 0;
  while (true) {
    const step = nestedEntry(walk, walk.length++);
    step.hpa = entryAddress(table, gpa, level);
    entry = phys_load64(step.hpa);
    step.value = entry;
    if (!isPresent(kind, entry) || isLeaf(kind, entry, level)) break;
    table = addressOf(kind, entry);
    level--;
  }
  if (isDefined(CHECKED))
    assert(walk.length >= 1 && walk.length <= NESTED_LEVELS, "nested: a step for each level");
  const present = isPresent(kind, entry);
  walk.hpa = present ? addressOf(kind, entry) | (gpa & (nestedLeafBytes(level) - 1)) : NO_HPA;
  return present;
}

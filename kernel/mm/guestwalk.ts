// The guest's own page tables walked in software, as the processor walks them (SDM, "Paging"; APM, "Page Translation and
// Protection"): no paging, 32-bit with 4 MiB pages, PAE, 4-level and 5-level. Emulated instructions reach memory this way, and
// the monitor shows the way that an address takes.
//
// An entry, common bits (8-byte form; the 4-byte form ends at bit 31):
//
//   63  62..52   51..12            11..9    8  7   6  5  4   3   2  1   0
//   NX  ignored  address or frame  ignored  G  PS  D  A  CD  WT  U  RW  P
//
// Bits 62..59 of a leaf are its protection key, with CR4.PKE in 4- and 5-level paging.
import { phys_cmpxchg32, phys_cmpxchg64, phys_load32, phys_load64 } from "../arch/intrinsics";
import { CR0_PG, CR0_WP, CR4_LA57, CR4_PAE, CR4_PKE, CR4_PSE, CR4_SMAP, CR4_SMEP } from "../arch/cr";
import { EFER_LMA, EFER_NXE } from "../arch/msr";
import { tailItem } from "../lib/tail";
import { NO_HPA } from "./frames";
import { GuestMemory, guestTranslate } from "./guestmem";
import { WalkEntry } from "./walkentry";

// --- kind of access, bits of `GuestWalk.access` -----------------------------------------------------------------------
export const WALK_READ: u32 = 0;
export const WALK_WRITE: u32 = 1 << 0;
export const WALK_FETCH: u32 = 1 << 1;
/** At CPL 3, and not an implicit supervisor access (to a descriptor table or TSS). */
export const WALK_USER: u32 = 1 << 2;
/** Explicit supervisor access with RFLAGS.AC set: SMAP lets it through. */
export const WALK_SMAP_OPEN: u32 = 1 << 3;
/** Nobody accesses anything: the way is only looked at. Rights and reserved bits do not matter, no flag is set. */
export const WALK_LOOK: u32 = 1 << 4;
/** All of them. */
const ACCESS_ALL: u32 = 31;

// --- result of a walk --------------------------------------------------------------------------------------------------
/** `gpa` and `pageBytes` hold the translation. */
export const WALK_OK: u32 = 0;
/** #PF with `errorCode`. */
export const WALK_FAULT: u32 = 1;
/** Another CPU keeps changing an entry: run the guest's instruction again. */
export const WALK_RETRY: u32 = 2;

// --- #PF error code (SDM, "Page-Fault Exceptions") ---------------------------------------------------------------------
const PF_PRESENT: u32 = 1 << 0;
const PF_WRITE: u32 = 1 << 1;
const PF_USER: u32 = 1 << 2;
const PF_RESERVED: u32 = 1 << 3;
const PF_FETCH: u32 = 1 << 4;
const PF_KEY: u32 = 1 << 5;

const ENTRY_PRESENT: u64 = 1 << 0;
const ENTRY_WRITABLE: u64 = 1 << 1;
const ENTRY_USER: u64 = 1 << 2;
const ENTRY_ACCESSED: u64 = 1 << 5;
const ENTRY_DIRTY: u64 = 1 << 6;
const ENTRY_LARGE: u64 = 1 << 7;
const ENTRY_NX: u64 = 1 << 63;
const ENTRY_KEY_SHIFT: u64 = 59;
const ENTRY_KEY_MASK: u64 = 15;
/** PKRU has two bits for each key. */
const KEY_ACCESS_DISABLED: u32 = 1;
const KEY_WRITE_DISABLED: u32 = 2;
const ENTRY_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/** Bit 12 of a large page's entry is PAT, not address. */
const LARGE_PAT: u64 = 1 << 12;
/**
 * A PAE page-directory-pointer entry: bits 2..1 and 8..6 are reserved, and there are no rights in it. Bit 5 is reserved too,
 * but QEMU under nested paging marks the entries that it walks as accessed.
 */
const PAE_PDPTE_RESERVED: u64 = 0x1c6;
/** Above bit 51 nothing but NX may be set in PAE paging; in 4- and 5-level paging these bits are ignored. */
const PAE_HIGH_RESERVED: u64 = 0x7ff0_0000_0000_0000;
/** Reads of one entry before the walk gives up on a guest that changes it all the time. */
const MAX_ENTRY_RETRIES: u32 = 4;

/** Most entries that a walk uses. */
const MAX_LEVELS: u32 = 5;

/** The four page-directory-pointer-table entries that a processor has loaded for PAE paging, one behind the other. */
@unmanaged
export class Pdptes {
  at(index: u32): u64 {
    assert(index < PDPTES, "guestwalk: no such PDPTE");
    return load<u64>(changetype<usize>(this) + ((<usize>index) << 3));
  }

  put(index: u32, value: u64): void {
    assert(index < PDPTES, "guestwalk: no such PDPTE");
    store<u64>(changetype<usize>(this) + ((<usize>index) << 3), value);
  }
}

export const PDPTES: u32 = 4;
export const PDPTES_BYTES: usize = <usize>PDPTES * 8;

/** Ends in MAX_LEVELS entries, from the root down: `walkEntry`. */
@unmanaged
export class GuestWalk {
  // -- set by the caller --
  memory: GuestMemory;
  cr0: u64;
  cr3: u64;
  cr4: u64;
  efer: u64;
  /** WALK_*. */
  access: u32;
  /** Width of the guest's physical addresses in bits: address bits from here up to 51 are reserved in entries. */
  physicalBits: u32;
  /** The guest's PKRU; counts with CR4.PKE only. */
  pkru: u32;
  /** What the processor has loaded, and walks with in PAE paging. Null: it reads those entries too when it walks. */
  pdptes: Pdptes | null;
  // -- results --
  gpa: u64;
  /** Bytes of the page that holds the address. */
  pageBytes: u64;
  errorCode: u32;
  // -- the walk's own --
  levels: u32;
  /** Not all entries lie in RAM: the trail has gaps, and nothing that was found on it may be remembered. */
  outside: bool;
  /** Entries that the walk has used. */
  trailLength: u32;
  entry: u64;
}

export const GUEST_WALK_BYTES: usize = offsetof<GuestWalk>() + <usize>MAX_LEVELS * offsetof<WalkEntry>();

/** Entry `i` of the last walk's trail. */
export function walkEntry(walk: GuestWalk, i: u32): WalkEntry {
  assert(i < MAX_LEVELS, "guestwalk: no such entry of a trail");
  return tailItem<GuestWalk, WalkEntry>(walk, i);
}

function leaveTrail(walk: GuestWalk, hpa: u64, value: u64): void {
  assert(walk.trailLength < MAX_LEVELS, "guestwalk: more entries than levels");
  const step = walkEntry(walk, walk.trailLength);
  step.hpa = hpa;
  step.value = value;
  walk.trailLength++;
}

/** Levels of page tables in the mode that CR0, CR4 and EFER select; 0 without paging. */
export function pagingLevels(cr0: u64, cr4: u64, efer: u64): u32 {
  if ((cr0 & CR0_PG) == 0) return 0;
  if ((efer & EFER_LMA) != 0) return (cr4 & CR4_LA57) != 0 ? 5 : 4;
  return (cr4 & CR4_PAE) != 0 ? 3 : 2;
}

/**
 * Translates the guest-linear address `gva` for `walk.access`, sets accessed and dirty flags as the processor does, and
 * returns WALK_*. The caller has checked canonical form and segment limits.
 */
export function walkGuest(walk: GuestWalk, gva: u64): u32 {
  assert(walk.access <= ACCESS_ALL, "guestwalk: access");
  assert(
    (walk.access & WALK_LOOK) != 0 || (walk.physicalBits >= 32 && walk.physicalBits <= 52),
    "guestwalk: physical-address width",
  );
  walk.levels = pagingLevels(walk.cr0, walk.cr4, walk.efer);
  walk.trailLength = 0;
  walk.outside = false;
  // A sum that the caller made of a base and an offset wraps around at 4 GiB outside long mode.
  const linear = walk.levels > 3 ? gva : gva & U32.MAX_VALUE;
  if (walk.levels == 0) {
    walk.gpa = linear;
    walk.pageBytes = 4096;
    return WALK_OK;
  }
  let table = rootTable(walk);
  let rights: u64 = ENTRY_WRITABLE | ENTRY_USER;
  let forbidden: u64 = 0;
  let level = walk.levels;
  while (true) {
    const index = tableIndex(walk, level, linear);
    const status = useEntry(walk, table, index, level, rights, forbidden);
    if (status != WALK_OK) return status;
    const entry = walk.entry;
    if (!isPointerTable(walk, level)) rights &= entry;
    if (isLeaf(walk, level, entry)) return finish(walk, linear, level);
    forbidden |= entry & ENTRY_NX;
    table = entry & ENTRY_ADDRESS;
    level--;
  }
}

/** Guest-physical address of the table that the walk begins with. */
export function rootTable(walk: GuestWalk): u64 {
  assert(walk.levels != 0, "guestwalk: no paging");
  return walk.cr3 & (walk.levels == 3 ? 0xffff_ffe0 : ENTRY_ADDRESS);
}

/** Place of an address in its table of `level`. */
export function tableIndex(walk: GuestWalk, level: u32, gva: u64): u64 {
  assert(level >= 1 && level <= walk.levels, "guestwalk: level");
  return (gva >> levelShift(walk, level)) & (walk.levels == 2 ? 0x3ff : 0x1ff);
}

function levelShift(walk: GuestWalk, level: u32): u32 {
  assert(level >= 1 && level <= MAX_LEVELS, "guestwalk: level");
  return 12 + (walk.levels == 2 ? 10 : 9) * (level - 1);
}

/** Bytes of an entry. */
export function entryBytes(walk: GuestWalk): u32 {
  assert(walk.levels != 0, "guestwalk: no paging");
  return walk.levels == 2 ? 4 : 8;
}

/** The four page-directory-pointer entries of PAE paging have neither rights nor an accessed flag. */
function isPointerTable(walk: GuestWalk, level: u32): bool {
  assert(level >= 1 && level <= walk.levels, "guestwalk: level");
  return walk.levels == 3 && level == 3;
}

function isLeaf(walk: GuestWalk, level: u32, entry: u64): bool {
  assert(level >= 1 && level <= walk.levels, "guestwalk: level");
  if (level == 1) return true;
  if ((entry & ENTRY_LARGE) == 0) return false;
  return level == 2 ? walk.levels != 2 || (walk.cr4 & CR4_PSE) != 0 : level == 3 && walk.levels > 3;
}

/** Whether the processor takes `entry` as a page-directory-pointer entry when it loads the four of PAE paging. */
export function isValidPdpte(entry: u64, physicalBits: u32): bool {
  assert(physicalBits >= 32 && physicalBits <= 52, "guestwalk: physical-address width");
  if ((entry & ENTRY_PRESENT) == 0) return true;
  const address = ENTRY_ADDRESS & (((<u64>1) << physicalBits) - 1);
  return (entry & ~address & (ENTRY_NX | PAE_HIGH_RESERVED | ENTRY_ADDRESS | PAE_PDPTE_RESERVED)) == 0;
}

/**
 * Reads and checks one entry into `walk.entry`, and sets its accessed flag, for a leaf also the dirty flag. Where there is no
 * RAM it is all ones, as on a computer, with reserved bits among them but in a 4 KiB page's entry.
 */
function useEntry(walk: GuestWalk, table: u64, index: u64, level: u32, rights: u64, forbidden: u64): u32 {
  assert(index < (walk.levels == 2 ? 1024 : 512), "guestwalk: index in a table");
  assert((table & 31) == 0, "guestwalk: a table is aligned");
  if (isPointerTable(walk, level) && walk.pdptes != null) return usePdpte(walk, <u32>index);
  const bytes = entryBytes(walk);
  const hpa = guestTranslate(walk.memory, table + index * bytes, bytes);
  if (hpa == NO_HPA) return useOnes(walk, level, bytes, rights, forbidden);
  for (let tries: u32 = 0; tries < MAX_ENTRY_RETRIES; tries++) {
    const entry = bytes == 4 ? <u64>phys_load32(hpa) : phys_load64(hpa);
    walk.entry = entry;
    if ((walk.access & WALK_LOOK) != 0) return lookAt(walk, hpa, entry);
    if ((entry & ENTRY_PRESENT) == 0) return fault(walk, 0);
    if ((entry & reservedBits(walk, level, entry)) != 0) return fault(walk, PF_PRESENT | PF_RESERVED);
    if (isPointerTable(walk, level)) {
      leaveTrail(walk, hpa, entry);
      return WALK_OK;
    }
    let wanted = entry | ENTRY_ACCESSED;
    if (isLeaf(walk, level, entry)) {
      const denied = denial(walk, entry, rights & entry, forbidden | (entry & ENTRY_NX));
      if (denied != 0) return fault(walk, denied);
      if ((walk.access & WALK_WRITE) != 0) wanted |= ENTRY_DIRTY;
    }
    if (wanted == entry || replaceEntry(hpa, bytes, entry, wanted)) {
      leaveTrail(walk, hpa, wanted);
      return WALK_OK;
    }
  }
  return WALK_RETRY;
}

/** An entry that is only looked at: the trail shows the one where the way ends, too. */
function lookAt(walk: GuestWalk, hpa: u64, entry: u64): u32 {
  assert(walk.entry == entry, "guestwalk: another entry");
  leaveTrail(walk, hpa, entry);
  return (entry & ENTRY_PRESENT) != 0 ? WALK_OK : fault(walk, 0);
}

/** A page-directory-pointer entry that the processor has loaded, and checked then. */
function usePdpte(walk: GuestWalk, index: u32): u32 {
  assert(walk.pdptes !== null, "guestwalk: the processor holds no PDPTEs");
  const entry = changetype<Pdptes>(walk.pdptes).at(index);
  walk.entry = entry;
  return lookAt(walk, NO_HPA, entry);
}

/** The checks of `useEntry` on an entry of all ones, which has both flags. */
function useOnes(walk: GuestWalk, level: u32, bytes: u32, rights: u64, forbidden: u64): u32 {
  assert(bytes == 4 || bytes == 8, "guestwalk: bytes of an entry");
  const entry = U64.MAX_VALUE >> (64 - 8 * bytes);
  walk.entry = entry;
  walk.outside = true;
  if ((walk.access & WALK_LOOK) != 0) return fault(walk, 0);
  if ((entry & reservedBits(walk, level, entry)) != 0) return fault(walk, PF_PRESENT | PF_RESERVED);
  if (!isLeaf(walk, level, entry)) return WALK_OK;
  const denied = denial(walk, entry, rights & entry, forbidden | (entry & ENTRY_NX));
  return denied != 0 ? fault(walk, denied) : WALK_OK;
}

function replaceEntry(hpa: u64, bytes: u32, held: u64, wanted: u64): bool {
  assert((held & ~wanted) == 0, "guestwalk: flags are only set");
  assert((hpa & (bytes - 1)) == 0, "guestwalk: an entry is aligned");
  if (bytes == 4) return phys_cmpxchg32(hpa, <u32>held, <u32>wanted) == <u32>held;
  return phys_cmpxchg64(hpa, held, wanted) == held;
}

/** Bits that must be zero in this entry. */
function reservedBits(walk: GuestWalk, level: u32, entry: u64): u64 {
  assert(walk.levels >= 2 && level <= walk.levels, "guestwalk: level");
  const aboveAddress = ENTRY_ADDRESS & ~(((<u64>1) << walk.physicalBits) - 1);
  const leaf = isLeaf(walk, level, entry);
  if (walk.levels == 2) {
    if (level == 1 || !leaf) return 0;
    // 4 MiB page: bits 20..13 hold physical address bits 39..32, as far as the processor has them; bit 21 is reserved.
    return (1 << 21) | (((aboveAddress >> 32) << 13) & 0x1f_e000);
  }
  let reserved = aboveAddress;
  if ((walk.efer & EFER_NXE) == 0 || isPointerTable(walk, level)) reserved |= ENTRY_NX;
  if (walk.levels == 3) reserved |= PAE_HIGH_RESERVED;
  if (isPointerTable(walk, level)) return reserved | PAE_PDPTE_RESERVED;
  if (level >= 4) return reserved | ENTRY_LARGE;
  if (level > 1 && leaf) reserved |= (((<u64>1) << (12 + 9 * (level - 1))) - 1) & ENTRY_ADDRESS & ~LARGE_PAT;
  return reserved;
}

/** Why the leaf `entry` does not permit the access, as bits of the error code; 0: it does. */
function denial(walk: GuestWalk, entry: u64, rights: u64, forbidden: u64): u32 {
  assert((rights & ~entry) == 0, "guestwalk: rights that the leaf does not give");
  if ((walk.cr4 & CR4_PKE) != 0 && isKeyClosed(walk, entry, rights)) return PF_PRESENT | PF_KEY;
  return permits(walk, rights, forbidden) ? 0 : PF_PRESENT;
}

/** Whether a user page's protection key forbids a data access, by the user or by the kernel (SDM, "Protection Keys"). */
function isKeyClosed(walk: GuestWalk, entry: u64, rights: u64): bool {
  assert((walk.access & WALK_LOOK) == 0, "guestwalk: who only looks needs no rights");
  if (walk.levels < 4 || (rights & ENTRY_USER) == 0 || (walk.access & WALK_FETCH) != 0) return false;
  const key = <u32>((entry >> ENTRY_KEY_SHIFT) & ENTRY_KEY_MASK);
  const closed = walk.pkru >> (2 * key);
  if ((closed & KEY_ACCESS_DISABLED) != 0) return true;
  const obeys = (walk.access & WALK_USER) != 0 || (walk.cr0 & CR0_WP) != 0;
  return (closed & KEY_WRITE_DISABLED) != 0 && (walk.access & WALK_WRITE) != 0 && obeys;
}

/** SDM, "Determination of Access Rights". `rights`: U and RW of all entries together; `forbidden`: NX of any. */
function permits(walk: GuestWalk, rights: u64, forbidden: u64): bool {
  assert((walk.access & WALK_LOOK) == 0, "guestwalk: who only looks needs no rights");
  const userPage = (rights & ENTRY_USER) != 0;
  const write = (walk.access & WALK_WRITE) != 0;
  if ((walk.access & WALK_FETCH) != 0 && forbidden != 0) return false;
  if ((walk.access & WALK_USER) != 0) return userPage && (!write || (rights & ENTRY_WRITABLE) != 0);
  if (userPage && (walk.access & WALK_FETCH) != 0) return (walk.cr4 & CR4_SMEP) == 0;
  if (userPage && (walk.cr4 & CR4_SMAP) != 0 && (walk.access & WALK_SMAP_OPEN) == 0) return false;
  return !write || (rights & ENTRY_WRITABLE) != 0 || (walk.cr0 & CR0_WP) == 0;
}

function fault(walk: GuestWalk, cause: u32): u32 {
  assert((cause & ~(PF_PRESENT | PF_RESERVED | PF_KEY)) == 0, "guestwalk: cause of a fault");
  let code = cause;
  if ((walk.access & WALK_WRITE) != 0) code |= PF_WRITE;
  if ((walk.access & WALK_USER) != 0) code |= PF_USER;
  const fetchReported = (walk.cr4 & CR4_SMEP) != 0 || ((walk.efer & EFER_NXE) != 0 && walk.levels > 2);
  if ((walk.access & WALK_FETCH) != 0 && fetchReported) code |= PF_FETCH;
  walk.errorCode = code;
  return WALK_FAULT;
}

function finish(walk: GuestWalk, gva: u64, level: u32): u32 {
  assert(level >= 1 && level <= 3, "guestwalk: level of a page");
  const pageBytes = (<u64>1) << levelShift(walk, level);
  let frame = walk.entry & ENTRY_ADDRESS & ~(pageBytes - 1);
  if (walk.levels == 2 && level == 2) {
    frame = (walk.entry & 0xffc0_0000) | (((walk.entry >> 13) & 0xff) << 32);
  }
  assert((frame & (pageBytes - 1)) == 0, "guestwalk: a page is aligned");
  walk.gpa = frame | (gva & (pageBytes - 1));
  walk.pageBytes = pageBytes;
  return WALK_OK;
}

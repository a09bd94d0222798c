// Checked access to guest memory. Every address and length here may come from a hostile guest: a range is used only when it
// lies wholly inside one region of the VM's RAM. Callers copy once, then validate the copy (no double fetches).
import {
  phys_copy,
  phys_fill,
  phys_load64,
  phys_store16,
  phys_store32,
  phys_store64,
  phys_store8,
  phys_write,
} from "../arch/intrinsics";
import { arenaNewWithTail } from "../lib/arena";
import { MAX_RAM_REGIONS } from "../lib/limits";
import { tailItem } from "../lib/tail";
import { NO_HPA } from "./frames";

/** One contiguous piece of guest RAM. */
@unmanaged
class RamRegion {
  gpa: u64;
  bytes: u64;
  hpa: u64;
}

/** The RAM of one VM: `count` regions, disjoint, in the order they were added. Ends in MAX_RAM_REGIONS regions. */
@unmanaged
export class GuestMemory {
  count: u32;
  reserved: u32;
}

/** None yet; boot time only. */
export function guestMemoryNew(): GuestMemory {
  return arenaNewWithTail<GuestMemory>(<usize>MAX_RAM_REGIONS * offsetof<RamRegion>());
}

/** Region `index`, below MAX_RAM_REGIONS. */
export function guestRegion(m: GuestMemory, index: u32): RamRegion {
  if (isDefined(CHECKED)) assert(index < MAX_RAM_REGIONS, "guestmem: region index");
  return tailItem<GuestMemory, RamRegion>(m, index);
}

/** Adds a region of RAM. False: the table is full, or the range is empty, wraps around or overlaps another region. */
export function guestAddRegion(m: GuestMemory, gpa: u64, bytes: u64, hpa: u64): bool {
  assert(hpa != NO_HPA, "guestmem: a region without memory");
  if (m.count >= MAX_RAM_REGIONS || bytes == 0) return false;
  if (gpa + bytes - 1 < gpa || hpa + bytes - 1 < hpa) return false;
  for (let i: u32 = 0; i < m.count; i++) {
    const other = guestRegion(m, i);
    if (gpa <= other.gpa + other.bytes - 1 && other.gpa <= gpa + bytes - 1) return false;
  }
  const region = guestRegion(m, m.count);
  region.gpa = gpa;
  region.bytes = bytes;
  region.hpa = hpa;
  m.count++;
  return true;
}

/** Host-physical address of [gpa, gpa + length), or NO_HPA when that is not wholly inside one region of RAM. */
export function guestTranslate(m: GuestMemory, gpa: u64, length: u64): u64 {
  if (isDefined(CHECKED)) assert(m.count <= MAX_RAM_REGIONS, "guestmem: region count");
  const count = m.count;
  for (let i: u32 = 0; i < count; i++) {
    const region = guestRegion(m, i);
    const offset = gpa - region.gpa;
    const bytes = region.bytes;
    if (isDefined(CHECKED)) assert(bytes != 0, "guestmem: an empty region");
    // Unsigned throughout: a gpa below the region becomes a huge offset, and bytes - offset cannot wrap after the first test.
    if (offset < bytes && length <= bytes - offset) return region.hpa + offset;
  }
  return NO_HPA;
}

/** Copies linear memory to guest memory. False, with nothing copied: not RAM. */
export function guestWrite(m: GuestMemory, gpa: u64, source: usize, length: u32): bool {
  assert(source != 0 || length == 0, "guestmem: copied from a null pointer");
  const hpa = guestTranslate(m, gpa, length);
  if (hpa == NO_HPA) return false;
  phys_write(hpa, source, length);
  return true;
}

/** The 8 bytes at `gpa`, or `fallback` when it is not RAM. */
export function guestLoad64(m: GuestMemory, gpa: u64, fallback: u64): u64 {
  const hpa = guestTranslate(m, gpa, 8);
  return hpa == NO_HPA ? fallback : phys_load64(hpa);
}

/** Stores 8 bytes at `gpa`. False, with nothing stored: not RAM. The same for 4, 2 and 1 bytes. */
export function guestStore64(m: GuestMemory, gpa: u64, value: u64): bool {
  const hpa = guestTranslate(m, gpa, 8);
  if (hpa == NO_HPA) return false;
  phys_store64(hpa, value);
  return true;
}

export function guestStore32(m: GuestMemory, gpa: u64, value: u32): bool {
  const hpa = guestTranslate(m, gpa, 4);
  if (hpa == NO_HPA) return false;
  phys_store32(hpa, value);
  return true;
}

export function guestStore16(m: GuestMemory, gpa: u64, value: u32): bool {
  const hpa = guestTranslate(m, gpa, 2);
  if (hpa == NO_HPA) return false;
  phys_store16(hpa, value);
  return true;
}

export function guestStore8(m: GuestMemory, gpa: u64, value: u32): bool {
  const hpa = guestTranslate(m, gpa, 1);
  if (hpa == NO_HPA) return false;
  phys_store8(hpa, value);
  return true;
}

/** Fills guest memory with the low byte of `value`. False, with nothing written: not RAM. */
export function guestFill(m: GuestMemory, gpa: u64, value: u32, length: u64): bool {
  const hpa = guestTranslate(m, gpa, length);
  if (hpa == NO_HPA) return false;
  phys_fill(hpa, value, length);
  return true;
}

/** Copies host-physical memory (a module that the loader brought) into guest memory. False, with nothing copied: not RAM. */
export function guestCopyFromHost(m: GuestMemory, gpa: u64, hpa: u64, length: u64): bool {
  assert(hpa + length >= hpa, "guestmem: the source wraps around");
  const destination = guestTranslate(m, gpa, length);
  if (destination == NO_HPA) return false;
  phys_copy(destination, hpa, length);
  return true;
}

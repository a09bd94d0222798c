// CPUID as a vCPU's guest sees it: a dense table that kernel/guest builds once, when a VM is created, and that the exit handler
// indexes. Leaves that depend on the guest's own state are marked, and finished by kernel/guest.

/** One leaf or subleaf, ready to be given to the guest. */
@unmanaged
export class CpuidSlot {
  eax: u32;
  ebx: u32;
  ecx: u32;
  edx: u32;
  /** LEAF_PLAIN, or what kernel/guest makes of it. */
  kind: u32;
  /** Of a leaf with subleaves: linear address of the slot of subleaf 0, and their number. */
  first: usize;
  count: u32;
  reserved: u32;
}

/** Bytes of a slot, as a shift. */
export const CPUID_SLOT_SHIFT: u32 = 5;

/** The slot says all. */
export const LEAF_PLAIN: u32 = 0;
/** There is no such leaf. */
export const LEAF_UNKNOWN: u32 = 1;

/**
 * Leaf numbers are ranges of 2^30: basic, hypervisor, extended, and one that is empty. For each: how many leaves, and the
 * linear address of the first one's slot.
 */
@unmanaged
export class CpuidTable {
  basicCount: u32;
  basicFirst: usize;
  hypervisorCount: u32;
  hypervisorFirst: usize;
  extendedCount: u32;
  extendedFirst: usize;
  emptyCount: u32;
  emptyFirst: usize;
  /** LEAF_UNKNOWN; the others follow. */
  unknown: CpuidSlot;
  /** Room for an MSR of the host, read while the table is built. */
  room: u64;
}

const RANGE_SHIFT: u32 = 30;
const RANGE_MASK: u32 = (1 << RANGE_SHIFT) - 1;
/** Bytes of a range's two fields. */
const RANGE_BYTES: usize = 8;

/** The slot of `leaf` in the table at linear address `table`; one of LEAF_UNKNOWN when there is none. */
export function cpuidSlot(table: usize, leaf: u32): CpuidSlot {
  const range = table + <usize>(leaf >> RANGE_SHIFT) * RANGE_BYTES;
  const index = leaf & RANGE_MASK;
  if (index >= load<u32>(range)) return changetype<CpuidTable>(table).unknown;
  return changetype<CpuidSlot>(load<usize>(range, 4) + ((<usize>index) << CPUID_SLOT_SHIFT));
}

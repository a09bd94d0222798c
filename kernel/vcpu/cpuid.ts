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
  /** Of a leaf with subleaves: the slot of subleaf 0, behind which the others are, and their number. */
  first: CpuidSlot;
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
 * Leaf numbers are ranges of 2^30: basic, hypervisor, extended, and one that is empty. For each: how many leaves, and the first
 * one's slot, behind which the others are.
 */
@unmanaged
export class CpuidTable {
  basicCount: u32;
  basicFirst: CpuidSlot;
  hypervisorCount: u32;
  hypervisorFirst: CpuidSlot;
  extendedCount: u32;
  extendedFirst: CpuidSlot;
  emptyCount: u32;
  emptyFirst: CpuidSlot;
  /** LEAF_UNKNOWN; the others follow. */
  unknown: CpuidSlot;
  /** Room for an MSR of the host, read while the table is built. */
  room: u64;
}

const RANGE_SHIFT: u32 = 30;
const RANGE_MASK: u32 = (1 << RANGE_SHIFT) - 1;
/** Bytes of a range's two fields. */
const RANGE_BYTES: usize = 8;

/** The slot of `leaf`; one of LEAF_UNKNOWN when there is none. */
export function cpuidSlot(table: CpuidTable, leaf: u32): CpuidSlot {
  if (isDefined(CHECKED)) assert(table.unknown.kind == LEAF_UNKNOWN, "cpuid: table has not been built");
  const range = changetype<usize>(table) + <usize>(leaf >> RANGE_SHIFT) * RANGE_BYTES;
  const index = leaf & RANGE_MASK;
  if (isDefined(CHECKED)) assert(load<u32>(range) <= RANGE_MASK, "cpuid: leaves of a range");
  if (index >= load<u32>(range)) return table.unknown;
  if (isDefined(CHECKED)) assert(load<usize>(range, 4) != 0, "cpuid: leaves without slots");
  return changetype<CpuidSlot>(load<usize>(range, 4) + ((<usize>index) << CPUID_SLOT_SHIFT));
}

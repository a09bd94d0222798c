// The MSRs of a vCPU whose reads and repeated writes need no more than memory: a small table that kernel/guest fills when the
// vCPU is reset and that the exit handlers look at first. All other MSRs, and writes of new values, are asked from kernel/guest.

/** One MSR. Free: `address` is 0. */
@unmanaged
class KnownMsr {
  msr: u32;
  /** MSR_*. */
  flags: u32;
  /** Linear address of its value. */
  address: usize;
  reserved: u32;
}

/** RDMSR gives the value. */
export const MSR_READ: u32 = 1 << 0;
/** WRMSR of the value that it has changes nothing. */
export const MSR_WRITE_SAME: u32 = 1 << 1;
/** The same for 0 only: the processor clears bits by itself. */
export const MSR_WRITE_ZERO: u32 = 1 << 2;

/** Entries, a power of two, and bytes of each as a shift. */
const ENTRIES: u32 = 64;
const ENTRY_SHIFT: u32 = 4;

/** The table of a vCPU: ENTRIES entries. */
@unmanaged
export class KnownMsrs {}
export const KNOWN_MSRS_BYTES: usize = (<usize>ENTRIES) << ENTRY_SHIFT;

/** Where `msr` is if it is known: the entry may be another's. */
export function knownMsr(known: KnownMsrs, msr: u32): KnownMsr {
  if (isDefined(CHECKED)) assert(changetype<usize>(known) != 0, "msrs: no table");
  return changetype<KnownMsr>(changetype<usize>(known) + ((msr & (ENTRIES - 1)) << ENTRY_SHIFT));
}

/** Makes an MSR known, unless another has its place. */
export function knowMsr(known: KnownMsrs, msr: u32, flags: u32, address: usize): void {
  if (isDefined(CHECKED)) assert(address != 0, "msrs: an MSR without a value");
  if (isDefined(CHECKED))
    assert(flags != 0 && flags <= (MSR_READ | MSR_WRITE_SAME | MSR_WRITE_ZERO), "msrs: flags");
  const entry = knownMsr(known, msr);
  if (entry.address != 0) return;
  entry.msr = msr;
  entry.flags = flags;
  entry.address = address;
}

/** Forgets all of them. */
export function forgetMsrs(known: KnownMsrs): void {
  if (isDefined(CHECKED)) assert(changetype<usize>(known) != 0, "msrs: no table");
  memory.fill(changetype<usize>(known), 0, KNOWN_MSRS_BYTES);
}

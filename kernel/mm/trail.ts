// The one rule by which what is remembered of a guest's instruction is still true: the entries of the guest's page tables on the
// way to it are what they were when it was found (and the paging mode, CR3, the code segment and the bytes at the end of the
// way; the users of this look at those). Nobody has to be told of INVLPG, loads of CR3 or writes to page tables, most of which
// do not exit.
//
// Accessed and dirty flags are compared as well: the walk that left the trail has set the accessed flags, and a flag that changes
// later costs one more walk.
import { phys_load64 } from "../arch/intrinsics";
import { NO_HPA } from "./frames";
import { GuestWalk, walkEntry } from "./guestwalk";
import { WalkEntry } from "./walkentry";

/**
 * TRAIL_ENTRIES entries: four levels, since no guest is offered five. Fewer: the last is here several times, which is cheaper
 * than to count.
 */
@unmanaged
export class Trail {
  at(i: u32): WalkEntry {
    assert(i < TRAIL_ENTRIES, "trail: entry of a trail");
    return changetype<WalkEntry>(changetype<usize>(this) + <usize>i * offsetof<WalkEntry>());
  }
}

const TRAIL_ENTRIES: u32 = 4;
export const TRAIL_BYTES: usize = <usize>TRAIL_ENTRIES * offsetof<WalkEntry>();
const ENTRY_BYTES: u64 = 8;

/**
 * Writes down the way that `walk`, which has succeeded, went to the byte at host-physical address `hpa`. False: it is too long,
 * or leads through what is not RAM. What the processor holds is not part of it: see `trailPdpte`.
 */
export function trailTake(trail: Trail, walk: GuestWalk, hpa: u64): bool {
  assert(hpa != NO_HPA, "trail: the way leads to no RAM");
  if (walk.trailLength > TRAIL_ENTRIES || walk.outside) return false;
  // Without paging there is no way: the bytes themselves stand for it.
  let at = wordOf(hpa);
  let value = phys_load64(at);
  for (let i: u32 = 0; i < TRAIL_ENTRIES; i++) {
    const step = walkEntry(walk, i);
    if (i < walk.trailLength && step.hpa != NO_HPA) {
      at = wordOf(step.hpa);
      value = walk.levels == 2 ? wordWith(step.hpa, step.value) : step.value;
    }
    if (isDefined(CHECKED)) assert((at & (ENTRY_BYTES - 1)) == 0, "trail: an entry is aligned");
    trail.at(i).hpa = at;
    trail.at(i).value = value;
  }
  return true;
}

/** The page-directory-pointer-table entry that the walk used, if the processor held it; else 0. */
export function trailPdpte(walk: GuestWalk): u64 {
  const first = walkEntry(walk, 0);
  return walk.trailLength != 0 && first.hpa == NO_HPA ? first.value : 0;
}

function wordOf(hpa: u64): u64 {
  if (isDefined(CHECKED)) assert(hpa != NO_HPA, "trail: the way leads to no RAM");
  return hpa & ~(ENTRY_BYTES - 1);
}

/** The word with the four bytes `value` at `hpa`; its other half, an entry's neighbour, as it is now. */
function wordWith(hpa: u64, value: u64): u64 {
  assert((hpa & 3) == 0, "trail: an entry is aligned");
  const word = phys_load64(wordOf(hpa));
  const isUpper = (hpa & 4) != 0;
  return isUpper ? (word & 0xffff_ffff) | (value << 32) : (word & 0xffff_ffff_0000_0000) | value;
}

const HPA: usize = offsetof<WalkEntry>("hpa");
const VALUE: usize = offsetof<WalkEntry>("value");
const SECOND: usize = offsetof<WalkEntry>();
const THIRD: usize = 2 * SECOND;
const FOURTH: usize = 3 * SECOND;

/**
 * Whether a walk would still go this way. Four instructions an entry. Each is spelled out: a function for one entry is not
 * inlined four times, and its calls cost every exit that is known 38 instructions.
 */
export function trailHolds(trail: Trail): bool {
  const at = changetype<usize>(trail);
  if (isDefined(CHECKED))
    assert(((load<u64>(at, HPA) | load<u64>(at, THIRD + HPA)) & 7) == 0, "trail: an entry is aligned");
  return (
    phys_load64(load<u64>(at, HPA)) == load<u64>(at, VALUE) &&
    phys_load64(load<u64>(at, SECOND + HPA)) == load<u64>(at, SECOND + VALUE) &&
    phys_load64(load<u64>(at, THIRD + HPA)) == load<u64>(at, THIRD + VALUE) &&
    phys_load64(load<u64>(at, FOURTH + HPA)) == load<u64>(at, FOURTH + VALUE)
  );
}

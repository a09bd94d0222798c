// The one rule by which what is remembered of a guest's instruction is still true: the entries of the guest's page tables on the
// way to it are what they were when it was found (and the paging mode, CR3, the code segment and the bytes at the end of the
// way; the users of this look at those). Nobody has to be told of INVLPG, loads of CR3 or writes to page tables, most of which
// do not exit.
//
// Accessed and dirty flags are compared as well: the walk that left the trail has set the accessed flags, and a flag that changes
// later costs one more walk.
import { phys_load64 } from "../arch/intrinsics";
import { GuestWalk, trailHpa, trailValue } from "./guestwalk";

/** Entries of four levels: no guest is offered five. Fewer: the last is here several times, which is cheaper than to count. */
@unmanaged
export class Trail {
  hpa0: u64;
  value0: u64;
  hpa1: u64;
  value1: u64;
  hpa2: u64;
  value2: u64;
  hpa3: u64;
  value3: u64;
}

const TRAIL_ENTRIES: u32 = 4;
const ENTRY_BYTES: u64 = 8;

/**
 * Writes down the way that `walk`, which has succeeded, went to the byte at host-physical address `hpa`. False: it is too long,
 * or leads through what is not RAM.
 */
export function trailTake(trail: Trail, walk: GuestWalk, hpa: u64): bool {
  if (walk.trailLength > TRAIL_ENTRIES || walk.outside) return false;
  // Without paging there is no way: the bytes themselves stand for it.
  let at = wordOf(hpa);
  let value = phys_load64(at);
  for (let i: u32 = 0; i < TRAIL_ENTRIES; i++) {
    if (i < walk.trailLength) {
      at = wordOf(trailHpa(walk, i));
      value = walk.levels == 2 ? wordWith(trailHpa(walk, i), trailValue(walk, i)) : trailValue(walk, i);
    }
    const place = changetype<usize>(trail) + <usize>i * 16;
    store<u64>(place, at);
    store<u64>(place, value, 8);
  }
  return true;
}

function wordOf(hpa: u64): u64 {
  return hpa & ~(ENTRY_BYTES - 1);
}

/** The word with the four bytes `value` at `hpa`; its other half, an entry's neighbour, as it is now. */
function wordWith(hpa: u64, value: u64): u64 {
  const word = phys_load64(wordOf(hpa));
  const isUpper = (hpa & 4) != 0;
  return isUpper ? (word & 0xffff_ffff) | (value << 32) : (word & 0xffff_ffff_0000_0000) | value;
}

/** Whether a walk would still go this way. Four instructions an entry. */
export function trailHolds(trail: Trail): bool {
  return (
    phys_load64(trail.hpa0) == trail.value0 &&
    phys_load64(trail.hpa1) == trail.value1 &&
    phys_load64(trail.hpa2) == trail.value2 &&
    phys_load64(trail.hpa3) == trail.value3
  );
}

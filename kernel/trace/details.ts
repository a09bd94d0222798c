// The second level of the counters: exits by what they were about, port by port, MSR by MSR, leaf by leaf. A table of fixed
// size, found by hashing; exits that find no room are counted by their reason alone, so that sums stay exact and a view can
// say how much it does not show.
import { DETAIL_ENTRIES, DETAIL_PROBES } from "../lib/limits";

/** Exits of one reason with one detail (`ExitRecord.key`). */
@unmanaged
export class DetailCounters {
  reason: u32;
  detail: u32;
  count: u64;
  /** Ticks of the TSC, from the exits to the next entries. */
  total: u64;
  reserved: u64;
}

const ENTRY_SHIFT: u32 = 5;
/** What is in no exit: marks a free entry. */
const NO_KEY: u64 = U64.MAX_VALUE;

/** Bytes of a table. */
export const DETAILS_BYTES: usize = (<usize>DETAIL_ENTRIES) << ENTRY_SHIFT;

/** Empties the table at `table`. */
export function detailsClear(table: usize): void {
  memory.fill(table, 0, DETAILS_BYTES);
  for (let i: u32 = 0; i < DETAIL_ENTRIES; i++) setKey(detailAt(table, i), NO_KEY);
}

function keyOf(entry: DetailCounters): u64 {
  return load<u64>(changetype<usize>(entry), offsetof<DetailCounters>("reason"));
}

function setKey(entry: DetailCounters, key: u64): void {
  store<u64>(changetype<usize>(entry), key, offsetof<DetailCounters>("reason"));
}

/** Entry `index` of a table, 0 .. DETAIL_ENTRIES - 1. Free: `count` is 0. */
export function detailAt(table: usize, index: u32): DetailCounters {
  return changetype<DetailCounters>(table + ((<usize>index) << ENTRY_SHIFT));
}

/** Number of the entry where the search for a key begins. Details of one reason are mostly numbers next to each other. */
function placeOf(key: u64, detail: u32): u32 {
  return (<u32>key + detail) & (DETAIL_ENTRIES - 1);
}

/** The entry of `key`, whose upper half is `detail`; a new one gets it. `full` when there is no room for it. */
export function detailOf(table: usize, key: u64, detail: u32, full: DetailCounters): DetailCounters {
  const entry = detailAt(table, placeOf(key, detail));
  return keyOf(entry) == key ? entry : probe(table, key, full);
}

function probe(table: usize, key: u64, full: DetailCounters): DetailCounters {
  const hash = placeOf(key, <u32>(key >> 32));
  for (let i: u32 = 0; i < DETAIL_PROBES; i++) {
    const entry = detailAt(table, (hash + i) & (DETAIL_ENTRIES - 1));
    if (keyOf(entry) == NO_KEY) setKey(entry, key);
    if (keyOf(entry) == key) return entry;
  }
  return full;
}

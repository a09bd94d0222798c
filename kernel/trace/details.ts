// The second level of the counters: exits by what they were about, port by port, MSR by MSR, leaf by leaf. A table of fixed
// size, in which whatever is frequent has a place, whatever came before.
//
// The table is made of sets, and a key's hash says in which of them it is counted. When a set is full, the new key takes the
// place of the key that can have been seen least often (A. Metwally et al., "Efficient Computation of Frequent and Top-k Elements
// in Data Streams": Space-Saving). What is known of an entry then is
//
//   count  <=  exits with this key  <=  count + missed
//
// and a key that makes up more than one exit in DETAIL_WAYS of those of its set has an entry for certain. What was counted of a
// key that had to go is added up by reason (`displaced`), so that sums stay exact and a view can say how much it does not show.
//
// An index by hash says which entry was used last. So the search is over after one comparison while the same keys come again,
// and no key can put another on the slow way for longer than one exit.
import { DETAIL_ENTRIES, DETAIL_INDEX, DETAIL_WAYS } from "../lib/limits";
import { DetailLink } from "../lib/links";

/** The counters of a reason: `ReasonCounters` (counters.ts), which knows this file. */
@unmanaged
export class ReasonRow {}

/** Exits of one reason with one detail (`ExitRecord.key`). */
@unmanaged
export class DetailCounters extends DetailLink {
  detail: u32;
  reason: u32;
  count: u64;
  /** Ticks of the TSC, from the exits to the next entries. */
  total: u64;
  /** At most so many exits with this key are not in `count`: they came before it had this entry. */
  missed: u64;
  /** The reason's counters. */
  row: ReasonRow;
  reserved: u32;
}

const ENTRY_SHIFT: u32 = 6;
const ENTRY_BYTES: usize = 1 << ENTRY_SHIFT;
const SETS: u32 = DETAIL_ENTRIES / DETAIL_WAYS;
/** What is in no exit: marks a free entry. */
const NO_KEY: u64 = U64.MAX_VALUE;

/**
 * Keys are small numbers next to each other, which a product with this (2^32 over the square of the golden ratio) spreads. The
 * bits taken are five above bit 32, where the reason is, and those below: both have the whole detail in them. A factor of 32 bits
 * is part of the instruction, one of 64 takes two more.
 */
const SPREAD: u64 = 0x61c8_8647;
const HASH_SHIFT: u64 = 37 - ctz<u64>(DETAIL_INDEX);

/** In a table an entry that is nobody's comes first. */
const ENTRIES_OFFSET: usize = ENTRY_BYTES;

/** Bytes of a table. */
export const DETAILS_BYTES: usize = ENTRIES_OFFSET + ((<usize>DETAIL_ENTRIES) << ENTRY_SHIFT);

/** Empties the table at `table` and its index at `index`. */
export function detailsClear(table: usize, index: usize): void {
  assert(offsetof<DetailCounters>() <= ENTRY_BYTES, "counters: entries of the second level");
  memory.fill(table, 0, DETAILS_BYTES);
  const nothing = changetype<DetailCounters>(table);
  setKey(nothing, NO_KEY);
  for (let i: u32 = 0; i < DETAIL_ENTRIES; i++) setKey(detailAt(table, i), NO_KEY);
  for (let i: u32 = 0; i < DETAIL_INDEX; i++) store<usize>(index + <usize>i * 4, changetype<usize>(nothing));
}

function keyOf(entry: DetailCounters): u64 {
  return load<u64>(changetype<usize>(entry), offsetof<DetailCounters>("detail"));
}

function setKey(entry: DetailCounters, key: u64): void {
  store<u64>(changetype<usize>(entry), key, offsetof<DetailCounters>("detail"));
}

/** Entry `index` of a table, 0 .. DETAIL_ENTRIES - 1. Free: `count` is 0. */
export function detailAt(table: usize, index: u32): DetailCounters {
  return changetype<DetailCounters>(table + ENTRIES_OFFSET + ((<usize>index) << ENTRY_SHIFT));
}

/** Place of `key` in the index. */
function hash(key: u64): u32 {
  return <u32>((key * SPREAD) >> HASH_SHIFT) & (DETAIL_INDEX - 1);
}

/** The set in which `key` is counted, for tests. */
export function detailSet(key: u64): u32 {
  return hash(key) & (SETS - 1);
}

/** Linear address of the place in the index that `key` shares with others. */
function indexPlace(index: usize, key: u64): usize {
  return index + ((<usize>hash(key)) << 2);
}

/** The entry that was used last by a key with this one's place in the index: mostly the key's own. */
export function detailLast(index: usize, key: u64): DetailCounters {
  return changetype<DetailCounters>(load<usize>(indexPlace(index, key)));
}

/** Whether an entry is that of `key`. */
export function detailIs(entry: DetailCounters, key: u64): bool {
  return keyOf(entry) == key;
}

/** Makes `entry` the one that `detailLast` gives for `key`. */
export function detailUsed(index: usize, key: u64, entry: DetailCounters): void {
  store<usize>(indexPlace(index, key), changetype<usize>(entry));
}

/**
 * The entry of `key`, of a reason whose counters are at `row`. A key without one gets one, if
 * need be another's: what that one has counted is then added to `displaced`, its reason's, `displacedAt` behind its row.
 */
export function detailFind(table: usize, key: u64, row: ReasonRow, displacedAt: usize): DetailCounters {
  const entry = search(table, key);
  if (keyOf(entry) != key) takeOver(entry, key, row, displacedAt);
  return entry;
}

/** The entry of `key`; else a free one of its set; else the one whose key can have been seen least often. */
function search(table: usize, key: u64): DetailCounters {
  const first = detailSet(key) * DETAIL_WAYS;
  let rarest = detailAt(table, first);
  for (let i: u32 = 0; i < DETAIL_WAYS; i++) {
    const entry = detailAt(table, first + i);
    const held = keyOf(entry);
    // Entries are taken in their order, and never given back.
    if (held == key || held == NO_KEY) return entry;
    if (entry.count + entry.missed < rarest.count + rarest.missed) rarest = entry;
  }
  return rarest;
}

function takeOver(entry: DetailCounters, key: u64, row: ReasonRow, displacedAt: usize): void {
  const missed = entry.count + entry.missed;
  if (keyOf(entry) != NO_KEY) {
    const displaced = changetype<DetailCounters>(changetype<usize>(entry.row) + displacedAt);
    displaced.count += entry.count;
    displaced.total += entry.total;
  }
  setKey(entry, key);
  entry.count = 0;
  entry.total = 0;
  entry.missed = missed;
  entry.row = row;
}

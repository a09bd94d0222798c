// A hash map from u64 to u64 with open addressing: insert, look up, delete by backward shift.
const SLOTS: u32 = 1 << 15;
const MASK: u32 = SLOTS - 1;
const TABLE: usize = 0x100000;

@unmanaged
class Slot {
  key: u64;
  value: u64;
}

let used: u32 = 0;

function slot(i: u32): Slot {
  return changetype<Slot>(TABLE + ((<usize>(i & MASK)) << 4));
}

function hash(key: u64): u32 {
  let h = key * 0x9e3779b97f4a7c15;
  h ^= h >> 29;
  return <u32>h & MASK;
}

function insert(key: u64, value: u64): bool {
  let i = hash(key);
  while (true) {
    const s = slot(i);
    if (s.key == key) {
      s.value = value;
      return false;
    }
    if (s.key == 0) {
      s.key = key;
      s.value = value;
      used++;
      return true;
    }
    i++;
  }
}

function find(key: u64): u64 {
  let i = hash(key);
  while (true) {
    const s = slot(i);
    if (s.key == key) return s.value;
    if (s.key == 0) return 0;
    i++;
  }
}

function remove(key: u64): bool {
  let i = hash(key);
  while (slot(i).key != key) {
    if (slot(i).key == 0) return false;
    i++;
  }
  let hole = i & MASK;
  while (true) {
    i++;
    const next = slot(i);
    if (next.key == 0) break;
    const home = hash(next.key);
    // The entry may move into the hole unless its home lies between the two.
    if ((((i & MASK) - home) & MASK) < (((i & MASK) - hole) & MASK)) continue;
    slot(hole).key = next.key;
    slot(hole).value = next.value;
    hole = i & MASK;
  }
  slot(hole).key = 0;
  used--;
  return true;
}

export function run(n: i32): u64 {
  let acc: u64 = 0;
  memory.fill(TABLE, 0, (<usize>SLOTS) << 4);
  used = 0;
  let seed: u64 = 0x2545f4914f6cdd1d;
  for (let r = 0; r < n; r++) {
    for (let k = 0; k < 20000; k++) {
      seed ^= seed << 13;
      seed ^= seed >> 7;
      seed ^= seed << 17;
      const key = (seed & 0x7fff) + 1;
      const what = <u32>(seed >> 40) & 7;
      if (what < 3) {
        if (used < 20000) acc += <u64>insert(key, seed);
      } else if (what < 7) acc ^= find(key);
      else acc += <u64>remove(key);
    }
  }
  return acc + used;
}

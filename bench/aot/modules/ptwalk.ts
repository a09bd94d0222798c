// Page tables of four levels: mappings are made, then addresses are translated, half of which are not mapped.
const POOL: usize = 0x100000;
let nextFree: usize = POOL;
const P: u64 = 1;
const RW: u64 = 2;
const PS: u64 = 0x80;
const ADDR: u64 = 0x000ffffffffff000;

function allocTable(): usize {
  const t = nextFree;
  nextFree += 4096;
  memory.fill(t, 0, 4096);
  return t;
}
function nextTable(table: usize, index: usize): usize {
  const slot = table + (index << 3);
  const e = load<u64>(slot);
  if (e & P) return <usize>(e & ADDR);
  const t = allocTable();
  store<u64>(slot, <u64>t | P | RW);
  return t;
}
function map4k(root: usize, va: u64, pa: u64, flags: u64): void {
  const pdpt = nextTable(root, <usize>(va >> 39) & 511);
  const pd = nextTable(pdpt, <usize>(va >> 30) & 511);
  const pt = nextTable(pd, <usize>(va >> 21) & 511);
  store<u64>(pt + ((<usize>(va >> 12) & 511) << 3), (pa & ADDR) | flags | P);
}
function walk(root: usize, va: u64): u64 {
  let table = root;
  for (let shift: u64 = 39; shift >= 12; shift -= 9) {
    const e = load<u64>(table + ((<usize>(va >> shift) & 511) << 3));
    if (!(e & P)) return u64.MAX_VALUE;
    if (shift == 12 || e & PS) {
      const mask = ((<u64>1) << shift) - 1;
      return (e & ADDR & ~mask) | (va & mask);
    }
    table = <usize>(e & ADDR);
  }
  return u64.MAX_VALUE;
}
let seed: u64 = 88172645463325252;
function rnd(): u64 {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed;
}
export function run(n: i32): u64 {
  let acc: u64 = 0;
  for (let r = 0; r < n; r++) {
    nextFree = POOL;
    seed = 88172645463325252;
    const root = allocTable();
    for (let i: u64 = 0; i < 8192; i++) {
      map4k(root, 0x0000400000000000 + (i << 12), (i * 7) << 12, RW);
    }
    for (let i = 0; i < 100000; i++) {
      const va = 0x0000400000000000 + (rnd() & 0x3ffffff);
      const pa = walk(root, va);
      if (pa != u64.MAX_VALUE) acc += pa;
      else acc ^= va;
    }
  }
  return acc;
}

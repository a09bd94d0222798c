// The software page walk against a second one, written here from the manual's tables of page-table entry formats, over
// random tables in every paging mode; and the cases that matter by name.
import { beforeEach, describe, expect, test } from "vitest";
import { type KernelModule, loadKernel } from "./harness.js";
import { Random } from "./random.js";

const glue = `
import { GuestMemory, guestAddRegion, guestMemoryNew } from "./kernel/mm/guestmem";
import { GUEST_WALK_BYTES, GuestWalk, PDPTES_BYTES, Pdptes, walkEntry, walkGuest } from "./kernel/mm/guestwalk";
let ram: GuestMemory = guestMemoryNew();
const w = changetype<GuestWalk>(memory.data(GUEST_WALK_BYTES, 16));
export function setup(): void { w.memory = ram; w.physicalBits = 40; guestAddRegion(ram, 0, 0x100000, 0x1000000); }
export function setPkru(pkru: u32): void { w.pkru = pkru; }
export function walk(cr0: u64, cr3: u64, cr4: u64, efer: u64, access: u32, gva: u64): u32 {
  w.cr0 = cr0; w.cr3 = cr3; w.cr4 = cr4; w.efer = efer; w.access = access;
  return walkGuest(w, gva);
}
const held = changetype<Pdptes>(memory.data(PDPTES_BYTES, 8));
export function hold(index: u32, entry: u64): void { held.put(index, entry); w.pdptes = held; }
export function trailLength(): u32 { return w.trailLength; }
export function trailHpa(i: u32): u64 { return walkEntry(w, i).hpa; }
export function trailValue(i: u32): u64 { return walkEntry(w, i).value; }
export function gpa(): u64 { return w.gpa; }
export function errorCode(): u32 { return w.errorCode; }
export function pageBytes(): u64 { return w.pageBytes; }
`;
const HPA = 0x1000000n;
const PG = 0x80000001n;
const WP = 1n << 16n;
const PSE = 1n << 4n;
const PAE = 1n << 5n;
const LA57 = 1n << 12n;
const SMEP = 1n << 20n;
const SMAP = 1n << 21n;
const PKE = 1n << 22n;
const LMA = 0x500n;
const NXE = 1n << 11n;
const WRITE = 1;
const FETCH = 2;
const USER = 4;
const SMAP_OPEN = 8;
const LOOK = 16;
const OK = 0;
const FAULT = 1;

interface Mode {
  name: string;
  cr0: bigint;
  cr4: bigint;
  efer: bigint;
  /** Bits of index per level from the top, and bytes of an entry. */
  indexes: number[];
  entry: number;
  /** Levels (1 = page table) at which an entry with PS maps a page. */
  large: number[];
}
const modes: Mode[] = [
  { name: "32-bit", cr0: PG, cr4: 0n, efer: 0n, indexes: [10, 10], entry: 4, large: [] },
  { name: "32-bit with 4 MiB pages", cr0: PG, cr4: PSE, efer: 0n, indexes: [10, 10], entry: 4, large: [2] },
  { name: "PAE", cr0: PG, cr4: PAE, efer: 0n, indexes: [2, 9, 9], entry: 8, large: [2] },
  { name: "PAE with NX", cr0: PG, cr4: PAE, efer: NXE, indexes: [2, 9, 9], entry: 8, large: [2] },
  { name: "4-level", cr0: PG, cr4: PAE, efer: LMA | NXE, indexes: [9, 9, 9, 9], entry: 8, large: [2, 3] },
  {
    name: "4-level without NX",
    cr0: PG,
    cr4: PAE,
    efer: LMA,
    indexes: [9, 9, 9, 9],
    entry: 8,
    large: [2, 3],
  },
  {
    name: "5-level",
    cr0: PG,
    cr4: PAE | LA57,
    efer: LMA | NXE,
    indexes: [9, 9, 9, 9, 9],
    entry: 8,
    large: [2, 3],
  },
];

let k: KernelModule;
beforeEach(async () => {
  k = await loadKernel(["kernel/mm/guestwalk.ts"], glue);
  call("setup");
});
const call = (name: string, ...args: (number | bigint)[]) => (k.exports[name] as CallableFunction)(...args);
const load = (gpa: bigint, bytes: number) => k.cpu.load(HPA + gpa, bytes);
const store = (gpa: bigint, bytes: number, value: bigint) => k.cpu.store(HPA + gpa, bytes, value);

interface Expected {
  status: number;
  gpa?: bigint;
  error?: number;
  /** Entries and the flags to be found set in them. */
  marks: { at: bigint; set: bigint }[];
}

/** The reference. Reads tables, writes nothing. */
function reference(
  mode: Mode,
  { cr0, cr4, cr3, pkru }: { cr0: bigint; cr4: bigint; cr3: bigint; pkru: number },
  access: number,
  gva: bigint,
): Expected {
  const levels = mode.indexes.length;
  const nx = (mode.efer & NXE) !== 0n && mode.entry === 8;
  const marks: Expected["marks"] = [];
  const fault = (cause: number): Expected => ({
    status: FAULT,
    error:
      cause |
      (access & WRITE ? 2 : 0) |
      (access & USER ? 4 : 0) |
      (access & FETCH && (nx || (cr4 & SMEP) !== 0n) ? 16 : 0),
    marks,
  });
  let table = cr3 & (levels === 3 ? 0xffffffe0n : 0xffffffffff000n);
  let shift = 12n + BigInt(mode.indexes.reduce((a, b) => a + b, 0));
  let user = true;
  let writable = true;
  let executable = true;
  for (let level = levels; ; level--) {
    const bits = BigInt(mode.indexes[levels - level] as number);
    shift -= bits;
    const at = table + BigInt(mode.entry) * ((gva >> shift) & ((1n << bits) - 1n));
    // What is not RAM reads as ones.
    const outside = at + BigInt(mode.entry) > 0x100000n;
    const entry = outside ? (1n << BigInt(8 * mode.entry)) - 1n : load(at, mode.entry);
    if ((entry & 1n) === 0n) return fault(0);
    const leaf = level === 1 || (mode.large.includes(level) && (entry & 0x80n) !== 0n);
    const pointers = levels === 3 && level === 3;
    let reserved = 0n;
    if (mode.entry === 8) {
      for (let bit = 40n; bit < 52n; bit++) reserved |= 1n << bit;
      if (levels === 3) for (let bit = 52n; bit < 63n; bit++) reserved |= 1n << bit;
      if (!nx || pointers) reserved |= 1n << 63n;
      // Bit 5 is reserved in the manuals, but QEMU sets it under nested paging.
      if (pointers) reserved |= 0x1c6n;
      if (level >= 4) reserved |= 0x80n;
      if (leaf && level === 2) reserved |= 0x1fe000n;
      if (leaf && level === 3) reserved |= 0x3fffe000n;
    } else if (leaf && level === 2) {
      reserved |= 1n << 21n;
    }
    if ((entry & reserved) !== 0n) return fault(9);
    if (!pointers) {
      user &&= (entry & 4n) !== 0n;
      writable &&= (entry & 2n) !== 0n;
      if ((entry >> 63n) & 1n) executable = false;
    }
    if (!leaf) {
      if (!pointers && !outside) marks.push({ at, set: 0x20n });
      table = entry & 0xffffffffff000n;
      continue;
    }
    const supervisorOk = (): boolean => {
      if (access & FETCH) return executable && !(user && (cr4 & SMEP) !== 0n);
      if (user && (cr4 & SMAP) !== 0n && !(access & SMAP_OPEN)) return false;
      return !(access & WRITE) || writable || (cr0 & WP) === 0n;
    };
    const key = Number((entry >> 59n) & 15n);
    const closed = (pkru >>> (2 * key)) & 3;
    const keyed = levels >= 4 && (cr4 & PKE) !== 0n && user && !(access & FETCH);
    const obeys = !!(access & USER) || (cr0 & WP) !== 0n;
    if (keyed && (closed & 1 || (closed & 2 && access & WRITE && obeys))) return fault(0x21);
    const userOk = () => user && (!(access & WRITE) || writable) && (!(access & FETCH) || executable);
    if (!(access & USER ? userOk() : supervisorOk())) return fault(1);
    if (!outside) marks.push({ at, set: access & WRITE ? 0x60n : 0x20n });
    const page = (1n << shift) - 1n;
    let frame = entry & 0xffffffffff000n & ~page;
    if (mode.entry === 4 && level === 2) frame = (entry & 0xffc00000n) | (((entry >> 13n) & 0xffn) << 32n);
    return { status: OK, gpa: frame | (gva & page), marks };
  }
}

/** Mostly valid entries that point into the first 64 pages of RAM, with any flags; sometimes reserved bits. */
function randomEntry(random: Random, bytes: number): bigint {
  let entry = (BigInt(random.below(64)) << 12n) | BigInt(random.next() & 0xfff) | 7n;
  for (const bit of [0n, 1n, 2n]) if (random.below(8) === 0) entry &= ~(1n << bit);
  if (random.below(3) !== 0) entry &= ~0x80n;
  if (random.below(2) === 0) entry &= ~0x1e0n;
  if (bytes === 8 && random.below(6) === 0) entry |= 1n << 63n;
  // A protection key, which 3-level tables do not have.
  if (bytes === 8 && random.below(3) === 0) entry |= BigInt(random.below(16)) << 59n;
  if (random.below(10) === 0) entry |= 1n << BigInt(random.below(bytes * 8));
  return entry;
}

describe.each(modes)("$name", (mode) => {
  test("agrees with the reference on random tables", () => {
    const random = new Random(mode.name.length);
    const seen = new Map<number, number>();
    for (let round = 0; round < 3000; round++) {
      const cr0 = mode.cr0 | (random.below(2) ? WP : 0n);
      const cr4 =
        mode.cr4 |
        (random.below(3) ? 0n : SMEP) |
        (random.below(3) ? 0n : SMAP) |
        (random.below(3) ? 0n : PKE);
      const pkru = random.next() & random.next();
      const cr3 = BigInt(random.below(64)) << 12n;
      const access =
        random.pick([0, WRITE, FETCH]) | (random.below(2) ? USER : random.below(2) ? SMAP_OPEN : 0);
      const gva =
        mode.entry === 4 || mode.indexes.length === 3
          ? BigInt(random.next())
          : (BigInt(random.next()) << 24n) | BigInt(random.next());
      // Fresh entries along the path only: the reference's own steps say where.
      let table = cr3 & (mode.indexes.length === 3 ? 0xffffffe0n : ~0n);
      let shift = 12n + BigInt(mode.indexes.reduce((a, b) => a + b, 0));
      for (const bits of mode.indexes) {
        shift -= BigInt(bits);
        const at = table + BigInt(mode.entry) * ((gva >> shift) & ((1n << BigInt(bits)) - 1n));
        const top = mode.indexes.length === 3 && bits === 2;
        const entry = top
          ? randomEntry(random, 8) & (random.below(4) ? ~0x1c6n : ~0n)
          : randomEntry(random, mode.entry);
        if (at < 0x100000n) store(at, mode.entry, entry);
        table = entry & 0xffffffffff000n;
        if (table >= 0x100000n) break;
      }
      const expected = reference(mode, { cr0, cr4, cr3, pkru }, access, gva);
      const before = expected.marks.map((mark) => load(mark.at, mode.entry));
      call("setPkru", pkru);
      const status = call("walk", cr0, cr3, cr4, mode.efer, access, gva) as number;
      const what = `${mode.name} gva ${gva.toString(16)} cr3 ${cr3.toString(16)} access ${access}`;
      if (status !== expected.status) expect(status, what).toBe(expected.status);
      seen.set(status, (seen.get(status) ?? 0) + 1);
      if (status === OK && BigInt.asUintN(64, call("gpa") as bigint) !== expected.gpa)
        expect(call("gpa"), what).toBe(expected.gpa);
      if (status === FAULT && call("errorCode") !== expected.error)
        expect(call("errorCode"), what).toBe(expected.error);
      expected.marks.forEach((mark, n) => {
        // Entries on the way may coincide when tables point at themselves.
        if ((load(mark.at, mode.entry) & mark.set) !== mark.set)
          expect.fail(`${what}: no accessed or dirty flag`);
        if (((before[n] as bigint) & ~0x60n) !== (load(mark.at, mode.entry) & ~0x60n))
          expect.fail(`${what}: entry changed`);
      });
    }
    expect(seen.get(OK) ?? 0).toBeGreaterThan(150);
    expect(seen.get(FAULT) ?? 0).toBeGreaterThan(150);
  });
});

test("without paging, linear is physical", () => {
  expect(call("walk", 1n, 0n, 0n, 0n, WRITE, 0x12345678n)).toBe(OK);
  expect(call("gpa")).toBe(0x12345678n);
});

test("a read leaves the dirty flag alone, a write sets it", () => {
  store(0x1000n, 8, 0x2007n);
  store(0x2000n, 8, 0x3007n);
  store(0x3000n, 8, 0x4007n);
  store(0x4000n, 8, 0x5007n);
  expect(call("walk", PG, 0x1000n, PAE, LMA, 0, 0x10n)).toBe(OK);
  expect(load(0x4000n, 8)).toBe(0x5027n);
  expect(call("walk", PG, 0x1000n, PAE, LMA, WRITE, 0x10n)).toBe(OK);
  expect(load(0x4000n, 8)).toBe(0x5067n);
  expect(load(0x1000n, 8)).toBe(0x2027n);
});

test("4 MiB pages reach above 4 GiB through PSE-36", () => {
  store(0x1000n, 4, 0x0040_0087n | (0x12n << 13n));
  expect(call("walk", PG, 0x1000n, PSE, 0n, 0, 0x123456n)).toBe(OK);
  expect(call("gpa")).toBe(0x12_0052_3456n);
  expect(call("pageBytes")).toBe(0x400000n);
});

test("tables outside RAM are all ones: reserved bits, but in the entries of 32-bit tables", () => {
  expect(call("walk", PG, 0x200000n, PAE, LMA, 0, 0n)).toBe(FAULT);
  expect(call("errorCode")).toBe(9);
  expect(call("walk", PG, 0x200000n, PSE, 0n, 0, 0n)).toBe(FAULT);
  expect(call("walk", PG, 0x200000n, 0n, 0n, WRITE | USER, 0x123n)).toBe(OK);
  expect(call("gpa")).toBe(0xfffff123n);
});

test("PAE: entries that the processor holds count, whatever memory has by now", () => {
  store(0x1008n, 8, 0n);
  store(0x3000n, 8, 0x4063n);
  store(0x4000n, 8, 0x5063n);
  for (let i = 0; i < 4; i++) call("hold", i, i === 1 ? 0x3001n : 0n);
  expect(call("walk", PG, 0x1000n, PAE, 0n, 0, 0x40000123n)).toBe(OK);
  // Linear addresses have 32 bits: the sum of a base and an offset wraps around.
  expect(call("walk", PG, 0x1000n, PAE, 0n, 0, 0x1_4000_0123n)).toBe(OK);
  expect(call("gpa")).toBe(0x5123n);
  expect(call("trailLength")).toBe(3);
  expect(BigInt.asUintN(64, call("trailHpa", 0) as bigint)).toBe(2n ** 64n - 1n);
  expect(call("walk", PG, 0x1000n, PAE, 0n, 0, 0x80000123n)).toBe(FAULT);
  expect(call("errorCode")).toBe(0);
});

test("a look sets no flag, minds no right, and shows the entry where the way ends", () => {
  store(0x1000n, 8, 0x2001n);
  store(0x2000n, 8, 0x3001n | (1n << 63n));
  store(0x3000n, 8, 0x4001n);
  store(0x4000n, 8, 0x5001n);
  store(0x4008n, 8, 0x6000n);
  expect(call("walk", PG, 0x1000n, PAE, LMA, LOOK, 0x10n)).toBe(OK);
  expect([call("gpa"), call("trailLength"), load(0x1000n, 8), load(0x4000n, 8)]).toEqual([
    0x5010n,
    4,
    0x2001n,
    0x5001n,
  ]);
  expect(call("walk", PG, 0x1000n, PAE, LMA, LOOK, 0x1010n)).toBe(FAULT);
  expect([call("trailLength"), call("trailHpa", 3), call("trailValue", 3)]).toEqual([
    4,
    HPA + 0x4008n,
    0x6000n,
  ]);
  expect(call("walk", PG, 0x200000n, PAE, LMA, LOOK, 0n)).toBe(FAULT);
  expect(call("trailLength")).toBe(0);
});

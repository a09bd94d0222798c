// The counters of a vCPU, both levels: what exits are accounted to, and that nothing is lost when the second level is full.
import { beforeEach, expect, test } from "vitest";
import { type KernelModule, loadKernel } from "./harness.ts";

const GLUE = `
import {
  countersClear, countersCreate, countersExclude, COUNTED_REASONS, countExit, detailCounters, exitsOf, guestTicks,
  histogramBucket, reasonCounters, reasonOfIndex, ticksOf, totalExits, totalTicks,
} from "./kernel/trace/counters";
import { detailSet } from "./kernel/trace/details";
import { DETAIL_ENTRIES, DETAIL_WAYS } from "./kernel/lib/limits";
import { Vcpu } from "./kernel/vcpu/vcpu";

const vcpu = changetype<Vcpu>(memory.data(4096, 16));
export function entries(): u32 { return DETAIL_ENTRIES; }
export function ways(): u32 { return DETAIL_WAYS; }
export function setOf(reason: u32, detail: u32): u32 { return detailSet((<u64>reason << 32) | detail); }
export function prepare(): void { countersCreate(vcpu); }
export function clear(): void { countersClear(vcpu); }
/** An exit at TSC \`at\`; the entry before it was at \`entered\`. */
export function exit(reason: u32, detail: u32, entered: u64, at: u64): void {
  vcpu.exit.reason = reason;
  vcpu.exit.detail = detail;
  vcpu.tscEntry = entered;
  vcpu.tscExit = at;
  countExit(vcpu);
}
export function exclude(ticks: u64): void { countersExclude(vcpu, ticks); }
export function exits(reason: u32): u64 { return exitsOf(vcpu, reason); }
export function ticks(reason: u32): u64 { return ticksOf(vcpu, reason); }
export function shortest(reason: u32): u64 { return reasonCounters(vcpu, reason).shortest; }
export function longest(reason: u32): u64 { return reasonCounters(vcpu, reason).longest; }
export function bucket(reason: u32, n: u32): u64 { return histogramBucket(reasonCounters(vcpu, reason), n); }
export function allExits(): u64 { return totalExits(vcpu); }
export function allTicks(): u64 { return totalTicks(vcpu); }
export function inGuest(): u64 { return guestTicks(vcpu); }
export function displaced(): u64 {
  let sum: u64 = 0;
  for (let i: u32 = 0; i < COUNTED_REASONS; i++) sum += reasonCounters(vcpu, reasonOfIndex(i)).displaced.count;
  return sum;
}
function find(reason: u32, detail: u32): i32 {
  for (let i: u32 = 0; i < DETAIL_ENTRIES; i++) {
    const entry = detailCounters(vcpu, i);
    if (entry.count != 0 && entry.reason == reason && entry.detail == detail) return i;
  }
  return -1;
}
export function detailExits(reason: u32, detail: u32): u64 {
  const i = find(reason, detail);
  return i < 0 ? 0 : detailCounters(vcpu, i).count;
}
export function detailMissed(reason: u32, detail: u32): u64 {
  const i = find(reason, detail);
  return i < 0 ? 0 : detailCounters(vcpu, i).missed;
}
export function detailTicks(reason: u32, detail: u32): u64 {
  const i = find(reason, detail);
  return i < 0 ? 0 : detailCounters(vcpu, i).total;
}
`;

const IO = 0x7b;
const NPF = 0x400;

let kernel: KernelModule;
let now: bigint;
const ask = (name: string, ...args: number[]) =>
  BigInt.asUintN(64, (kernel.exports[name] as CallableFunction)(...args) as bigint);

/** The guest runs for `guest` ticks, exits, and is entered again `ticks` later. */
function exit(reason: number, detail: number, ticks: number, guest = 10): void {
  (kernel.exports.exit as CallableFunction)(reason, detail, now, now + BigInt(guest));
  now += BigInt(guest + ticks);
}

beforeEach(async () => {
  kernel = await loadKernel([], GLUE);
  kernel.exports.prepare!();
  now = 1000n;
});

test("an exit is accounted when the next one comes, with the time until the entry between them", () => {
  exit(IO, 0x3f8, 100);
  expect([ask("exits", IO), ask("ticks", IO)]).toEqual([1n, 0n]);
  exit(IO, 0x3f8, 300);
  expect([ask("exits", IO), ask("ticks", IO)]).toEqual([2n, 100n]);
  exit(NPF, 0xfee00, 50);
  expect([ask("exits", IO), ask("ticks", IO)]).toEqual([2n, 400n]);
  expect([ask("shortest", IO), ask("longest", IO)]).toEqual([100n, 300n]);
  expect([ask("allExits"), ask("allTicks"), ask("inGuest")]).toEqual([3n, 400n, 30n]);
});

test("durations fall into the bucket of their power of two, none at all into the first", () => {
  for (const ticks of [0, 1, 2, 3, 4, 1023, 1024]) exit(IO, 0, ticks);
  exit(IO, 0, 1);
  const buckets = Array.from({ length: 12 }, (_, n) => Number(ask("bucket", IO, n)));
  expect(buckets).toEqual([2, 2, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0]);
});

test("the second level tells ports, registers and pages of one reason apart, and reasons of one number", () => {
  exit(IO, 0x3f8, 100);
  exit(IO, 0x3f9, 200);
  exit(NPF, 0x3f8, 400);
  exit(IO, 0x3f8, 800);
  exit(IO, 0, 0);
  expect([ask("detailExits", IO, 0x3f8), ask("detailTicks", IO, 0x3f8)]).toEqual([2n, 900n]);
  expect([ask("detailExits", IO, 0x3f9), ask("detailTicks", IO, 0x3f9)]).toEqual([1n, 200n]);
  expect([ask("detailExits", NPF, 0x3f8), ask("detailTicks", NPF, 0x3f8)]).toEqual([1n, 400n]);
  expect(ask("displaced")).toBe(0n);
});

/** Details of `reason` that are all counted in the set of its detail `like`. */
function crowd(reason: number, like: number, length: number): number[] {
  const setOf = kernel.exports.setOf as (reason: number, detail: number) => number;
  const details: number[] = [];
  for (let detail = 0; details.length < length; detail++) {
    if (detail !== like && setOf(reason, detail) === setOf(reason, like)) details.push(detail);
  }
  return details;
}

/** Each exit of `reason` once in the table or among those that had to make room, and each tick. */
function expectExactSums(reason: number, exits: bigint, ticks: bigint): void {
  expect([ask("exits", reason), ask("ticks", reason)]).toEqual([exits, ticks]);
  let counted = ask("displaced");
  for (let detail = 0; detail < 0x10000; detail++) counted += ask("detailExits", reason, detail);
  // The last one is open.
  expect(counted).toBe(exits - 1n);
}

/** What is said of a key: not more than there was, and together with what may be missing not less. */
function expectWithinBounds(reason: number, detail: number, truth: number): void {
  const count = ask("detailExits", reason, detail);
  expect(count, `${detail.toString(16)}: too many`).toBeLessThanOrEqual(BigInt(truth));
  expect(
    count + ask("detailMissed", reason, detail),
    `${detail.toString(16)}: too few`,
  ).toBeGreaterThanOrEqual(BigInt(truth));
}

test("a key gets a place, however many came before it to the same set, and nothing is lost of those", () => {
  const others = crowd(IO, 0x3f8, 3 * (kernel.exports.ways!() as number));
  for (const port of others) exit(IO, port, 10);
  for (let i = 0; i < 1000; i++) exit(IO, 0x3f8, 10);
  exit(IO, 0, 0);
  expect(ask("detailExits", IO, 0x3f8)).toBe(1000n);
  expectWithinBounds(IO, 0x3f8, 1000);
  expect(ask("detailMissed", IO, 0x3f8)).toBeLessThanOrEqual(BigInt(others.length));
  expectExactSums(IO, BigInt(others.length) + 1001n, 10n * (BigInt(others.length) + 1000n));
});

test("a place that was lost comes back with what may be missing", () => {
  const ways = kernel.exports.ways!() as number;
  exit(IO, 0x3f8, 10);
  for (const port of crowd(IO, 0x3f8, ways)) for (let i = 0; i < 5; i++) exit(IO, port, 10);
  expect(ask("detailExits", IO, 0x3f8)).toBe(0n);
  for (let i = 0; i < 7; i++) exit(IO, 0x3f8, 10);
  exit(IO, 0, 0);
  expect(ask("detailExits", IO, 0x3f8)).toBe(7n);
  expectWithinBounds(IO, 0x3f8, 8);
});

/** The share of a set's exits above which a key has a place for certain, in whatever order they come. */
const orders: [string, (frequent: number, rare: number[]) => number[]][] = [
  ["rare ones first", (f, rare) => [...rare, ...rare, ...Array<number>(rare.length).fill(f)]],
  ["the frequent one first", (f, rare) => [...Array<number>(rare.length).fill(f), ...rare, ...rare]],
  ["in turns", (f, rare) => rare.flatMap((r) => [r, f, r])],
  [
    "in bursts",
    (f, rare) => rare.flatMap((r, i) => (i % 16 === 15 ? [r, r, ...Array<number>(16).fill(f)] : [r, r])),
  ],
];

test.each(orders)("one key in three among a thousand of its set is found: %s", (_name, order) => {
  const keys = order(0x3f8, crowd(IO, 0x3f8, 1000));
  const truth = keys.filter((key) => key === 0x3f8).length;
  for (const key of keys) exit(IO, key, 10);
  exit(IO, 0x3f8, 0);
  const ways = BigInt(kernel.exports.ways!() as number);
  expectWithinBounds(IO, 0x3f8, truth);
  expect(ask("detailExits", IO, 0x3f8)).toBeGreaterThan(0n);
  expect(ask("detailMissed", IO, 0x3f8)).toBeLessThanOrEqual(BigInt(keys.length) / ways);
});

test("what a random order of keys makes of the table is within its bounds, key by key", () => {
  const entries = kernel.exports.entries!() as number;
  const truth = new Map<number, number>();
  let random = 12345;
  for (let i = 0; i < 20000; i++) {
    random = (Math.imul(random, 1103515245) + 12345) >>> 0;
    // Frequent ones among the small, and five times as many keys as entries.
    const detail = Math.floor(((random >>> 8) / 2 ** 24) ** 3 * entries * 5);
    truth.set(detail, (truth.get(detail) ?? 0) + 1);
    exit(IO, detail, 1);
  }
  exit(NPF, 0, 0);
  let counted = 0n;
  for (const [detail, count] of truth) {
    const found = ask("detailExits", IO, detail);
    counted += found;
    if (found !== 0n) expectWithinBounds(IO, detail, count);
    else expect(count).toBeLessThan(20000 / entries);
  }
  expect(counted + ask("displaced")).toBe(20000n);
  expect(ask("displaced")).toBeGreaterThan(0n);
});

test("two keys that take turns do not lose their places to each other", () => {
  const [other] = crowd(IO, 0x3f8, 1) as [number];
  for (let i = 0; i < 50; i++) {
    exit(IO, 0x3f8, 1);
    exit(IO, other, 2);
  }
  exit(IO, 0, 0);
  expect([ask("detailExits", IO, 0x3f8), ask("detailTicks", IO, 0x3f8)]).toEqual([50n, 50n]);
  expect([ask("detailExits", IO, other), ask("detailTicks", IO, other)]).toEqual([50n, 100n]);
  expect(ask("displaced")).toBe(0n);
});

test("time spent on observing is no exit's", () => {
  exit(IO, 0, 500);
  (kernel.exports.exclude as CallableFunction)(200n);
  exit(IO, 0, 0);
  expect([ask("ticks", IO), ask("longest", IO)]).toEqual([300n, 300n]);
});

test("clearing starts from zero", () => {
  exit(IO, 1, 5);
  exit(IO, 1, 5);
  kernel.exports.clear!();
  expect([ask("allExits"), ask("allTicks"), ask("detailExits", IO, 1)]).toEqual([0n, 0n, 0n]);
});

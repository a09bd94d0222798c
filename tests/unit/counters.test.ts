// The counters of a vCPU, both levels: what exits are accounted to, and that nothing is lost when the second level is full.
import { beforeEach, expect, test } from "vitest";
import { type KernelModule, loadKernel } from "./harness.ts";

const GLUE = `
import {
  countersClear, countersCreate, countersExclude, countExit, detailCounters, droppedExits, exitsOf, guestTicks, histogramBucket,
  reasonCounters, ticksOf, totalExits, totalTicks,
} from "./kernel/trace/counters";
import { DETAIL_ENTRIES, DETAIL_PROBES } from "./kernel/lib/limits";
import { Vcpu } from "./kernel/vcpu/vcpu";

const vcpu = changetype<Vcpu>(memory.data(4096, 16));
export function entries(): u32 { return DETAIL_ENTRIES; }
export function probes(): u32 { return DETAIL_PROBES; }
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
export function dropped(): u64 { return droppedExits(vcpu); }
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
  expect(ask("dropped")).toBe(0n);
});

test("what finds no room is counted by its reason: sums stay exact, and how much it was is known", () => {
  // All of these begin their search at the same place.
  const [DETAIL_ENTRIES, DETAIL_PROBES] = [
    kernel.exports.entries!() as number,
    kernel.exports.probes!() as number,
  ];
  for (let i = 0; i < DETAIL_PROBES + 3; i++) exit(IO, i * DETAIL_ENTRIES, 10);
  exit(IO, 0, 0);
  expect(ask("dropped")).toBe(3n);
  expect([ask("exits", IO), ask("ticks", IO)]).toEqual([
    BigInt(DETAIL_PROBES + 4),
    BigInt(10 * (DETAIL_PROBES + 3)),
  ]);
  expect(ask("detailExits", IO, (DETAIL_PROBES - 1) * DETAIL_ENTRIES)).toBe(1n);
  expect(ask("detailExits", IO, DETAIL_PROBES * DETAIL_ENTRIES)).toBe(0n);
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

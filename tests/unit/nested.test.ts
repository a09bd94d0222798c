import { beforeEach, describe, expect, test } from "vitest";
import { type KernelModule, loadKernel } from "./harness.ts";

const GLUE = `
import { framesAdd, framesFree } from "./kernel/mm/frames";
import { NESTED_LEVELS, NESTED_WALK_BYTES, NestedWalk, nestedEntry, nestedWalk } from "./kernel/mm/nested";
import { nestedCreate, nestedMap, nestedSetLargestLeaf } from "./kernel/mm/nested";
export function addFrames(start: u64, bytes: u64): void { framesAdd(start, bytes); }
export { framesFree, nestedCreate, nestedMap, nestedSetLargestLeaf };
const out = changetype<NestedWalk>(memory.data(NESTED_WALK_BYTES, 8));
export function walk(root: u64, kind: u32, gpa: u64): bool { return nestedWalk(root, kind, gpa, out); }
export function hpa(): u64 { return out.hpa; }
export function entry(): u64 { return nestedEntry(out, out.length - 1).value; }
export function level(): u32 { return NESTED_LEVELS + 1 - out.length; }
`;

const READ = 1;
const WRITE = 2;
const ALL = 7;
const UC = 0;
const WB = 6;
const NO_HPA = 2n ** 64n - 1n;
const KIB4 = 0x1000n;
const MIB2 = 0x200000n;
const GIB = 0x40000000n;

/** The two encodings, typed from the manuals. */
const kinds = [
  {
    name: "EPT",
    kind: 0,
    table: 0x7n,
    leaf4k: (hpa: bigint) => hpa | 0x37n,
    leaf2m: (hpa: bigint) => hpa | 0xb7n,
    readOnly4k: (hpa: bigint) => hpa | 0x31n,
    device4k: (hpa: bigint) => hpa | 0x3n,
  },
  {
    name: "NPT",
    kind: 1,
    table: 0x7n,
    leaf4k: (hpa: bigint) => hpa | 0x7n,
    leaf2m: (hpa: bigint) => hpa | 0x87n,
    readOnly4k: (hpa: bigint) => hpa | 0x8000000000000005n,
    device4k: (hpa: bigint) => hpa | 0x800000000000001fn,
  },
];

describe.each(kinds)("$name", ({ kind, table, leaf4k, leaf2m, readOnly4k, device4k }) => {
  let module: KernelModule;
  let root: bigint;
  const call = (name: string, ...args: unknown[]) =>
    (module.exports[name] as (...a: unknown[]) => unknown)(...args);
  const map = (gpa: bigint, hpa: bigint, bytes: bigint, rights = ALL, type = WB) =>
    Boolean(call("nestedMap", root, kind, gpa, hpa, bytes, rights, type));
  const walk = (gpa: bigint) => ({
    present: Boolean(call("walk", root, kind, gpa)),
    hpa: BigInt.asUintN(64, call("hpa") as bigint),
    entry: BigInt.asUintN(64, call("entry") as bigint),
    level: call("level"),
  });
  /** Follows the tables by hand: the entry for `gpa` at each level from 4 down to where the tables end. */
  const entries = (gpa: bigint) => {
    const found: bigint[] = [];
    let at = root;
    for (let shift = 39n; shift >= 12n; shift -= 9n) {
      const entry = module.cpu.load(at + ((gpa >> shift) & 511n) * 8n, 8);
      found.push(entry);
      if ((entry & 7n) === 0n || (shift < 39n && (entry & 0x80n) !== 0n) || shift === 12n) break;
      at = entry & 0xffffffffff000n;
    }
    return found;
  };

  beforeEach(async () => {
    module = await loadKernel([], GLUE);
    call("addFrames", GIB, 4n << 20n);
    call("nestedSetLargestLeaf", 2);
    root = call("nestedCreate", kind) as bigint;
  });

  test("an empty table translates nothing", () => {
    expect(walk(0x1234n)).toMatchObject({ present: false, hpa: NO_HPA, level: 4 });
  });

  test("a 4 KiB page: three tables with all rights, then the leaf", () => {
    expect(map(0x7000n, 0x5_4321_0000n, KIB4)).toBe(true);
    const found = entries(0x7000n);
    expect(found).toHaveLength(4);
    for (const entry of found.slice(0, 3)) expect(entry & 0xfffn).toBe(table);
    expect(found[3]).toBe(leaf4k(0x5_4321_0000n));
    expect(walk(0x7abcn)).toEqual({
      present: true,
      hpa: 0x5_4321_0abcn,
      entry: leaf4k(0x5_4321_0000n),
      level: 1,
    });
    expect(walk(0x8000n).present).toBe(false);
  });

  test("aligned ranges take 2 MiB leaves, their ragged ends 4 KiB ones", () => {
    expect(map(MIB2 - KIB4, 4n * GIB - KIB4, MIB2 + 2n * KIB4)).toBe(true);
    expect(walk(MIB2 - KIB4)).toMatchObject({ level: 1, hpa: 4n * GIB - KIB4 });
    expect(walk(MIB2 + 5n)).toMatchObject({ level: 2, hpa: 4n * GIB + 5n, entry: leaf2m(4n * GIB) });
    expect(walk(2n * MIB2)).toMatchObject({ level: 1, hpa: 4n * GIB + MIB2 });
    expect(walk(2n * MIB2 + KIB4).present).toBe(false);
  });

  test("a host address that is not aligned alike gets 4 KiB leaves", () => {
    expect(map(0n, 4n * GIB + KIB4, MIB2)).toBe(true);
    expect(walk(0x1ff000n)).toMatchObject({ level: 1, hpa: 4n * GIB + MIB2 });
  });

  test("1 GiB leaves only where the CPU has them", () => {
    expect(map(GIB, 8n * GIB, GIB)).toBe(true);
    expect(walk(GIB + 7n)).toMatchObject({ level: 2, hpa: 8n * GIB + 7n });
    call("nestedSetLargestLeaf", 3);
    expect(map(2n * GIB, 16n * GIB, GIB)).toBe(true);
    expect(walk(3n * GIB - 1n)).toMatchObject({ level: 3, hpa: 17n * GIB - 1n, entry: leaf2m(16n * GIB) });
  });

  test("rights and memory types are encoded as the manual has them", () => {
    map(0n, 0xaaaa000n, KIB4, READ);
    map(KIB4, 0xfee00000n, KIB4, READ | WRITE, UC);
    expect(entries(0n).at(-1)).toBe(readOnly4k(0xaaaa000n));
    expect(entries(KIB4).at(-1)).toBe(device4k(0xfee00000n));
  });

  test("mapping one page anew splits the large one and leaves the other 511 as they were", () => {
    map(0n, 4n * GIB, 2n * MIB2);
    map(0x5000n, 0xaaaa000n, KIB4, READ);
    expect(walk(0x5000n)).toMatchObject({ level: 1, entry: readOnly4k(0xaaaa000n) });
    for (const gpa of [0n, 0x4000n, 0x6000n, 0x1ff000n]) {
      expect(walk(gpa)).toMatchObject({ level: 1, hpa: 4n * GIB + gpa, entry: leaf4k(4n * GIB + gpa) });
    }
    expect(walk(MIB2)).toMatchObject({ level: 2 });
  });

  test("splitting a 1 GiB leaf to 4 KiB keeps every neighbour", () => {
    call("nestedSetLargestLeaf", 3);
    map(0n, 32n * GIB, GIB);
    const page = 5n * MIB2 + KIB4;
    map(page, 0xaaaa000n, KIB4, READ);
    expect(walk(page)).toMatchObject({ level: 1, entry: readOnly4k(0xaaaa000n) });
    expect(walk(5n * MIB2)).toMatchObject({ level: 1, entry: leaf4k(32n * GIB + 5n * MIB2) });
    const next = 32n * GIB + 6n * MIB2;
    expect(walk(6n * MIB2)).toMatchObject({ level: 2, entry: leaf2m(next), hpa: next });
    expect(walk(GIB - 1n)).toMatchObject({ level: 2, hpa: 33n * GIB - 1n });
  });

  test("a large page replaces small ones and gives their table back", () => {
    map(0n, 4n * GIB, KIB4);
    const before = call("framesFree") as bigint;
    map(0n, 8n * GIB, MIB2);
    expect(walk(0x1000n)).toMatchObject({ level: 2, hpa: 8n * GIB + 0x1000n });
    expect((call("framesFree") as bigint) - before).toBe(KIB4);
  });

  test("out of frames: map says so", async () => {
    module = await loadKernel([], GLUE);
    call("addFrames", GIB, 3n * KIB4);
    root = call("nestedCreate", kind) as bigint;
    expect(map(0n, 4n * GIB, KIB4)).toBe(false);
  });

  test("ranges that are not pages, or past 48 bits, are bugs", () => {
    expect(() => map(0x800n, 0n, KIB4)).toThrow();
    expect(() => map((1n << 48n) - KIB4, 0n, 2n * KIB4)).toThrow();
    expect(() => map(0n, 0n, KIB4, WRITE)).toThrow();
  });
});

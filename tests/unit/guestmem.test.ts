import { beforeEach, describe, expect, test } from "vitest";
import { type KernelModule, loadKernel } from "./harness.js";

const NO_HPA = 0xffff_ffff_ffff_ffffn;
const MIB = 1n << 20n;
const glue = `
import { guestMemoryNew } from "./kernel/mm/guestmem";
import { arenaAlloc } from "./kernel/lib/arena";
export function newMemory(): usize { return changetype<usize>(guestMemoryNew()); }
export function buffer(bytes: u32): usize { return arenaAlloc(bytes, 16); }
`;

let kernel: KernelModule;
let memory: number;
const call = (name: string, ...args: (number | bigint)[]) => kernel.exports[name]!(memory, ...args);
const translate = (gpa: bigint, length: bigint) =>
  BigInt.asUintN(64, call("guestTranslate", gpa, length) as bigint);

beforeEach(async () => {
  kernel = await loadKernel(["kernel/mm/guestmem.ts"], glue);
  memory = kernel.exports.newMemory!() as number;
  expect(call("guestAddRegion", 0n, 640n * 1024n, 16n * MIB)).toBe(1);
  expect(call("guestAddRegion", 1n * MIB, 31n * MIB, 17n * MIB)).toBe(1);
});

describe("regions", () => {
  test.each([
    ["empty", 64n * MIB, 0n, 0n],
    ["guest range that wraps around", NO_HPA - 4095n, 8192n, 0n],
    ["host range that wraps around", 64n * MIB, 8192n, NO_HPA - 4095n],
    ["overlapping the end of one", 640n * 1024n - 1n, 4096n, 0n],
    ["overlapping the start of one", 1n * MIB - 1n, 2n, 0n],
    ["covering one", 512n * 1024n, 64n * MIB, 0n],
  ])("%s is refused", (_name, gpa, bytes, hpa) => {
    expect(call("guestAddRegion", gpa, bytes, hpa)).toBe(0);
  });

  test("the table is bounded, and a region may end at the top of the address space", () => {
    expect(call("guestAddRegion", NO_HPA - 4095n, 4096n, 0n)).toBe(1);
    expect(call("guestAddRegion", 64n * MIB, 4096n, 0n)).toBe(1);
    expect(call("guestAddRegion", 128n * MIB, 4096n, 0n)).toBe(0);
    expect(translate(NO_HPA, 1n)).toBe(4095n);
    expect(translate(NO_HPA, 2n)).toBe(NO_HPA);
  });
});

describe("translation", () => {
  test.each<[string, bigint, bigint, bigint]>([
    ["first byte", 0n, 1n, 16n * MIB],
    ["last byte of the first region", 640n * 1024n - 1n, 1n, 16n * MIB + 640n * 1024n - 1n],
    ["whole second region", MIB, 31n * MIB, 17n * MIB],
    ["last 8 bytes of the second region", 32n * MIB - 8n, 8n, 48n * MIB - 8n],
    ["nothing, inside", 5n, 0n, 16n * MIB + 5n],
  ])("%s", (_name, gpa, length, expected) => {
    expect(translate(gpa, length)).toBe(expected);
  });

  test.each<[string, bigint, bigint]>([
    ["one past the first region", 640n * 1024n, 1n],
    ["across the end of a region", 640n * 1024n - 4n, 8n],
    ["across both regions", 0n, 2n * MIB],
    ["below a region, running into it", MIB - 1n, 2n],
    ["one past the last region", 32n * MIB, 1n],
    ["length that wraps past zero", 16n, NO_HPA],
    ["length that wraps into the region", MIB, NO_HPA - MIB + 2n],
    ["top of the address space", NO_HPA, 1n],
    ["top of the address space, wrapping", NO_HPA, 2n],
    ["nothing, outside", 900n * 1024n, 0n],
  ])("%s is refused", (_name, gpa, length) => {
    expect(translate(gpa, length)).toBe(NO_HPA);
  });

  test("a VM without RAM has no addresses", () => {
    memory = kernel.exports.newMemory!() as number;
    expect(translate(0n, 1n)).toBe(NO_HPA);
  });
});

describe("accesses", () => {
  test("stores of every width and a load, little-endian, at the right host address", () => {
    expect(call("guestStore64", MIB + 8n, 0x1122_3344_5566_7788n)).toBe(1);
    expect(kernel.cpu.load(17n * MIB + 8n, 8)).toBe(0x1122_3344_5566_7788n);
    call("guestStore32", MIB, 0xdeadbeef);
    call("guestStore16", MIB + 4n, 0x12345);
    call("guestStore8", MIB + 6n, 0x1ff);
    expect(call("guestLoad64", MIB, 0n)).toBe(0x00ff_2345_dead_beefn);
  });

  test("outside RAM: loads give the fallback, stores change nothing and say so", () => {
    const edge = 32n * MIB - 4n;
    expect(call("guestLoad64", edge, 7n)).toBe(7n);
    expect(call("guestStore64", edge, 0n)).toBe(0);
    expect(call("guestStore32", edge + 1n, 0)).toBe(0);
    expect(call("guestStore16", edge + 3n, 0)).toBe(0);
    expect(call("guestStore8", edge + 4n, 0)).toBe(0);
    expect(kernel.cpu.pages.size).toBe(0);
  });

  test("block copies, filling, and copying from the host", () => {
    const buffer = kernel.exports.buffer!(16) as number;
    new Uint8Array(kernel.memory.buffer, buffer, 4).set([1, 2, 3, 4]);
    expect(call("guestWrite", 100n, buffer, 4)).toBe(1);
    expect([...kernel.cpu.peek(16n * MIB + 100n, 4)]).toEqual([1, 2, 3, 4]);
    expect(call("guestFill", 100n, 0x5a, 3n)).toBe(1);
    expect([...kernel.cpu.peek(16n * MIB + 100n, 4)]).toEqual([0x5a, 0x5a, 0x5a, 4]);
    kernel.cpu.poke(0x9000n, Uint8Array.of(9, 8));
    expect(call("guestCopyFromHost", 200n, 0x9000n, 2n)).toBe(1);
    expect([...kernel.cpu.peek(16n * MIB + 200n, 2)]).toEqual([9, 8]);
  });

  test("a block that leaves RAM is not copied in part", () => {
    const buffer = kernel.exports.buffer!(16) as number;
    const edge = 640n * 1024n - 8n;
    expect(call("guestWrite", edge, buffer, 9)).toBe(0);
    expect(call("guestFill", edge, 1, 9n)).toBe(0);
    expect(call("guestCopyFromHost", edge, 0n, 9n)).toBe(0);
    expect(kernel.cpu.pages.size).toBe(0);
  });
});

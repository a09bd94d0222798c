// The bus: ports and MMIO ranges belong to at most one device each.
import { expect, test } from "vitest";
import { loadKernel } from "../harness.js";

async function open() {
  const { exports } = await loadKernel(["kernel/devices/bus.ts"]);
  const bus = exports.busNew?.() as number;
  const call = (name: string, ...args: (number | bigint)[]) =>
    exports[`bus${name}`]?.(bus, ...args) as number;
  const device = (index: number, kernel = exports) =>
    new DataView(kernel.memory.buffer).getUint32((call("Range", index) >>> 0) + 16, true);
  return { call, device };
}

test("ports answer as the device that claimed them, and only those", async () => {
  const { call } = await open();
  call("ClaimPorts", 0x3f8, 8, 1);
  call("ClaimPorts", 0xffff, 1, 255);
  call("ClaimPorts", 0, 1, 7);
  const found = [0x3f7, 0x3f8, 0x3ff, 0x400, 0xffff, 0].map((port) => call("PortDevice", port));
  expect(found).toEqual([0, 1, 1, 0, 255, 7]);
});

test("claims that overlap, wrap or name no device are bugs", async () => {
  for (const [first, count, device] of [
    [0x3ff, 1, 2],
    [0x3f0, 9, 2],
    [0xffff, 2, 2],
    [0x70, 0, 2],
    [0x70, 2, 0],
    [0x70, 2, 256],
  ] as const) {
    const { call } = await open();
    call("ClaimPorts", 0x3f8, 8, 1);
    expect(() => call("ClaimPorts", first, count, device)).toThrow();
  }
  const { call } = await open();
  call("ClaimMmio", 0xfec00000n, 0x1000n, 3);
  expect(() => call("ClaimMmio", 0xfec00fffn, 1n, 4)).toThrow();
  expect(() => call("ClaimMmio", 0xfebff000n, 0x1001n, 4)).toThrow();
  expect(() => call("ClaimMmio", 0xfffffffffffff000n, 0x1001n, 4)).toThrow();
});

test("an access belongs to the range that holds all of it", async () => {
  const { call, device } = await open();
  call("ClaimMmio", 0xfec00000n, 0x1000n, 3);
  call("ClaimMmio", 0xfee00000n, 0x1000n, 4);
  call("ClaimMmio", 0xfffffffffffff000n, 0x1000n, 5);
  const found = (gpa: bigint, size: number) => {
    const index = call("FindMmio", gpa, size);
    return index < 0 ? 0 : device(index);
  };
  expect(found(0xfec00000n, 4)).toBe(3);
  expect(found(0xfec00ffcn, 4)).toBe(3);
  expect(found(0xfec00ffdn, 4)).toBe(0);
  expect(found(0xfee00300n, 4)).toBe(4);
  expect(found(0xfee01000n, 1)).toBe(0);
  expect(found(0xfffffffffffffff8n, 8)).toBe(5);
  expect(found(0xfffffffffffffff9n, 8)).toBe(0);
});

test("there is room for the stated number of ranges and no more", async () => {
  const { call } = await open();
  for (let i = 0n; i < 32n; i++) call("ClaimMmio", i * 0x1000n, 0x1000n, 1);
  expect(() => call("ClaimMmio", 0x100000n, 0x1000n, 1)).toThrow();
});

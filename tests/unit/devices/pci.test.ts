// PCI configuration space against the PCI specification and Linux's probing.
import { describe, expect, test } from "vitest";
import { type Device, fuzz, openDevice } from "./device.js";

const open = () => openDevice("pci", "pci");
const address = (slot: number, register: number, bus = 0, fn = 0) =>
  (0x80000000 | (bus << 16) | (slot << 11) | (fn << 8) | (register & 0xfc)) >>> 0;
const read = (pci: Device, slot: number, register: number, size = 4, bus = 0, fn = 0) => {
  pci.write(0, address(slot, register, bus, fn), 4);
  return pci.read(4 + (register & 3), size);
};
const write = (pci: Device, slot: number, register: number, value: number, size = 4) => {
  pci.write(0, address(slot, register), 4);
  pci.write(4 + (register & 3), value, size);
};
/** A function with a register of its own that the guest may write in part. */
async function openWithFunction(): Promise<Device> {
  const pci = await open();
  pci.call("AddFunction", 3, 0x10421af4, 0x01000001, 0x00021af4);
  pci.call("Define", 3, 0x40, 4, 0x00000005, 0xffff0000);
  return pci;
}

describe("mechanism #1", () => {
  test("Linux's pci_check_type1: the address register is 32 bits wide or not there", async () => {
    const pci = await open();
    pci.write(3, 0x01, 1);
    const before = pci.read(0, 4);
    pci.write(0, 0x80000000, 4);
    expect(pci.read(0, 4)).toBe(0x80000000);
    pci.write(0, before, 4);
    expect(pci.read(0, 1)).toBe(0xff);
    pci.write(0, 0xffffffff, 4);
    expect(pci.read(0, 4)).toBe(0x80fffffc);
  });

  test("a host bridge sits at 00:00.0, and nothing else answers", async () => {
    const pci = await open();
    expect(read(pci, 0, 0x0a, 2)).toBe(0x0600);
    expect(read(pci, 0, 0, 2)).toBe(0x8086);
    expect(read(pci, 0, 0x0e, 1)).toBe(0); // one function, plain header
    expect([
      read(pci, 1, 0),
      read(pci, 0, 0, 4, 1),
      read(pci, 0, 0, 4, 0, 1),
      read(pci, 31, 0, 2),
      read(pci, 31, 0, 1),
    ]).toEqual([0xffffffff, 0xffffffff, 0xffffffff, 0xffff, 0xff]);
  });

  test("without the enable bit the data port is dead", async () => {
    const pci = await open();
    pci.write(0, 0, 4);
    expect(pci.read(4, 4)).toBe(0xffffffff);
  });

  test("bytes and words of the data port reach their part of the register; past it are ones", async () => {
    const pci = await openWithFunction();
    expect([read(pci, 3, 0, 2), read(pci, 3, 2, 2), read(pci, 3, 3, 1), read(pci, 3, 1, 4)]).toEqual([
      0x1af4, 0x1042, 0x10, 0xff10421a,
    ]);
  });
});

describe("a function", () => {
  test("identity, class and subsystem are read-only; of others the bits that are said to be so", async () => {
    const pci = await openWithFunction();
    for (const register of [0x00, 0x08, 0x2c]) write(pci, 3, register, 0xffffffff);
    write(pci, 3, 0x3c, 0xffff, 2);
    write(pci, 3, 0x40, 0x12345678);
    write(pci, 3, 4, 0xffff, 2);
    expect([0, 8, 0x2c, 0x3c, 0x40, 4].map((register) => read(pci, 3, register))).toEqual([
      0x10421af4, 0x01000001, 0x00021af4, 0x000000ff, 0x12340005, 0x0547,
    ]);
  });

  test("reset brings the power-on values back", async () => {
    const pci = await openWithFunction();
    write(pci, 3, 4, 7, 2);
    write(pci, 3, 0x40, 0xfe000000);
    pci.call("Reset");
    expect([read(pci, 3, 4, 2), read(pci, 3, 0x40)]).toEqual([0, 5]);
  });

  test("a slot holds one function", async () => {
    const pci = await openWithFunction();
    expect(() => pci.call("AddFunction", 3, 0, 0, 0)).toThrow();
  });
});

test("the ECAM window shows the same registers, and ones in extended space", async () => {
  const pci = await openWithFunction();
  const ecam = (offset: number, size: number) => pci.call("EcamRead", offset, size, 0n) >>> 0;
  expect([
    ecam(3 << 15, 4),
    ecam((3 << 15) | 0x100, 4),
    ecam((3 << 15) | (1 << 12), 4),
    ecam(1 << 20, 4),
  ]).toEqual([0x10421af4, 0xffffffff, 0xffffffff, 0xffffffff]);
  pci.call("EcamWrite", (3 << 15) | 4, 2, 6, 0n);
  expect(read(pci, 3, 4, 2)).toBe(6);
});

test("random accesses", async () => {
  const pci = await openWithFunction();
  fuzz(pci, [0, 0, 4, 5, 6, 7, 1], 20000, (random) => {
    pci.write(0, address(random(8), random(256)), 4);
    pci.call("EcamWrite", random(2 ** 28), [1, 2, 4][random(3)] as number, random(2 ** 31), 0n);
  });
});

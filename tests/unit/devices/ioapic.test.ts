// The I/O APIC against Intel's data sheet and Linux's use of it.
import { describe, expect, test } from "vitest";
import { type Device, fuzz, openDevice } from "./device.js";

const MASKED = 1 << 16;
const LEVEL = 1 << 15;
const REMOTE_IRR = 1 << 14;

const open = () => openDevice("ioapic", "ioapic");
function get(d: Device, index: number): number {
  d.write(0, index, 4);
  return d.read(0x10, 4);
}
function set(d: Device, index: number, value: number): void {
  d.write(0, index, 4);
  d.write(0x10, value, 4);
}
function route(d: Device, pin: number, low: number, high = 0): void {
  set(d, 0x11 + 2 * pin, high);
  set(d, 0x10 + 2 * pin, low);
}
const pin = (d: Device, number: number, level: boolean) => d.call("SetPin", number, level ? 1 : 0);
const sent = (d: Device): number[] => {
  const pins: number[] = [];
  for (let p = d.call("TakePending"); p >= 0; p = d.call("TakePending")) pins.push(p);
  return pins;
};

test("what Linux reads at boot: version 20h with 24 entries, ID, everything masked", async () => {
  const d = await open();
  expect(get(d, 1)).toBe(0x00170020);
  set(d, 0, 0xff123456);
  expect(get(d, 0)).toBe(0x0f000000);
  expect(get(d, 2)).toBe(0x0f000000);
  for (let p = 0; p < 24; p++) expect([get(d, 0x10 + 2 * p), get(d, 0x11 + 2 * p)]).toEqual([MASKED, 0]);
  expect(get(d, 0x40)).toBe(0);
});

test("entries hold their writable bits; status and remote IRR are read-only", async () => {
  const d = await open();
  set(d, 0x16, 0xffffffff);
  set(d, 0x17, 0xffffffff);
  expect(get(d, 0x16)).toBe(0x0001afff);
  expect(get(d, 0x17) >>> 0).toBe(0xff000000);
  expect(d.call64("Entry", 3)).toBe(0xff0000000001afffn);
});

describe("edges", () => {
  test("one message for each rising edge", async () => {
    const d = await open();
    route(d, 2, 0x30);
    pin(d, 2, true);
    expect(d.line).toBe(true);
    expect(sent(d)).toEqual([2]);
    pin(d, 2, true);
    expect(sent(d)).toEqual([]);
    pin(d, 2, false);
    pin(d, 2, true);
    expect(sent(d)).toEqual([2]);
    expect(get(d, 0x14) & REMOTE_IRR).toBe(0);
  });

  test("an edge at a masked pin is lost", async () => {
    const d = await open();
    route(d, 2, MASKED | 0x30);
    pin(d, 2, true);
    route(d, 2, 0x30);
    expect(sent(d)).toEqual([]);
  });
});

describe("levels", () => {
  test("one message until the EOI, again after it while the level stays", async () => {
    const d = await open();
    route(d, 9, LEVEL | 0x51);
    pin(d, 9, true);
    expect(sent(d)).toEqual([9]);
    expect(get(d, 0x22) & REMOTE_IRR).toBe(REMOTE_IRR);
    expect(sent(d)).toEqual([]);
    d.call("Eoi", 0x52);
    expect(sent(d)).toEqual([]);
    d.call("Eoi", 0x51);
    expect(sent(d)).toEqual([9]);
    pin(d, 9, false);
    d.write(0x40, 0x51, 4); // the EOI register
    expect(get(d, 0x22) & REMOTE_IRR).toBe(0);
    expect(sent(d)).toEqual([]);
  });

  test("a level waits behind the mask", async () => {
    const d = await open();
    route(d, 9, MASKED | LEVEL | 0x51);
    pin(d, 9, true);
    expect(sent(d)).toEqual([]);
    route(d, 9, LEVEL | 0x51);
    expect(sent(d)).toEqual([9]);
  });

  test("pins that share a vector share its EOI", async () => {
    const d = await open();
    route(d, 16, LEVEL | 0x51);
    route(d, 17, LEVEL | 0x51);
    pin(d, 16, true);
    pin(d, 17, true);
    expect(sent(d)).toEqual([16, 17]);
    d.call("Eoi", 0x51);
    expect(sent(d)).toEqual([16, 17]);
  });

  test("switching to edge and back forgets remote IRR", async () => {
    const d = await open();
    route(d, 9, LEVEL | 0x51);
    pin(d, 9, true);
    sent(d);
    set(d, 0x22, MASKED | 0x51);
    set(d, 0x22, LEVEL | 0x51);
    expect(sent(d)).toEqual([9]);
  });
});

test("an ExtINT entry passes the pin on as a level and sends no message", async () => {
  const d = await open();
  route(d, 0, 0x700);
  pin(d, 0, true);
  expect([sent(d), d.call("ExtIntPending")]).toEqual([[], 1]);
  route(d, 0, MASKED | 0x700);
  expect(d.call("ExtIntPending")).toBe(0);
});

test("the window takes no narrow writes; unknown offsets read as ones", async () => {
  const d = await open();
  d.write(0, 0x10, 1);
  d.write(0x10, 0, 1);
  expect(get(d, 0x10)).toBe(MASKED);
  expect(d.read(0x20, 4)).toBe(0xffffffff);
  expect(() => pin(d, 24, true)).toThrow();
});

test("random accesses", async () => {
  const d = await open();
  fuzz(d, [0, 0, 0x10, 0x10, 0x40, 0x44, 0xffc], 20000, (random) => {
    if (random(2) === 0) d.write(0, random(0x40), 4);
    pin(d, random(24), random(2) === 1);
    if (random(4) === 0) d.call("Eoi", random(256));
    if (random(2) === 0) expect(sent(d).length).toBeLessThanOrEqual(24);
  });
});

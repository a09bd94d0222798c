// The HPET against the "IA-PC HPET Specification" 1.0a and Linux's use of it.
import { describe, expect, test } from "vitest";
import { type Device, fuzz, MICROSECOND, MILLISECOND, NEVER, openDevice, SECOND } from "./device.js";

const [ID, PERIOD, CONFIG, STATUS, COUNTER] = [0, 4, 0x10, 0x20, 0xf0] as const;
const timer = (n: number) => 0x100 + 0x20 * n;
const comparator = (n: number) => 0x108 + 0x20 * n;
const [LEVEL, ENABLED, PERIODIC, VAL_SET, MODE32] = [2, 4, 8, 0x40, 0x100] as const;
const PINS = 0x00f00000;
const TICK = 10n;

const open = () => openDevice("hpet", "hpet", PINS);
const read64 = (hpet: Device, offset: number) => hpet.call64("Read64", offset, hpet.now);
const write64 = (hpet: Device, offset: number, value: bigint) =>
  hpet.call("Write64", offset, value, hpet.now);
const interrupts = (hpet: Device) => hpet.call("Levels", hpet.now) !== 0;
const takeEdges = (hpet: Device) => hpet.call("TakeEdges");

/** How often `mask`'s timers fire in `ns`, taken at each deadline as the platform does. */
function edgesIn(hpet: Device, ns: bigint, mask: number): number {
  const end = hpet.now + ns;
  let count = 0;
  for (let next = hpet.deadline; next <= end; next = hpet.deadline) {
    hpet.now = next;
    hpet.call("Advance", hpet.now);
    if (takeEdges(hpet) & mask) count++;
  }
  hpet.now = end;
  hpet.call("Advance", hpet.now);
  return count;
}

test("capabilities: three timers, 64-bit counter of 10 ns, legacy replacement, a vendor", async () => {
  const hpet = await open();
  expect(hpet.read(ID, 4)).toBe(0x8086a201);
  expect(hpet.read(PERIOD, 4)).toBe(10_000_000);
  expect(read64(hpet, ID)).toBe((10_000_000n << 32n) | 0x8086a201n);
  expect(hpet.read(timer(0), 4)).toBe(0x30);
  expect([1, 2].map((n) => hpet.read(timer(n), 4))).toEqual([0x20, 0x20]);
  expect([0, 1, 2].map((n) => hpet.read(timer(n) + 4, 4))).toEqual([PINS, PINS, PINS]);
  expect([0, 1, 2].map((n) => read64(hpet, comparator(n)))).toEqual([NEVER, NEVER, NEVER]);
  for (const offset of [0x08, 0x18, 0x28, 0x110, 0x130, 0x160, 0x3f8]) {
    write64(hpet, offset, NEVER);
    expect(read64(hpet, offset), offset.toString(16)).toBe(0n);
  }
});

test("the counter stands until it is enabled, keeps its value when it is halted, and can be set", async () => {
  const hpet = await open();
  hpet.now = 12_345n;
  expect(read64(hpet, COUNTER)).toBe(0n);
  hpet.write(CONFIG, 1, 4);
  hpet.now += 1000n * TICK;
  expect(read64(hpet, COUNTER)).toBe(1000n);
  expect(hpet.read(COUNTER, 4)).toBe(1000);
  hpet.write(CONFIG, 0, 4);
  hpet.now += SECOND;
  expect(read64(hpet, COUNTER)).toBe(1000n);
  write64(hpet, COUNTER, 0x1_ffff_fff0n);
  expect([hpet.read(COUNTER, 4), hpet.read(COUNTER + 4, 4)]).toEqual([0xfffffff0, 1]);
  hpet.write(CONFIG, 1, 4);
  hpet.now += 16n * TICK;
  expect(read64(hpet, COUNTER)).toBe(0x2_0000_0000n);
  hpet.write(COUNTER + 4, 7, 4);
  expect(read64(hpet, COUNTER)).toBe(0x7_0000_0000n);
});

test("one shot: the match interrupts once, and a comparator that lies behind does not", async () => {
  const hpet = await open();
  hpet.write(CONFIG, 1, 4);
  hpet.now = 100n * TICK;
  write64(hpet, comparator(2), 99n);
  hpet.write(timer(2), ENABLED, 4);
  expect(hpet.deadline).toBe(NEVER);
  write64(hpet, comparator(2), 150n);
  expect(hpet.deadline).toBe(150n * TICK);
  hpet.pass(50n * TICK - 1n);
  expect(takeEdges(hpet)).toBe(0);
  hpet.pass(1n);
  expect(takeEdges(hpet)).toBe(4);
  expect(takeEdges(hpet)).toBe(0);
  expect([hpet.deadline, interrupts(hpet), hpet.read(STATUS, 4)]).toEqual([NEVER, false, 0]);
});

test("a timer whose interrupt is disabled, or whose counter stands, does not interrupt", async () => {
  const hpet = await open();
  hpet.write(timer(1), ENABLED, 4);
  write64(hpet, comparator(1), 10n);
  expect(hpet.deadline).toBe(NEVER);
  hpet.pass(SECOND);
  expect(takeEdges(hpet)).toBe(0);
  hpet.write(timer(1), 0, 4);
  hpet.write(CONFIG, 1, 4);
  expect(hpet.deadline).toBe(NEVER);
  hpet.pass(SECOND);
  expect(takeEdges(hpet)).toBe(0);
});

test("level-triggered: status stays until a one is written to it, and shows only what is enabled", async () => {
  const hpet = await open();
  hpet.write(CONFIG, 1, 4);
  write64(hpet, comparator(1), 5n);
  hpet.write(timer(1), LEVEL, 4);
  hpet.pass(5n * TICK);
  expect([hpet.read(STATUS, 4), interrupts(hpet)]).toEqual([2, false]);
  hpet.write(timer(1), LEVEL | ENABLED, 4);
  expect([interrupts(hpet), hpet.call("Levels", hpet.now), takeEdges(hpet), hpet.deadline]).toEqual([
    true,
    2,
    0,
    NEVER,
  ]);
  hpet.write(STATUS, 5, 4);
  expect(interrupts(hpet)).toBe(true);
  hpet.write(STATUS, 2, 4);
  expect([interrupts(hpet), hpet.read(STATUS, 4)]).toEqual([false, 0]);
});

describe("periodic", () => {
  test("as Linux sets it: 32 bits, the first write with VAL_SET is the comparator, the second the period", async () => {
    const hpet = await open();
    hpet.write(CONFIG, 1, 4);
    hpet.now = 777n * TICK;
    hpet.write(timer(0), ENABLED | PERIODIC | VAL_SET | MODE32, 4);
    hpet.write(comparator(0), 1777, 4);
    expect(hpet.read(timer(0), 4) & VAL_SET).toBe(0);
    hpet.write(comparator(0), 100_000, 4);
    expect(hpet.read(comparator(0), 4)).toBe(1777);
    expect(hpet.deadline).toBe(1777n * TICK);
    expect(edgesIn(hpet, SECOND, 1)).toBe(1000);
    expect(hpet.read(comparator(0), 4)).toBe(1777 + 100_000 * 1000);
  });

  test("one write sets both; a new period counts from the next match on", async () => {
    const hpet = await open();
    hpet.write(timer(0), ENABLED | PERIODIC | VAL_SET, 4);
    write64(hpet, comparator(0), 20_000n);
    hpet.write(CONFIG, 1, 4);
    expect(edgesIn(hpet, MILLISECOND, 1)).toBe(5);
    write64(hpet, comparator(0), 50_000n);
    expect(hpet.deadline - hpet.now).toBe(20_000n * TICK);
    hpet.pass(20_000n * TICK);
    expect(hpet.deadline - hpet.now).toBe(50_000n * TICK);
  });

  test("only timer 0 has it, and a period of 0 is none", async () => {
    const hpet = await open();
    for (const n of [1, 2]) {
      hpet.write(timer(n), PERIODIC | VAL_SET, 4);
      expect(hpet.read(timer(n), 4)).toBe(0x20);
    }
    hpet.write(CONFIG, 1, 4);
    hpet.write(timer(0), ENABLED | PERIODIC | VAL_SET, 4);
    write64(hpet, comparator(0), 0n);
    expect(hpet.deadline).toBe(NEVER);
  });

  test("a period shorter than the limit is stretched, and its matches are seen together", async () => {
    const hpet = await open();
    hpet.write(CONFIG, 1, 4);
    hpet.write(timer(0), ENABLED | PERIODIC | VAL_SET, 4);
    write64(hpet, comparator(0), 1n);
    expect(edgesIn(hpet, SECOND, 1)).toBe(20_000);
    expect(read64(hpet, comparator(0))).toBe(read64(hpet, COUNTER) + 1n);
  });
});

describe("32 bits", () => {
  test("a one-shot timer matches the counter's low half, at every wrap again", async () => {
    const hpet = await open();
    write64(hpet, COUNTER, 0x5_ffff_ff00n);
    hpet.write(timer(2), ENABLED | MODE32, 4);
    write64(hpet, comparator(2), 0x1234_0000_0010n);
    expect(read64(hpet, comparator(2))).toBe(0x10n);
    hpet.write(CONFIG, 1, 4);
    expect(hpet.deadline).toBe(0x110n * TICK);
    hpet.pass(0x110n * TICK);
    expect(takeEdges(hpet)).toBe(4);
    expect(hpet.deadline - hpet.now).toBe(2n ** 32n * TICK);
  });

  test("a periodic timer goes on through the wrap", async () => {
    const hpet = await open();
    write64(hpet, COUNTER, 0xffff_0000n);
    hpet.write(timer(0), ENABLED | PERIODIC | VAL_SET | MODE32, 4);
    hpet.write(comparator(0), 0xffff8000, 4);
    hpet.write(comparator(0), 0x8000, 4);
    hpet.write(CONFIG, 1, 4);
    expect(edgesIn(hpet, 0x40000n * TICK, 1)).toBe(8);
    expect(hpet.read(comparator(0), 4)).toBe(0x38000);
  });
});

test("routes: a pin that the timer cannot have does not stick", async () => {
  const hpet = await open();
  for (let pin = 0; pin < 32; pin++) {
    hpet.write(timer(1), pin << 9, 4);
    const got = (hpet.read(timer(1), 4) >> 9) & 31;
    expect(got).toBe(pin >= 20 && pin <= 23 ? pin : 0);
    expect(hpet.call("Route", 1)).toBe(got);
  }
});

test("legacy replacement is a bit for the platform", async () => {
  const hpet = await open();
  hpet.write(CONFIG, 0xffffffff, 4);
  expect([hpet.read(CONFIG, 4), hpet.call("ReplacesLegacy")]).toEqual([3, 1]);
  hpet.write(CONFIG, 1, 1);
  expect(hpet.call("ReplacesLegacy")).toBe(0);
});

test("time may be anything", async () => {
  for (const now of [0n, 9n, 10n, 1n << 63n, NEVER - 1n, NEVER]) {
    const hpet = await open();
    hpet.now = now;
    hpet.write(CONFIG, 1, 4);
    hpet.write(timer(0), ENABLED | PERIODIC | VAL_SET, 4);
    for (const value of [1n, 5000n, 1n << 63n, NEVER]) {
      write64(hpet, comparator(0), value);
      hpet.write(timer(1), ENABLED, 4);
      write64(hpet, comparator(1), value);
      expect(hpet.deadline === NEVER || hpet.deadline > now, `${value} at ${now}`).toBe(true);
    }
  }
});

test("random accesses", async () => {
  const hpet = await open();
  const offsets = Array.from({ length: 0x60 }, (_, i) => i * 4);
  fuzz(hpet, offsets, 20_000, (random) => {
    if (random(10) === 0) hpet.now += BigInt(random(2 ** 31)) * MICROSECOND;
    if (random(4) === 0) hpet.write(CONFIG, 1, 4);
    expect(takeEdges(hpet) & ~7).toBe(0);
  });
});

// The HPET in its place: whose interrupts it stands in for, which pins it drives, and reads of its counter as a whole; and the
// RTC's alarm as ACPI's event.
import { describe, expect, test } from "vitest";
import { Pc } from "./pc.ts";

const LAPIC = 0xfee00000;
const IOAPIC = 0xfec00000;
const HPET = 0xfed00000;
const [CONFIG, STATUS, COUNTER] = [HPET + 0x10, HPET + 0x20, HPET + 0xf0] as const;
const timer = (n: number) => HPET + 0x100 + 0x20 * n;
const comparator = (n: number) => HPET + 0x108 + 0x20 * n;
const [LEVEL, ENABLED, PERIODIC, VAL_SET, MODE32] = [2, 4, 8, 0x40, 0x100] as const;
const NONE = -1;
const MS = 1_000_000;
const TICKS_PER_MS = 100_000;

function route(pc: Pc, pin: number, low: number): void {
  for (const [register, value] of [
    [0x11 + pin * 2, 0],
    [0x10 + pin * 2, low],
  ] as const) {
    pc.mmioWrite(IOAPIC, register);
    pc.mmioWrite(IOAPIC + 0x10, value);
  }
}

async function start(): Promise<Pc> {
  const pc = await Pc.running();
  pc.mmioWrite(LAPIC + 0xf0, 0x1ff);
  pc.out(0x21, 0xff);
  pc.out(0xa1, 0xff);
  return pc;
}

/** Takes the vector that is pending, if any. */
function take(pc: Pc): number {
  pc.sample();
  if (pc.pending() === NONE) return NONE;
  const vector = pc.acknowledge();
  pc.mmioWrite(LAPIC + 0xb0, 0);
  pc.sample();
  return vector;
}

describe("legacy replacement", () => {
  test("timer 0 is IRQ 0 and timer 1 is IRQ 8, and the 8254 and the RTC are not", async () => {
    const pc = await start();
    route(pc, 2, 0x31);
    route(pc, 8, 0x38);
    pc.mmioWrite(CONFIG, 3);
    pc.out(0x43, 0x34);
    pc.out(0x40, 0xa9);
    pc.out(0x40, 0x04); // 1 kHz
    for (const [index, value] of [
      [0x0a, 0x26],
      [0x0b, 0x42],
    ] as const) {
      pc.out(0x70, index);
      pc.out(0x71, value); // 1024 Hz
    }
    pc.advance(20 * MS);
    expect(pc.pending()).toBe(NONE);
    pc.mmioWrite(timer(0), ENABLED | PERIODIC | VAL_SET | MODE32);
    pc.mmioWrite(comparator(0), pc.mmioRead(COUNTER) + TICKS_PER_MS);
    pc.mmioWrite(comparator(0), 10 * TICKS_PER_MS);
    for (let i = 0; i < 3; i++) {
      pc.advance(11 * MS);
      expect(take(pc), `period ${i}`).toBe(0x31);
    }
    pc.mmioWrite(timer(0), 0);
    pc.mmioWrite(timer(1), ENABLED);
    pc.mmioWrite(comparator(1), pc.mmioRead(COUNTER) + TICKS_PER_MS);
    pc.mmioWrite(comparator(1) + 4, 0);
    pc.advance(2 * MS);
    expect(take(pc)).toBe(0x38);
    pc.advance(20 * MS);
    expect(pc.pending()).toBe(NONE);
  });

  test("a level-triggered timer holds IRQ 0 until its status is cleared", async () => {
    const pc = await start();
    route(pc, 2, 0x8031); // level-triggered
    pc.mmioWrite(CONFIG, 3);
    pc.mmioWrite(timer(0), ENABLED | LEVEL);
    pc.mmioWrite(comparator(0), TICKS_PER_MS, 8);
    pc.advance(2 * MS);
    expect([take(pc), take(pc)]).toEqual([0x31, 0x31]);
    pc.mmioWrite(STATUS, 1);
    pc.sample();
    pc.acknowledge();
    pc.mmioWrite(LAPIC + 0xb0, 0);
    expect(take(pc)).toBe(NONE);
  });

  test("switched off, the 8254 and the RTC have their interrupts again", async () => {
    const pc = await start();
    route(pc, 8, 0x38);
    pc.mmioWrite(CONFIG, 2);
    pc.out(0x70, 0x0b);
    pc.out(0x71, 0x42);
    pc.advance(5 * MS);
    expect(pc.pending()).toBe(NONE);
    pc.mmioWrite(CONFIG, 0);
    expect(take(pc)).toBe(0x38);
  });
});

test("timers drive the pins that they are routed to, two of them one pin", async () => {
  const pc = await start();
  route(pc, 22, 0x42);
  route(pc, 23, 0x8043); // level-triggered
  pc.mmioWrite(CONFIG, 1);
  pc.mmioWrite(timer(0), ENABLED | (22 << 9));
  pc.mmioWrite(comparator(0), TICKS_PER_MS, 8);
  for (const n of [1, 2]) {
    pc.mmioWrite(timer(n), ENABLED | LEVEL | (23 << 9));
    pc.mmioWrite(comparator(n), 2 * n * TICKS_PER_MS, 8);
  }
  pc.advance(1.5 * MS);
  expect([take(pc), take(pc)]).toEqual([0x42, NONE]);
  pc.advance(MS);
  expect(take(pc)).toBe(0x43);
  pc.advance(3 * MS);
  expect(pc.mmioRead(STATUS)).toBe(6);
  pc.mmioWrite(STATUS, 2);
  expect([take(pc), take(pc)]).toEqual([0x43, 0x43]);
  pc.mmioWrite(STATUS, 4);
  pc.sample();
  pc.acknowledge();
  pc.mmioWrite(LAPIC + 0xb0, 0);
  expect(take(pc)).toBe(NONE);
});

test("eight bytes of the counter are of one moment, though time passes between two reads", async () => {
  const pc = await start();
  pc.mmioWrite(COUNTER, 0xfffffff0, 8);
  pc.mmioWrite(CONFIG, 1, 8);
  pc.cpu.tscStep = 30n;
  let last = 0;
  for (let i = 0; i < 20; i++) {
    const value = pc.mmioRead(COUNTER, 8);
    expect(value).toBeGreaterThan(last);
    expect(value).toBeLessThan(0x1_0000_1000);
    last = value;
  }
  expect(last).toBeGreaterThan(0xffffffff);
});

describe("the RTC's alarm is ACPI's event", () => {
  const PM1_STATUS = 0x600;
  const PM1_ENABLE = 0x602;
  const RTC_EVENT = 1 << 10;

  /** An alarm at every second. */
  function setAlarm(pc: Pc): void {
    for (const [index, value] of [
      [1, 0xff],
      [3, 0xff],
      [5, 0xff],
      [0x0b, 0x22],
    ] as const) {
      pc.out(0x70, index);
      pc.out(0x71, value);
    }
  }

  test.each([0, 2])("with the HPET's configuration %i: SCI if enabled, once", async (config) => {
    const pc = await start();
    route(pc, 9, 0x8039);
    pc.mmioWrite(CONFIG, config);
    setAlarm(pc);
    pc.advance(1100 * MS);
    expect(pc.in(PM1_STATUS, 2) & RTC_EVENT).toBe(RTC_EVENT);
    expect(pc.pending()).toBe(NONE);
    pc.out(PM1_STATUS, RTC_EVENT, 2);
    pc.out(0x70, 0x0c);
    pc.in(0x71);
    pc.out(PM1_ENABLE, RTC_EVENT, 2);
    pc.sample();
    expect(pc.pending()).toBe(NONE);
    pc.advance(1100 * MS);
    expect(pc.pending()).toBe(0x39);
    pc.out(PM1_STATUS, RTC_EVENT, 2);
    take(pc);
    expect(take(pc)).toBe(NONE);
  });
});

// The MC146818 against Motorola's data sheet, JavaScript's calendar and Linux's mc146818 driver.
import { describe, expect, test } from "vitest";
import { type Device, fuzz, MILLISECOND, NEVER, openDevice, randomNumbers, SECOND } from "./device.js";

const [A, B, C, D, CENTURY] = [0x0a, 0x0b, 0x0c, 0x0d, 0x32] as const;
const [SET, PIE, AIE, UIE, BINARY, HOURS24] = [0x80, 0x40, 0x20, 0x10, 0x04, 0x02] as const;

async function openAt(iso: string): Promise<Device> {
  const rtc = await openDevice("rtc", "rtc");
  rtc.call("SetTime", BigInt(Date.parse(iso) / 1000), rtc.now);
  return rtc;
}
function get(rtc: Device, index: number): number {
  rtc.write(0, index);
  return rtc.read(1);
}
function set(rtc: Device, index: number, value: number): void {
  rtc.write(0, index);
  rtc.write(1, value);
}
const bcd = (byte: number) => (byte >> 4) * 10 + (byte & 15);
/** The time in BCD, 24 hours. */
function clock(rtc: Device): string {
  const [second, minute, hour, day, month, year, century] = [0, 2, 4, 7, 8, 9, CENTURY].map((i) =>
    String(bcd(get(rtc, i))).padStart(2, "0"),
  );
  return `${century}${year}-${month}-${day}T${hour}:${minute}:${second}Z`;
}
const iso = (date: Date) => date.toISOString().replace(".000", "");

describe("reading", () => {
  test("shows the time it was set to, and time passes", async () => {
    const rtc = await openAt("2026-11-21T23:59:58Z");
    expect(clock(rtc)).toBe("2026-11-21T23:59:58Z");
    expect(get(rtc, 6)).toBe(7); // Saturday
    rtc.pass(2n * SECOND);
    expect(clock(rtc)).toBe("2026-11-22T00:00:00Z");
    expect(get(rtc, 6)).toBe(1);
    expect([get(rtc, A) & 0x7f, get(rtc, B), get(rtc, D)]).toEqual([0x26, HOURS24, 0x80]);
  });

  test("dates agree with JavaScript's from 1970 to 2399", async () => {
    const random = randomNumbers(42);
    const rtc = await openAt("2000-01-01T00:00:00Z");
    const special = [
      "2000-02-28T23:59:59Z",
      "2000-02-29T12:00:00Z",
      "2100-02-28T23:59:59Z",
      "1999-12-31T23:59:59Z",
      "2024-02-29T00:00:00Z",
    ];
    for (let i = 0; i < 500; i++) {
      const seconds =
        i < special.length ? Date.parse(special[i] as string) / 1000 : random(2 ** 31) * 6 + random(86400);
      rtc.call("SetTime", BigInt(seconds), rtc.now);
      const date = new Date(seconds * 1000);
      expect([clock(rtc), get(rtc, 6)]).toEqual([iso(date), date.getUTCDay() + 1]);
      rtc.pass(SECOND);
      expect(clock(rtc)).toBe(iso(new Date(seconds * 1000 + 1000)));
      get(rtc, C);
    }
  });

  test("binary and 12-hour formats", async () => {
    const rtc = await openAt("2026-11-21T00:45:59Z");
    const hours = (twelve: boolean, binary: boolean) => {
      set(rtc, B, (twelve ? 0 : HOURS24) | (binary ? BINARY : 0));
      return get(rtc, 4);
    };
    const seen: number[][] = [];
    for (const hour of [0, 1, 11, 12, 13, 23]) {
      rtc.call(
        "SetTime",
        BigInt(Date.parse(`2026-11-21T${String(hour).padStart(2, "0")}:45:59Z`) / 1000),
        rtc.now,
      );
      seen.push([hours(true, false), hours(true, true), hours(false, true), hours(false, false)]);
    }
    expect(seen).toEqual([
      [0x12, 12, 0, 0x00],
      [0x01, 1, 1, 0x01],
      [0x11, 11, 11, 0x11],
      [0x92, 0x8c, 12, 0x12],
      [0x81, 0x81, 13, 0x13],
      [0x91, 0x8b, 23, 0x23],
    ]);
    set(rtc, B, BINARY | HOURS24);
    expect([0, 2, 9].map((i) => get(rtc, i))).toEqual([59, 45, 26]);
  });

  test("update in progress is up for the 2228 µs before each second", async () => {
    const rtc = await openAt("2026-01-01T00:00:00Z");
    let [up, down, changedWhileDown, last] = [0, 0, 0, get(rtc, 0)];
    for (; rtc.now < 3n * SECOND; rtc.now += 100_000n) {
      const uip = (get(rtc, A) & 0x80) !== 0;
      uip ? up++ : down++;
      const seconds = get(rtc, 0);
      if (seconds !== last && rtc.now % SECOND !== 0n) changedWhileDown++;
      last = seconds;
    }
    expect([up, changedWhileDown]).toEqual([3 * 22, 0]);
    expect(down).toBeGreaterThan(29000);
  });

  test("Linux's mc146818_get_time gets a consistent time at any moment", async () => {
    const random = randomNumbers(7);
    const rtc = await openAt("2026-12-31T23:59:00Z");
    const start = Date.parse("2026-12-31T23:59:00Z");
    for (let i = 0; i < 200; i++) {
      rtc.now += BigInt(random(700_000_000));
      let text = "";
      for (let tries = 0; tries < 100; tries++, rtc.now += 100_000n) {
        const seconds = get(rtc, 0);
        if ((get(rtc, A) & 0x80) !== 0) continue;
        text = clock(rtc);
        rtc.now += BigInt(random(500)) * 1000n;
        if ((get(rtc, A) & 0x80) === 0 && get(rtc, 0) === seconds) break;
      }
      expect(Math.abs(Date.parse(text) - start - Number(rtc.now / MILLISECOND))).toBeLessThan(1100);
    }
  });
});

describe("setting", () => {
  test("Linux's mc146818_set_time: the next second comes half a second after the start", async () => {
    const rtc = await openAt("2026-11-21T10:00:00Z");
    rtc.pass(123n * MILLISECOND);
    const [control, rate] = [get(rtc, B), get(rtc, A)];
    set(rtc, B, control | SET);
    set(rtc, A, rate | 0x70);
    for (const [index, value] of [
      [9, 0x31],
      [8, 0x02],
      [7, 0x28],
      [4, 0x23],
      [2, 0x59],
      [0, 0x58],
      [CENTURY, 0x20],
    ] as const)
      set(rtc, index, value);
    rtc.pass(SECOND);
    expect(clock(rtc)).toBe("2031-02-28T23:59:58Z"); // stopped
    expect(get(rtc, A) & 0x80).toBe(0);
    set(rtc, B, control);
    set(rtc, A, rate);
    rtc.pass(499n * MILLISECOND);
    expect(clock(rtc)).toBe("2031-02-28T23:59:58Z");
    rtc.pass(2n * MILLISECOND);
    expect(clock(rtc)).toBe("2031-02-28T23:59:59Z");
    rtc.pass(SECOND);
    expect(clock(rtc)).toBe("2031-03-01T00:00:00Z");
  });

  test("writing a byte of a running clock changes just that", async () => {
    const rtc = await openAt("2026-11-21T10:11:12Z");
    set(rtc, 2, 0x30);
    rtc.pass(SECOND);
    expect(clock(rtc)).toBe("2026-11-21T10:30:13Z");
  });

  test("nonsense in the registers is survived", async () => {
    const rtc = await openAt("2026-11-21T10:11:12Z");
    for (const index of [0, 2, 4, 7, 8, 9, CENTURY]) set(rtc, index, 0xff);
    for (const index of [0, 2, 4, 7, 8, 9, CENTURY]) set(rtc, index, 0x00);
    rtc.pass(3n * SECOND);
    expect(get(rtc, 0)).toBeLessThan(0x60);
  });
});

describe("interrupts", () => {
  test("update-ended once a second; register C tells and acknowledges", async () => {
    const rtc = await openAt("2026-01-01T00:00:00Z");
    set(rtc, B, HOURS24 | UIE);
    expect(rtc.deadline).toBe(SECOND);
    rtc.pass(SECOND);
    expect(rtc.line).toBe(true);
    expect(rtc.deadline).toBe(NEVER);
    expect(get(rtc, C) & 0xf0).toBe(0x80 | UIE | PIE); // the periodic flag rises without being enabled
    expect([rtc.line, get(rtc, C), rtc.deadline]).toEqual([false, 0, 2n * SECOND]);
  });

  test("periodic at each of the rates", async () => {
    for (const [rate, hz] of [
      [1, 256],
      [2, 128],
      [3, 8192],
      [6, 1024],
      [10, 64],
      [15, 2],
    ] as const) {
      const rtc = await openAt("2026-01-01T00:00:00Z");
      set(rtc, A, 0x20 | rate);
      set(rtc, B, HOURS24 | PIE);
      let count = 0;
      while (rtc.deadline <= SECOND) {
        rtc.pass(rtc.deadline - rtc.now);
        expect(get(rtc, C) & 0xc0).toBe(0xc0);
        count++;
      }
      expect([rate, count]).toEqual([rate, hz]);
    }
  });

  test("rate 0 is off", async () => {
    const rtc = await openAt("2026-01-01T00:00:00Z");
    set(rtc, A, 0x20);
    set(rtc, B, HOURS24 | PIE);
    expect(rtc.deadline).toBe(NEVER);
  });

  const alarmAfter = async (hour: number, minute: number, second: number, b: number = HOURS24) => {
    const rtc = await openAt("2026-11-21T22:58:30Z");
    set(rtc, B, b | AIE);
    [second, minute, hour].forEach((value, i) => set(rtc, 2 * i + 1, value));
    return rtc.deadline === NEVER ? -1 : Number(rtc.deadline / SECOND);
  };
  test.each([
    ["the same day", 0x23, 0x00, 0x00, 90],
    ["the next day", 0x22, 0x58, 0x30, 86400],
    ["every second", 0xff, 0xff, 0xff, 1],
    ["every minute", 0xc0, 0xc0, 0x15, 45],
    ["every hour", 0xff, 0x05, 0x00, 390],
    ["any minute of an hour", 0x07, 0xff, 0x00, 8 * 3600 + 90],
    ["an impossible hour", 0x29, 0x00, 0x00, -1],
    ["an impossible minute", 0xff, 0x77, 0x00, -1],
    ["an impossible second", 0xff, 0xff, 0x99, -1],
  ])("alarm: %s", async (_name, hour, minute, second, wait) => {
    expect(await alarmAfter(hour, minute, second)).toBe(wait);
  });

  test("the alarm in 12-hour mode knows the afternoon", async () => {
    expect(await alarmAfter(0x91, 0x00, 0x00, 0)).toBe(90);
    expect(await alarmAfter(0x11, 0x00, 0x00, 0)).toBe(90 + 12 * 3600);
  });

  test("the alarm fires at its second and not again before the next day", async () => {
    const rtc = await openAt("2026-11-21T23:59:55Z");
    [0x00, 0x00, 0x00].forEach((value, i) => set(rtc, 2 * i + 1, value));
    set(rtc, B, HOURS24 | AIE);
    rtc.pass(4999n * MILLISECOND);
    expect(rtc.line).toBe(false);
    rtc.pass(MILLISECOND);
    expect([rtc.line, clock(rtc), get(rtc, C) & 0xb0]).toEqual([
      true,
      "2026-11-22T00:00:00Z",
      0x80 | AIE | UIE,
    ]);
    expect(rtc.deadline).toBe(5n * SECOND + 86400n * SECOND);
  });

  test("reset turns interrupts off and keeps time and memory", async () => {
    const rtc = await openAt("2026-01-01T00:00:00Z");
    set(rtc, 0x70, 0x5a);
    set(rtc, B, HOURS24 | UIE);
    rtc.pass(5n * SECOND);
    expect(rtc.line).toBe(true);
    rtc.call("Reset");
    expect([rtc.line, get(rtc, 0x70), clock(rtc)]).toEqual([false, 0x5a, "2026-01-01T00:00:05Z"]);
  });
});

describe("CMOS memory", () => {
  test("memory sizes where firmware puts them, with the checksum", async () => {
    const rtc = await openAt("2026-01-01T00:00:00Z");
    rtc.call("SetMemory", 3n << 30n, 5n << 30n);
    const word = (index: number) => get(rtc, index) | (get(rtc, index + 1) << 8);
    expect([word(0x15), word(0x17), word(0x30), word(0x34), word(0x5b), get(rtc, 0x5d)]).toEqual([
      640,
      0xffff,
      0xffff,
      (3 * 1024 - 16) * 16,
      (5 * 1024 * 16) & 0xffff,
      1,
    ]);
    let sum = 0;
    for (let i = 0x10; i < 0x2e; i++) sum += get(rtc, i);
    expect((get(rtc, 0x2e) << 8) | get(rtc, 0x2f)).toBe(sum);
  });

  test("the NMI mask is bit 7 of the index port, which reads as ones", async () => {
    const rtc = await openAt("2026-01-01T00:00:00Z");
    set(rtc, 0x50, 0x11);
    expect(get(rtc, 0x80 | 0x50)).toBe(0x11);
    expect(rtc.read(0)).toBe(0xff);
    rtc.write(0, 0x2250, 2);
    expect(rtc.read(0, 2)).toBe(0x22ff);
  });
});

test("random accesses", async () => {
  const rtc = await openAt("2026-01-01T00:00:00Z");
  fuzz(rtc, [0, 1, 1], 20000, (random) => {
    rtc.write(0, random(16));
    if (random(20) === 0) rtc.now += BigInt(random(2 ** 31)) * 100n;
  });
});

// Clocks and timers at the ends of their ranges: a deadline is in the future or never, and a guest that asks for the shortest
// period of everything leaves the host most of its time.
import { describe, expect, test } from "vitest";
import {
  type Device,
  field,
  loadWithFields,
  MILLISECOND,
  makeDevice,
  NEVER,
  openDevice,
  SECOND,
} from "./device.js";
import { enable, LVTT, open, rdmsr, TDCR, TMCCT, TMICT, toX2apic, wrmsr } from "./lapic.js";

const DEADLINE_MODE = 0x40000;
const PERIODIC = 0x20000;
const ONE_YEAR = 365n * 86400n * SECOND;
const MAX_COUNT = 0xffffffff;
/** Interrupts a second that a guest's periodic timer may cause at most: MIN_TIMER_PERIOD_NS. */
const MOST_PER_SECOND = 20_000;

/** Deadlines that come up in a second of VM time, as the run loop meets them; more than `limit` fails. */
function wakeUps(device: Device, limit: number): number {
  const end = device.now + SECOND;
  let count = 0;
  for (let next = device.deadline; next < end; next = device.deadline) {
    expect(next, "a deadline in the past").toBeGreaterThan(device.now - 1n);
    device.now = next > device.now ? next : device.now + 1n;
    device.call("Advance", device.now);
    if (++count > limit) return count;
  }
  return count;
}

describe("local APIC timer", () => {
  test.each([0x0b, 0, 1, 2, 3, 8, 9, 0x0a])("divider %i: shortest and longest counts", async (divider) => {
    for (const mode of [0, PERIODIC]) {
      for (const count of [0, 1, 2, MAX_COUNT - 1, MAX_COUNT]) {
        const apic = await open();
        apic.now = ONE_YEAR;
        enable(apic);
        apic.write(LVTT, mode | 0xec, 4);
        apic.write(TDCR, divider, 4);
        apic.write(TMICT, count, 4);
        if (count === 0) expect(apic.deadline).toBe(NEVER);
        else expect(apic.deadline).toBeGreaterThan(apic.now);
        expect(apic.read(TMCCT, 4)).toBeLessThanOrEqual(count);
        expect(wakeUps(apic, MOST_PER_SECOND + 1)).toBeLessThanOrEqual(MOST_PER_SECOND + 1);
      }
    }
  });

  test("another divider in the middle of the longest count", async () => {
    const apic = await open();
    enable(apic);
    apic.write(LVTT, PERIODIC | 0xec, 4);
    apic.write(TDCR, 0x0b, 4);
    apic.write(TMICT, MAX_COUNT, 4);
    apic.write(TDCR, 0x0a, 4);
    expect(apic.deadline).toBe(BigInt(MAX_COUNT) * 128n);
    apic.write(TDCR, 0x0b, 4);
    expect(apic.deadline).toBe(BigInt(MAX_COUNT));
  });

  const GHZ = 1_000_000_000n;
  test.each([1_000_000n, GHZ, 2_394_374_123n, 1_000n * GHZ])("TSC deadlines at %i Hz", async (hz) => {
    const apic = await open();
    enable(apic);
    apic.write(LVTT, DEADLINE_MODE | 0xec, 4);
    const tscs = [0n, 1n, 1n << 40n, 1n << 63n, NEVER - 1n, NEVER]; // the last ones are small negative offsets
    const values = [1n, 2n, 1n << 40n, (1n << 40n) + 1n, 1n << 63n, NEVER - 1n, NEVER];
    for (const now of [0n, 5n, ONE_YEAR, 1n << 63n]) {
      apic.now = now;
      for (const tsc of tscs) {
        for (const value of values) {
          apic.call("SetTscDeadline", value, tsc, hz, now);
          const due = value <= tsc;
          expect(apic.call64("TscDeadline", now), `${value} at ${tsc}`).toBe(due ? 0n : value);
          const deadline = apic.deadline;
          if (due) expect(deadline).toBe(NEVER);
          else expect(deadline).toBeGreaterThan(now);
          const exact = now + ((value - tsc) * GHZ) / hz;
          if (!due && exact < NEVER) expect(deadline).toBeGreaterThanOrEqual(exact);
          if (!due && exact >= NEVER) expect(deadline).toBe(NEVER);
        }
      }
    }
  });

  test("x2APIC writes of the extremes", async () => {
    const apic = await open();
    toX2apic(apic);
    enable(apic);
    for (const msr of [0x832, 0x838, 0x83e]) {
      for (const value of [NEVER, 1n << 32n, 1n << 63n]) expect(wrmsr(apic, msr, value)).toBe("#GP");
    }
    expect(rdmsr(apic, 0x838)).toBe(0n);
  });
});

describe("8254", () => {
  test.each([0, 1, 2, 3, 4, 5])("mode %i: shortest and longest counts, binary and BCD", async (mode) => {
    for (const bcd of [0, 1]) {
      for (const count of [0, 1, 2, 3, 0x9999, 0xffff]) {
        const pit = await openDevice("pit8254", "pit8254");
        pit.now = ONE_YEAR;
        pit.write(3, 0x30 | (mode << 1) | bcd);
        pit.write(0, count & 0xff);
        pit.write(0, count >> 8);
        expect(pit.deadline).toBeGreaterThan(pit.now);
        expect(wakeUps(pit, MOST_PER_SECOND + 2)).toBeLessThanOrEqual(MOST_PER_SECOND + 2);
        pit.now += 50n * ONE_YEAR;
        pit.read(0);
        expect(pit.deadline).toBeGreaterThan(pit.now);
      }
    }
  });
});

describe("HPET", () => {
  const [ENABLED, PERIODIC, VAL_SET, MODE32] = [4, 8, 0x40, 0x100];

  test.each([0, PERIODIC, MODE32, PERIODIC | MODE32])(
    "timers of configuration %i: shortest and longest counts",
    async (mode) => {
      for (const start of [0n, ONE_YEAR, 500n * ONE_YEAR]) {
        for (const count of [0n, 1n, 2n, BigInt(MAX_COUNT), 1n << 32n, 1n << 63n, NEVER]) {
          const hpet = await openDevice("hpet", "hpet", 0x00f00000);
          hpet.now = start;
          hpet.write(0x10, 1, 4);
          for (const timer of [0x100, 0x120, 0x140]) {
            hpet.write(timer, ENABLED | VAL_SET | mode, 4);
            hpet.call("Write64", timer + 8, count, hpet.now);
          }
          expect(hpet.deadline).toBeGreaterThan(hpet.now);
          expect(wakeUps(hpet, MOST_PER_SECOND + 4)).toBeLessThanOrEqual(MOST_PER_SECOND + 4);
          hpet.now += 50n * ONE_YEAR;
          hpet.read(0xf0, 4);
          expect(hpet.deadline).toBeGreaterThan(hpet.now);
        }
      }
    },
  );
});

describe("RTC", () => {
  test("every periodic rate is bounded, and alarms of any bytes are in the future or never", async () => {
    const rtc = await openDevice("rtc", "rtc");
    const put = (register: number, value: number) => {
      rtc.write(0, register);
      rtc.write(1, value);
    };
    for (let rate = 0; rate < 16; rate++) {
      put(0x0a, 0x20 | rate);
      put(0x0b, 0x42);
      let wakes = 0;
      const end = rtc.now + SECOND;
      for (let next = rtc.deadline; next < end; next = rtc.deadline) {
        expect(next).toBeGreaterThan(rtc.now);
        rtc.now = next;
        rtc.call("Advance", rtc.now);
        rtc.write(0, 0x0c);
        rtc.read(1); // acknowledges, so that the next one comes
        wakes++;
      }
      rtc.now = end;
      expect(wakes).toBeLessThanOrEqual(8192);
    }
    put(0x0a, 0x26);
    put(0x0b, 0x22);
    for (const byte of [0, 0x59, 0x60, 0x99, 0xaa, 0xbf, 0xc0, 0xff]) {
      for (const register of [1, 3, 5]) put(register, byte);
      const deadline = rtc.deadline;
      expect(deadline === NEVER || deadline > rtc.now).toBe(true);
      if (deadline !== NEVER) expect(deadline - rtc.now).toBeLessThanOrEqual(86_401n * SECOND);
    }
  });

  test("the ends of the calendar", async () => {
    const rtc = await openDevice("rtc", "rtc");
    for (const seconds of [0n, 1n, 253_402_300_799n, 253_402_300_800n, 1n << 40n]) {
      rtc.kernel.exports.rtcSetTime!(rtc.pointer, seconds, rtc.now);
      for (let register = 0; register < 10; register++) {
        rtc.write(0, register);
        const value = rtc.read(1);
        if (![1, 3, 5].includes(register)) expect(value & 15, `register ${register}`).toBeLessThan(10);
      }
      rtc.pass(3n * SECOND);
    }
  });
});

describe("ACPI PM timer", () => {
  test.each([0n, 1n, ONE_YEAR, 500n * ONE_YEAR, NEVER - 1n, NEVER])("at VM time %i", async (now) => {
    const pm = await openDevice("acpi_pm", "acpiPm");
    pm.now = now;
    pm.write(2, 1, 2); // TMR_EN
    pm.write(0, 1, 2);
    const deadline = pm.deadline;
    expect(deadline === NEVER || deadline > now).toBe(true);
    expect(pm.read(8, 4)).toBe(Number(((now * 3_579_545n) / SECOND) & 0xffffffffn));
  });

  test("its interrupt comes with every change of the top bit, ten minutes apart", async () => {
    const pm = await openDevice("acpi_pm", "acpiPm");
    pm.write(2, 1, 2);
    expect(pm.deadline).toBeGreaterThan(599n * SECOND);
    pm.pass(pm.deadline);
    expect(pm.line).toBe(true);
    expect(pm.deadline).toBe(NEVER);
  });
});

describe("UART", () => {
  test.each([0, 1, 0xffff])("character timeout with divisor %i", async (divisor) => {
    const uart = await openDevice("uart16550", "uart16550");
    uart.now = ONE_YEAR;
    uart.write(3, 0x83);
    uart.write(0, divisor & 0xff);
    uart.write(1, divisor >> 8);
    uart.write(3, 0x1f);
    uart.write(2, 0xc1);
    uart.write(1, 1);
    uart.write(4, 8);
    uart.kernel.exports.uart16550Receive!(uart.pointer, 0x41, uart.now);
    expect(uart.deadline).toBeGreaterThan(uart.now);
    expect(uart.deadline - uart.now).toBeLessThan(60n * SECOND);
    uart.pass(uart.deadline - uart.now);
    expect(uart.line).toBe(true);
    expect(uart.deadline).toBe(NEVER);
  });
});

describe("kvm-clock", () => {
  test.each([1_000_000n, 999_999_999n, 1_000_000_000n, 1_000_000_001n, 1_000_000_000_000n])(
    "its factor at %i Hz",
    async (hz) => {
      const kernel = await loadWithFields("kvmclock", "KvmClock", ["multiplier", "shift"]);
      const clock = makeDevice(kernel, "kvmClock", hz);
      const multiplier = BigInt(field(clock, "multiplier"));
      const shift = BigInt(field(clock, "shift") | 0);
      const ticks = hz; // one second
      const shifted = shift >= 0n ? ticks << shift : ticks >> -shift;
      const ns = (shifted * multiplier) >> 32n;
      expect(ns > SECOND ? ns - SECOND : SECOND - ns).toBeLessThan(MILLISECOND / 100n);
    },
  );
});

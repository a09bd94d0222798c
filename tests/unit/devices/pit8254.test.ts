// The 8254 against a clock-by-clock counter written from Intel's data sheet, and against Linux's calibration
// loops.
import { describe, expect, test } from "vitest";
import { ClockedCounter } from "./clocked-8254.js";
import { type Device, fuzz, NEVER, openDevice, randomNumbers, SECOND } from "./device.js";

const HZ = 1_193_182n;
const [CONTROL, PORT_B] = [3, 4] as const;
/** VM time of the `tick`th clock. */
const timeOf = (tick: number) => (BigInt(tick) * SECOND + HZ - 1n) / HZ;

const open = () => openDevice("pit8254", "pit8254");
/** OUT of counter 0, as its status byte shows it. */
function out0(pit: Device): boolean {
  pit.write(CONTROL, 0xe2);
  return (pit.read(0) & 0x80) !== 0;
}
const out2 = (pit: Device) => (pit.read(PORT_B) & 0x20) !== 0;
function latch(pit: Device, counter: number): number {
  pit.write(CONTROL, counter << 6);
  const low = pit.read(counter);
  return low | (pit.read(counter) << 8);
}
function program(pit: Device, counter: number, mode: number, count: number): void {
  pit.write(CONTROL, (counter << 6) | 0x30 | (mode << 1));
  pit.write(counter, count & 0xff);
  pit.write(counter, (count >> 8) & 0xff);
}

describe("against the clocked counter", () => {
  test.each([0, 1, 2, 3, 4, 5])(
    "mode %i: OUT and count at every look, through gates and new counts",
    async (mode) => {
      const random = randomNumbers(1000 + mode);
      for (let run = 0; run < 25; run++) {
        const pit = await open();
        let gate = random(4) !== 0;
        pit.write(PORT_B, gate ? 1 : 0);
        pit.write(CONTROL, 0xb0 | (mode << 1));
        const reference = new ClockedCounter(mode, gate);
        let tick = 0;
        for (let step = 0; step < 60; step++) {
          const action = step === 0 ? 0 : random(8);
          if (action === 0) {
            const count = 2 + random(run % 5 === 0 ? 60000 : 30);
            pit.write(2, count & 0xff);
            pit.write(2, count >> 8);
            reference.write(count);
          } else if (action === 1) {
            gate = !gate;
            pit.write(PORT_B, gate ? 1 : 0);
            reference.setGate(gate);
          }
          expect([run, step, tick, out2(pit)]).toEqual([run, step, tick, reference.out]);
          const ticks = 1 + random(random(3) === 0 ? 70 : 5);
          for (let i = 0; i < ticks; i++) reference.clock();
          tick += ticks;
          pit.now = timeOf(tick);
          expect([run, step, tick, out2(pit)]).toEqual([run, step, tick, reference.out]);
          if (reference.element !== undefined)
            expect([run, step, tick, latch(pit, 2)]).toEqual([run, step, tick, reference.element]);
        }
      }
    },
  );

  test.each([0, 2, 3, 4])(
    "mode %i: every rising edge of OUT 0 is counted, however rarely one looks",
    async (mode) => {
      const random = randomNumbers(77 + mode);
      const pit = await open();
      pit.write(CONTROL, 0x30 | (mode << 1));
      const reference = new ClockedCounter(mode, true);
      pit.call("TakeEdges");
      let [tick, edges] = [0, 0];
      for (let step = 0; step < 300; step++) {
        if (step === 0 || random(10) === 0) {
          const count = 2 + random(40);
          pit.write(0, count);
          pit.write(0, 0);
          reference.write(count);
        }
        const ticks = 1 + random(100);
        for (let i = 0; i < ticks; i++) reference.clock();
        tick += ticks;
        pit.now = timeOf(tick);
        pit.call("Advance", pit.now);
        edges += pit.call("TakeEdges");
        expect([step, edges]).toEqual([step, reference.rises]);
      }
    },
  );
});

describe("Linux", () => {
  test("pit_calibrate_tsc: counter 2 in mode 0 raises OUT after the latch's time", async () => {
    const pit = await open();
    const latchValue = Number(HZ / (1000n / 10n)); // 10 ms
    pit.write(PORT_B, (pit.read(PORT_B) & ~2) | 1);
    pit.write(CONTROL, 0xb0);
    pit.write(2, latchValue & 0xff);
    pit.write(2, latchValue >> 8);
    const start = pit.now;
    while ((pit.read(PORT_B) & 0x20) === 0) pit.now += 500n;
    expect(Math.abs(Number(pit.now - start) - (latchValue / Number(HZ)) * 1e9)).toBeLessThan(2000);
  });

  test("quick_pit_calibrate: the high byte of a count from FFFFh falls once every 256 ticks", async () => {
    const pit = await open();
    pit.write(PORT_B, (pit.read(PORT_B) & ~2) | 1);
    pit.write(CONTROL, 0xb0);
    pit.write(2, 0xff);
    pit.write(2, 0xff);
    const high = () => {
      pit.read(2);
      return pit.read(2);
    };
    pit.now = timeOf(2);
    expect(high()).toBe(0xff);
    const changes: number[] = [];
    for (let [tick, last] = [2, 0xff]; changes.length < 8; tick++) {
      pit.now = timeOf(tick);
      const value = high();
      if (value !== last) changes.push(tick);
      last = value;
    }
    expect(changes.slice(1).map((at, i) => at - (changes[i] as number))).toEqual(Array(7).fill(256));
  });

  test("periodic ticks at HZ=250: 250 edges in a second, each announced by a deadline", async () => {
    const pit = await open();
    program(pit, 0, 2, 4773); // LATCH for 250 Hz
    pit.call("TakeEdges");
    let ticks = 0;
    while (pit.deadline <= SECOND) {
      pit.now = pit.deadline;
      pit.call("Advance", pit.now);
      expect(pit.call("TakeEdges")).toBe(1);
      ticks++;
    }
    expect(ticks).toBe(249); // 250 x 4773 ticks are a little more than a second
    expect(out0(pit)).toBe(true);
  });

  test("one-shot events use mode 4: one edge, one tick after the count", async () => {
    const pit = await open();
    pit.write(CONTROL, 0x38);
    expect(pit.call("TakeEdges")).toBe(1); // OUT was low
    pit.write(0, 0x10);
    pit.write(0, 0x27);
    expect(pit.deadline).toBe(timeOf(1 + 10000 + 1));
    pit.pass(SECOND);
    expect([pit.call("TakeEdges"), pit.deadline]).toEqual([1, NEVER]);
  });

  test("shutting the timer down leaves no deadline", async () => {
    const pit = await open();
    program(pit, 0, 2, 1000);
    pit.write(CONTROL, 0x30);
    expect([pit.deadline, out0(pit)]).toEqual([NEVER, false]);
  });
});

describe("programming", () => {
  test("access modes: low byte only, high byte only", async () => {
    const pit = await open();
    pit.write(CONTROL, 0x14);
    pit.write(0, 0x80);
    pit.now = timeOf(1);
    expect(pit.read(0)).toBe(0x80);
    expect(pit.read(0)).toBe(0x80);
    pit.write(CONTROL, 0x24);
    pit.write(0, 0x12);
    pit.now = timeOf(2);
    expect(pit.read(0)).toBe(0x12);
  });

  test("a zero count is 65536, in BCD 10000", async () => {
    const pit = await open();
    program(pit, 0, 2, 0);
    expect(pit.deadline).toBe(timeOf(65537));
    pit.write(CONTROL, 0x35);
    pit.write(0, 0);
    pit.write(0, 0);
    expect(pit.deadline).toBe(timeOf(10001));
  });

  test("BCD counts read and write as decimal digits, and wrap below zero to 9999", async () => {
    const pit = await open();
    pit.write(CONTROL, 0x31);
    pit.write(0, 0x34);
    pit.write(0, 0x12);
    pit.now = timeOf(1 + 34);
    expect(latch(pit, 0)).toBe(0x1200);
    pit.now = timeOf(1 + 1235);
    expect(latch(pit, 0)).toBe(0x9999);
  });

  test("a latched count stays until both bytes are read; a second latch is ignored", async () => {
    const pit = await open();
    program(pit, 0, 2, 0x1234);
    pit.now = timeOf(1);
    pit.write(CONTROL, 0);
    pit.now = timeOf(100);
    pit.write(CONTROL, 0);
    expect([pit.read(0), pit.read(0)]).toEqual([0x34, 0x12]);
    expect([pit.read(0), pit.read(0)]).toEqual([(0x1234 - 99) & 0xff, (0x1234 - 99) >> 8]);
  });

  test("read-back latches status before count, of several counters", async () => {
    const pit = await open();
    program(pit, 0, 3, 0x0100);
    program(pit, 2, 0, 0x0200); // its gate is closed: loaded, not counting
    pit.write(CONTROL, 0xe0 | 0x0a); // status of 0 and 2
    expect([pit.read(0), pit.read(2)]).toEqual([0x80 | 0x40 | 0x30 | 0x06, 0x40 | 0x30]);
    pit.now = timeOf(3);
    pit.write(CONTROL, 0xc0 | 0x02); // both of 0
    expect([pit.read(0), pit.read(0), pit.read(0)]).toEqual([0xb6, 0xfc, 0x00]);
  });

  test("new counts in mode 2 wait for the period's end, in mode 3 for the half-period's", async () => {
    const pit = await open();
    program(pit, 0, 2, 1000);
    pit.now = timeOf(500);
    pit.write(0, 100);
    pit.write(0, 0);
    pit.write(CONTROL, 0xe2);
    expect(pit.read(0) & 0x40).toBe(0x40); // null count
    expect(pit.deadline).toBe(timeOf(1001));
    pit.pass(pit.deadline - pit.now);
    expect(pit.deadline).toBe(timeOf(1101));
  });

  test("port B keeps four bits and toggles the refresh bit about every 15 microseconds", async () => {
    const pit = await open();
    pit.write(PORT_B, 0xff);
    expect(pit.read(PORT_B) & 0x0f).toBe(0x0f);
    let toggles = 0;
    for (let last = pit.read(PORT_B) & 0x10; pit.now < 1_000_000n; pit.now += 1000n) {
      const bit = pit.read(PORT_B) & 0x10;
      if (bit !== last) toggles++;
      last = bit;
    }
    expect([66, 67]).toContain(toggles); // 1 ms / 15.09 us
  });
});

test("counts stay exact after years", async () => {
  const pit = await open();
  pit.now = 10n * 365n * 86400n * SECOND;
  program(pit, 0, 2, 11932);
  const tick = (pit.now * HZ) / SECOND;
  expect(pit.deadline).toBe(((tick + 11933n) * SECOND + HZ - 1n) / HZ);
});

test("random accesses", async () => {
  const pit = await open();
  fuzz(pit, [0, 1, 2, 3, 3, 4], 20000, () => pit.call("TakeEdges"));
});

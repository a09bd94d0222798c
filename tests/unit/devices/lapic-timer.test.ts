// The local APIC's timer: one-shot, periodic and TSC-deadline.
import { describe, expect, test } from "vitest";
import { MILLISECOND, NEVER, SECOND } from "./device.js";
import { acknowledge, enable, eoi, LVTT, MASKED, open, pending, TDCR, TMCCT, TMICT } from "./lapic.js";

describe("timer", () => {
  test("Linux's calibration: 10^9 counts per second, divided by each divisor", async () => {
    for (const [code, divisor] of [
      [0x0b, 1n],
      [0, 2n],
      [1, 4n],
      [2, 8n],
      [3, 16n],
      [8, 32n],
      [9, 64n],
      [0x0a, 128n],
    ] as const) {
      const apic = await open();
      enable(apic);
      apic.write(LVTT, MASKED | 0x20000 | 0xec, 4);
      apic.write(TDCR, code, 4);
      apic.write(TMICT, 0xffffffff, 4);
      apic.pass(100n * MILLISECOND);
      expect(0xffffffff - apic.read(TMCCT, 4)).toBe(Number((100n * MILLISECOND) / divisor));
    }
  });

  test("one-shot fires once, exactly at zero", async () => {
    const apic = await open();
    enable(apic);
    apic.write(LVTT, 0xec, 4);
    apic.write(TDCR, 3, 4);
    apic.write(TMICT, 1000, 4);
    expect(apic.deadline).toBe(16000n);
    apic.pass(15999n);
    expect(pending(apic)).toBe(-1);
    expect(apic.read(TMCCT, 4)).toBe(1);
    apic.pass(1n);
    expect(acknowledge(apic)).toBe(0xec);
    eoi(apic);
    expect([apic.read(TMCCT, 4), apic.deadline]).toEqual([0, NEVER]);
    apic.pass(SECOND);
    expect(pending(apic)).toBe(-1);
  });

  test("periodic goes on without drift; missed periods merge", async () => {
    const apic = await open();
    enable(apic);
    apic.write(TDCR, 0x0b, 4);
    apic.write(LVTT, 0x20000 | 0xec, 4);
    apic.write(TMICT, 1_000_000, 4);
    for (let i = 1n; i <= 5n; i++) {
      expect(apic.deadline).toBe(i * MILLISECOND);
      apic.pass(apic.deadline - apic.now);
      expect(acknowledge(apic)).toBe(0xec);
      eoi(apic);
    }
    apic.now += 10n * MILLISECOND + 500n;
    apic.call("Advance", apic.now);
    expect(apic.deadline).toBe(16n * MILLISECOND);
    expect(acknowledge(apic)).toBe(0xec);
    eoi(apic);
    expect(pending(apic)).toBe(-1);
    apic.write(TMICT, 0, 4);
    expect(apic.deadline).toBe(NEVER);
  });

  test("a hostile period is stretched, so that the guest gets to run", async () => {
    const apic = await open();
    enable(apic);
    apic.write(TDCR, 0x0b, 4);
    apic.write(LVTT, 0x20000 | 0xec, 4);
    apic.write(TMICT, 1, 4);
    apic.now += 1n;
    apic.call("Advance", apic.now);
    expect(apic.deadline - apic.now).toBeGreaterThanOrEqual(50_000n);
  });

  test("masked, it counts but neither interrupts nor asks for attention", async () => {
    const apic = await open();
    enable(apic);
    apic.write(TDCR, 0x0b, 4);
    apic.write(LVTT, MASKED | 0x20000 | 0xec, 4);
    apic.write(TMICT, 1000, 4);
    expect(apic.deadline).toBe(NEVER);
    apic.pass(1500n);
    expect(pending(apic)).toBe(-1);
  });

  test("TSC-deadline: fires when the TSC gets there, reads back until then, zero disarms", async () => {
    const apic = await open();
    const hz = 2_500_000_000n;
    enable(apic);
    const arm = (value: bigint, tsc: bigint) => apic.call("SetTscDeadline", value, tsc, hz, apic.now);
    arm(1000n, 0n);
    expect(apic.call64("TscDeadline", apic.now)).toBe(0n); // not in that mode
    apic.write(LVTT, 0x40000 | 0xec, 4);
    arm(5_000_000_000n, 2_500_000_000n); // one second ahead
    expect(apic.deadline - SECOND).toBeLessThanOrEqual(1n);
    expect(apic.deadline).toBeGreaterThanOrEqual(SECOND);
    expect(apic.call64("TscDeadline", apic.now)).toBe(5_000_000_000n);
    apic.write(TMICT, 100, 4); // ignored in this mode
    expect(apic.read(TMCCT, 4)).toBe(0);
    apic.pass(2n * SECOND);
    expect(acknowledge(apic)).toBe(0xec);
    eoi(apic);
    expect(apic.call64("TscDeadline", apic.now)).toBe(0n);
    arm(7_500_000_000n, 5_000_000_000n);
    arm(0n, 5_000_000_000n);
    expect(apic.deadline).toBe(NEVER);
    arm(1n, 5_000_000_000n); // in the past: at once
    expect(acknowledge(apic)).toBe(0xec);
    eoi(apic);
    arm(2n ** 64n - 1n, 5_000_000_000n); // "never" of some guests
    expect(apic.deadline).toBeGreaterThan(10n ** 17n);
    apic.write(LVTT, 0xec, 4); // leaving the mode disarms
    expect(apic.deadline).toBe(NEVER);
  });

  test("changing the divisor rescales what is left", async () => {
    const apic = await open();
    enable(apic);
    apic.write(LVTT, 0xec, 4);
    apic.write(TDCR, 0x0b, 4);
    apic.write(TMICT, 1000, 4);
    apic.pass(400n);
    apic.write(TDCR, 0, 4);
    expect(apic.read(TMCCT, 4)).toBe(600);
    expect(apic.deadline).toBe(400n + 1200n);
  });
});

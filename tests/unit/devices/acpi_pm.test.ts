// ACPI fixed hardware against the ACPI specification and Linux's use of it.
import { expect, test } from "vitest";
import { type Device, field, fuzz, loadWithFields, makeDevice, NEVER, SECOND } from "./device.js";

const [STATUS, ENABLE, CONTROL, TIMER] = [0, 2, 4, 8] as const;
const open = async () =>
  makeDevice(await loadWithFields("acpi_pm", "AcpiPm", ["powerOffRequested"]), "acpiPm");

test("the machine is in ACPI mode from the start", async () => {
  const pm = await open();
  expect(pm.read(CONTROL, 2)).toBe(0x0001);
  pm.write(CONTROL, 0, 2);
  expect(pm.read(CONTROL, 2) & 1).toBe(1);
});

test("the timer counts 3.579545 MHz, in 32 bits, without drift", async () => {
  const pm = await open();
  for (const seconds of [0n, 1n, 10n, 600n, 1200n, 86400n, 10n * 365n * 86400n]) {
    pm.now = seconds * SECOND;
    expect(pm.read(TIMER, 4)).toBe(Number((seconds * 3_579_545n) % 2n ** 32n));
  }
  pm.now += 279n; // less than a tick of 279.365 ns
  expect(pm.read(TIMER, 4)).toBe(Number((10n * 365n * 86400n * 3_579_545n) % 2n ** 32n));
  pm.write(TIMER, 0x12345678, 4);
  pm.now += 1n;
  expect(pm.read(TIMER, 4)).toBe(Number((10n * 365n * 86400n * 3_579_545n + 1n) % 2n ** 32n));
});

test("Linux's check: successive reads never go backwards but for the wrap", async () => {
  const pm = await open();
  let last = pm.read(TIMER, 4);
  for (let i = 0; i < 1000; i++) {
    pm.now += 137n;
    const value = pm.read(TIMER, 4);
    expect(value).toBeGreaterThanOrEqual(last);
    last = value;
  }
});

test("the timer's status rises when its top bit changes, and interrupts if enabled", async () => {
  const pm = await open();
  expect(pm.deadline).toBe(NEVER);
  pm.write(ENABLE, 0x0001, 2);
  const half = (2n ** 31n * SECOND) / 3_579_545n;
  expect(pm.deadline - half).toBeLessThanOrEqual(1n);
  pm.pass(half);
  expect(pm.line).toBe(false);
  pm.pass(1n);
  expect([pm.line, pm.read(STATUS, 2) & 1]).toEqual([true, 1]);
  pm.write(STATUS, 1, 2);
  expect(pm.line).toBe(false);
  expect(pm.deadline - 2n * half).toBeLessThanOrEqual(2n);
});

test("power off: S5 needs both the type and the enable bit, in one write or two", async () => {
  const requested = (pm: Device) => field(pm, "powerOffRequested");
  for (const write of [
    (pm: Device) => pm.write(CONTROL, (5 << 10) | (1 << 13), 2),
    (pm: Device) => {
      pm.write(CONTROL, 5 << 10, 2);
      pm.write(CONTROL, (5 << 10) | (1 << 13), 2);
    },
    (pm: Device) => pm.write(CONTROL + 1, (5 << 2) | (1 << 5), 1),
  ]) {
    const pm = await open();
    pm.write(CONTROL, (1 << 10) | (1 << 13), 2); // S1 does not exist
    pm.write(CONTROL, 5 << 10, 2);
    expect(requested(pm)).toBe(0);
    write(pm);
    expect(requested(pm)).toBe(1);
    expect(pm.read(CONTROL, 2) & (1 << 13)).toBe(0); // SLP_EN is write-only
  }
});

test("enable bits that name no event stay zero; a 32-bit access spans status and enable", async () => {
  const pm = await open();
  pm.write(ENABLE, 0xffff, 2);
  expect(pm.read(STATUS, 4)).toBe(0x07210000);
  expect(pm.read(0x0e, 4)).toBe(0xffff0000);
});

test("random accesses", async () => {
  const pm = await open();
  fuzz(
    pm,
    Array.from({ length: 16 }, (_, i) => i),
    20000,
    (random) => {
      if (random(10) === 0) pm.now += BigInt(random(2 ** 31)) * 1000n;
    },
  );
});

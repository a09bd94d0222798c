// The kvm-clock, read back with the guest's own arithmetic (Linux's pvclock).
import { expect, test } from "vitest";
import { type KernelModule, loadKernel } from "../harness.js";
import { randomNumbers } from "./device.js";

const BUFFER = 0x3f0000; // linear memory that nothing uses

async function open(hz: bigint): Promise<{ kernel: KernelModule; clock: number }> {
  const kernel = await loadKernel(["kernel/devices/kvmclock.ts"]);
  const clock = kernel.exports.kvmClockNew?.() as number;
  kernel.exports.kvmClockReset?.(clock, hz);
  return { kernel, clock };
}

/** __pvclock_read_cycles: the time that a guest computes at TSC value `tsc`. */
function guestTime(memory: DataView, tsc: bigint): bigint {
  const shift = memory.getInt8(BUFFER + 28);
  const multiplier = BigInt(memory.getUint32(BUFFER + 24, true));
  const delta = BigInt.asUintN(64, tsc - memory.getBigUint64(BUFFER + 8, true));
  const scaled = shift < 0 ? delta >> BigInt(-shift) : BigInt.asUintN(64, delta << BigInt(shift));
  return memory.getBigUint64(BUFFER + 16, true) + ((scaled * multiplier) >> 32n);
}

test("the guest's time follows the TSC at any rate, within half a part per billion", async () => {
  const random = randomNumbers(11);
  const rates = [
    1n,
    1000n,
    32768n,
    999_999_999n,
    1_000_000_000n,
    1_000_000_001n,
    2_000_000_000n,
    2_000_000_001n,
    2_000_000_002n,
    4_000_000_001n,
    10_000_000_000n,
  ];
  for (let i = 0; i < 200; i++) rates.push(100_000_000n + BigInt(random(2 ** 31)) * 4n);
  for (const hz of rates) {
    const { kernel, clock } = await open(hz);
    const tsc0 = BigInt(random(2 ** 31)) << 20n;
    kernel.exports.kvmClockFill?.(clock, BUFFER, tsc0, 123_456_789n);
    const hour = 3_600_000_000_000n;
    const time = guestTime(kernel.memory, tsc0 + 3600n * hz) - 123_456_789n;
    const error = time > hour ? time - hour : hour - time;
    expect([hz, error <= hour / 2_000_000_000n + 2n]).toEqual([hz, true]);
  }
});

test("the layout: even versions that grow, zero padding, the stable flag", async () => {
  const { kernel, clock } = await open(2_500_000_000n);
  new Uint8Array(kernel.memory.buffer, BUFFER, 32).fill(0xff);
  kernel.exports.kvmClockFill?.(clock, BUFFER, 5n, 7n);
  const first = kernel.memory.getUint32(BUFFER, true);
  expect([
    first % 2,
    kernel.memory.getUint32(BUFFER + 4, true),
    kernel.memory.getUint8(BUFFER + 29),
    kernel.memory.getUint16(BUFFER + 30, true),
  ]).toEqual([0, 0, 1, 0]);
  expect([
    kernel.memory.getBigUint64(BUFFER + 8, true),
    kernel.memory.getBigUint64(BUFFER + 16, true),
  ]).toEqual([5n, 7n]);
  kernel.exports.kvmClockFill?.(clock, BUFFER, 6n, 8n);
  expect(kernel.memory.getUint32(BUFFER, true)).toBe(first + 2);
});

test("the wall clock is the date at VM time zero", async () => {
  const { kernel, clock } = await open(1_000_000_000n);
  kernel.exports.kvmWallClockFill?.(clock, BUFFER, 1_795_305_600_123_456_789n);
  expect([0, 4, 8].map((offset) => kernel.memory.getUint32(BUFFER + offset, true))).toEqual([
    2, 1_795_305_600, 123_456_789,
  ]);
});

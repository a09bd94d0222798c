import { expect, test } from "vitest";
import { loadKernel } from "../harness.ts";

const HOUR = 3_600_000_000_000n;

test.each([1_000_000n, 50_000_000n, 999_999_999n, 1_000_000_000n, 2_394_374_123n, 5_000_000_001n])(
  "at %i Hz an hour is exact to better than 1 ppm both ways",
  async (hz) => {
    const { exports } = await loadKernel(["kernel/arch/clock.ts"]);
    exports.clockSet!(hz);
    const ticks = BigInt.asUintN(64, exports.tscFromNs!(HOUR) as bigint);
    const exact = (HOUR * hz) / 1_000_000_000n;
    const error = ticks > exact ? ticks - exact : exact - ticks;
    expect(error * 1_000_000n).toBeLessThan(exact);
    const back = BigInt.asUintN(64, exports.nsFromTsc!(exact) as bigint);
    expect((back > HOUR ? back - HOUR : HOUR - back) * 1_000_000n).toBeLessThan(HOUR);
  },
);

test("a rate that no processor has is a bug", async () => {
  const { exports } = await loadKernel(["kernel/arch/clock.ts"]);
  expect(() => exports.clockSet!(0n)).toThrow();
});

const MAX = 2n ** 64n - 1n;

test.each([1_000_000n, 999_999_999n, 1_000_000_000n, 1_000_000_001n, 2_394_374_123n, 1_000_000_000_000n])(
  "at %i Hz the extremes saturate and never wrap",
  async (hz) => {
    const { exports } = await loadKernel(["kernel/arch/clock.ts"]);
    exports.clockSet!(hz);
    for (const [convert, numerator, denominator] of [
      ["nsFromTsc", 1_000_000_000n, hz],
      ["tscFromNs", hz, 1_000_000_000n],
    ] as const) {
      const edge = (MAX * denominator) / numerator;
      const values = [
        0n,
        1n,
        1n << 32n,
        1n << 63n,
        MAX - 1n,
        MAX,
        edge - edge / 1000n,
        edge,
        edge + edge / 1000n,
      ];
      for (const value of values.filter((v) => v <= MAX)) {
        const got = BigInt.asUintN(64, exports[convert]!(value) as bigint);
        const exact = (value * numerator) / denominator;
        const wanted = exact > MAX ? MAX : exact;
        const error = got > wanted ? got - wanted : wanted - got;
        expect(error, `${convert} ${value}: ${got}`).toBeLessThanOrEqual(1n + wanted / 1_000_000n);
      }
    }
  },
);

test.each([1_000_000n, 1_000_000_000n, 2_394_374_123n])(
  "at %i Hz a time after any start is past it, or never",
  async (hz) => {
    const { exports } = await loadKernel(["kernel/arch/clock.ts"]);
    exports.clockSet!(hz);
    const extremes = [0n, 1n, 1000n, 1n << 40n, 1n << 62n, 1n << 63n, MAX - 1000n, MAX - 1n, MAX];
    for (const start of extremes) {
      for (const ns of extremes) {
        const at = BigInt.asUintN(64, exports.tscAfter!(start, ns) as bigint);
        expect(at === MAX || at > start, `${ns} ns after ${start}: ${at}`).toBe(true);
        if (ns === MAX) expect(at).toBe(MAX);
      }
    }
  },
);

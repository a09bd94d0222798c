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

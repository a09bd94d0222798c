import { expect, test } from "vitest";
import { loadKernel } from "./harness.js";

test("the arena hands out aligned, disjoint storage and refuses after sealing", async () => {
  const { exports } = await loadKernel(["kernel/lib/arena.ts"]);
  const first = exports.arenaAlloc!(5, 16) as number;
  const second = exports.arenaAlloc!(64, 64) as number;
  expect(first % 16).toBe(0);
  expect(second % 64).toBe(0);
  expect(second).toBeGreaterThanOrEqual(first + 5);
  exports.arenaSeal!();
  expect(() => exports.arenaAlloc!(1, 16)).toThrow();
});

test("the arena refuses a request past its end", async () => {
  const { exports } = await loadKernel(["kernel/lib/arena.ts"]);
  expect(() => exports.arenaAlloc!(64 << 20, 16)).toThrow();
});

// The commands that npm runs for developers: a mistake in using one is a line that says which, not a stack trace.
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { ROOT } from "../../tools/lib/paths.ts";

test.each<[script: string, args: string[], says: RegExp]>([
  ["tools/study/boot.ts", ["--bogus"], /^study: Unknown option '--bogus'/],
  ["bench/main.ts", ["--no-boots"], /^bench: Unknown option '--no-boots'/],
  ["bench/aot/bench.ts", ["nowhere"], /^bench:aot: .*nowhere/],
  ["tests/aot/spec.ts", ["nowhere"], /^spec: .*nowhere/],
  [
    "tests/aot/fuzz/fuzz.ts",
    ["--minutes", "x"],
    /^fuzz: --minutes x: expected a whole number, at least 1\.$/m,
  ],
  [
    "tests/aot/fuzz/fuzz.ts",
    ["--minutes", "0"],
    /^fuzz: --minutes 0: expected a whole number, at least 1\.$/m,
  ],
  ["tests/aot/fuzz/fuzz.ts", ["--seed", "1.5"], /^fuzz: --seed 1\.5: expected a whole number\.$/m],
])("%s %j", (script, args, says) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", script, ...args], {
    cwd: ROOT,
    encoding: "utf8",
  });
  expect(stderr).toMatch(says);
  expect(stderr).not.toMatch(/^ +at /m);
  expect([status, stdout]).toEqual([2, ""]);
});

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findDifference, type Plan } from "./fuzz/compare.ts";

// Modules that were once translated wrongly: found by `npm run fuzz:aot`, shrunk, and kept. They must behave as in V8.

const DIRECTORY = new URL("regressions/", import.meta.url).pathname;

function planOf(file: string): Plan {
  const stored = JSON.parse(readFileSync(join(DIRECTORY, file), "utf8"));
  const calls = stored.calls.map((call: { args: string[] }) => ({ ...call, args: call.args.map(BigInt) }));
  return { ...stored, calls };
}

describe("regressions", () => {
  for (const file of readdirSync(DIRECTORY).filter((f) => f.endsWith(".json"))) {
    const bytes = readFileSync(join(DIRECTORY, file.replace(".json", ".wasm")));
    for (const registers of [7, undefined]) {
      it(`${file}${registers ? ` with ${registers} registers` : ""}`, () => {
        const plan = planOf(file);
        expect(findDifference(bytes, registers ? { ...plan, registers } : plan)).toBeNull();
      });
    }
  }
});

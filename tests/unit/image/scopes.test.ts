// Functions of the sources are kept from one build to the next, by the contents of the files.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readScopes, updateScopes } from "../../../tools/image/scopes.ts";

const PLAIN = "function first() {}\nfunction second() {}\n";

let directory: string;
let kept: string;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "typevisor-scopes-"));
  kept = join(directory, "scopes.json");
  const sources = new Map([
    ["a.ts", PLAIN],
    ["b.ts", PLAIN],
  ]);
  await updateScopes(kept, "one", sources);
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

test("they are found by file and line", () => {
  const scopes = readScopes(kept);
  expect([scopes.find("a.ts", 1), scopes.find("b.ts", 2)]).toEqual(["first", "second"]);
});

test("of a file that changed they are found anew, and of one that is gone there are none", async () => {
  await updateScopes(kept, "one", new Map([["a.ts", `// more\n${PLAIN}`]]));
  const scopes = readScopes(kept);
  expect([2, 3].map((line) => scopes.find("a.ts", line))).toEqual(["first", "second"]);
  expect(scopes.find("b.ts", 1)).toBe("");
});

/** Puts another name where the first function's is kept. */
function rename(): void {
  writeFileSync(kept, readFileSync(kept, "utf8").replaceAll("first", "other"));
}

test("a file that did not change is not parsed again, unless the parser did", async () => {
  rename();
  await updateScopes(kept, "one", new Map([["a.ts", PLAIN]]));
  expect(readScopes(kept).find("a.ts", 1)).toBe("other");
  await updateScopes(kept, "two", new Map([["a.ts", PLAIN]]));
  expect(readScopes(kept).find("a.ts", 1)).toBe("first");
});

test("what an interrupted build left is ignored", async () => {
  writeFileSync(kept, readFileSync(kept, "utf8").slice(0, 50));
  await updateScopes(kept, "one", new Map([["a.ts", PLAIN]]));
  expect(readScopes(kept).find("a.ts", 2)).toBe("second");
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { findFlats } from "./main.ts";
import { compareRuns, describeRun, readSubtests, summarize } from "./results.ts";

const CONSOLE =
  "enabling apic\r\nPASS: one\r\nFAIL: two: 0x1234\r\nSKIP: three\r\nXFAIL: four\r\nSUMMARY: 4 tests\r\n";

test("subtests are the lines with a verdict; an expected failure is none", () => {
  expect(readSubtests(CONSOLE)).toEqual([
    { verdict: "PASS", name: "one" },
    { verdict: "FAIL", name: "two: 0x1234" },
    { verdict: "SKIP", name: "three" },
    { verdict: "PASS", name: "four" },
  ]);
});

test.each([
  [1, "passed", true],
  [3, "failed with 1", false],
  [77, "skipped", true],
  [127, "aborted", false],
  [undefined, "triple fault", false],
  [12, "triple fault", false],
])("the end with status %s", (status, end, good) => {
  expect(describeRun(CONSOLE, status, "triple fault")).toMatchObject({ end, good });
});

test("two runs: values in names do not matter, repeated names are told apart, only what bare passes is worse", () => {
  const ours = describeRun("PASS: a\nFAIL: a\nFAIL: at 0x12ab\nFAIL: c\nPASS: rip 12345\n", 3, "");
  const bare = describeRun("PASS: a\nPASS: a\nPASS: at 0x99ff\nFAIL: c\nPASS: rip 777\nPASS: d\n", 1, "");
  const { rows, worse } = compareRuns(ours, bare);
  expect(rows).toHaveLength(6);
  expect(rows.at(-1)).toEqual({ name: "d", ours: undefined, bare: "PASS" });
  expect(worse).toEqual(["a", "at 0x12ab"]);
  expect(summarize(ours)).toBe("2 PASS, 3 FAIL, 0 SKIP, failed with 1");
});

test("an end before the tests' own is worse when bare comes to it", () => {
  const bare = describeRun("PASS: a\n", 1, "");
  expect(compareRuns(describeRun("", undefined, "stopped after 60 s"), bare).worse).toEqual([
    "its end: stopped after 60 s",
  ]);
  expect(compareRuns(describeRun("", 77, ""), bare).worse).toEqual([]);
  expect(compareRuns(describeRun("", undefined, "x"), describeRun("", undefined, "y")).worse).toEqual([]);
});

test("a directory that is no built tree is refused in words", () => {
  const tree = mkdtempSync(join(tmpdir(), "typevisor-kut-"));
  onTestFinished(() => rmSync(tree, { recursive: true }));
  expect(() => findFlats(tree)).toThrow(/is no tree of kvm-unit-tests/);
  mkdirSync(join(tree, "x86"));
  expect(() => findFlats(tree)).toThrow(/holds no \*\.flat: run `\.\/configure && make`/);
  for (const name of ["b.flat", "a.flat", "a.o"]) writeFileSync(join(tree, "x86", name), "");
  expect(findFlats(tree)).toEqual([join(tree, "x86/a.flat"), join(tree, "x86/b.flat")]);
  expect(findFlats(tree, "b")).toEqual([join(tree, "x86/b.flat")]);
  expect(() => findFlats(tree, "c")).toThrow(/--only c: .* holds no such flat/);
});

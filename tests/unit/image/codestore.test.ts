// The file that keeps the code of functions from one build to the next.
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { StoredCode } from "../../../tools/aot/reuse.ts";
import { openCodeStore } from "../../../tools/image/codestore.ts";

const VERSION = "one";

function codeOf(n: number): StoredCode {
  const text: StoredCode["text"] = [[0], `  mov eax, ${n}`, [1, 8, "unreachable"], "  ud2"];
  return { functions: [n], globals: [], text, rodata: [], entry: [0], frameBytes: 8 };
}

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "typevisor-codes-"));
  file = join(directory, "codes");
  const store = openCodeStore(file, VERSION);
  for (let n = 0; n < 20; n++) store.set(`key ${n}`, codeOf(n));
  store.save();
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** How many of the functions are there, each as it was stored. */
function found(version = VERSION): number {
  const store = openCodeStore(file, version);
  const codes = Array.from({ length: 20 }, (_, n) => store.get(`key ${n}`));
  codes.forEach((code, n) => {
    if (code) expect(code).toEqual(codeOf(n));
  });
  return codes.filter((code) => code).length;
}

test("what was stored is there when it is opened again", () => {
  expect(found()).toBe(20);
});

test("without a file it is empty", () => {
  rmSync(file);
  expect(found()).toBe(0);
});

test("code of another version of the compiler is not taken", () => {
  expect(found("two")).toBe(0);
});

test("a damaged file is as none, wherever the damage is", () => {
  const whole = readFileSync(file);
  for (let at = 0; at < whole.length; at += 7) {
    const damaged = Buffer.from(whole);
    damaged[at]! ^= 1;
    writeFileSync(file, damaged);
    expect(found(), `byte ${at}`).toBe(0);
  }
});

test.each([0, 1, 64, 65, 500])("a file cut short after %i bytes is as none", (length) => {
  truncateSync(file, length);
  expect(found()).toBe(0);
});

test("it stays within its size: what was used last is kept, then the latest of the rest", () => {
  const maxBytes = statSync(file).size / 2;
  for (let build = 0; build < 5; build++) {
    const store = openCodeStore(file, VERSION, maxBytes);
    store.get("key 19");
    store.set(`build ${build}`, codeOf(100 + build));
    store.save();
    expect(statSync(file).size).toBeLessThan(maxBytes + 200);
  }
  const store = openCodeStore(file, VERSION);
  expect(store.get("key 19")).toEqual(codeOf(19));
  expect(store.get("build 4")).toEqual(codeOf(104));
  expect(store.get("build 3")).toEqual(codeOf(103));
  expect(store.get("key 18")).toBeUndefined();
});

test("what one build needs is kept whole, even beyond that size", () => {
  const store = openCodeStore(file, VERSION, 1);
  for (let n = 0; n < 20; n++) store.get(`key ${n}`);
  store.save();
  expect(found()).toBe(20);
});

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { compile, PASS_NAMES } from "../../tools/aot/compile.ts";
import { assemble } from "./wat.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const MODULE = `(module (memory 1)
  (func $twice (export "twice") (param i32) (result i32) (i32.add (local.get 0) (local.get 0)))
  (func $other (export "other") (param i32) (result i32) (i32.load (local.get 0))))`;

const directory = mkdtempSync(join(tmpdir(), "typevisor-aot-command-"));
const wasm = join(directory, "in.wasm");
writeFileSync(wasm, assemble(MODULE));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function aot(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ["--import", "tsx", "tools/aot/main.ts", ...args], {
    cwd: ROOT,
    encoding: "utf8",
  });
}

test("every pass can be dumped by its name, once for each function", () => {
  for (const name of PASS_NAMES) {
    const dumped: string[] = [];
    compile(assemble(MODULE), { dump: [name], onDump: (pass, text) => dumped.push(`${pass}: ${text}`) });
    expect(dumped.map((text) => text.slice(0, text.indexOf(":")))).toEqual([name, name]);
    expect(dumped[0]).toMatch(/twice/);
    expect(dumped[1]).toMatch(/other/);
  }
});

test("all passes are dumped in order", () => {
  const order: string[] = [];
  const one = assemble(`(module (func (export "f")))`);
  compile(one, { dump: ["all"], onDump: (pass) => order.push(pass) });
  expect(order).toEqual(PASS_NAMES);
});

test("--dump prints the stages of the functions that --only names", () => {
  const { status, stdout } = aot(wasm, "--dump=select,emit", "--only", "twice");
  expect(status).toBe(0);
  expect(stdout).toMatch(/^--- select\nfunc 0 "twice".*--- emit\n; twice\ntv_twice:/s);
  expect(stdout).not.toContain("other");
});

test("--hot inlines for speed between the functions that it names", () => {
  const file = join(directory, "hot.wasm");
  const work = Array.from(
    { length: 20 },
    (_, i) => `(i32.store offset=${i * 4} (local.get 0) (local.get 1))`,
  );
  const callers = ["hot_one", "hot_two"].map(
    (name) =>
      `(func $${name} (export "${name}") (param i32 i32) (call $hot_work (local.get 0) (local.get 1)))`,
  );
  writeFileSync(
    file,
    assemble(`(module (memory 1) (func $hot_work (param i32 i32) ${work.join("")}) ${callers.join("")})`),
  );
  const emitted = (...hot: string[]) => aot(file, "--dump=emit", "--only", "hot_one", ...hot).stdout;
  expect(emitted()).toContain("tv_function_0");
  expect(emitted("--hot", "^cold_")).toContain("tv_function_0");
  expect(emitted("--hot", "^hot_")).not.toContain("tv_function_0");
  expect(aot(file, "--hot", "(").stderr).toMatch(/^aot: --hot: Invalid regular expression: .*\n$/);
});

test("a pass that does not exist is an error that lists those that do", () => {
  const { status, stdout, stderr } = aot(wasm, "--dump=ssa,licm");
  expect(status).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toContain(
    `there is no pass "licm" to dump; the passes are ${PASS_NAMES.join(", ")}, or all`,
  );
});

test("a file that is not there, and an unknown option, are told without a stack trace", () => {
  const missing = aot(join(directory, "missing.wasm"));
  expect(missing).toMatchObject({ status: 2, stdout: "" });
  expect(missing.stderr).toMatch(/^aot: ENOENT: no such file or directory.*missing\.wasm'\n$/);
  expect(aot(wasm, "--frobnicate").stderr).toMatch(/^aot: Unknown option '--frobnicate'/);
});

test("a refused module is an error of its own status", () => {
  const float = join(directory, "float.wasm");
  writeFileSync(float, assemble(`(module (func $scale (export "s") (result f32) (f32.const 1)))`));
  const { status, stderr } = aot(float);
  expect(status).toBe(1);
  expect(stderr).toMatch(/^aot: unsupported module: .*floating point.*in scale\)\n$/);
});

test("the output depends on nothing but the module", () => {
  const script = join(ROOT, "tools/aot/main.ts");
  const tsx = import.meta.resolve("tsx");
  const from = (cwd: string, file: string) =>
    spawnSync(process.execPath, ["--import", tsx, script, file], { cwd, encoding: "utf8" }).stdout;
  const first = from(directory, "in.wasm");
  expect(first).toContain("tv_twice:");
  expect(from(ROOT, wasm)).toBe(first);
  expect(compile(assemble(MODULE)).asm).toBe(first);
});

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compile, PASS_NAMES } from "../../tools/aot/compile.ts";
import { printFunc } from "../../tools/aot/ir/print.ts";
import { FUNCTION_PASSES } from "../../tools/aot/passes/index.ts";
import { buildSsa } from "../../tools/aot/passes/ssa.ts";
import { KERNEL } from "../../tools/aot/target.ts";
import { decode } from "../../tools/aot/wasm/decode.ts";
import { assemble } from "./wat.ts";

// Every golden/*.wat and golden/passes/*.wat is compiled and compared with the .txt beside it. The first line says what to
// show:
//   ;; asm [linux]             the assembly of each function
//   ;; dump PASS,...           each function after these passes
//   ;; pass PASS [after P,...] each function before and after a pass; a pass of the IR may come after others than usual
// After a change that is meant, `npm run bless:aot` rewrites the expected texts; review them with git diff.

const DIRECTORY = new URL("golden/", import.meta.url).pathname;
const BLESS = process.env.BLESS === "1";

const isHot = (name: string) => name.startsWith("hot");

/** The functions' text without what only concerns the assembler and the symbol table. */
function functionsOf(asm: string): string {
  const start = asm.indexOf("tv_text_start:\n") + "tv_text_start:\n".length;
  const text = asm.slice(start, asm.indexOf("tv_text_end:"));
  const lines = text
    .split("\n")
    .filter((l) => !/^(\.L\d+|\.end|tv_function_\d+|tv_[\w$]+):$|^%line|^ {2};frame/.test(l));
  return `${lines.join("\n").trim()}\n`;
}

function dumps(bytes: Uint8Array, dump: string[], inline = true): { pass: string; text: string }[] {
  const parts: { pass: string; text: string }[] = [];
  compile(bytes, { verify: true, inline, isHot, dump, onDump: (pass, text) => parts.push({ pass, text }) });
  return parts;
}

/** A pass of the IR on each function, after the given other ones only, so that little else shows. */
function irPass(bytes: Uint8Array, name: string, before: string[]): { pass: string; text: string }[] {
  const module = decode(bytes);
  const run = (pass: string, ir: ReturnType<typeof buildSsa>) =>
    FUNCTION_PASSES.find(([known]) => known === pass)![1](ir, module, KERNEL);
  return module.funcs
    .filter((func) => !func.import)
    .flatMap((func) => {
      const ir = buildSsa(module, func);
      for (const pass of before) run(pass, ir);
      const input = printFunc(ir);
      run(name, ir);
      return [
        { pass: "before", text: input },
        { pass: name, text: printFunc(ir) },
      ];
    });
}

function passDumps(bytes: Uint8Array, argument: string): { pass: string; text: string }[] {
  const [name, , after] = argument.split(" ");
  if (after !== undefined) return irPass(bytes, name!, after ? after.split(",") : []);
  const previous = PASS_NAMES[PASS_NAMES.indexOf(name!) - 1];
  return dumps(bytes, previous ? [previous, name!] : [name!], name === "inline");
}

function show(wat: string): string {
  const [, kind, argument] = /^;; (\w+) ?(.*)/.exec(wat)!;
  const bytes = assemble(wat);
  if (kind === "asm") {
    const target = argument === "linux" ? "linux" : "kernel";
    return functionsOf(compile(bytes, { target, verify: true, inline: false, isHot }).asm);
  }
  const parts = kind === "pass" ? passDumps(bytes, argument!) : dumps(bytes, argument!.split(","));
  return parts.map(({ pass, text }) => `--- ${pass}\n${text}`).join("");
}

const files = ["", "passes/"].flatMap((folder) =>
  readdirSync(join(DIRECTORY, folder))
    .filter((file) => file.endsWith(".wat"))
    .sort()
    .map((file) => `${folder}${file}`),
);

describe("golden texts", () => {
  it.each(files)("%s", (file) => {
    const actual = show(readFileSync(join(DIRECTORY, file), "utf8"));
    const expectedFile = join(DIRECTORY, file.replace(/\.wat$/, ".txt"));
    if (BLESS) writeFileSync(expectedFile, actual);
    expect(actual).toBe(readFileSync(expectedFile, "utf8"));
  });

  it("are the same on every run", () => {
    for (const file of files) {
      const wat = readFileSync(join(DIRECTORY, file), "utf8");
      expect(show(wat)).toBe(show(wat));
    }
  });
});

describe("every pass has a test of its own", () => {
  /** A pass that runs again under another name is tested once. */
  const first = (name: string) => {
    const pass = FUNCTION_PASSES.find(([known]) => known === name)?.[1];
    return FUNCTION_PASSES.find(([, known]) => known === pass)?.[0] ?? name;
  };

  it.each([...new Set(PASS_NAMES.map(first))])("%s", (name) => {
    const file = join(DIRECTORY, "passes", `${name}.wat`);
    expect(
      existsSync(file),
      `write tests/aot/golden/passes/${name}.wat: functions that the pass changes`,
    ).toBe(true);
    const wat = readFileSync(file, "utf8");
    expect(wat.startsWith(`;; pass ${name}`), `${name}.wat is not about the pass`).toBe(true);
    const [, , argument] = /^;; (\w+) ?(.*)/.exec(wat)!;
    const parts = passDumps(assemble(wat), argument!);
    const after = parts.filter(({ pass }) => pass === name);
    const before = parts.filter(({ pass }) => pass !== name);
    expect(after.length).toBeGreaterThan(0);
    const changed = after.filter(({ text }) => before.every((part) => part.text !== text));
    expect(changed.length, "the pass changes none of the functions").toBeGreaterThan(0);
  });
});

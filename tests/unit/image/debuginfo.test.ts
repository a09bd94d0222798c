// The debugging information of a small source, read by addr2line.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readElfSymbols } from "../../../tools/aot/object/elf.ts";
import { scopesOf } from "../../../tools/aot/symtab/extents.ts";
import { dwarfAssembly } from "../../../tools/dwarf/assembly.ts";
import { debugInformation, labelLines } from "../../../tools/image/debuginfo.ts";
import { capture, mustRun } from "../../../tools/lib/command.ts";

/** More files than fit in one byte of LEB128, each with a function and code that was inlined into it. */
const FILES = 300;
const TEXT = 0x100000;
/** Of one function: push rbx (1 byte), mov eax (5), add eax (3), pop rbx (1), ret (1). */
const BYTES = 11;

const assembly = [
  "bits 64",
  "global tv_text_start, tv_text_end",
  "section .text",
  "tv_text_start:",
  ...Array.from({ length: FILES }, (_, i) => [
    `tv_function_${i}:`,
    "  push rbx",
    `%line ${100 + i}+0 kernel/file${i}.ts`,
    "  mov eax, 1",
    "%line 7+0 kernel/other.ts",
    `;inlined kernel/middle.ts:22 kernel/file${i}.ts:${101 + i}`,
    "  add eax, 2",
    `%line ${102 + i}+0 kernel/file${i}.ts`,
    "  pop rbx",
    "  ret",
    ".end:",
  ]).flat(),
  "tv_function_start:",
  "%line 7+0 kernel/other.ts",
  "  ret",
  ".end:",
  "tv_text_end:",
  "",
].join("\n");

/** Functions where the places above are. */
const sources = new Map([
  ["kernel/other.ts", "\n\n\n\n\nfunction inner() {\n}\n"],
  ["kernel/middle.ts", `${"\n".repeat(20)}class Middle {\n  method() {}\n}\n`],
  ...Array.from({ length: FILES }, (_, i): [string, string] => [
    `kernel/file${i}.ts`,
    `${"\n".repeat(98 + i)}function own${i}() {\n\n\n\n}\n`,
  ]),
]);

const functions = [
  ...Array.from({ length: FILES }, (_, i) => ({
    symbol: `tv_function_${i}`,
    name: `kernel/file${i}/own${i}`,
    frameBytes: 0,
    sites: [],
  })),
  // Of no file itself.
  { symbol: "tv_function_start", name: "~start", frameBytes: 0, sites: [] },
];

let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "typevisor-lines-"));
  const { asm, places } = labelLines(assembly);
  const build = async (name: string, text: string) => {
    writeFileSync(join(directory, `${name}.asm`), text);
    await mustRun("nasm", ["-f", "elf64", "-o", `${name}.o`, `${name}.asm`], { cwd: directory });
  };
  await build("code", asm);
  const symbols = readElfSymbols(join(directory, "code.o"));
  await build("debug", dwarfAssembly(debugInformation(functions, places, symbols, scopesOf(sources))));
  const args = [`-Ttext=0x${TEXT.toString(16)}`, "-e", "tv_text_start", "-o", "code.elf"];
  await mustRun("ld", [...args, "code.o", "debug.o"], { cwd: directory });
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("every instruction has its function, file and line, and those that it was inlined into", async () => {
  const addresses = Array.from({ length: FILES }, (_, i) =>
    [0, 1, 6, 9, 10].map((at) => TEXT + i * BYTES + at),
  ).flat();
  const words = addresses.map((address) => `0x${address.toString(16)}`);
  const said = await mustRun("addr2line", ["-f", "-i", "-e", "code.elf", ...words], { cwd: directory });
  const expected = Array.from({ length: FILES }, (_, i) => {
    const own = (line: number) => [`own${i}`, `kernel/file${i}.ts:${line + i}`];
    const inlined = ["inner", "kernel/other.ts:7", "Middle.method", "kernel/middle.ts:22", ...own(101)];
    // A function's prologue is of its first line.
    return [...own(100), ...own(100), ...inlined, ...own(102), ...own(102)];
  }).flat();
  expect(said.trim().split("\n")).toEqual(expected);
});

test("a function of no source file has code of others inlined", async () => {
  const words = [`0x${(TEXT + FILES * BYTES).toString(16)}`];
  const said = await mustRun("addr2line", ["-f", "-i", "-e", "code.elf", ...words], { cwd: directory });
  expect(said.trim().split("\n").slice(0, 3)).toEqual(["inner", "kernel/other.ts:7", "~start"]);
  const { stderr } = await capture("readelf", ["--debug-dump=info,decodedline", "code.elf"], {
    cwd: directory,
  });
  expect(stderr).toBe("");
});

test("a source without directives stays as it is", () => {
  const source = "section .text\n  ret\n";
  expect(labelLines(source)).toEqual({ asm: source, places: [] });
});

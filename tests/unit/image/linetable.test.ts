import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { withLineTable } from "../../../tools/image/linetable.ts";
import { mustRun } from "../../../tools/lib/command.ts";

/** More files than fit in one byte of LEB128, each with two functions of a few lines. */
const FILES = 300;
const source = [
  "bits 64",
  "global tv_text_start, tv_text_end",
  "section .text",
  "tv_text_start:",
  ...Array.from({ length: FILES }, (_, i) => [
    `tv_function_${i}:`,
    "  push rbx",
    `%line ${100 + i}+0 kernel/file${i}.ts`,
    "  mov eax, 1",
    `%line ${7 + i}+0 kernel/other.ts`,
    "  add eax, 2",
    "  pop rbx",
    "  ret",
  ]).flat(),
  "tv_text_end:",
  "",
].join("\n");

let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "typevisor-lines-"));
  writeFileSync(join(directory, "code.asm"), withLineTable(source));
  await mustRun("nasm", ["-f", "elf64", "-o", "code.o", "code.asm"], { cwd: directory });
  await mustRun("ld", ["-Ttext=0x100000", "-e", "tv_text_start", "-o", "code.elf", "code.o"], {
    cwd: directory,
  });
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("every instruction has its file and line, prologues those of their function", async () => {
  // push rbx (1 byte), mov eax (5), add eax (3), pop rbx (1), ret (1).
  const bytes = 11;
  const addresses = Array.from({ length: FILES }, (_, i) =>
    [0, 1, 6, 10].map((at) => 0x100000 + i * bytes + at),
  ).flat();
  const words = addresses.map((address) => `0x${address.toString(16)}`);
  const said = (await mustRun("addr2line", ["-e", "code.elf", ...words], { cwd: directory }))
    .trim()
    .split("\n");
  const expected = Array.from({ length: FILES }, (_, i) => {
    const own = `kernel/file${i}.ts:${100 + i}`;
    const other = `kernel/other.ts:${7 + i}`;
    return [own, own, other, other];
  }).flat();
  expect(said).toEqual(expected);
});

test("a source without directives stays as it is", () => {
  expect(withLineTable("section .text\n  ret\n")).toBe("section .text\n  ret\n");
});

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { withFrameTable } from "../../../tools/image/frametable.ts";
import { mustRun } from "../../../tools/lib/command.ts";

const SOURCE = `bits 64
section .text
global tv_text_start
tv_text_start:
tv_function_1:
.L0:
  push rbx
  ;frame 8 rbx
  push r12
  ;frame 16 rbx r12
  sub rsp, 200
  ;frame 216 rbx r12
..@line7:
  nop
  add rsp, 200
  pop r12
  pop rbx
  ret
tv_function_2:
  nop
  push rbp
  ;frame 8 rbp
  mov eax, 1
  pop rbp
  ;frame 0
  ret
tv_text_end:
`;

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "typevisor-frames-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("a debugger finds the return address and the saved registers wherever the frame changes", async () => {
  writeFileSync(join(directory, "code.asm"), withFrameTable(SOURCE));
  await mustRun("nasm", ["-f", "elf64", "-o", "code.o", "code.asm"], { cwd: directory });
  await mustRun("ld", ["-Ttext=0x100000", "-e", "tv_text_start", "-o", "code.elf", "code.o"], {
    cwd: directory,
  });
  const said = await mustRun("readelf", ["--debug-dump=frames-interp", "code.elf"], { cwd: directory });
  const rows = said
    .split("\n")
    .filter((line) => /^[0-9a-f]{16} rsp/.test(line))
    .map((line) => line.trim().split(/\s+/));
  // push rbx: 1 byte, push r12: 2, sub rsp, 200: 7; nop: 1, mov: 5, pop: 1.
  expect(rows).toEqual([
    ["0000000000000000", "rsp+8", "c-8"],
    ["0000000000100000", "rsp+8", "u", "u", "c-8"],
    ["0000000000100001", "rsp+16", "c-16", "u", "c-8"],
    ["0000000000100003", "rsp+24", "c-16", "c-24", "c-8"],
    ["000000000010000a", "rsp+224", "c-16", "c-24", "c-8"],
    ["0000000000100016", "rsp+8", "u", "c-8"],
    ["0000000000100018", "rsp+16", "c-16", "c-8"],
    ["000000000010001e", "rsp+8", "u", "c-8"],
  ]);
});

test("a source without functions stays as it is", () => {
  expect(withFrameTable("  nop\n")).toBe("  nop\n");
});

// Guest addresses by name, from either kind of file.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mustRun } from "../../tools/lib/command.ts";
import { Symbols } from "../../tools/trace/symbols.ts";
import { temporary } from "./sample.ts";

const find = (symbols: Symbols, address: bigint) =>
  symbols.find(Number(address >> 32n), Number(address & 0xffff_ffffn));

test("System.map", () => {
  const path = join(temporary(), "System.map");
  writeFileSync(
    path,
    "0000000000001000 A fixed_percpu_data\nffffffff81000000 T _text\nffffffff81000040 t helper\nffffffff82000000 D data\n",
  );
  const symbols = Symbols.read(path);
  expect(find(symbols, 0xffffffff81000000n)).toBe("_text");
  expect(find(symbols, 0xffffffff8100003fn)).toBe("_text+0x3f");
  expect(find(symbols, 0xffffffff81000048n)).toBe("helper+0x8");
  expect(find(symbols, 0xffffffff80ffffffn)).toBeUndefined();
  expect(find(symbols, 0xffffffff8f000000n)).toBeUndefined();
  expect(find(symbols, 0x1000n)).toBeUndefined();
});

test("an answer that is kept is not given for another address with the same low bits", () => {
  const path = join(temporary(), "System.map");
  writeFileSync(path, "0000000000401000 T low\nffffffff00401000 T high\nffffffff00402000 T next\n");
  const symbols = Symbols.read(path);
  for (let round = 0; round < 2; round++) {
    expect(find(symbols, 0x401004n)).toBe("low+0x4");
    expect(find(symbols, 0xffffffff00401004n)).toBe("high+0x4");
    expect(find(symbols, 0xffffffff00402004n)).toBe("next+0x4");
    expect(find(symbols, 0x1_0040_1004n)).toBeUndefined();
  }
});

test("an ELF file", async () => {
  const folder = temporary();
  const at = (name: string) => join(folder, name);
  writeFileSync(
    at("code.asm"),
    "bits 64\nglobal first:function, second:function\nfirst: nop\nnop\nsecond: ret\nsection .text2 exec\nother: ret\n",
  );
  await mustRun("nasm", ["-f", "elf64", "-o", at("code.o"), at("code.asm")]);
  await mustRun("ld", ["-Ttext", "0x400000", "-e", "first", "-o", at("code"), at("code.o")]);
  const symbols = Symbols.read(at("code"));
  expect(find(symbols, 0x400001n)).toBe("first+0x1");
  expect(find(symbols, 0x400002n)).toBe("second");
});

test("anything else is refused in words", () => {
  const path = join(temporary(), "text");
  expect(() => Symbols.read(path)).toThrow(/--symbols .*: cannot read this file: no such file/);
  writeFileSync(path, "hello\n");
  expect(() => Symbols.read(path)).toThrow(/no symbols in it/);
  const damaged = Buffer.alloc(100, 0xff);
  damaged.writeUInt32LE(0x464c457f, 0);
  damaged.writeUInt8(2, 4);
  writeFileSync(path, damaged);
  expect(() => Symbols.read(path)).toThrow(/damaged/);
});

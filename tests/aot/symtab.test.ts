import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as abi from "../../kernel/abi/symtab.ts";
import { compile } from "../../tools/aot/compile.ts";
import { readElfSymbols } from "../../tools/aot/object/elf.ts";
import { sourcesOf } from "../../tools/aot/sourcemap.ts";
import { type Lookup, SymbolTable } from "../../tools/aot/symtab/read.ts";
import { TRAP_NUMBERS } from "../../tools/aot/symtab/traps.ts";
import { buildSymbolTable } from "../../tools/aot/symtab/write.ts";

const ASC = new URL("../../node_modules/assemblyscript/bin/asc.js", import.meta.url).pathname;

const SOURCE = `
function half(x: u32): u32 {
  if (x & 1) unreachable();
  return x / 2;
}

let calls: u32 = 0;

export function many(n: u32): u32 {
  calls += n;
  if (n < 2) return 1;
  return many(n - 1) + many(n - 2);
}

export function seldom(x: u32): u32 {
  if (x < 9) return load<u32>(x << 4);
  return many(x) + x;
}

export function main(x: u32): u32 {
  const y = many(x);
  return half(y) + load<u32>(y);
}
`;

describe("the symbol table", () => {
  const directory = mkdtempSync(join(tmpdir(), "typevisor-symtab-"));
  let symbols: Map<string, bigint>;
  let table: SymbolTable;
  let asm = "";
  let object = "";

  beforeAll(() => {
    writeFileSync(join(directory, "sample.ts"), SOURCE);
    const flags = [
      "-O3",
      "--runtime",
      "stub",
      "--memoryBase",
      "4096",
      "--sourceMap",
      "--debug",
      "-o",
      "sample.wasm",
    ];
    execFileSync(process.execPath, [ASC, "sample.ts", ...flags], { cwd: directory });
    const map = readFileSync(join(directory, "sample.wasm.map"), "utf8");
    const result = compile(readFileSync(join(directory, "sample.wasm")), { map });
    asm = result.asm;
    writeFileSync(join(directory, "sample.asm"), asm);
    object = join(directory, "sample.o");
    execFileSync("nasm", ["-f", "elf64", "-g", "-F", "dwarf", "-o", object, join(directory, "sample.asm")]);
    symbols = readElfSymbols(object);
    table = new SymbolTable(buildSymbolTable(result.functions, symbols, sourcesOf(map)));
  });

  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  /** What the table says of the instruction that disassembles to `pattern`, in the function of a symbol. */
  function at(symbol: string, pattern: RegExp): Lookup {
    const text = execFileSync("objdump", ["-d", "-M", "intel", "--no-show-raw-insn", object], {
      encoding: "utf8",
    });
    const start = Number(symbols.get(symbol));
    for (const line of text.split("\n")) {
      const found = /^\s*([0-9a-f]+):\s+(.*)$/.exec(line);
      if (!found || Number.parseInt(found[1]!, 16) < start || !pattern.test(found[2]!)) continue;
      return table.find(Number.parseInt(found[1]!, 16))!;
    }
    throw new Error(`no ${pattern} in ${symbol}`);
  }

  it("names function, file and line of a call", () => {
    expect(at("tv_main", /^call/).frames.at(-1)).toMatchObject({ name: "main", file: "sample.ts", line: 21 });
  });

  it("shows inlined code as a frame of its own, and the trap", () => {
    const found = at("tv_main", /^ud2/);
    expect(found.trap).toBe("unreachable");
    expect(found.frames).toMatchObject([
      { name: "half", file: "sample.ts", line: 3, inlined: true },
      { name: "main", file: "sample.ts", inlined: false },
    ]);
  });

  it("gives the size of the frame", () => {
    const pushes =
      asm.slice(asm.indexOf("tv_many:"), asm.indexOf("ret", asm.indexOf("tv_many:"))).match(/push/g)
        ?.length ?? 0;
    expect(pushes).toBeGreaterThan(0);
    expect(at("tv_many", /^call/).frameBytes).toBe(pushes * 8);
  });

  it("tells the parts of a function with a frame from those without", () => {
    expect(at("tv_seldom", /^mov .*PTR \[/).frameBytes).toBe(0);
    expect(at("tv_seldom", /^push/).frameBytes).toBe(0);
    expect(at("tv_seldom", /^call/).frameBytes).toBe(8);
  });

  it("knows nothing of places outside of the code", () => {
    expect(table.find(Number(symbols.get("tv_text_end")) + 100)).toBeNull();
  });

  it("puts TypeScript lines into the debug information", () => {
    const lines = execFileSync("objdump", ["-d", "-l", object], { encoding: "utf8" });
    expect(lines).toMatch(/sample\.ts:21/);
  });

  it("numbers traps as the kernel does", () => {
    const names: Record<string, number> = {
      unreachable: abi.SYMTAB_TRAP_UNREACHABLE,
      "integer divide by zero": abi.SYMTAB_TRAP_DIVIDE_BY_ZERO,
      "integer overflow": abi.SYMTAB_TRAP_OVERFLOW,
      "undefined element": abi.SYMTAB_TRAP_UNDEFINED_ELEMENT,
      "uninitialized element": abi.SYMTAB_TRAP_UNINITIALIZED_ELEMENT,
      "indirect call type mismatch": abi.SYMTAB_TRAP_CALL_TYPE,
      "out of bounds memory access": abi.SYMTAB_TRAP_MEMORY_BOUNDS,
      "out of bounds table access": abi.SYMTAB_TRAP_TABLE_BOUNDS,
      "unaligned atomic": abi.SYMTAB_TRAP_UNALIGNED_ATOMIC,
      "instruction failed": abi.SYMTAB_TRAP_INSTRUCTION_FAILED,
    };
    expect(TRAP_NUMBERS).toEqual(names);
  });
});

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as abi from "../../kernel/abi/symtab.ts";
import { compile } from "../../tools/aot/compile.ts";
import { readElfSymbols } from "../../tools/aot/object/elf.ts";
import { sourcesOf } from "../../tools/aot/sourcemap.ts";
import { scopesOf } from "../../tools/aot/symtab/extents.ts";
import { type Lookup, SymbolTable } from "../../tools/aot/symtab/read.ts";
import { scopeOf } from "../../tools/aot/symtab/scopes.ts";
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

/** Functions that the code generator inlines, not asc. */
const NESTED = `function hotInner(p: usize): u32 {
  return load<u32>(p, 64) * 3;
}

function hotMiddle(p: usize): u32 {
  const first = hotInner(p);
  return first ^ load<u32>(p, 68);
}

function hotDeep(p: usize): u32 {
  const before = load<u32>(p, 72);
  return before - hotMiddle(p);
}

export function deep(p: usize): u32 {
  const first = hotDeep(p);
  return first * load<u32>(p, 76);
}
`;

/** Number of the only line of a text that contains this. */
function lineOf(source: string, text: string): number {
  const found = source.split("\n").flatMap((line, i) => (line.includes(text) ? [i + 1] : []));
  expect(found).toHaveLength(1);
  return found[0]!;
}

describe("the symbol table", () => {
  const directory = mkdtempSync(join(tmpdir(), "typevisor-symtab-"));
  let sample: Built;

  beforeAll(() => {
    sample = build("sample.ts", SOURCE, "-O3");
  });

  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  interface Built {
    asm: string;
    object: string;
    symbols: Map<string, bigint>;
    table: SymbolTable;
  }

  function build(name: string, source: string, level: string): Built {
    const path = join(directory, name);
    const [wasm, asmFile, object] = [`${path}.wasm`, `${path}.asm`, `${path}.o`];
    writeFileSync(path, source);
    const flags = [level, "--runtime", "stub", "--memoryBase", "4096", "--sourceMap", "--debug", "-o", wasm];
    execFileSync(process.execPath, [ASC, name, ...flags], { cwd: directory });
    const map = readFileSync(`${wasm}.map`, "utf8");
    const { asm, functions } = compile(readFileSync(wasm), { map, isHot: (f) => /hot|deep/.test(f) });
    writeFileSync(asmFile, asm);
    execFileSync("nasm", ["-f", "elf64", "-g", "-F", "dwarf", "-o", object, asmFile]);
    const symbols = readElfSymbols(object);
    const table = new SymbolTable(buildSymbolTable(functions, symbols, scopesOf(sourcesOf(map))));
    return { asm, object, symbols, table };
  }

  /** What the table says of the first instruction that disassembles to `pattern`, from a symbol on. */
  function at(symbol: string, pattern: RegExp, { object, symbols, table }: Built = sample): Lookup {
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

  it("names every call that code was inlined for, in order", () => {
    const nested = build("nested.ts", NESTED, "-O0");
    const frames = (offset: string) => at("tv_deep", new RegExp(`\\[r..\\+${offset}\\]`), nested).frames;
    const line = (text: string) => lineOf(NESTED, text);
    const call = { name: "hotDeep", file: "nested.ts", line: line("hotMiddle(p)"), inlined: true };
    const exported = { name: "deep", file: "nested.ts", line: line("hotDeep(p)"), inlined: false };
    expect(frames("0x40")).toEqual([
      { name: "hotInner", file: "nested.ts", line: line("load<u32>(p, 64)"), inlined: true },
      { name: "hotMiddle", file: "nested.ts", line: line("hotInner(p)"), inlined: true },
      call,
      exported,
    ]);
    expect(frames("0x44")).toMatchObject([
      { name: "hotMiddle", line: line("load<u32>(p, 68)") },
      call,
      exported,
    ]);
    expect(frames("0x48")).toMatchObject([{ name: "hotDeep", line: line("load<u32>(p, 72)") }, exported]);
    expect(frames("0x4c")).toEqual([{ ...exported, line: line("load<u32>(p, 76)") }]);
  });

  it("gives the size of the frame", () => {
    const pushes =
      sample.asm
        .slice(sample.asm.indexOf("tv_many:"), sample.asm.indexOf("ret", sample.asm.indexOf("tv_many:")))
        .match(/push/g)?.length ?? 0;
    expect(pushes).toBeGreaterThan(0);
    expect(at("tv_many", /^call/).frameBytes).toBe(pushes * 8);
  });

  it("tells the parts of a function with a frame from those without", () => {
    expect(at("tv_seldom", /^mov .*PTR \[/).frameBytes).toBe(0);
    expect(at("tv_seldom", /^push/).frameBytes).toBe(0);
    expect(at("tv_seldom", /^call/).frameBytes).toBe(8);
  });

  it.each([
    ["kernel/run/onExit", { name: "onExit", file: "kernel/run.ts" }],
    ["kernel/devices/uart/Uart#read", { name: "Uart#read", file: "kernel/devices/uart.ts" }],
    ["~lib/array/Array<~lib/map/Map<u8,u16>>#push", { name: "Array#push", file: "~lib/array.ts" }],
    ["start:kernel/main", { name: "(top level)", file: "kernel/main.ts" }],
    ["main", { name: "main", file: "other.ts" }],
  ])("tells the function of the source from asc's name %s", (name, scope) => {
    expect(scopeOf(name, "other.ts")).toEqual(scope);
  });

  it("knows nothing of places outside of the code", () => {
    expect(sample.table.find(Number(sample.symbols.get("tv_text_end")) + 100)).toBeNull();
  });

  it("puts TypeScript lines into the debug information", () => {
    const lines = execFileSync("objdump", ["-d", "-l", sample.object], { encoding: "utf8" });
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

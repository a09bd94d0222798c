// The kernel's reader of the symbol table against the code generator's own, at every address of the table's code.

import { beforeAll, describe, expect, test } from "vitest";
import { SYMTAB_FIRST_PAIR } from "../../../kernel/abi/symtab.ts";
import type { FunctionInfo, SourceSite } from "../../../tools/aot/function-info.ts";
import type { TrapKind } from "../../../tools/aot/ir/ir.ts";
import type { SourcePosition } from "../../../tools/aot/sourcemap.ts";
import { scopesOf } from "../../../tools/aot/symtab/extents.ts";
import { SymbolTable } from "../../../tools/aot/symtab/read.ts";
import { TRAP_NUMBERS } from "../../../tools/aot/symtab/traps.ts";
import { buildSymbolTable } from "../../../tools/aot/symtab/write.ts";
import { type KernelModule, loadKernel } from "../harness.ts";
import { bytesOf } from "./firmware.ts";

const GLUE = `
import { CodeSymbol, symbolFind, symbolNextCaller } from "./kernel/lib/symbols";
export { symbolPair, symbolsStart } from "./kernel/lib/symbols";
let found: CodeSymbol | null = null;
function s(): CodeSymbol { return found!; }
export function find(address: u64): bool { found = symbolFind(address); return found !== null; }
export function nextCaller(): bool { return symbolNextCaller(s()); }
export function frameBytes(): u64 { return s().frameBytes; }
export function start(): u64 { return s().start; }
export function trap(): u32 { return s().trap; }
export function inlined(): bool { return s().inlined; }
export function ownName(): u64 { return s().own.name; }
export function ownFile(): u64 { return s().own.file; }
export function ownLine(): u32 { return s().own.line; }
export function innerName(): u64 { return s().inner.name; }
export function innerFile(): u64 { return s().inner.file; }
export function innerLine(): u32 { return s().inner.line; }
`;

const TEXT = 0xffff_ffff_8010_1000n;
const TABLE = 0x13_0000n;
const SOURCE = `export function outer(a: u32): u32 {
  const b = a + 1;
  return inner(b) / a;
}

function inner(b: u32): u32 {
  return innermost(b) + 1;
}

function innermost(c: u32): u32 {
  return load<u32>(c);
}

export function last(): void {
  unreachable();
}
`;
const file = "kernel/sample.ts";
const at = (line: number): SourcePosition => ({ file, line });

function site(
  label: string,
  trap: TrapKind | null,
  line: number | null,
  frameBytes: number,
  ...callers: SourcePosition[]
): SourceSite {
  return { label, loc: 0, trap, frameBytes, position: line === null ? null : at(line), callers };
}

/**
 * Two functions with a gap between them; the first holds code inlined by asc, code inlined for calls, two traps, and parts
 * with other frames.
 */
const functions: FunctionInfo[] = [
  {
    symbol: "f1",
    name: "kernel/sample/outer",
    frameBytes: 40,
    sites: [
      site("f1.a", null, 2, 40),
      site("f1.b", null, 7, 0),
      site("f1.c", "integer divide by zero", 3, 0),
      site("f1.d", "out of bounds memory access", null, 2048),
      site("f1.e", null, 7, 2048, at(3)),
      site("f1.f", null, 11, 40, at(7), at(3)),
      site("f1.g", null, 7, 40, at(3)),
      site("f1.h", null, 4, 0),
    ],
  },
  {
    symbol: "f2",
    name: "kernel/sample/last",
    frameBytes: 0,
    sites: [site("f2.a", "unreachable", 15, 8)],
  },
];
const places = {
  f1: 0,
  "f1.a": 4,
  "f1.b": 9,
  "f1.c": 20,
  "f1.d": 33,
  "f1.e": 50,
  "f1.f": 64,
  "f1.g": 70,
  "f1.h": 90,
  "f1.end": 200,
  f2: 208,
  "f2.a": 209,
  "f2.end": 220,
};

const table = buildSymbolTable(
  functions,
  new Map(Object.entries(places).map(([name, value]) => [name, BigInt(value)])),
  scopesOf(new Map([[file, SOURCE]])),
);
let kernel: KernelModule;

beforeAll(async () => {
  kernel = await loadKernel(["kernel/lib/symbols.ts"], GLUE);
  kernel.cpu.poke(TABLE, Uint8Array.from([...bytesOf(TEXT, 8), ...table]));
  expect(kernel.exports.symbolsStart!(TABLE)).toBe(1);
});

function text(address: bigint): string {
  const expand = (code: number): string => {
    if (code < SYMTAB_FIRST_PAIR) return String.fromCharCode(code);
    const pair = kernel.exports.symbolPair!(code) as number;
    return expand(pair & 0xff) + expand(pair >> 8);
  };
  let result = "";
  for (let i = address; kernel.cpu.load(i, 1) !== 0n; i++) result += expand(Number(kernel.cpu.load(i, 1)));
  return result;
}

function place(which: "own" | "inner") {
  const { exports } = kernel;
  const name = text(exports[`${which}Name`]!() as bigint);
  return {
    name,
    file: text(exports[`${which}File`]!() as bigint),
    line: exports[`${which}Line`]!() as number,
  };
}

/** As kernel/lib/stacktrace.ts prints them. */
function framesFound() {
  const { exports } = kernel;
  if (!exports.inlined!()) return [place("own")];
  const frames = [place("inner")];
  while (exports.nextCaller!()) frames.push(place("inner"));
  return exports.inlined!() ? [...frames, place("own")] : frames;
}

describe("the kernel's symbol table reader", () => {
  test("agrees with the code generator's at every address", () => {
    const reference = new SymbolTable(table);
    const { exports } = kernel;
    let found = 0;
    for (let offset = 0; offset < 230; offset++) {
      const expected = reference.find(offset);
      expect(exports.find!(TEXT + BigInt(offset)), `offset ${offset}`).toBe(expected === null ? 0 : 1);
      if (expected === null) continue;
      found++;
      expect(exports.frameBytes!()).toBe(BigInt(expected.frameBytes));
      expect(exports.trap!()).toBe(expected.trap === undefined ? 0 : TRAP_NUMBERS[expected.trap]);
      const frames = framesFound();
      expect(frames, `offset ${offset}`).toEqual(
        expected.frames.map(({ name, file, line }) => ({ name, file, line })),
      );
    }
    expect(found).toBe(212);
  });

  test("knows the lines of this sample", () => {
    const { exports } = kernel;
    exports.find!(TEXT + 10n);
    expect([place("inner"), place("own").name]).toEqual([{ name: "inner", file, line: 7 }, "outer"]);
    exports.find!(TEXT + 20n);
    expect([exports.trap!(), exports.inlined!(), place("own").line]).toEqual([2, 0, 3]);
    exports.find!(TEXT + 65n);
    expect(framesFound()).toEqual([
      { name: "innermost", file, line: 11 },
      { name: "inner", file, line: 7 },
      { name: "outer", file, line: 3 },
    ]);
    exports.find!(TEXT + 90n);
    expect(framesFound()).toEqual([{ name: "outer", file, line: 4 }]);
    exports.find!(TEXT + 219n);
    expect([place("own"), BigInt.asUintN(64, exports.start!() as bigint)]).toEqual([
      { name: "last", file, line: 15 },
      TEXT + 208n,
    ]);
  });

  test("takes nothing that is not a table", () => {
    expect(kernel.exports.symbolsStart!(0x500000n)).toBe(0);
  });
});

// The kernel's reader of the symbol table against the code generator's own, at every address of the table's code.
import { beforeAll, describe, expect, test } from "vitest";
import type { FunctionInfo } from "../../../tools/aot/compile.ts";
import { SymbolTable } from "../../../tools/aot/symtab/read.ts";
import { TRAP_NUMBERS } from "../../../tools/aot/symtab/traps.ts";
import { buildSymbolTable } from "../../../tools/aot/symtab/write.ts";
import { type KernelModule, loadKernel } from "../harness.ts";
import { bytesOf } from "./firmware.ts";

const GLUE = `
import { symbolFound, symbolInner, symbolOwn } from "./kernel/lib/symbols";
export { symbolFind, symbolsStart } from "./kernel/lib/symbols";
export function frameBytes(): u64 { return symbolFound().frameBytes; }
export function start(): u64 { return symbolFound().start; }
export function trap(): u32 { return symbolFound().trap; }
export function inlined(): bool { return symbolFound().inlined; }
export function ownName(): u64 { return symbolOwn().name; }
export function ownFile(): u64 { return symbolOwn().file; }
export function ownLine(): u32 { return symbolOwn().line; }
export function innerName(): u64 { return symbolInner().name; }
export function innerFile(): u64 { return symbolInner().file; }
export function innerLine(): u32 { return symbolInner().line; }
`;

const TEXT = 0xffff_ffff_8010_1000n;
const TABLE = 0x13_0000n;
const SOURCE = `export function outer(a: u32): u32 {
  const b = a + 1;
  return inner(b) / a;
}

function inner(b: u32): u32 {
  return load<u32>(b);
}

export function last(): void {
  unreachable();
}
`;
const file = "kernel/sample.ts";
const at = (line: number) => ({ file, line, column: 1 });

/** Two functions with a gap between them; the first holds inlined code, two traps, and a part without a frame. */
const functions = [
  {
    symbol: "f1",
    name: "kernel/sample/outer",
    frameBytes: 40,
    sites: [
      { label: "f1.a", loc: 1, trap: null, frameBytes: 40, position: at(2) },
      { label: "f1.b", loc: 2, trap: null, frameBytes: 0, position: at(7) },
      { label: "f1.c", loc: 3, trap: "integer divide by zero", frameBytes: 0, position: at(3) },
      { label: "f1.d", loc: 4, trap: "out of bounds memory access", frameBytes: 2048, position: null },
    ],
  },
  {
    symbol: "f2",
    name: "kernel/sample/last",
    frameBytes: 0,
    sites: [{ label: "f2.a", loc: 9, trap: "unreachable", frameBytes: 8, position: at(11) }],
  },
] as unknown as FunctionInfo[];
const places = {
  f1: 0,
  "f1.a": 4,
  "f1.b": 9,
  "f1.c": 20,
  "f1.d": 33,
  "f1.end": 200,
  f2: 208,
  "f2.a": 209,
  "f2.end": 220,
};

const table = buildSymbolTable(
  functions,
  new Map(Object.entries(places).map(([name, value]) => [name, BigInt(value)])),
  new Map([[file, SOURCE]]),
);
let kernel: KernelModule;

beforeAll(async () => {
  kernel = await loadKernel(["kernel/lib/symbols.ts"], GLUE);
  kernel.cpu.poke(TABLE, Uint8Array.from([...bytesOf(TEXT, 8), ...table]));
  expect(kernel.exports.symbolsStart!(TABLE)).toBe(1);
});

function text(address: bigint): string {
  const bytes: number[] = [];
  for (let i = address; kernel.cpu.load(i, 1) !== 0n; i++) bytes.push(Number(kernel.cpu.load(i, 1)));
  return String.fromCharCode(...bytes);
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

describe("the kernel's symbol table reader", () => {
  test("agrees with the code generator's at every address", () => {
    const reference = new SymbolTable(table);
    const { exports } = kernel;
    let found = 0;
    for (let offset = 0; offset < 230; offset++) {
      const expected = reference.find(offset);
      expect(exports.symbolFind!(TEXT + BigInt(offset)), `offset ${offset}`).toBe(expected === null ? 0 : 1);
      if (expected === null) continue;
      found++;
      const frames = exports.inlined!() ? [place("inner"), place("own")] : [place("own")];
      expect(frames, `offset ${offset}`).toEqual(
        expected.frames.map(({ name, file, line }) => ({ name, file, line })),
      );
      expect(exports.frameBytes!()).toBe(BigInt(expected.frameBytes));
      expect(exports.trap!()).toBe(expected.trap === undefined ? 0 : TRAP_NUMBERS[expected.trap]);
    }
    expect(found).toBe(212);
  });

  test("knows the lines of this sample", () => {
    const { exports } = kernel;
    exports.symbolFind!(TEXT + 10n);
    expect([place("inner"), place("own").name]).toEqual([{ name: "inner", file, line: 7 }, "outer"]);
    exports.symbolFind!(TEXT + 20n);
    expect([exports.trap!(), exports.inlined!(), place("own").line]).toEqual([2, 0, 3]);
    exports.symbolFind!(TEXT + 219n);
    expect([place("own"), BigInt.asUintN(64, exports.start!() as bigint)]).toEqual([
      { name: "last", file, line: 11 },
      TEXT + 208n,
    ]);
  });

  test("takes nothing that is not a table", () => {
    expect(kernel.exports.symbolsStart!(0x500000n)).toBe(0);
  });
});

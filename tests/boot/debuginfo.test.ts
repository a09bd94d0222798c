// What debuggers read of the built image: DWARF lines, functions and inlined functions, against what the code generator knows.

import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { compile } from "../../tools/aot/compile.ts";
import type { FunctionInfo, SourceSite } from "../../tools/aot/function-info.ts";
import { readElfSymbols } from "../../tools/aot/object/elf.ts";
import { sourcesOf } from "../../tools/aot/sourcemap.ts";
import { scopesOf } from "../../tools/aot/symtab/extents.ts";
import { SymbolTable } from "../../tools/aot/symtab/read.ts";
import { buildSymbolTable } from "../../tools/aot/symtab/write.ts";
import { dwarfAssembly } from "../../tools/dwarf/assembly.ts";
import { buildImage } from "../../tools/image/build.ts";
import { debugInformation, labelLines } from "../../tools/image/debuginfo.ts";
import { withFrameTable } from "../../tools/image/frametable.ts";
import { isHot } from "../../tools/image/hot.ts";
import { BUILD } from "../../tools/lib/paths.ts";

const DIRECTORY = join(BUILD, "image", "typevisor");

/** The image with symbols, and as it is loaded. */
let elf: string;
let loaded: string;
let functions: FunctionInfo[];
/** Offsets in the generated code, and where that is. */
let labels: Map<string, bigint>;
let text: bigint;

beforeAll(async () => {
  ({ elf64: elf, elf: loaded } = await buildImage());
  functions = JSON.parse(readFileSync(join(DIRECTORY, "functions.json"), "utf8"));
  labels = readElfSymbols(join(DIRECTORY, "kernel.o"));
  text = readElfSymbols(elf).get("tv_text_start")!;
}, 300_000);

const addressOf = (label: string) => text + labels.get(label)!;

interface Found {
  name: string;
  place: string;
}

/** The frames at each address, as addr2line tells them: innermost first. */
function framesAt(addresses: bigint[]): Found[][] {
  const input = addresses.map((address) => `0x${address.toString(16)}\n`).join("");
  const out = execFileSync("addr2line", ["-a", "-i", "-f", "-e", elf], {
    input,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  // Each address, then two lines for each of its frames.
  return out
    .split(/^0x[0-9a-f]{16}\n/m)
    .slice(1)
    .map((text) =>
      [...text.matchAll(/^(.*)\n(.*?)(?: \(discriminator \d+\))?\n/gm)].map(([, name, place]) => ({
        name: name as string,
        place: place as string,
      })),
    );
}

/** The innermost frame at each address. */
const lookUp = (addresses: bigint[]) => framesAt(addresses).map((frames) => frames[0] as Found);

function lineOf(site: SourceSite): string {
  return `${site.position!.file}:${site.position!.line}`;
}

describe("addr2line on the image", () => {
  test("names file and line wherever an instruction calls or may raise an exception", () => {
    const sites = functions.flatMap((f) => f.sites).filter((site) => site.position);
    expect(sites.length).toBeGreaterThan(3000);
    // Several places can begin at one address: the last one has the instruction.
    const at = new Map(sites.map((site) => [addressOf(site.label), site]));
    const found = lookUp([...at.keys()]);
    const wrong = [...at.values()].flatMap((site, i) =>
      found[i]!.place === lineOf(site) ? [] : [`${site.label}: ${found[i]!.place} is not ${lineOf(site)}`],
    );
    expect(wrong).toEqual([]);
  });

  test("gives the same inlined frames as the table in the image", () => {
    const sites = functions.flatMap((f) => f.sites).filter((site) => site.position);
    const at = new Map(sites.map((site) => [labels.get(site.label)!, site]));
    const found = framesAt([...at.keys()].map((offset) => text + offset));
    let deepest = 0;
    const wrong = [...at].flatMap(([offset, { label, callers }], i) => {
      const { frames } = table().find(Number(offset))!;
      // A function into which asc has inlined code is at the last line of its own before: the table counts other lines as well.
      const exact = frames.length === callers.length + 1 ? frames.length : frames.length - 1;
      const expected = frames.map(({ name, file, line }, frame) => ({
        name: name.replace("#", "."),
        place: frame < exact ? `${file}:${line}` : file,
      }));
      const actual = found[i]!.map(({ name, place }, frame) => ({
        name,
        place: frame < exact ? place : place.replace(/:(\d+|\?)$/, ""),
      }));
      deepest = Math.max(deepest, actual.length);
      const same = JSON.stringify(actual) === JSON.stringify(expected);
      return same ? [] : [`${label}: ${JSON.stringify(actual)} is not ${JSON.stringify(expected)}`];
    });
    expect(wrong).toEqual([]);
    expect(deepest).toBeGreaterThan(4);
  });

  test.each([
    ["kernel/run/onExit", "kernel/"],
    ["kernel/exits/io/handleStringIo", "kernel/exits/"],
    ["kernel/guest/cpuid/cpuidLookup", "kernel/guest/cpuid.ts"],
    ["tv_kmain", "kernel/"],
    ["tv_exception", "kernel/"],
  ])("finds %s", (symbol, file) => {
    const address = readElfSymbols(elf).get(symbol);
    expect(address).toBeDefined();
    const [found] = lookUp([address!]);
    expect(found!.place).toMatch(new RegExp(`^${file.replace(".", "\\.")}[^:]*:[1-9]\\d*$`));
  });
});

test("objdump -dl shows TypeScript lines between the instructions of a function", () => {
  const symbol = "kernel/run/onExit";
  const out = execFileSync("objdump", ["-d", "-l", `--disassemble=${symbol}`, elf], { encoding: "utf8" });
  expect(out).toContain(`<${symbol}>:`);
  const lines = [...out.matchAll(/^(kernel\/[\w/-]+\.ts):(\d+)/gm)];
  expect(lines.length).toBeGreaterThan(5);
  expect(lines.some(([, file]) => file === "kernel/run.ts")).toBe(true);
});

/** What the kernel itself prints stack traces from. */
let known: SymbolTable | undefined;

function table(): SymbolTable {
  known ??= new SymbolTable(buildSymbolTable(functions, labels, scopesOf(sources())));
  return known;
}

function sources(): Map<string, string> {
  return sourcesOf(readFileSync(join(DIRECTORY, "kernel.wasm.map"), "utf8"));
}

test("objdump -dl --inlines tells for which calls code was inlined", () => {
  const args = ["-d", "-l", "--inlines", "--disassemble=kernel/run/onExit", elf];
  const out = execFileSync("objdump", args, { encoding: "utf8" });
  expect(out).toMatch(/^inlined by kernel\/run\.ts:\d+ \(onExit\)$/m);
});

test("readelf finds nothing to warn of", () => {
  const args = ["--debug-dump=info,abbrev,decodedline,Ranges", "--wide", join(DIRECTORY, "debug.o")];
  const { stdout, stderr } = spawnSync("readelf", args, { encoding: "utf8", maxBuffer: 2 ** 28 });
  expect(stderr).toBe("");
  expect(stdout).not.toMatch(/warning/i);
  expect(stdout).toContain("DW_TAG_inlined_subroutine");
});

test("nothing of it is loaded", () => {
  const sections = (path: string) => execFileSync("readelf", ["-S", "--wide", path], { encoding: "utf8" });
  expect(sections(elf)).toContain(".debug_ranges");
  expect(sections(loaded)).not.toContain(".debug");
  const segments = execFileSync("readelf", ["-l", "--wide", elf], { encoding: "utf8" });
  expect(segments).toContain(".rodata");
  expect(segments).not.toContain(".debug");
});

test("the table in the image gives every inlined frame of such a place", () => {
  const deep = functions.flatMap((f) => f.sites.filter((s) => s.callers.length > 1 && s.position));
  for (const site of deep.slice(0, 100)) {
    const { frames } = table().find(Number(labels.get(site.label)))!;
    const lines = frames.map(({ file, line }) => `${file}:${line}`);
    const calls = site.callers.map(({ file, line }) => `${file}:${line}`);
    expect(lines.slice(0, 1 + calls.length), site.label).toEqual([lineOf(site), ...calls]);
  }
});

test("the code generator gives the same text and the same debugging information for the kernel again", () => {
  const map = readFileSync(join(DIRECTORY, "kernel.wasm.map"), "utf8");
  const compiled = compile(readFileSync(join(DIRECTORY, "kernel.wasm")), { map, isHot });
  const { asm, places } = labelLines(compiled.asm);
  expect(withFrameTable(asm) === readFileSync(join(DIRECTORY, "kernel.asm"), "utf8")).toBe(true);
  const debug = dwarfAssembly(debugInformation(compiled.functions, places, labels, scopesOf(sources())));
  expect(debug === readFileSync(join(DIRECTORY, "debug.asm"), "utf8")).toBe(true);
});

// What debuggers read of the built image: DWARF lines and function names, against what the code generator knows.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { compile, type FunctionInfo, type SourceSite } from "../../tools/aot/compile.ts";
import { readElfSymbols } from "../../tools/aot/object/elf.ts";
import { sourcesOf } from "../../tools/aot/sourcemap.ts";
import { SymbolTable } from "../../tools/aot/symtab/read.ts";
import { buildSymbolTable } from "../../tools/aot/symtab/write.ts";
import { buildImage } from "../../tools/image/build.ts";
import { withFrameTable } from "../../tools/image/frametable.ts";
import { isHot } from "../../tools/image/hot.ts";
import { withLineTable } from "../../tools/image/linetable.ts";
import { BUILD } from "../../tools/lib/paths.ts";

const DIRECTORY = join(BUILD, "image", "typevisor");

let elf: string;
let functions: FunctionInfo[];
/** Offsets in the generated code, and where that is. */
let labels: Map<string, bigint>;
let text: bigint;

beforeAll(async () => {
  elf = (await buildImage()).elf64;
  functions = JSON.parse(readFileSync(join(DIRECTORY, "functions.json"), "utf8"));
  labels = readElfSymbols(join(DIRECTORY, "kernel.o"));
  text = readElfSymbols(elf).get("tv_text_start")!;
}, 300_000);

const addressOf = (label: string) => text + labels.get(label)!;

/** Function and line of each address, as addr2line tells them. */
function lookUp(addresses: bigint[]): { name: string; place: string }[] {
  const input = addresses.map((address) => `0x${address.toString(16)}\n`).join("");
  const out = execFileSync("addr2line", ["-f", "-e", elf], { input, encoding: "utf8", maxBuffer: 2 ** 26 });
  const lines = out.trimEnd().split("\n");
  return addresses.map((_, i) => ({
    name: lines[2 * i]!,
    place: lines[2 * i + 1]!.replace(/ \(discriminator \d+\)$/, ""),
  }));
}

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

  test("names the function that inlined code became part of", () => {
    const inlined = functions.flatMap(({ name, sites }) =>
      sites.filter((site) => site.callers.length > 1 && site.position).map((site) => ({ name, site })),
    );
    expect(inlined.length).toBeGreaterThan(50);
    const found = lookUp(inlined.map(({ site }) => addressOf(site.label)));
    // objcopy's names have a point for the # of methods.
    expect(found.map(({ name }) => name)).toEqual(inlined.map(({ name }) => name.replace("#", ".")));
  });

  test.each([
    ["kernel/run/onExit", "kernel/run.ts"],
    ["kernel/exits/io/handleIo", "kernel/exits/"],
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

test("the table in the image gives every inlined frame of such a place", () => {
  const map = sourcesOf(readFileSync(join(DIRECTORY, "kernel.wasm.map"), "utf8"));
  const table = new SymbolTable(buildSymbolTable(functions, labels, map));
  const deep = functions.flatMap((f) => f.sites.filter((s) => s.callers.length > 1 && s.position));
  for (const site of deep.slice(0, 100)) {
    const { frames } = table.find(Number(labels.get(site.label)))!;
    const lines = frames.map(({ file, line }) => `${file}:${line}`);
    const calls = site.callers.map(({ file, line }) => `${file}:${line}`);
    expect(lines.slice(0, 1 + calls.length), site.label).toEqual([lineOf(site), ...calls]);
  }
});

test("the code generator gives the same text for the kernel again", () => {
  const map = readFileSync(join(DIRECTORY, "kernel.wasm.map"), "utf8");
  const { asm } = compile(readFileSync(join(DIRECTORY, "kernel.wasm")), { map, isHot });
  expect(withFrameTable(withLineTable(asm)) === readFileSync(join(DIRECTORY, "kernel.asm"), "utf8")).toBe(
    true,
  );
});

// The DWARF of a replayed module, as VS Code's debugger reads it, against the module's source map.

import { readFileSync } from "node:fs";
import inspector from "node:inspector";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SourceMap, type SourcePosition } from "../../tools/aot/sourcemap.ts";
import { scopeOf } from "../../tools/aot/symtab/scopes.ts";
import { decode } from "../../tools/aot/wasm/decode.ts";
import type { Func } from "../../tools/aot/wasm/module.ts";
import { buildImage } from "../../tools/image/build.ts";
import { type DebugFormat, prepareModule, type ReplayModule } from "../../tools/replay/module.ts";
import { type SourceLine, Symbols } from "./symbols.ts";

const FOLDER = "/sources";
/** Of a function's instructions, every so-manieth is asked for. */
const STEP = 7;

const DWARF: DebugFormat = { format: "dwarf", pathOf: (file) => join(FOLDER, file) };

let kernel: { wasm: Buffer; map: string };
let prepared: ReplayModule;
let functions: Func[];
let map: SourceMap;
/** All positions of code that the map tells. */
let positions: SourcePosition[];
/** Where the contents of the code section start, as V8 counts. */
let codeStart: number;
let symbols: Symbols;

interface Parsed {
  sourceMapURL: string;
  codeOffset: number;
  debugSymbols: { type: string } | { type: string }[];
}

/** What V8 tells debuggers of a module. */
function parse(wasm: Uint8Array): Parsed {
  const session = new inspector.Session();
  const parsed: Parsed[] = [];
  session.connect();
  session.post("Debugger.enable");
  session.on("Debugger.scriptParsed", ({ params }) => void parsed.push(params as unknown as Parsed));
  new WebAssembly.Module(wasm as BufferSource);
  session.disconnect();
  expect(parsed).toHaveLength(1);
  return parsed[0] as Parsed;
}

const kinds = ({ debugSymbols }: Parsed) => [debugSymbols].flat().map(({ type }) => type);

beforeAll(async () => {
  const image = await buildImage();
  kernel = { wasm: readFileSync(image.wasm), map: readFileSync(image.map, "utf8") };
  prepared = prepareModule(kernel, DWARF);
  functions = decode(prepared.wasm).funcs.filter((func) => !func.import);
  map = new SourceMap(prepared.map);
  const body = functions.map((func) => ({ start: func.offset, end: func.body.at(-1)!.offset }));
  let at = 0;
  positions = map.all().flatMap(({ offset, position }) => {
    while (at < body.length && body[at]!.end < offset) at++;
    return at < body.length && offset >= body[at]!.start ? [position] : [];
  });
  codeStart = parse(prepared.wasm).codeOffset;
  symbols = await Symbols.of(prepared.wasm);
}, 300_000);

afterAll(() => symbols?.dispose());

const placed = ({ file, line }: SourcePosition): SourceLine => ({ path: join(FOLDER, file), line });

test("V8 tells debuggers of DWARF or of a source map, as asked", () => {
  const dwarf = parse(prepared.wasm);
  expect(kinds(dwarf)).toEqual(["EmbeddedDWARF"]);
  expect(dwarf.sourceMapURL).toBe("");
  const mapped = parse(prepareModule(kernel).wasm);
  expect(kinds(mapped)).toEqual(["SourceMap"]);
  expect(mapped.sourceMapURL).toMatch(/^data:application\/json;base64,/);
});

test("each instruction is of the line that the source map says", async () => {
  let asked = 0;
  const wrong: string[] = [];
  for (const func of functions) {
    for (const { offset } of func.body.filter((_, i) => i % STEP === 0)) {
      const expected = map.find(offset, func.offset);
      if (expected === null) continue;
      const found = await symbols.lineAt(offset - codeStart);
      if (JSON.stringify(found) !== JSON.stringify(placed(expected)))
        wrong.push(
          `${func.name} at ${offset}: ${found?.path}:${found?.line}, not ${expected.file}:${expected.line}`,
        );
      asked++;
    }
  }
  expect(wrong).toEqual([]);
  expect(asked).toBeGreaterThan(5000);
}, 60_000);

test.each(["kernel/exits/cpuid.ts", "kernel/run.ts", "kernel/svm/decode.ts", "kernel/devices/uart16550.ts"])(
  "each line of %s leads to its code",
  async (file) => {
    const path = join(FOLDER, file);
    const mapped = positions.filter((position) => position.file === file);
    const lines = [...new Set(mapped.map(({ line }) => line))].sort((a, b) => a - b);
    expect(lines.length).toBeGreaterThan(5);
    expect(await symbols.linesOf(path)).toEqual(lines);
    for (const line of lines) {
      const offsets = await symbols.offsetsOf({ path, line });
      expect(offsets, `line ${line}`).not.toEqual([]);
      for (const offset of offsets) expect(map.find(offset + codeStart)).toEqual({ file, line });
    }
  },
);

test("every instruction is in its function, inlined functions have frames of their own", async () => {
  const deepest = { frames: [] as string[], offset: 0, func: "" };
  for (const func of functions) {
    const own = scopeOf(func.name, "").name.replace("#", ".");
    for (const { offset } of func.body.filter((_, i) => i % (STEP * STEP) === 0)) {
      const frames = await symbols.functionsAt(offset - codeStart);
      expect(frames.at(-1), `${func.name} at ${offset}`).toBe(own);
      if (frames.length > deepest.frames.length) Object.assign(deepest, { frames, offset, func: func.name });
    }
  }
  expect(deepest.frames.length).toBeGreaterThan(1);
  // The frame around has a line of the function itself.
  const around = await symbols.lineAt(deepest.offset - codeStart, 1);
  expect(around?.path).toBe(join(FOLDER, scopeOf(deepest.func, "").file));
}, 60_000);

test("the same module gives the same bytes", () => {
  expect(Buffer.compare(prepareModule(kernel, DWARF).wasm, prepared.wasm)).toBe(0);
});

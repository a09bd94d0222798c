// The recorded WebAssembly module as Node runs it: its code as it is; its globals made visible, so that they can be set; and
// for debuggers a source map or DWARF.
import { decode } from "../aot/wasm/decode.ts";
import { Reader } from "../aot/wasm/reader.ts";
import type { KernelModule } from "./file.ts";
import { moduleDwarf } from "./moduledwarf.ts";

const SECTION_CUSTOM = 0;
const SECTION_EXPORT = 7;
const SECTION_CODE = 10;
const EXPORT_GLOBAL = 3;
const PREAMBLE_BYTES = 8;

/** Name under which global number `index` is exported. */
export const globalName = (index: number) => `global ${index}`;

export interface ReplayModule {
  wasm: Uint8Array;
  map: string;
  /** Types of the globals, and whether each can be set. */
  globals: { wide: boolean; mutable: boolean }[];
}

/**
 * How debuggers find the sources. Chrome reads source maps, VS Code reads DWARF. A module has one of them: of one with both,
 * V8 before version 13 tells debuggers of the map only.
 */
export type DebugFormat =
  | { format: "source-map" /** Where the map is; absent: in the module itself. */; url?: string }
  | { format: "dwarf" /** Absolute path of a source file. */; pathOf: (file: string) => string };

export function prepareModule(
  { wasm, map }: KernelModule,
  debug: DebugFormat = { format: "source-map" },
): ReplayModule {
  const module = decode(wasm);
  const pieces: Uint8Array[] = [wasm.subarray(0, PREAMBLE_BYTES)];
  const reader = new Reader(wasm, PREAMBLE_BYTES);
  let grown = 0;
  let code = { start: 0, end: 0 };
  while (!reader.atEnd) {
    const start = reader.pos;
    const id = reader.u8();
    const body = reader.take(reader.u32());
    if (id === SECTION_CUSTOM && new Reader(body).name() === "sourceMappingURL") continue;
    if (id === SECTION_CODE) code = { start: reader.pos - body.length, end: reader.pos };
    if (id === SECTION_EXPORT) {
      const section = exportsWithGlobals(body, module.globals.length);
      grown = section.length - (reader.pos - start);
      pieces.push(section);
    } else pieces.push(wasm.subarray(start, reader.pos));
  }
  const shifted = shiftMap(map, grown);
  if (debug.format === "dwarf") {
    const sections = Object.entries(moduleDwarf(module, map, code, debug.pathOf));
    pieces.push(...sections.map(([title, { bytes }]) => custom(`.${title}`, bytes)));
  } else {
    const url = debug.url ?? `data:application/json;base64,${Buffer.from(shifted).toString("base64")}`;
    pieces.push(custom("sourceMappingURL", name(url)));
  }
  return {
    wasm: Buffer.concat(pieces),
    map: shifted,
    globals: module.globals.map(({ type, mutable }) => ({ wide: type === "i64", mutable })),
  };
}

function custom(title: string, body: Uint8Array): Uint8Array {
  return section(SECTION_CUSTOM, Buffer.concat([name(title), body]));
}

function exportsWithGlobals(body: Uint8Array, globals: number): Uint8Array {
  const reader = new Reader(body);
  const count = reader.u32();
  const more = Array.from({ length: globals }, (_, index) =>
    Buffer.concat([name(globalName(index)), Buffer.from([EXPORT_GLOBAL]), leb128(index)]),
  );
  return section(
    SECTION_EXPORT,
    Buffer.concat([leb128(count + globals), body.subarray(reader.pos), ...more]),
  );
}

function section(id: number, body: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from([id]), leb128(body.length), body]);
}

function name(text: string): Uint8Array {
  const bytes = Buffer.from(text);
  return Buffer.concat([leb128(bytes.length), bytes]);
}

/** Unsigned LEB128 of a number of at most 32 bits. */
function leb128(value: number): Uint8Array {
  const bytes: number[] = [];
  while (value >= 0x80) {
    bytes.push((value & 0x7f) | 0x80);
    value >>>= 7;
  }
  return Uint8Array.from([...bytes, value]);
}

/**
 * The code lies `bytes` further on than the map says. Its columns are differences, so only the first one changes.
 * Source: ECMA-426, "Mappings structure".
 */
function shiftMap(json: string, bytes: number): string {
  const map = JSON.parse(json) as { mappings: string };
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  let column = 0;
  let length = 0;
  for (let digit = 32; digit & 32; length++) {
    digit = digits.indexOf(map.mappings[length] as string);
    column += (digit & 31) * 2 ** (5 * length);
  }
  // The lowest bit is the sign; the first column is never negative.
  let rest = (column / 2 + bytes) * 2;
  let text = "";
  do {
    const low = rest % 32;
    rest = Math.floor(rest / 32);
    text += digits[rest > 0 ? low + 32 : low];
  } while (rest > 0);
  return JSON.stringify({ ...map, mappings: text + map.mappings.slice(length) });
}

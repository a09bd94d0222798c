import type { FunctionInfo } from "../compile.ts";
import { dataLines } from "../data.ts";
import { internalError } from "../errors.ts";
import type { SourcePosition } from "../sourcemap.ts";
import { Scopes } from "./scopes.ts";
import { TRAP_NUMBERS } from "./traps.ts";

// The format is described in kernel/abi/symtab.ts.
const MAGIC = 0x31535654;
const LINE = 0;
const SCOPE = 1;
const TRAP = 2;
const FRAME = 3;
/** Without the address in front, which only linking knows. */
const HEADER_BYTES = 16;

/** Values of the object file's symbols: offsets in .text. */
export type Symbols = ReadonlyMap<string, bigint>;

class Bytes {
  readonly bytes: number[] = [];

  uleb(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.bytes.push((rest & 0x7f) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.bytes.push(rest);
  }

  sleb(value: number): void {
    this.uleb(value < 0 ? -value * 2 - 1 : value * 2);
  }
}

class Strings {
  private readonly offsets = new Map<string, number>([["", 0]]);
  readonly bytes: number[] = [0];

  offset(text: string): number {
    const known = this.offsets.get(text);
    if (known !== undefined) return known;
    const offset = this.bytes.length;
    this.offsets.set(text, offset);
    this.bytes.push(...new TextEncoder().encode(text), 0);
    return offset;
  }
}

/** Functions of the source that code belongs to, numbered in order of appearance. */
class ScopeTable {
  private readonly numbers = new Map<string, number>();
  readonly encoded = new Bytes();

  constructor(
    private readonly sources: Scopes,
    private readonly strings: Strings,
  ) {}

  number(name: string, file: string): number {
    const key = `${name}\0${file}`;
    const known = this.numbers.get(key);
    if (known !== undefined) return known;
    const number = this.numbers.size;
    this.numbers.set(key, number);
    this.encoded.uleb(this.strings.offset(name));
    this.encoded.uleb(this.strings.offset(file));
    this.encoded.uleb(this.declaration(name, file));
    return number;
  }

  declaration(name: string, file: string): number {
    return this.sources.declaration(file, name);
  }

  /** The scope around a position inside code of the function `own`: that function when the source names no other. */
  around(position: SourcePosition, own: Scope): Scope {
    const name = this.sources.find(position.file, position.line);
    return name
      ? { name, file: position.file }
      : position.file === own.file
        ? own
        : { name: "(top level)", file: position.file };
  }
}

interface Scope {
  name: string;
  file: string;
}

/** asc names functions "path/of/file/name". */
function scopeOf(info: FunctionInfo): Scope {
  const slash = info.name.lastIndexOf("/");
  const name = info.name.slice(slash + 1);
  const stem = info.name.slice(0, Math.max(slash, 0));
  return { name, file: stem ? `${stem}.ts` : (info.sites.find((s) => s.position)?.position?.file ?? "") };
}

/**
 * Builds the symbol table of a compiled module: `functions` as the compiler returned them, `symbols` of the object file
 * that NASM made, `sources` the text of each source file (the source map holds them).
 */
export function buildSymbolTable(
  functions: readonly FunctionInfo[],
  symbols: Symbols,
  sources: ReadonlyMap<string, string>,
): Uint8Array {
  const strings = new Strings();
  const scopes = new ScopeTable(new Scopes(sources), strings);
  const records = new Bytes();
  let end = 0;
  const placed = functions
    .map((info) => ({ info, start: offsetOf(symbols, info.symbol) }))
    .sort((a, b) => a.start - b.start);
  for (const { info, start } of placed) {
    const size = offsetOf(symbols, `${info.symbol}.end`) - start;
    const own = scopeOf(info);
    const body = new Bytes();
    body.uleb(start - end);
    body.uleb(size);
    body.uleb(info.frameBytes / 8);
    body.uleb(scopes.number(own.name, own.file));
    writeEntries(body, sitesOf(info, start, symbols), own, scopes, info.frameBytes);
    records.uleb(body.bytes.length);
    records.bytes.push(...body.bytes);
    end = start + size;
  }
  const header = new DataView(new ArrayBuffer(HEADER_BYTES));
  [MAGIC, records.bytes.length, scopes.encoded.bytes.length, strings.bytes.length].forEach((field, i) => {
    header.setUint32(i * 4, field, true);
  });
  return Uint8Array.from([
    ...new Uint8Array(header.buffer),
    ...records.bytes,
    ...scopes.encoded.bytes,
    ...strings.bytes,
  ]);
}

function offsetOf(symbols: Symbols, name: string): number {
  const value = symbols.get(name);
  if (value === undefined) throw internalError(`the object file has no symbol ${name}`);
  return Number(value);
}

/** A site with its offset in the function. */
type PlacedSite = FunctionInfo["sites"][number] & { at: number };

function sitesOf(info: FunctionInfo, start: number, symbols: Symbols): PlacedSite[] {
  return info.sites
    .map((site) => ({ ...site, at: offsetOf(symbols, site.label) - start }))
    .sort((a, b) => a.at - b.at);
}

function writeEntries(
  out: Bytes,
  sites: PlacedSite[],
  own: Scope,
  scopes: ScopeTable,
  frameBytes: number,
): void {
  let at = 0;
  let frame = frameBytes;
  let current = own;
  let line = scopes.declaration(own.name, own.file);
  const entry = (kind: number, place: number) => {
    out.uleb((place - at) * 4 + kind);
    at = place;
  };
  for (const { at: place, position, trap, frameBytes: bytes } of sites) {
    if (bytes !== frame) {
      entry(FRAME, place);
      out.uleb(bytes / 8);
      frame = bytes;
    }
    if (position) {
      const scope = scopes.around(position, own);
      if (scope.name !== current.name || scope.file !== current.file) {
        entry(SCOPE, place);
        out.uleb(scopes.number(scope.name, scope.file));
        out.sleb(position.line - scopes.declaration(scope.name, scope.file));
      } else if (position.line !== line) {
        entry(LINE, place);
        out.sleb(position.line - line);
      }
      current = scope;
      line = position.line;
    }
    if (trap) {
      entry(TRAP, place);
      out.uleb(TRAP_NUMBERS[trap]);
    }
  }
}

/** NASM source that puts the table into the image. `text` is the symbol at which the generated code starts. */
export function symbolTableAssembly(table: Uint8Array, text = "tv_text_start"): string {
  return [
    "; generated by tools/aot: do not edit",
    `extern ${text}`,
    "section .symtab.typescript progbits alloc noexec nowrite align=8",
    `  dq ${text}`,
    ...dataLines(table),
    "",
  ].join("\n");
}

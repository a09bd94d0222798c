import { dataLines } from "../data-lines.ts";
import { internalError } from "../errors.ts";
import type { FunctionInfo } from "../function-info.ts";
import type { SourcePosition } from "../sourcemap.ts";
import { type Scope, type Scopes, sameScope, scopeOf } from "./scopes.ts";
import { StringTable } from "./strings.ts";
import { TRAP_NUMBERS } from "./traps.ts";

// The format is described in kernel/abi/symtab.ts.
const MAGIC = 0x32535654;
const LINE = 0;
const SCOPE = 1;
const TRAP = 2;
const STATE = 3;
/** Without the address in front, which only linking knows. */
const HEADER_BYTES = 20;

/** Values of the object file's symbols: offsets in .text. */
export type Symbols = ReadonlyMap<string, bigint>;

function zigzag(value: number): number {
  return value < 0 ? -value * 2 - 1 : value * 2;
}

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
    this.uleb(zigzag(value));
  }
}

/** Functions of the source that code belongs to, numbered in order of appearance. */
class ScopeTable {
  private readonly numbers = new Map<string, number>();
  private readonly scopes: Scope[] = [];

  constructor(private readonly sources: Scopes) {}

  number(name: string, file: string): number {
    const key = `${name}\0${file}`;
    const known = this.numbers.get(key);
    if (known !== undefined) return known;
    const number = this.numbers.size;
    this.numbers.set(key, number);
    this.scopes.push({ name, file });
    return number;
  }

  encode(strings: StringTable): Bytes {
    for (const { name, file } of this.scopes) {
      strings.add(name);
      strings.add(file);
    }
    strings.finish();
    const encoded = new Bytes();
    for (const { name, file } of this.scopes) {
      encoded.uleb(strings.offset(name));
      encoded.uleb(strings.offset(file));
      encoded.uleb(this.declaration(name, file));
    }
    return encoded;
  }

  declaration(name: string, file: string): number {
    return this.sources.declaration(file, name);
  }

  around(position: SourcePosition, own: Scope): Scope {
    return this.sources.around(position, own);
  }
}

/** Calls that code was inlined for, numbered from 1 in order of appearance. */
class CallTable {
  private readonly numbers = new Map<string, number>();
  readonly encoded = new Bytes();

  constructor(private readonly scopes: ScopeTable) {}

  /** The number of the first of `callers`, which are given innermost first; 0 for none. */
  number(callers: readonly SourcePosition[], own: Scope): number {
    const [position, ...outer] = callers;
    if (!position) return 0;
    const { name, file } = this.scopes.around(position, own);
    const outerNumber = this.number(outer, own);
    const scope = this.scopes.number(name, file);
    const line = Math.max(position.line - this.scopes.declaration(name, file), 0);
    const key = `${scope} ${line} ${outerNumber}`;
    const known = this.numbers.get(key);
    if (known !== undefined) return known;
    this.numbers.set(key, this.numbers.size + 1);
    for (const field of [scope, line, outerNumber]) this.encoded.uleb(field);
    return this.numbers.size;
  }
}

/** The function of the source that compiled code is named after. */
export function sourceOf({ name, sites }: FunctionInfo): Scope {
  return scopeOf(name, sites.find((site) => site.position)?.position?.file ?? "");
}

/**
 * Builds the symbol table of a compiled module: `functions` as the compiler returned them, `symbols` of the object file
 * that NASM made, `sources` the functions of the source files.
 */
export function buildSymbolTable(
  functions: readonly FunctionInfo[],
  symbols: Symbols,
  sources: Scopes,
): Uint8Array {
  const strings = new StringTable();
  const scopes = new ScopeTable(sources);
  const calls = new CallTable(scopes);
  const records = new Bytes();
  let end = 0;
  const placed = functions
    .map((info) => ({ info, start: offsetOf(symbols, info.symbol) }))
    .sort((a, b) => a.start - b.start);
  for (const { info, start } of placed) {
    const size = offsetOf(symbols, `${info.symbol}.end`) - start;
    const own = sourceOf(info);
    const body = new Bytes();
    body.uleb(start - end);
    body.uleb(size);
    body.uleb(info.frameBytes / 8);
    body.uleb(scopes.number(own.name, own.file));
    new Entries(body, own, info.frameBytes, scopes, calls).write(sitesOf(info, start, symbols));
    records.uleb(body.bytes.length);
    records.bytes.push(...body.bytes);
    end = start + size;
  }
  const header = new DataView(new ArrayBuffer(HEADER_BYTES));
  const areas = [records, scopes.encode(strings), calls.encoded, strings];
  [MAGIC, ...areas.map((area) => area.bytes.length)].forEach((field, i) => {
    header.setUint32(i * 4, field, true);
  });
  const bytes = areas.flatMap((area) => area.bytes);
  return Uint8Array.from([...new Uint8Array(header.buffer), ...strings.pairs, ...bytes]);
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

/** The entries of one function's record. */
class Entries {
  private at = 0;
  private call = 0;
  private lastCall = 0;
  private current: Scope;
  private line: number;

  constructor(
    private readonly out: Bytes,
    private readonly own: Scope,
    private frameBytes: number,
    private readonly scopes: ScopeTable,
    private readonly calls: CallTable,
  ) {
    this.current = own;
    this.line = scopes.declaration(own.name, own.file);
  }

  write(sites: readonly PlacedSite[]): void {
    for (const site of sites) {
      this.frame(site);
      this.caller(site);
      if (site.position) this.place(site.at, site.position);
      if (!site.trap) continue;
      this.start(TRAP, site.at);
      this.out.uleb(TRAP_NUMBERS[site.trap]);
    }
  }

  private start(kind: number, place: number): void {
    this.out.uleb((place - this.at) * 4 + kind);
    this.at = place;
  }

  private frame({ at, frameBytes }: PlacedSite): void {
    if (frameBytes === this.frameBytes) return;
    this.start(STATE, at);
    this.out.uleb((frameBytes / 8) * 2);
    this.frameBytes = frameBytes;
  }

  /** Calls in one function have numbers close to each other. */
  private caller({ at, callers }: PlacedSite): void {
    const call = this.calls.number(callers, this.own);
    if (call === this.call) return;
    this.start(STATE, at);
    this.out.uleb((call === 0 ? 0 : zigzag(call - this.lastCall) + 1) * 2 + 1);
    this.call = call;
    this.lastCall = call || this.lastCall;
  }

  private place(at: number, position: SourcePosition): void {
    const scope = this.scopes.around(position, this.own);
    if (!sameScope(scope, this.current)) {
      this.start(SCOPE, at);
      this.out.uleb(this.scopes.number(scope.name, scope.file));
      this.out.sleb(position.line - this.scopes.declaration(scope.name, scope.file));
    } else if (position.line !== this.line) {
      this.start(LINE, at);
      this.out.sleb(position.line - this.line);
    }
    this.current = scope;
    this.line = position.line;
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

import type { TrapKind } from "../ir/ir.ts";
import { trapName } from "./traps.ts";

// The format is described in kernel/abi/symtab.ts.
const PAIRS = 20;
const HEADER_BYTES = PAIRS + 256;
const FIRST_PAIR = 0x80;

const SCOPE = 1;
const TRAP = 2;
const STATE = 3;

export interface Frame {
  name: string;
  file: string;
  line: number;
  inlined: boolean;
}

export interface Lookup {
  /** Innermost first: inlined code, then the function. */
  frames: Frame[];
  frameBytes: number;
  /** Set when the instruction at exactly this place traps. */
  trap: TrapKind | undefined;
}

function unzigzag(n: number): number {
  return n % 2 ? -(n + 1) / 2 : n / 2;
}

class Cursor {
  constructor(
    readonly bytes: Uint8Array,
    public pos: number,
  ) {}

  uleb(): number {
    let result = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.bytes[this.pos++]!;
      result += (byte & 0x7f) * scale;
      if (byte < 0x80) return result;
    }
  }

  sleb(): number {
    return unzigzag(this.uleb());
  }
}

/** Reads the table that {@link buildSymbolTable} makes (without the address in front, which only linking knows). */
export class SymbolTable {
  private readonly scopes: number;
  private readonly calls: number;
  private readonly strings: number;

  constructor(private readonly bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.scopes = HEADER_BYTES + view.getUint32(4, true);
    this.calls = this.scopes + view.getUint32(8, true);
    this.strings = this.calls + view.getUint32(12, true);
  }

  private text(offset: number): string {
    let text = "";
    for (let at = this.strings + offset; this.bytes[at] !== 0; at++) text += this.expand(this.bytes[at]!);
    return text;
  }

  /** A byte of a string: a character, or a pair of such bytes. */
  private expand(code: number): string {
    if (code < FIRST_PAIR) return String.fromCharCode(code);
    const at = PAIRS + 2 * (code - FIRST_PAIR);
    return this.expand(this.bytes[at]!) + this.expand(this.bytes[at + 1]!);
  }

  private scope(number: number): Frame {
    const at = new Cursor(this.bytes, this.scopes);
    for (let i = 0; i < number * 3; i++) at.uleb();
    return { name: this.text(at.uleb()), file: this.text(at.uleb()), line: at.uleb(), inlined: false };
  }

  /** The places of a call that code was inlined for, and of those around it. */
  private callers(number: number, ownScope: number): Frame[] {
    if (number === 0) return [];
    const at = new Cursor(this.bytes, this.calls);
    for (let i = 0; i < (number - 1) * 3; i++) at.uleb();
    const scope = at.uleb();
    const frame = this.scope(scope);
    frame.line += at.uleb();
    frame.inlined = scope !== ownScope;
    return [frame, ...this.callers(at.uleb(), ownScope)];
  }

  /** What is known of the code at this offset from the start of the generated code. */
  find(offset: number): Lookup | null {
    const at = new Cursor(this.bytes, HEADER_BYTES);
    let end = 0;
    while (at.pos < this.scopes) {
      const length = at.uleb();
      const next = at.pos + length;
      const start = end + at.uleb();
      end = start + at.uleb();
      if (offset >= start && offset < end) return this.record(at, next, offset - start);
      at.pos = next;
    }
    return null;
  }

  private record(at: Cursor, end: number, offset: number): Lookup {
    let frameBytes = at.uleb() * 8;
    const ownScope = at.uleb();
    const own = this.scope(ownScope);
    let current = own;
    let call = 0;
    let lastCall = 0;
    let trap: TrapKind | undefined;
    for (let place = 0; at.pos < end; ) {
      const head = at.uleb();
      place += Math.floor(head / 4);
      if (place > offset) break;
      if (head % 4 === TRAP) {
        const kind = trapName(at.uleb());
        if (place === offset) trap = kind;
      } else if (head % 4 === STATE) {
        const state = at.uleb();
        const rest = Math.floor(state / 2);
        if (state % 2 === 0) frameBytes = rest * 8;
        else call = rest === 0 ? 0 : lastCall + unzigzag(rest - 1);
        lastCall = call || lastCall;
      } else if (head % 4 === SCOPE) {
        const number = at.uleb();
        const scope = this.scope(number);
        const line = scope.line + at.sleb();
        current = number === ownScope ? own : { ...scope, inlined: true };
        current.line = line;
      } else current.line += at.sleb();
    }
    const inner = current === own ? [] : [current, ...this.callers(call, ownScope)];
    // The outermost call is in the function itself, unless asc has inlined what holds it.
    const frames = inner.length > 1 && !inner.at(-1)!.inlined ? inner : [...inner, own];
    return { frames, frameBytes, trap };
  }
}

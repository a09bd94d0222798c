import type { TrapKind } from "../ir/ir.ts";
import { trapName } from "./traps.ts";

// The format is described in kernel/abi/symtab.ts.
const HEADER_BYTES = 16;

const SCOPE = 1;
const TRAP = 2;
const FRAME = 3;

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
    const n = this.uleb();
    return n % 2 ? -(n + 1) / 2 : n / 2;
  }
}

/** Reads the table that {@link buildSymbolTable} makes (without the address in front, which only linking knows). */
export class SymbolTable {
  private readonly scopes: number;
  private readonly strings: number;

  constructor(private readonly bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.scopes = HEADER_BYTES + view.getUint32(4, true);
    this.strings = this.scopes + view.getUint32(8, true);
  }

  private text(offset: number): string {
    const start = this.strings + offset;
    return new TextDecoder().decode(this.bytes.subarray(start, this.bytes.indexOf(0, start)));
  }

  private scope(number: number): Frame {
    const at = new Cursor(this.bytes, this.scopes);
    for (let i = 0; i < number * 3; i++) at.uleb();
    return { name: this.text(at.uleb()), file: this.text(at.uleb()), line: at.uleb(), inlined: false };
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
    let trap: TrapKind | undefined;
    for (let place = 0; at.pos < end; ) {
      const head = at.uleb();
      place += Math.floor(head / 4);
      if (place > offset) break;
      if (head % 4 === TRAP) {
        const kind = trapName(at.uleb());
        if (place === offset) trap = kind;
      } else if (head % 4 === FRAME) {
        frameBytes = at.uleb() * 8;
      } else if (head % 4 === SCOPE) {
        const number = at.uleb();
        const scope = this.scope(number);
        const line = scope.line + at.sleb();
        current = number === ownScope ? own : { ...scope, inlined: true };
        current.line = line;
      } else current.line += at.sleb();
    }
    return { frames: current === own ? [own] : [current, own], frameBytes, trap };
  }
}

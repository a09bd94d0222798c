import { malformed } from "../errors.ts";

/** A cursor over the bytes of a module. Every read is checked; LEB128 forms are checked as the standard demands. */
export class Reader {
  private readonly view: DataView;

  constructor(
    readonly bytes: Uint8Array,
    public pos = 0,
    public end = bytes.length,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get atEnd(): boolean {
    return this.pos >= this.end;
  }

  private need(count: number): void {
    if (count > this.end - this.pos) throw malformed("unexpected end", this.pos);
  }

  u8(): number {
    this.need(1);
    return this.bytes[this.pos++]!;
  }

  /** Unsigned LEB128 of at most 32 bits. */
  u32(): number {
    const start = this.pos;
    let result = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.u8();
      if (shift === 28 && byte > 0x0f) {
        throw malformed(byte & 0x80 ? "integer representation too long" : "integer too large", start);
      }
      result += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return result;
    }
  }

  /** Signed LEB128 of `bits` bits (32, 33 or 64). */
  signed(bits: number): bigint {
    const start = this.pos;
    const lastShift = Math.floor((bits - 1) / 7) * 7;
    let result = 0n;
    for (let shift = 0; ; shift += 7) {
      const byte = this.u8();
      if (shift === lastShift) this.checkLastByte(byte, bits - shift, start);
      result |= BigInt(byte & 0x7f) << BigInt(shift);
      if (byte < 0x80) return BigInt.asIntN(Math.min(shift + 7, bits), result);
    }
  }

  /** The unused high bits of the longest form must repeat the sign bit. */
  private checkLastByte(byte: number, usedBits: number, start: number): void {
    if (byte & 0x80) throw malformed("integer representation too long", start);
    const high = (byte & 0x7f) >> (usedBits - 1);
    if (high !== 0 && high !== 0x7f >> (usedBits - 1)) throw malformed("integer too large", start);
  }

  /** Four bytes, little endian. */
  fixed32(): number {
    this.need(4);
    this.pos += 4;
    return this.view.getUint32(this.pos - 4, true);
  }

  take(count: number): Uint8Array {
    if (count > this.end - this.pos) throw malformed("length out of bounds", this.pos);
    this.pos += count;
    return this.bytes.subarray(this.pos - count, this.pos);
  }

  name(): string {
    const length = this.u32();
    const start = this.pos;
    const bytes = this.take(length);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw malformed("malformed UTF-8 encoding", start);
    }
  }

  /** Reads a vector: a count, then that many items. */
  vector<T>(item: (index: number) => T): T[] {
    const count = this.u32();
    if (count > this.end - this.pos)
      throw malformed("unexpected end: vector longer than its section", this.pos);
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(item(i));
    return items;
  }
}

// Bytes of one section of DWARF debugging information, little-endian, and where they name addresses or other sections: a linker
// moves both. In a WebAssembly module nothing moves, and the bytes are final.

export type SectionName = "debug_info" | "debug_abbrev" | "debug_line" | "debug_ranges";

/** What a number counts from: the start of the code, or of a section. */
export type Base = "text" | SectionName;

/** A number at `at` that must have the address of `to` added. */
export interface Fixup {
  at: number;
  bytes: 4 | 8;
  to: Base;
}

export class Section {
  private readonly data: number[] = [];
  readonly fixups: Fixup[] = [];

  /** @param addressBytes size of an address of the code. */
  constructor(readonly addressBytes: 4 | 8) {}

  get length(): number {
    return this.data.length;
  }

  get bytes(): Uint8Array {
    return Uint8Array.from(this.data);
  }

  u8(...values: number[]): void {
    this.data.push(...values);
  }

  u16(value: number): void {
    this.number(value, 2);
  }

  u32(value: number): void {
    this.number(value, 4);
  }

  private number(value: number, bytes: number): void {
    for (let i = 0; i < bytes; i++) this.data.push(Math.floor(value / 2 ** (8 * i)) & 0xff);
  }

  /** Unsigned LEB128 of a number below 2^32. */
  uleb(value: number): void {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.data.push((rest & 0x7f) | 0x80);
    this.data.push(rest);
  }

  /** Signed LEB128 of a number of 32 bits. */
  sleb(value: number): void {
    let rest = value;
    for (; rest < -0x40 || rest >= 0x40; rest >>= 7) this.data.push((rest & 0x7f) | 0x80);
    this.data.push(rest & 0x7f);
  }

  /** UTF-8, with a zero behind it. */
  text(value: string): void {
    this.data.push(...new TextEncoder().encode(value), 0);
  }

  append(other: Section): void {
    for (const fixup of other.fixups) this.fixups.push({ ...fixup, at: fixup.at + this.length });
    for (const byte of other.data) this.data.push(byte);
  }

  /** The address of code, as an offset from the start of all code. */
  address(offset: number): void {
    this.fixups.push({ at: this.length, bytes: this.addressBytes, to: "text" });
    this.number(offset, this.addressBytes);
  }

  /** A length or an offset of code that does not move with it. */
  distance(value: number): void {
    this.number(value, this.addressBytes);
  }

  /** A place in a section. */
  reference(to: SectionName, offset: number): void {
    this.fixups.push({ at: this.length, bytes: 4, to });
    this.u32(offset);
  }
}

/** A section that begins with its own length, which does not count itself. */
export function withLength(content: Section): Section {
  const section = new Section(content.addressBytes);
  section.u32(content.length);
  section.append(content);
  return section;
}

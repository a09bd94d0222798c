// Debugging information entries: a tree of tags with attributes, and the abbreviations that say which attributes each has.
// (DWARF Debugging Information Format, version 4, "Debugging Information Entry")
import { Section } from "./section.ts";

export const TAG_COMPILE_UNIT = 0x11;
export const TAG_INLINED_SUBROUTINE = 0x1d;
export const TAG_SUBPROGRAM = 0x2e;

/** Attributes, with the form of their values: a pair of numbers that an abbreviation holds. */
export const NAME = [0x03, 0x08] as const;
export const STMT_LIST = [0x10, 0x17] as const;
export const LOW_PC = [0x11, 0x01] as const;
/** Four bytes: the distance from the first byte to the one behind the last. */
export const HIGH_PC = [0x12, 0x06] as const;
export const LANGUAGE = [0x13, 0x0b] as const;
export const COMP_DIR = [0x1b, 0x08] as const;
export const INLINE = [0x20, 0x0b] as const;
export const PRODUCER = [0x25, 0x08] as const;
export const ABSTRACT_ORIGIN = [0x31, 0x13] as const;
export const DECL_FILE = [0x3a, 0x0f] as const;
export const DECL_LINE = [0x3b, 0x0f] as const;
export const RANGES = [0x55, 0x17] as const;
export const CALL_FILE = [0x58, 0x0f] as const;
export const CALL_LINE = [0x59, 0x0f] as const;

type Attribute = readonly [name: number, form: number];

/** Writes the value of one attribute. */
type Value = [attribute: Attribute, write: (out: Section) => void];

export const text = (attribute: Attribute, value: string): Value => [attribute, (out) => out.text(value)];
export const byte = (attribute: Attribute, value: number): Value => [attribute, (out) => out.u8(value)];
export const word = (attribute: Attribute, value: number): Value => [attribute, (out) => out.u32(value)];
export const count = (attribute: Attribute, value: number): Value => [attribute, (out) => out.uleb(value)];
export const address = (attribute: Attribute, offset: number): Value => [
  attribute,
  (out) => out.address(offset),
];
export const place = (
  attribute: Attribute,
  section: "debug_line" | "debug_ranges",
  offset: number,
): Value => [attribute, (out) => out.reference(section, offset)];

/** Each kind of entry once, numbered from 1 in order of appearance. */
class Abbreviations {
  private readonly numbers = new Map<string, number>();
  readonly section: Section;

  constructor(addressBytes: 4 | 8) {
    this.section = new Section(addressBytes);
  }

  number(tag: number, children: boolean, attributes: readonly Attribute[]): number {
    const key = [tag, children, ...attributes].join();
    const known = this.numbers.get(key);
    if (known !== undefined) return known;
    const number = this.numbers.size + 1;
    this.numbers.set(key, number);
    this.section.uleb(number);
    this.section.uleb(tag);
    this.section.u8(children ? 1 : 0);
    for (const attribute of attributes) for (const part of attribute) this.section.uleb(part);
    this.section.u8(0, 0);
    return number;
  }
}

/** Writes the entries of one unit in the order in which they are started. */
export class EntryWriter {
  private readonly abbreviations: Abbreviations;

  /** @param out where the entries go; its start is where the unit starts. */
  constructor(private readonly out: Section) {
    this.abbreviations = new Abbreviations(out.addressBytes);
  }

  /** Starts an entry and returns where, for `ABSTRACT_ORIGIN`. One with children lasts until {@link end}. */
  start(tag: number, children: boolean, values: readonly Value[]): number {
    const at = this.out.length;
    this.out.uleb(
      this.abbreviations.number(
        tag,
        children,
        values.map(([attribute]) => attribute),
      ),
    );
    for (const [, write] of values) write(this.out);
    return at;
  }

  /** Ends the children of the entry that was started last. */
  end(): void {
    this.out.u8(0);
  }

  /** The section of abbreviations, when all entries are written. */
  finish(): Section {
    this.abbreviations.section.u8(0);
    return this.abbreviations.section;
  }
}

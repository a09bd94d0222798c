// Names of guest addresses, from a System.map or the symbol table of a 64-bit ELF file.
import { readFileSync } from "node:fs";
import { systemErrorText, UserError } from "../lib/user-error.ts";

const ELF_MAGIC = 0x464c457f;
const ELFCLASS64 = 2;
const SHT_SYMTAB = 2;
const SYMBOL_BYTES = 24;
const SECTION_HEADER_BYTES = 64;
/** An address this far behind the last symbol before it belongs to something without a symbol. */
const REACH = 1 << 20;
const TWO_32 = 2 ** 32;
/** Answers kept, by the address's low bits. */
const ANSWERS = 4096;

export class Symbols {
  private readonly answers = new Array<Answer | undefined>(ANSWERS);

  /** Halves of addresses in ascending order, with their names. */
  private constructor(
    private readonly high: Uint32Array,
    private readonly low: Uint32Array,
    private readonly names: string[],
  ) {}

  /** @throws UserError when the file is neither. */
  static read(path: string): Symbols {
    let bytes: Buffer;
    try {
      bytes = readFileSync(path);
    } catch (error) {
      throw new UserError(`--symbols ${path}: cannot read this file: ${systemErrorText(error)}.`);
    }
    const isElf = bytes.length > 64 && bytes.readUInt32LE(0) === ELF_MAGIC;
    const pairs = isElf ? elfSymbols(bytes, path) : mapSymbols(bytes.toString("latin1"));
    if (pairs.length === 0) {
      throw new UserError(
        `--symbols ${path}: no symbols in it. Give the System.map of the guest's kernel, or its vmlinux ELF file.`,
      );
    }
    pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return new Symbols(
      Uint32Array.from(pairs, ([address]) => Number(address >> 32n)),
      Uint32Array.from(pairs, ([address]) => Number(address & 0xffff_ffffn)),
      pairs.map(([, name]) => name),
    );
  }

  /** `function+0x12` for an address, given as two unsigned halves; undefined when no symbol is near below it. */
  find(high: number, low: number): string | undefined {
    const known = this.answers[low % ANSWERS];
    if (known?.low === low && known.high === high) return known.text;
    const text = this.search(high, low);
    this.answers[low % ANSWERS] = { high, low, text };
    return text;
  }

  private search(high: number, low: number): string | undefined {
    let first = 0;
    let end = this.names.length;
    while (first < end) {
      const middle = (first + end) >>> 1;
      const above = (this.high[middle] as number) - high || (this.low[middle] as number) - low;
      if (above <= 0) first = middle + 1;
      else end = middle;
    }
    if (first === 0) return undefined;
    const at = first - 1;
    const offset = (high - (this.high[at] as number)) * TWO_32 + low - (this.low[at] as number);
    if (offset >= REACH) return undefined;
    return offset === 0 ? this.names[at] : `${this.names[at]}+0x${offset.toString(16)}`;
  }
}

interface Answer {
  high: number;
  low: number;
  text: string | undefined;
}

type Pair = [address: bigint, name: string];

/** Lines of `ffffffff81000000 T _text`; symbols of the per-CPU area (type a, A) are offsets, not addresses. */
function mapSymbols(text: string): Pair[] {
  const lines = text.matchAll(/^([0-9a-f]{8,16}) [b-zB-Z] (\S+)/gm);
  return Array.from(lines, ([, address, name]) => [BigInt(`0x${address}`), name as string] as Pair);
}

function elfSymbols(bytes: Buffer, path: string): Pair[] {
  if (bytes.readUInt8(4) !== ELFCLASS64) throw new UserError(`--symbols ${path}: not a 64-bit ELF file.`);
  try {
    const sections = Number(bytes.readBigUInt64LE(0x28));
    const count = bytes.readUInt16LE(0x3c);
    for (let i = 0; i < count; i++) {
      const header = bytes.subarray(sections + i * SECTION_HEADER_BYTES);
      if (header.readUInt32LE(4) !== SHT_SYMTAB) continue;
      const strings = bytes.subarray(sections + header.readUInt32LE(0x28) * SECTION_HEADER_BYTES);
      return tableSymbols(sectionBytes(bytes, header), sectionBytes(bytes, strings));
    }
    return [];
  } catch (error) {
    if (error instanceof RangeError) throw new UserError(`--symbols ${path}: the ELF file is damaged.`);
    throw error;
  }
}

function sectionBytes(file: Buffer, header: Buffer): Buffer {
  const start = Number(header.readBigUInt64LE(0x18));
  return file.subarray(start, start + Number(header.readBigUInt64LE(0x20)));
}

/** Functions and symbols without a type, in a section. */
function tableSymbols(table: Buffer, strings: Buffer): Pair[] {
  const pairs: Pair[] = [];
  for (let at = 0; at + SYMBOL_BYTES <= table.length; at += SYMBOL_BYTES) {
    const type = table.readUInt8(at + 4) & 15;
    if ((type !== 0 && type !== 2) || table.readUInt16LE(at + 6) === 0) continue;
    const name = table.readUInt32LE(at);
    const text = strings.toString("latin1", name, strings.indexOf(0, name));
    if (text !== "") pairs.push([table.readBigUInt64LE(at + 8), text]);
  }
  return pairs;
}

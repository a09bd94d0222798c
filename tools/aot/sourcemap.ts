/** A position of TypeScript source. Lines count from 1. */
export interface SourcePosition {
  file: string;
  line: number;
}

interface Entry {
  offset: number;
  file: number;
  line: number;
  /** From 0. */
  column: number;
}

const DIGITS = new Map(
  [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].map((c, i) => [c, i]),
);

/**
 * A source map of a WebAssembly module: one "line" whose columns are byte offsets of the module.
 * Source: ECMA-426, "Source map format".
 */
export class SourceMap {
  private readonly files: string[];
  private readonly entries: Entry[];

  constructor(json: string) {
    const map = JSON.parse(json) as { sources: string[]; mappings: string };
    this.files = map.sources;
    this.entries = decodeMappings(map.mappings);
  }

  static readonly empty = new SourceMap('{"sources":[],"mappings":""}');

  /** The position of the instruction at this offset: that of the nearest mapping before it, not below `from`. */
  find(offset: number, from = 0): SourcePosition | null {
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.entries[middle]!.offset <= offset) low = middle + 1;
      else high = middle;
    }
    const entry = this.entries[low - 1];
    if (!entry || entry.offset < from) return null;
    return this.position(entry);
  }

  /** All mappings in ascending order. Columns count from 1. */
  all(): { offset: number; position: SourcePosition; column: number }[] {
    return this.entries.map((entry) => ({
      offset: entry.offset,
      position: this.position(entry),
      column: entry.column + 1,
    }));
  }

  private position({ file, line }: Entry): SourcePosition {
    return { file: this.files[file] ?? "?", line };
  }
}

function decodeMappings(mappings: string): Entry[] {
  const entries: Entry[] = [];
  let offset = 0;
  let file = 0;
  let line = 1;
  let column = 0;
  for (const segment of mappings.split(/[,;]/)) {
    if (!segment) continue;
    const fields = decodeVlq(segment);
    offset += fields[0]!;
    if (fields.length < 4) continue;
    file += fields[1]!;
    line += fields[2]!;
    column += fields[3]!;
    entries.push({ offset, file, line, column });
  }
  return entries.sort((a, b) => a.offset - b.offset);
}

/** Base 64 digits of 6 bits: bit 5 continues, the lowest bit of a number is its sign. */
function decodeVlq(text: string): number[] {
  const numbers: number[] = [];
  let value = 0;
  let shift = 0;
  for (const c of text) {
    const digit = DIGITS.get(c) ?? 0;
    value += (digit & 31) * 2 ** shift;
    shift += 5;
    if (digit & 32) continue;
    numbers.push(value % 2 ? -(value - 1) / 2 : value / 2);
    value = 0;
    shift = 0;
  }
  return numbers;
}

/** The source files that a map carries, by name. */
export function sourcesOf(json: string): Map<string, string> {
  const map = JSON.parse(json) as { sources: string[]; sourcesContent?: (string | null)[] };
  return new Map(map.sources.map((file, i) => [file, map.sourcesContent?.[i] ?? ""]));
}

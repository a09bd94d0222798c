import { internalError } from "../errors.ts";

/** Bytes from here on stand for a pair of bytes, which may be such bytes themselves. */
const FIRST_PAIR = 0x80;
const PAIRS = 0x80;
/** A pair that occurs less often is not worth its two bytes. */
const MIN_COUNT = 3;

/** The names of the symbol table, compressed: the most frequent pair of neighbours becomes one byte, again and again. */
export class StringTable {
  private readonly texts = new Set<string>([""]);
  private readonly offsets = new Map<string, number>();
  /** Two bytes for each of the values 80h to FFh. */
  readonly pairs: number[] = new Array<number>(2 * PAIRS).fill(0);
  readonly bytes: number[] = [];

  add(text: string): void {
    this.texts.add(text);
  }

  /** Lays the strings out, when all are known. */
  finish(): void {
    const texts = [...this.texts];
    const strings = texts.map((text) => [...text].map(codeOf));
    for (let i = 0; i < PAIRS; i++) {
      const pair = mostFrequent(strings);
      if (pair === null) break;
      this.pairs[2 * i] = pair >> 8;
      this.pairs[2 * i + 1] = pair & 0xff;
      for (const string of strings) replace(string, pair, FIRST_PAIR + i);
    }
    texts.forEach((text, i) => {
      this.offsets.set(text, this.bytes.length);
      this.bytes.push(...strings[i]!, 0);
    });
  }

  offset(text: string): number {
    const offset = this.offsets.get(text);
    if (offset === undefined) throw internalError(`"${text}" is not in the string table`);
    return offset;
  }
}

/** ASCII: nothing else is left for characters, and none is needed for names in sources. */
function codeOf(character: string): number {
  const code = character.charCodeAt(0);
  return code > 0 && code < FIRST_PAIR ? code : "?".charCodeAt(0);
}

/** The pair of neighbours, as first * 256 + second, that occurs most often; of several the lowest. */
function mostFrequent(strings: readonly number[][]): number | null {
  const counts = new Uint32Array(0x10000);
  for (const string of strings)
    for (let i = 1; i < string.length; i++) counts[(string[i - 1]! << 8) | string[i]!]!++;
  let best = 0;
  for (let pair = 1; pair < counts.length; pair++) if (counts[pair]! > counts[best]!) best = pair;
  return counts[best]! < MIN_COUNT ? null : best;
}

function replace(string: number[], pair: number, by: number): void {
  let to = 0;
  for (let from = 0; from < string.length; to++) {
    const found = from + 1 < string.length && ((string[from]! << 8) | string[from + 1]!) === pair;
    string[to] = found ? by : string[from]!;
    from += found ? 2 : 1;
  }
  string.length = to;
}

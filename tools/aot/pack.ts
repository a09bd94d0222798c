// Packs bytes for start code that must be small: copies of what came before, in the manner of LZ4 ("LZ4 Block Format
// Description"), and stretches of zeros, which the unpacker skips because its memory is zero already. A packed stream is
// steps of
//
//   u8        literals in bits 7..4, length in bits 3..0; 15: a LEB128 number follows, which is added (literals' first)
//   literals  bytes as they are
//   u16       distance back to what is copied; 0: zeros. Copied or skipped are MIN_LENGTH + length bytes
//
// The last step ends behind its literals, where the known number of bytes is complete.

const MIN_LENGTH = 4;
const MAX_DISTANCE = 0xffff;
const NIBBLE = 15;
/** Places with the same four bytes that are compared, the last ones first. */
const CANDIDATES = 48;
/** Copies are looked at in all lengths up to this one: a shorter one may leave a better start for the next. */
const ALL_LENGTHS = 64;
/** From this length on, zeros are skipped without looking for anything better. */
const LONG_ZEROS = 32;

/** What is best done at each place: a literal, where the length is 0, or a copy. */
interface Choices {
  length: Int32Array;
  distance: Int32Array;
}

/** Packs with the fewest bytes that the choice of candidates allows. */
export function pack(bytes: Uint8Array): Uint8Array {
  const choices = choose(bytes, earlierPlaces(bytes));
  const out: number[] = [];
  let literals = 0;
  for (let at = 0; at < bytes.length || literals > 0; ) {
    const length = choices.length[at]!;
    const distance = choices.distance[at]!;
    if (at < bytes.length && length === 0) {
      literals++;
      at++;
      continue;
    }
    const more = Math.max(0, length - MIN_LENGTH);
    out.push((Math.min(literals, NIBBLE) << 4) | Math.min(more, NIBBLE));
    if (literals >= NIBBLE) out.push(...uleb(literals - NIBBLE));
    out.push(...bytes.subarray(at - literals, at));
    literals = 0;
    if (at >= bytes.length) break;
    if (more >= NIBBLE) out.push(...uleb(more - NIBBLE));
    out.push(distance & 0xff, distance >> 8);
    at += length;
  }
  return Uint8Array.from(out);
}

/** For each place the nearest one before it with the same four bytes; -1: none. */
function earlierPlaces(bytes: Uint8Array): Int32Array {
  const last = new Map<number, number>();
  const earlier = new Int32Array(bytes.length).fill(-1);
  for (let i = 0; i + MIN_LENGTH <= bytes.length; i++) {
    const key = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    if (key === 0) continue;
    earlier[i] = last.get(key) ?? -1;
    last.set(key, i);
  }
  return earlier;
}

/** The best choice at each place, from the end to the start. */
function choose(bytes: Uint8Array, earlier: Int32Array): Choices {
  /** Bytes from a place to the end, packed. */
  const cost = new Int32Array(bytes.length + 1);
  const choices = { length: new Int32Array(bytes.length + 1), distance: new Int32Array(bytes.length + 1) };
  let zeros = 0;
  const consider = (at: number, length: number, distance: number) => {
    const total = costOf(length) + cost[at + length]!;
    if (total >= cost[at]!) return;
    cost[at] = total;
    choices.length[at] = length;
    choices.distance[at] = distance;
  };
  for (let at = bytes.length - 1; at >= 0; at--) {
    zeros = bytes[at] === 0 ? zeros + 1 : 0;
    cost[at] = 1 + cost[at + 1]!;
    if (zeros >= MIN_LENGTH) consider(at, zeros, 0);
    if (zeros >= LONG_ZEROS) continue;
    forEachCopy(bytes, earlier, at, (length, distance) => {
      for (let n = MIN_LENGTH; n <= Math.min(length, ALL_LENGTHS); n++) consider(at, n, distance);
      consider(at, length, distance);
    });
  }
  return choices;
}

/** Copies from earlier places, each longer than those before. */
function forEachCopy(
  bytes: Uint8Array,
  earlier: Int32Array,
  at: number,
  visit: (length: number, distance: number) => void,
): void {
  let longest = MIN_LENGTH - 1;
  let from = earlier[at]!;
  for (let tries = CANDIDATES; from >= 0 && tries > 0 && at - from <= MAX_DISTANCE; tries--) {
    let length = 0;
    while (at + length < bytes.length && bytes[from + length] === bytes[at + length]) length++;
    if (length > longest) {
      longest = length;
      visit(length, at - from);
    }
    from = earlier[from]!;
  }
}

/** Bytes of a step without its literals. */
function costOf(length: number): number {
  let bytes = 3;
  // As many as `uleb` makes.
  for (let more = length - MIN_LENGTH - NIBBLE; more >= 0; more = more < 0x80 ? -1 : more >>> 7) bytes++;
  return bytes;
}

/** Unsigned LEB128. */
function uleb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...uleb(value >>> 7)];
}

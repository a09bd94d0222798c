import { expect, test } from "vitest";
import { planes } from "../../tools/aot/linear-image.ts";

/** What the start code makes of the planes. */
function unpack(image: Uint8Array, start: number): Uint8Array {
  const memory = new Uint8Array(image.length);
  for (const plane of planes(image, start)) unpackPlane(plane, memory);
  return memory;
}

function unpackPlane({ at, end, packed }: ReturnType<typeof planes>[0], memory: Uint8Array): void {
  let from = 0;
  let to = at;
  const number = (nibble: number) => {
    let result = nibble;
    for (let shift = 0, more = nibble === 15; more; shift += 7) {
      result += (packed[from]! & 127) << shift;
      more = packed[from++]! > 127;
    }
    return result;
  };
  while (to < end) {
    const step = packed[from++]!;
    for (let n = number(step >> 4); n > 0; n--, to += 2) memory[to] = packed[from++]!;
    if (to >= end) break;
    const length = 4 + number(step & 15);
    const distance = 2 * (packed[from]! | (packed[from + 1]! << 8));
    from += 2;
    if (distance === 0) to += 2 * length;
    else for (let n = length; n > 0; n--, to += 2) memory[to] = memory[to - distance]!;
  }
  expect(to).toBe(end);
  expect(from).toBe(packed.length);
}

const utf16 = (text: string) => [...text].flatMap((c) => [c.charCodeAt(0), 0]);

test.each([
  ["nothing", []],
  ["zeros only", new Array(500).fill(0)],
  ["one byte at the end", [...new Array(400).fill(0), 7]],
  ["text at an odd address", [1, ...utf16("a longer piece of text, in UTF-16")]],
  ["far apart", [1, ...new Array(1000).fill(0), 2, ...new Array(70).fill(0), 3]],
  ["no zero at all", new Array(100).fill(255)],
])("%s comes back", (_name, bytes) => {
  const image = Uint8Array.from(bytes);
  expect(unpack(image, 0)).toEqual(image);
});

test("random mixtures come back", () => {
  let seed = 12345;
  const next = (limit: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % limit;
  };
  for (let round = 0; round < 100; round++) {
    const bytes: number[] = [];
    for (let i = 0; i < 30; i++) {
      for (let length = next(40); length > 0; length--)
        bytes.push(...[[0], [next(256)], [1 + next(255), 0]][i % 3]!);
    }
    const image = Uint8Array.from(bytes);
    expect(unpack(image, 0)).toEqual(image);
  }
});

test("bytes before the start are left out", () => {
  const image = Uint8Array.from([9, 9, 9, 9, 9, 9, 9, 9, 5]);
  expect(unpack(image, 8)).toEqual(Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 5]));
});

test("repeated text costs a few bytes, and gaps hardly more", () => {
  const size = (bytes: number[]) =>
    planes(Uint8Array.from(bytes), 0).reduce((sum, { packed }) => sum + packed.length, 0);
  expect(size(utf16("a piece of text, ".repeat(100)))).toBeLessThan(30);
  expect(size([1, ...new Array(1_000_000).fill(0), 1])).toBeLessThan(20);
});

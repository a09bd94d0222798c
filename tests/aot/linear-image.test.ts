import { expect, test } from "vitest";
import { blocks } from "../../tools/aot/linear-image.ts";

/** What the start code makes of the blocks. */
function unpack(image: Uint8Array, start: number): Uint8Array {
  const memory = new Uint8Array(image.length + 8);
  for (const { at, groups, bytes } of blocks(image, start)) {
    expect(at % 8).toBe(0);
    let from = 0;
    for (let to = at; to < at + 8 * groups; to += 8) {
      const mask = bytes[from++] as number;
      for (let bit = 0; bit < 8; bit++) if (mask & (1 << bit)) memory[to + bit] = bytes[from++] as number;
    }
    expect(from).toBe(bytes.length);
  }
  return memory.subarray(0, image.length);
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

test("text costs 1.25 bytes a character, and gaps cost a block", () => {
  const size = (bytes: number[]) =>
    blocks(Uint8Array.from(bytes), 0).reduce((sum, b) => sum + 8 + b.bytes.length, 0);
  expect(size(utf16("x".repeat(1000)))).toBe(8 + 1250);
  expect(size([1, ...new Array(100_000).fill(0), 1])).toBe(2 * (8 + 2));
});

import { expect, test } from "vitest";
import { records } from "../../tools/aot/linear-image.ts";

/** What the start code makes of the records. */
function unpack(image: Uint8Array, start: number): Uint8Array {
  const memory = new Uint8Array(image.length);
  for (const { at, wide, bytes } of records(image, start)) {
    bytes.forEach((byte, i) => {
      memory[at + (wide ? 2 * i : i)] = byte;
    });
  }
  return memory;
}

test.each([
  ["nothing", []],
  ["zeros only", new Array(50).fill(0)],
  ["one byte at the end", [...new Array(40).fill(0), 7]],
  [
    "text of an odd address",
    [1, ...[..."a longer piece of text, in UTF-16"].flatMap((c) => [c.charCodeAt(0), 0])],
  ],
  [
    "text, then data",
    [...[..."a longer piece of text, in UTF-16"].flatMap((c) => [c.charCodeAt(0), 0]), 1, 2, 3],
  ],
  ["data with short gaps", [1, 0, 0, 2, 0, 0, 0, 3]],
])("%s comes back", (_name, bytes) => {
  const image = Uint8Array.from(bytes);
  expect(unpack(image, 0)).toEqual(image);
});

test("random mixtures come back", () => {
  let seed = 12345;
  const next = (limit: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % limit;
  for (let round = 0; round < 200; round++) {
    const bytes: number[] = [];
    for (let i = 0; i < 30; i++) {
      const length = next(40);
      for (let j = 0; j < length; j++) bytes.push(...[[0], [next(256)], [1 + next(255), 0]][i % 3]!);
    }
    const image = Uint8Array.from(bytes);
    expect(unpack(image, 0)).toEqual(image);
  }
});

test("text costs one byte a character", () => {
  const text = "x".repeat(1000);
  const image = Uint8Array.from([...text].flatMap((c) => [c.charCodeAt(0), 0]));
  expect(records(image, 0).reduce((sum, { bytes }) => sum + bytes.length, 0)).toBe(1000);
});

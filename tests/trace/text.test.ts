// The writer of numbers and words, against what the language itself makes of them.
import { expect, test } from "vitest";
import { Text } from "../../tools/trace/text.ts";
import { Random } from "../unit/random.ts";

function written(write: (text: Text) => void): string {
  const text = new Text();
  write(text);
  return text.toString();
}

/** Whole numbers of every length, with their neighbours. */
function wholeNumbers(): number[] {
  const random = new Random(1);
  const lengths = Array.from({ length: 15 }, (_, i) => 10 ** i);
  const some = lengths.flatMap((power) => [
    power - 1,
    power,
    power + 1,
    Math.floor((power * random.next()) / 2 ** 32),
  ]);
  return [...some, 2 ** 31, 2 ** 32 - 1, 999_999_999, 1_000_000_000, Number.MAX_SAFE_INTEGER, -1, -123_456];
}

test("numbers of 64 bits in hexadecimal", () => {
  const random = new Random(2);
  for (let i = 0; i < 5000; i++) {
    const value = random.wide() >> BigInt(random.below(64));
    const text = written((text) => text.hex(Number(value >> 32n), Number(value & 0xffff_ffffn)));
    expect(text).toBe(`0x${value.toString(16)}`);
  }
});

test("whole numbers, in columns", () => {
  for (const value of wholeNumbers()) {
    expect(written((text) => text.decimal(value))).toBe(String(value));
    expect(written((text) => text.decimal(value, 12))).toBe(String(value).padStart(12));
    if (value >= 0)
      expect(written((text) => text.decimal(value, 9, 0x30))).toBe(String(value).padStart(9, "0"));
  }
});

test("fixed digits behind the point, ties and all", () => {
  const random = new Random(3);
  const values = [0, 0.005, 0.015, 1.005, 2.5, 0.125, 12.345, 1e-12, 1e21, 1e15 + 0.5, -1.005, Number.NaN];
  for (let i = 0; i < 5000; i++) {
    values.push(
      (random.next() + random.next() / 2 ** 32) / 10 ** random.below(12),
      random.below(100_000) / 200,
    );
  }
  for (const value of values) {
    for (const digits of [2, 3, 9]) {
      expect(written((text) => text.fixed(value, digits))).toBe(value.toFixed(digits));
    }
  }
});

test("a point in a whole number", () => {
  expect(written((text) => text.point(1_234_567_890_123, 9))).toBe("1234.567890123");
  expect(written((text) => text.point(5, 3, 8))).toBe("   0.005");
  expect(written((text) => text.point(-1500, 3, 8))).toBe("  -1.500");
});

test("words of any length and script; what was taken stays", () => {
  const long = "x".repeat(300_000);
  const text = new Text();
  text.add("früh ");
  text.add(long);
  text.copy(Buffer.from(" 7"));
  const taken = text.take();
  text.add("something else");
  expect(taken.toString()).toBe(`früh ${long} 7`);
  expect(text.toString()).toBe("something else");
});

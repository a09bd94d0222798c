// The initial contents of linear memory in packed form, for targets whose start code unpacks it (boot/start.asm). Most of a
// program's data is text in UTF-16 and small integers, in which every other byte is zero: so the bytes at even addresses
// come first, then those at odd ones, each as
//
//   u32 address of the first byte, u32 address behind the last, then a packed stream (pack.ts)
import { dataLines } from "./data-lines.ts";
import { pack } from "./pack.ts";

/** Every other byte of a region. */
export interface Plane {
  /** Addresses of the first byte, and at most one behind the last. */
  at: number;
  end: number;
  packed: Uint8Array;
}

/** The bytes of `image` from `start` on, as NASM lines. */
export function linearImageLines(image: Uint8Array, start: number): string[] {
  return planes(image, start).flatMap(({ at, end, packed }) => [`  dd ${at}, ${end}`, ...dataLines(packed)]);
}

/** The bytes of `image` from `start` on: those at even distances, and those at odd ones. */
export function planes(image: Uint8Array, start: number): [Plane, Plane] {
  const plane = (at: number): Plane => {
    const bytes = new Uint8Array(Math.max(0, Math.ceil((image.length - at) / 2)));
    for (let i = 0; i < bytes.length; i++) bytes[i] = image[at + 2 * i]!;
    return { at, end: at + 2 * bytes.length, packed: pack(bytes) };
  };
  return [plane(start), plane(start + 1)];
}

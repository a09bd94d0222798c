// The initial contents of linear memory in compact form, for targets whose start code unpacks it (boot/start.asm). Most of a
// program's data is text in UTF-16 and small integers: every other byte, or more, is zero. So a block is
//
//   address u32 (a multiple of 8), count u32, then `count` groups of 8 bytes, each as
//     mask u8: bit n is set when byte n of the group is not zero; then those bytes, lowest first
//
// A block with count 0 is the end. What no block covers is zero.
import { dataLines } from "./data.ts";

const GROUP = 8;
/** Groups of zeros that are worth ending a block for: each costs a byte, a new block costs eight. */
const GAP = 9;

export interface Block {
  at: number;
  groups: number;
  bytes: Uint8Array;
}

/** The bytes of `image` from `start` on, as NASM lines. */
export function linearImageLines(image: Uint8Array, start: number): string[] {
  const lines = blocks(image, start).flatMap(({ at, groups, bytes }) => [
    `  dd ${at}, ${groups}`,
    ...dataLines(bytes),
  ]);
  return [...lines, "  dd 0, 0"];
}

/** Covers every byte of `image` from `start` (a multiple of 8) on that is not zero. */
export function blocks(image: Uint8Array, start: number): Block[] {
  const found: Block[] = [];
  const emptyGroups = (from: number) => {
    let end = from;
    while (end < image.length && group(image, end).length === 1) end += GROUP;
    return (end - from) / GROUP;
  };
  for (let at = start + emptyGroups(start) * GROUP; at < image.length; ) {
    const bytes: number[] = [];
    let end = at;
    while (end < image.length && emptyGroups(end) < GAP) {
      bytes.push(...group(image, end));
      end += GROUP;
    }
    found.push({ at, groups: (end - at) / GROUP, bytes: Uint8Array.from(bytes) });
    at = end + emptyGroups(end) * GROUP;
  }
  return found;
}

/** One group: its mask, and the bytes that are not zero. */
function group(image: Uint8Array, at: number): number[] {
  const bytes = [...image.subarray(at, at + GROUP)];
  const mask = bytes.reduce((bits, byte, i) => (byte === 0 ? bits : bits | (1 << i)), 0);
  return [mask, ...bytes.filter((byte) => byte !== 0)];
}

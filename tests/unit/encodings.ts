// Random machine code that is likely to be instructions.
import type { Random } from "./random.js";

/** Bytes that look like an instruction: prefixes, an opcode of one of the four maps, then noise. */
export function candidate(random: Random, map: number, opcode: number): Uint8Array {
  const bytes: number[] = [];
  const prefixes = [
    0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0x48, 0x41, 0x44, 0x4f, 0x40,
  ];
  while (random.below(3) === 0) bytes.push(prefixes[random.below(prefixes.length)] as number);
  if (map > 0) bytes.push(0x0f);
  if (map === 2) bytes.push(0x38);
  if (map === 3) bytes.push(0x3a);
  bytes.push(opcode);
  while (bytes.length < 15) bytes.push(random.below(256));
  return Uint8Array.from(bytes.slice(0, 15));
}

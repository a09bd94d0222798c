// Instruction bytes as text, by iced-x86. A record does not say the guest's code size: high addresses can only be 64-bit
// code, for others every size that reads differently is shown.
import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from "iced-x86";
import { RECORD_BYTES_HIGH, RECORD_BYTES_LOW, RECORD_RIP } from "../../kernel/abi/trace.ts";
import type { ExitRecord } from "./record.ts";

const FOUR_GIB = 1n << 32n;

export interface Disassembly {
  /** `mov eax,[rdi+380h]`; with several code sizes `64-bit: …; 32-bit: …`. Empty without bytes. */
  text: string;
  /** Bytes that are the instruction, by the code size that takes most. */
  length: number;
}

export function disassemble(bytes: Buffer, rip: bigint): Disassembly {
  if (bytes.length === 0) return { text: "", length: 0 };
  if (rip >= FOUR_GIB) return decode(bytes, rip, 64);
  const texts = new Map<string, number[]>();
  let length = 0;
  for (const size of [64, 32, 16]) {
    const one = decode(bytes, rip, size);
    texts.set(one.text, [...(texts.get(one.text) ?? []), size]);
    length = Math.max(length, one.length);
  }
  if (texts.size === 1) return { text: texts.keys().next().value as string, length };
  return { text: Array.from(texts, ([text, sizes]) => `${sizes.join("/")}-bit: ${text}`).join("; "), length };
}

function decode(bytes: Buffer, rip: bigint, size: number): Disassembly {
  const decoder = new Decoder(size, bytes, DecoderOptions.None);
  const formatter = new Formatter(FormatterSyntax.Nasm);
  try {
    decoder.ip = rip;
    const instruction = decoder.decode();
    const text = formatter.format(instruction);
    const { length } = instruction;
    instruction.free();
    return { text, length };
  } finally {
    decoder.free();
    formatter.free();
  }
}

// --- for many records ------------------------------------------------------------------------------------------------------

/** Places kept, by the address's low bits: guests exit from a few places again and again. */
const KEPT = 4096;
const WORDS = [RECORD_RIP, RECORD_BYTES_LOW, RECORD_BYTES_HIGH];

interface Kept {
  words: number[];
  text: string;
}

const kept = new Array<Kept | undefined>(KEPT);

/** The record's instruction as text; empty when it has no bytes. */
export function instructionText(record: ExitRecord): string {
  if (record.highOf(RECORD_BYTES_HIGH) >>> 24 === 0) return "";
  const place = record.lowOf(RECORD_RIP) % KEPT;
  const known = kept[place];
  if (known !== undefined && isOf(known, record)) return known.text;
  const { text } = disassemble(record.bytes, record.rip);
  const words = WORDS.flatMap((offset) => [record.lowOf(offset), record.highOf(offset)]);
  kept[place] = { words, text };
  return text;
}

function isOf({ words }: Kept, record: ExitRecord): boolean {
  for (let i = 0; i < WORDS.length; i++) {
    const offset = WORDS[i] as number;
    if (words[2 * i] !== record.lowOf(offset) || words[2 * i + 1] !== record.highOf(offset)) return false;
  }
  return true;
}

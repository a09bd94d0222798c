// Instruction bytes as text, by iced-x86. A record does not say the guest's code size: high addresses can only be 64-bit
// code, for others every size that reads differently is shown.
import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from "iced-x86";

const FOUR_GIB = 1n << 32n;

/** `mov eax,[rdi+380h]`; with several code sizes `64-bit: …; 32-bit: …`. Empty without bytes. */
export function disassemble(bytes: Buffer, rip: bigint): string {
  if (bytes.length === 0) return "";
  if (rip >= FOUR_GIB) return decode(bytes, rip, 64);
  const texts = new Map<string, number[]>();
  for (const size of [64, 32, 16]) {
    const text = decode(bytes, rip, size);
    texts.set(text, [...(texts.get(text) ?? []), size]);
  }
  if (texts.size === 1) return texts.keys().next().value as string;
  return Array.from(texts, ([text, sizes]) => `${sizes.join("/")}-bit: ${text}`).join("; ");
}

function decode(bytes: Buffer, rip: bigint, size: number): string {
  const decoder = new Decoder(size, bytes, DecoderOptions.None);
  const formatter = new Formatter(FormatterSyntax.Nasm);
  try {
    decoder.ip = rip;
    const instruction = decoder.decode();
    const text = formatter.format(instruction);
    instruction.free();
    return text;
  } finally {
    decoder.free();
    formatter.free();
  }
}

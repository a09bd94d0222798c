import { readFileSync } from "node:fs";

const SHT_SYMTAB = 2;
const SECTION_HEADER_BYTES = 64;
const SYMBOL_BYTES = 24;

/**
 * Values of all named symbols of an ELF64 file: addresses in an executable, section offsets in an object.
 * Source: System V Application Binary Interface, "Symbol Table".
 */
export function readElfSymbols(path: string): Map<string, bigint> {
  const file = readFileSync(path);
  const sectionHeaders = Number(file.readBigUInt64LE(0x28));
  const sectionCount = file.readUInt16LE(0x3c);
  const symbols = new Map<string, bigint>();
  for (let i = 0; i < sectionCount; i++) {
    const header = sectionHeaders + i * SECTION_HEADER_BYTES;
    if (file.readUInt32LE(header + 4) !== SHT_SYMTAB) continue;
    const offset = Number(file.readBigUInt64LE(header + 24));
    const size = Number(file.readBigUInt64LE(header + 32));
    const stringsHeader = sectionHeaders + file.readUInt32LE(header + 40) * SECTION_HEADER_BYTES;
    const strings = Number(file.readBigUInt64LE(stringsHeader + 24));
    for (let at = offset; at < offset + size; at += SYMBOL_BYTES) {
      const nameStart = strings + file.readUInt32LE(at);
      const name = file.toString("utf8", nameStart, file.indexOf(0, nameStart));
      if (name) symbols.set(name, file.readBigUInt64LE(at + 8));
    }
  }
  return symbols;
}

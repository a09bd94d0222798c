// What coreboot does for its payload: a table of the memory's parts, here as one more segment of the payload's ELF.
// Source: coreboot, "Coreboot tables" (src/commonlib/include/commonlib/coreboot_tables.h).

export interface MemoryPart {
  start: number;
  bytes: number;
}

const HEADER_BYTES = 24;
const TAG_MEMORY = 1;
const MEMORY_RAM = 1;
const PROGRAM_HEADER = 32;
const PT_LOAD = 1;

/** ELF32 executable `file`, with coreboot's table of `memory` as a segment at `address`. */
export function asCorebootPayload(file: Buffer, address: number, memory: MemoryPart[]): Buffer {
  const headers = file.readUInt32LE(28);
  const count = file.readUInt16LE(44);
  const contents = table(memory);
  const segment = words([PT_LOAD, file.length, address, address, contents.length, contents.length, 6, 16]);
  const grown = Buffer.concat([
    file,
    contents,
    file.subarray(headers, headers + count * PROGRAM_HEADER),
    segment,
  ]);
  grown.writeUInt32LE(file.length + contents.length, 28);
  grown.writeUInt16LE(count + 1, 44);
  return grown;
}

/**
 *   0       4             8                12             16               20
 *   "LBIO"  header bytes  header checksum  entries bytes  entries checksum number of entries
 */
function table(memory: MemoryPart[]): Buffer {
  const ranges = memory.map(({ start, bytes }) => words([start, 0, bytes, 0, MEMORY_RAM]));
  const entry = Buffer.concat([words([TAG_MEMORY, 8 + ranges.length * 20]), ...ranges]);
  const header = Buffer.concat([
    Buffer.from("LBIO"),
    words([HEADER_BYTES, 0, entry.length, checksum(entry), 1]),
  ]);
  header.writeUInt32LE(checksum(header), 8);
  return Buffer.concat([header, entry]);
}

function words(values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, index * 4);
  return bytes;
}

/** The Internet's checksum. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16LE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

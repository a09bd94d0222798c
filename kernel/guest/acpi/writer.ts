// Firmware tables are written into a buffer in linear memory, then copied to the guest. One table is built at a time.
import { putAscii } from "../text";

const WRITER_BYTES: u32 = 0x4000;
const buffer = memory.data(WRITER_BYTES, 64);
let cursor: usize = 0;

/** Starts over with an empty, zeroed buffer. */
export function writerStart(): void {
  memory.fill(buffer, 0, WRITER_BYTES);
  cursor = buffer;
}

/** Linear address of the buffer. */
export function writerBuffer(): usize {
  return buffer;
}

/** Where the next byte goes: linear address. */
export function writerAt(): usize {
  return cursor;
}

/** Bytes from the start of the buffer to the cursor. */
export function writerOffset(): u32 {
  return <u32>(cursor - buffer);
}

/** Moves the cursor up to a multiple of `align`, from the start of the buffer. */
export function writerAlign(align: u32): void {
  reserve(0);
  cursor = buffer + ((cursor - buffer + align - 1) & ~(<usize>align - 1));
}

/** Opens a gap of `bytes` bytes at `at`; what follows moves up. */
export function writerInsert(at: usize, bytes: u32): void {
  reserve(bytes);
  memory.copy(at + bytes, at, cursor - at);
  cursor += bytes;
}

function reserve(bytes: u32): void {
  assert(cursor - buffer + bytes <= <usize>WRITER_BYTES, "writer: buffer full");
}

export function put8(value: u32): void {
  reserve(1);
  store<u8>(cursor, <u8>value);
  cursor += 1;
}

export function put16(value: u32): void {
  reserve(2);
  store<u16>(cursor, <u16>value);
  cursor += 2;
}

export function put32(value: u32): void {
  reserve(4);
  store<u32>(cursor, value);
  cursor += 4;
}

export function put64(value: u64): void {
  reserve(8);
  store<u64>(cursor, value);
  cursor += 8;
}

/** `count` zero bytes. */
export function putZeros(count: u32): void {
  reserve(count);
  memory.fill(cursor, 0, count);
  cursor += count;
}

/** ASCII characters, without a final zero. */
export function putText(text: string): void {
  reserve(<u32>text.length);
  cursor = putAscii(cursor, text);
}

/** The byte that makes the sum of `bytes` bytes at `start`, itself counted as 0, a multiple of 256. */
export function checksum(start: usize, bytes: u32): u32 {
  let sum: u32 = 0;
  for (let i: u32 = 0; i < bytes; i++) sum += load<u8>(start + i);
  return (0x100 - (sum & 0xff)) & 0xff;
}

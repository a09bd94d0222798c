// CRC-32 of frames: IEEE 802.3, reflected, initial value and final XOR all ones, as zlib computes it.

/** Reflected generator polynomial. */
const POLYNOMIAL: u32 = 0xedb88320;
const table = memory.data(256 * 4, 16);

/** Fills the table; boot time. */
export function crc32Prepare(): void {
  for (let i: u32 = 0; i < 256; i++) {
    let value = i;
    for (let bit = 0; bit < 8; bit++) value = (value & 1) != 0 ? (value >> 1) ^ POLYNOMIAL : value >> 1;
    store<u32>(table + <usize>i * 4, value);
  }
}

/** CRC-32 of `length` bytes of linear memory. */
export function crc32(start: usize, length: u32): u32 {
  let value: u32 = 0xffffffff;
  for (let i: u32 = 0; i < length; i++) {
    const index = (value ^ load<u8>(start + i)) & 0xff;
    value = (value >> 8) ^ load<u32>(table + <usize>index * 4);
  }
  return ~value;
}

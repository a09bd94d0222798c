// Widths of accesses, as assertions and decoders ask for them.

/** Whether an access of `size` bytes exists: 1, 2, 4 or 8. */
export function isAccessSize(size: u32): bool {
  return size != 0 && size <= 8 && (size & (size - 1)) == 0;
}

/** Whether an access of `size` bytes to a port or to a 32-bit register exists: 1, 2 or 4. */
export function isPortSize(size: u32): bool {
  return size != 0 && size <= 4 && size != 3;
}

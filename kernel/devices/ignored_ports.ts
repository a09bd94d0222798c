// Ports that software touches for reasons which a virtual machine need not honour: reads give all ones,
// writes go nowhere, and nobody logs them as unknown.

// first port, count, for each range
const RANGES: StaticArray<u16> = [
  0x80,
  1, // POST codes; Linux's I/O delay
  0xed,
  1, // Linux's alternative I/O delay (io_delay=0xed)
  0xf0,
  2, // x87: clear busy, reset
];

/** Number of ranges. */
export function ignoredRangeCount(): u32 {
  assert((RANGES.length & 1) == 0, "ignored_ports: pairs");
  return <u32>RANGES.length >> 1;
}

/** First port of range `index`. */
export function ignoredRangeFirst(index: u32): u32 {
  assert(index < ignoredRangeCount(), "ignored_ports: no such range");
  return RANGES[index * 2];
}

/** Ports in range `index`. */
export function ignoredRangePorts(index: u32): u32 {
  assert(index < ignoredRangeCount(), "ignored_ports: no such range");
  return RANGES[index * 2 + 1];
}

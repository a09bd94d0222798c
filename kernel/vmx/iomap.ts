// The I/O bitmaps: one bit per port, set = the access exits (SDM volume 3, "I/O-Bitmap Addresses"). Bitmap A covers ports
// 0..0x7fff, B 0x8000..0xffff; they lie side by side, so that bit n of the pair is port n.
import { phys_fill, phys_load8, phys_store8 } from "../arch/intrinsics";

export const IO_BITMAP_BYTES: u64 = 4096;
export const IO_BITMAP_PAIR_BYTES: u64 = 8192;

/** Every port access exits. */
export function ioMapCloseAll(maps: u64): void {
  phys_fill(maps, 0xff, IO_BITMAP_PAIR_BYTES);
}

/** Makes accesses to `port` (0..65535) exit (true) or reach the hardware (false). */
export function ioMapSet(maps: u64, port: u32, intercept: bool): void {
  const at = maps + <u64>((port & 0xffff) >> 3);
  const mask: u32 = 1 << (port & 7);
  const old = phys_load8(at);
  phys_store8(at, intercept ? old | mask : old & ~mask);
}

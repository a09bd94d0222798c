// The I/O bitmaps: one bit per port, set = the access exits (SDM volume 3, "I/O-Bitmap Addresses"). Bitmap A covers ports
// 0..0x7fff, B 0x8000..0xffff; they lie side by side, so that bit n of the pair is port n.
import { phys_fill } from "../arch/intrinsics";

export const IO_BITMAP_BYTES: u64 = 4096;
export const IO_BITMAP_PAIR_BYTES: u64 = 8192;

/** Every port access exits. */
export function ioMapCloseAll(maps: u64): void {
  phys_fill(maps, 0xff, IO_BITMAP_PAIR_BYTES);
}

// The maps that say which accesses to MSRs and ports exit.
import { phys_fill, phys_load8, phys_store8 } from "../arch/intrinsics";

// --- MSRs ----------------------------------------------------------------------------------------------------------------
//
// The MSR bitmap: one bit per MSR of two ranges, set = the access exits (SDM volume 3, "MSR-Bitmap Address"). MSRs outside
// both ranges always exit.
//
//   0x000 reads of 0..0x1fff     0x400 reads of 0xc0000000..0xc0001fff
//   0x800 writes of 0..0x1fff    0xc00 writes of 0xc0000000..0xc0001fff

export const MSR_BITMAP_BYTES: u64 = 4096;

const HIGH_MSRS: u32 = 0xc0000000;
const RANGE_MSRS: u32 = 0x2000;
const HIGH_OFFSET: u32 = 0x400;
const WRITE_OFFSET: u64 = 0x800;

/** Every MSR access exits. */
export function msrMapCloseAll(map: u64): void {
  phys_fill(map, 0xff, MSR_BITMAP_BYTES);
}

/** Bit number of an MSR in the read half, or U32.MAX_VALUE when the bitmap does not cover it. */
function bitOf(msr: u32): u32 {
  if (msr < RANGE_MSRS) return msr;
  const high = msr - HIGH_MSRS;
  return msr >= HIGH_MSRS && high < RANGE_MSRS ? HIGH_OFFSET * 8 + high : U32.MAX_VALUE;
}

function setBit(at: u64, mask: u32, on: bool): void {
  const old = phys_load8(at);
  phys_store8(at, on ? old | mask : old & ~mask);
}

/** Makes reads and writes of `msr` exit (true) or reach the register (false). MSRs that the bitmap lacks always exit. */
export function msrMapSet(map: u64, msr: u32, read: bool, write: bool): void {
  const bit = bitOf(msr);
  if (bit == U32.MAX_VALUE) return;
  const at = map + <u64>(bit >> 3);
  const mask: u32 = 1 << (bit & 7);
  setBit(at, mask, read);
  setBit(at + WRITE_OFFSET, mask, write);
}

// --- ports ---------------------------------------------------------------------------------------------------------------
//
// The I/O bitmaps: one bit per port, set = the access exits (SDM volume 3, "I/O-Bitmap Addresses"). Bitmap A covers ports
// 0..0x7fff, B 0x8000..0xffff; they lie side by side, so that bit n of the pair is port n.

export const IO_BITMAP_BYTES: u64 = 4096;
export const IO_BITMAP_PAIR_BYTES: u64 = 8192;

/** Every port access exits. */
export function ioMapCloseAll(maps: u64): void {
  phys_fill(maps, 0xff, IO_BITMAP_PAIR_BYTES);
}

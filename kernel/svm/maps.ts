// The maps that say which accesses to MSRs and ports exit.
import { phys_fill, phys_load8, phys_store8 } from "../arch/intrinsics";
import {
  IA32_CSTAR,
  IA32_FMASK,
  IA32_FS_BASE,
  IA32_GS_BASE,
  IA32_KERNEL_GS_BASE,
  IA32_LSTAR,
  IA32_STAR,
  IA32_SYSENTER_CS,
  IA32_SYSENTER_EIP,
  IA32_SYSENTER_ESP,
} from "../arch/msr";

// --- MSRs ----------------------------------------------------------------------------------------------------------------
//
// The MSR permission map, 8 KiB (APM, "MSR Intercepts"): two bits an MSR (even: read, odd: write), set = exits, in three
// ranges of 2 KiB for 8192 MSRs each; MSRs outside always exit.
//
//   0x000  0000_0000..0000_1FFF      0x800  C000_0000..C000_1FFF      0x1000  C001_0000..C001_1FFF

export const MSR_MAP_FRAMES: u64 = 2;
export const MSR_MAP_BYTES: u64 = 2 * 4096;
const RANGE_MSRS: u32 = 0x2000;
const RANGE_BYTES: u64 = 0x800;
/** Returned for an MSR that the map does not cover. */
const NOT_MAPPED: u64 = U64.MAX_VALUE;

/** MSRs that VMLOAD and VMSAVE switch: the guest's own, no exit. */
const direct: StaticArray<u32> = [
  IA32_SYSENTER_CS,
  IA32_SYSENTER_ESP,
  IA32_SYSENTER_EIP,
  IA32_STAR,
  IA32_LSTAR,
  IA32_CSTAR,
  IA32_FMASK,
  IA32_FS_BASE,
  IA32_GS_BASE,
  IA32_KERNEL_GS_BASE,
];

/** Number of the bit that intercepts reads of `msr` (writes: the next), or NOT_MAPPED. */
function msrMapBit(msr: u32): u64 {
  if (msr < RANGE_MSRS) return <u64>msr * 2;
  if (msr - 0xc0000000 < RANGE_MSRS) return RANGE_BYTES * 8 + <u64>(msr - 0xc0000000) * 2;
  if (msr - 0xc0010000 < RANGE_MSRS) return RANGE_BYTES * 16 + <u64>(msr - 0xc0010000) * 2;
  return NOT_MAPPED;
}

/** Sets whether reads and writes of `msr` exit. An MSR that the map does not cover always exits. */
export function msrMapSet(map: u64, msr: u32, read: bool, write: bool): void {
  const bit = msrMapBit(msr);
  if (bit == NOT_MAPPED) {
    assert(read && write, "svm: MSR cannot be opened to guests");
    return;
  }
  const shift = <u32>bit & 7;
  const at = map + (bit >> 3);
  const wanted: u32 = (read ? 1 : 0) | (write ? 2 : 0);
  phys_store8(at, (phys_load8(at) & ~(3 << shift)) | (wanted << shift));
}

/** A fresh map: all MSRs exit but those that belong to the guest alone. */
export function msrMapInitialize(map: u64): void {
  phys_fill(map, 0xff, MSR_MAP_BYTES);
  for (let i = 0; i < direct.length; i++) msrMapSet(map, unchecked(direct[i]), false, false);
}

// --- ports ---------------------------------------------------------------------------------------------------------------
//
// The I/O permission map (APM, "I/O Intercepts"): one bit per port, set = the access exits; 64 Ki bits, then three more for
// accesses that run past port 0xFFFF. It takes three frames.

export const IO_MAP_FRAMES: u64 = 3;
export const IO_MAP_BYTES: u64 = 3 * 4096;

/** Every port access exits. */
export function ioMapCloseAll(map: u64): void {
  phys_fill(map, 0xff, IO_MAP_BYTES);
}

// The I/O permission map (APM, "I/O Intercepts"): one bit per port, set = the access exits; 64 Ki bits, then three more for
// accesses that run past port 0xFFFF. It takes three frames.
import { phys_fill, phys_load8, phys_store8 } from "../arch/intrinsics";

export const IO_MAP_FRAMES: u64 = 3;
export const IO_MAP_BYTES: u64 = 3 * 4096;

/** Every port access exits. */
export function ioMapCloseAll(map: u64): void {
  phys_fill(map, 0xff, IO_MAP_BYTES);
}

/** Makes accesses to `port` (0..65535) exit (true) or reach the hardware (false). */
export function ioMapSet(map: u64, port: u32, intercept: bool): void {
  const at = map + <u64>((port & 0xffff) >> 3);
  const mask: u32 = 1 << (port & 7);
  const old = phys_load8(at);
  phys_store8(at, intercept ? old | mask : old & ~mask);
}

// The I/O permission map (APM, "I/O Intercepts"): one bit per port, set = the access exits; 64 Ki bits, then three more for
// accesses that run past port 0xFFFF. It takes three frames.
import { phys_fill } from "../arch/intrinsics";

export const IO_MAP_FRAMES: u64 = 3;
export const IO_MAP_BYTES: u64 = 3 * 4096;

/** Every port access exits. */
export function ioMapCloseAll(map: u64): void {
  phys_fill(map, 0xff, IO_MAP_BYTES);
}

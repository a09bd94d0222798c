// pvpanic: one port through which a guest kernel says that it has panicked (QEMU documentation, "pvpanic
// device"; ACPI identifier QEMU0001).
//
//   7..2      1             0
//   reserved  crash loaded  panicked
import { arenaNew } from "../lib/arena";
import { isPortSize } from "../lib/sizes";

/** The guest has panicked and will not run on. */
export const PVPANIC_PANICKED: u32 = 1 << 0;
/** The guest has panicked and hands over to its crash kernel. */
const PVPANIC_CRASH_LOADED: u32 = 1 << 1;

@unmanaged
export class Pvpanic {
  /** Events that the guest has reported and the platform has not cleared: PVPANIC_* bits. */
  events: u32;
}

/** Storage for one; boot time only. */
export function pvpanicNew(): Pvpanic {
  return arenaNew<Pvpanic>();
}

export function pvpanicReset(d: Pvpanic): void {
  d.events = 0;
}

/** The events that this device understands. Bytes past the port read as ones. */
export function pvpanicRead(_d: Pvpanic, offset: u32, size: u32, _now: u64): u32 {
  assert(isPortSize(size), "pvpanic: bytes of an access");
  if (offset != 0) return 0xffffffff;
  return PVPANIC_PANICKED | PVPANIC_CRASH_LOADED | (size > 1 ? 0xffffff00 : 0);
}

/** Reports events; unknown bits are ignored, as the specification asks. */
export function pvpanicWrite(d: Pvpanic, offset: u32, _size: u32, value: u32, _now: u64): void {
  assert(isPortSize(_size), "pvpanic: bytes of an access");
  if (offset != 0) return;
  d.events |= value & (PVPANIC_PANICKED | PVPANIC_CRASH_LOADED);
  assert((d.events & ~(PVPANIC_PANICKED | PVPANIC_CRASH_LOADED)) == 0, "pvpanic: event");
}

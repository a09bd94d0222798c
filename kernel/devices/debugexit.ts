// The debug-exit port by which test kernels end their machine (QEMU's isa-debug-exit): a write of any size
// stops the VM, and the value becomes part of its exit status. Opt-in per VM.
import { arenaNew } from "../lib/arena";
import { isPortSize } from "../lib/sizes";

@unmanaged
export class DebugExit {
  /** The guest wrote to the port: the platform is to stop the VM. */
  requested: bool;
  /** What it wrote, as wide as the access was. */
  value: u32;
}

/** Storage for one; boot time only. */
export function debugExitNew(): DebugExit {
  return arenaNew<DebugExit>();
}

export function debugExitReset(d: DebugExit): void {
  d.requested = false;
  d.value = 0;
}

/** Reads as zero, as QEMU's does. */
export function debugExitRead(_d: DebugExit, _offset: u32, _size: u32, _now: u64): u32 {
  assert(isPortSize(_size), "debugexit: bytes of an access");
  return 0;
}

/** The first write counts: the VM never runs on after it. */
export function debugExitWrite(d: DebugExit, _offset: u32, _size: u32, value: u32, _now: u64): void {
  assert(isPortSize(_size), "debugexit: bytes of an access");
  if (d.requested) return;
  d.requested = true;
  d.value = value;
}

// The debug console port (E9h of Bochs and QEMU, 402h of SeaBIOS and OVMF): writes are characters, reads tell
// that it is there. Opt-in per VM. Unlike a UART it cannot make the guest wait, so a full ring drops
// characters and counts them.
import { arenaNewWithTail, tailOf } from "../lib/arena";

/** Bytes of the output ring: a power of two. */
const RING: u32 = 1024;
/** What a read gives: the port's own number at E9h, by Bochs's convention. */
const PRESENT: u32 = 0xe9;

/** Ends in the output ring. */
@unmanaged
export class Debugcon {
  /** Free-running counts of characters taken from and put into the ring. */
  head: u32;
  tail: u32;
  /** Characters dropped because the ring was full. */
  dropped: u64;
}

/** Storage for one; boot time only. */
export function debugconNew(): Debugcon {
  return arenaNewWithTail<Debugcon>(RING);
}

export function debugconReset(d: Debugcon): void {
  d.head = 0;
  d.tail = 0;
  d.dropped = 0;
}

export function debugconRead(_d: Debugcon, _offset: u32, size: u32, _now: u64): u32 {
  return PRESENT | (size > 1 ? 0xffffff00 : 0);
}

/** One character per access; wider accesses give their low byte. */
export function debugconWrite(d: Debugcon, _offset: u32, _size: u32, value: u32, _now: u64): void {
  if (d.tail - d.head == RING) {
    d.dropped += 1;
    return;
  }
  store<u8>(tailOf(d) + <usize>(d.tail & (RING - 1)), <u8>value);
  d.tail += 1;
}

/** Characters waiting for the platform. */
export function debugconOutputCount(d: Debugcon): u32 {
  return d.tail - d.head;
}

/** Takes the oldest character; there must be one. */
export function debugconOutputTake(d: Debugcon): u32 {
  assert(d.tail != d.head, "debugcon: nothing to take");
  const byte = load<u8>(tailOf(d) + <usize>(d.head & (RING - 1)));
  d.head += 1;
  return byte;
}

/** No interrupt. */
export function debugconLine(_d: Debugcon, _now: u64): bool {
  return false;
}

export function debugconDeadline(_d: Debugcon, _now: u64): u64 {
  return u64.MAX_VALUE;
}

export function debugconAdvance(_d: Debugcon, _now: u64): void {}

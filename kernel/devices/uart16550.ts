// A 16550A serial port.
import { arenaNew } from "../lib/arena";

@unmanaged
export class Uart16550 {
  reserved: u64;
}

/** Storage for one; boot time only. */
export function uart16550New(): Uart16550 {
  return arenaNew<Uart16550>();
}
export function uart16550Reset(_d: Uart16550): void {}
export function uart16550Read(_d: Uart16550, _offset: u32, _size: u32, _now: u64): u32 { return 0xffffffff; }
export function uart16550Write(_d: Uart16550, _offset: u32, _size: u32, _value: u32, _now: u64): void {}
export function uart16550Line(_d: Uart16550, _now: u64): bool { return false; }
export function uart16550Deadline(_d: Uart16550, _now: u64): u64 { return u64.MAX_VALUE; }
export function uart16550Advance(_d: Uart16550, _now: u64): void {}
/** A byte arrives from the line. False: the receiver is full; offer it again later. */
export function uart16550Receive(_d: Uart16550, _byte: u32, _now: u64): bool { return false; }
/** A break arrives from the line. False: the receiver is full. */
export function uart16550ReceiveBreak(_d: Uart16550, _now: u64): bool { return false; }
/** Bytes that the guest has sent and the platform has not taken. */
export function uart16550OutputCount(_d: Uart16550): u32 { return 0; }
/** Takes the oldest of them; there must be one. May raise the line (transmitter empty). */
export function uart16550OutputTake(_d: Uart16550): u32 { return 0; }

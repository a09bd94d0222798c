// The guest's serial console towards the outside, for the run loop: bytes out, bytes in. On the way out it listens for the
// last line that Linux prints in panic(), since a panicked kernel without a pvpanic driver says nothing else and never ends:
// whether it is dead then, panic.ts finds out.
import { uart16550OutputCount, uart16550OutputTake, uart16550Receive } from "../devices/uart16550";
import { REQUEST_SAMPLE } from "../vcpu/vcpu";
import { DEVICE_UART, Platform, platformOf } from "./platform";
import { panicDeny, panicSuspect } from "./panic";
import { Vm, vmNow, vmVcpu } from "./vm";

/** Linux, kernel/panic.c: printed when the kernel is not going to reboot by itself. */
const PANIC_END: string = "---[ end Kernel panic";
const DASH: u32 = 0x2d;
const LINE_FEED: u32 = 0x0a;

/** Bytes that the guest has sent and nobody has taken. */
export function consolePending(vm: Vm): u32 {
  return uart16550OutputCount(platformOf(vm).uart);
}

/** Takes the oldest of them; there must be one. */
export function consoleTake(vm: Vm): u32 {
  const p = platformOf(vm);
  const byte = uart16550OutputTake(p.uart);
  touchUart(vm, p);
  if (isPanicEnd(p, byte)) panicSuspect(vm);
  else panicDeny(vm);
  return byte;
}

/** Offers a byte to the guest. False: its receiver is full; offer it again later. */
export function consoleGive(vm: Vm, byte: u32): bool {
  const p = platformOf(vm);
  const taken = uart16550Receive(p.uart, byte, vmNow(vm));
  if (taken) touchUart(vm, p);
  return taken;
}

function touchUart(vm: Vm, p: Platform): void {
  p.stale |= 1 << DEVICE_UART;
  vmVcpu(vm, 0).requests |= REQUEST_SAMPLE;
}

/**
 * Whether `byte` ends the line that holds PANIC_END. The first character of that is in it again, at places 1 and 2: a run of
 * dashes keeps three.
 */
function isPanicEnd(p: Platform, byte: u32): bool {
  if (p.panicMatched == <u32>PANIC_END.length) {
    if (byte != LINE_FEED) return false;
    p.panicMatched = 0;
    return true;
  }
  if (byte == expected(p.panicMatched)) {
    p.panicMatched += 1;
  } else if (byte == DASH) {
    p.panicMatched = p.panicMatched == 3 ? 3 : 1;
  } else {
    p.panicMatched = 0;
  }
  return false;
}

function expected(place: u32): u32 {
  return load<u16>(changetype<usize>(PANIC_END) + ((<usize>place) << 1));
}

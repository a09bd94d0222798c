// After an access to a device: whether it changed anything that shows outside, so that the next entry must sample. Cheap
// questions here save the whole sample, since most accesses change nothing.
import { Lapic, lapicDeadline, lapicLine, lapicTprClass } from "../devices/lapic";
import { pic8259Line } from "../devices/pic8259";
import { uart16550Deadline, uart16550Line, uart16550OutputCount } from "../devices/uart16550";
import { REQUEST_SAMPLE, Vcpu } from "../vcpu/vcpu";
import { DEVICE_PIC, DEVICE_UART, Platform } from "./platform";

/** An access may have changed the device's line or deadline: the next entry samples it. */
export function touch(vcpu: Vcpu, p: Platform, device: u32): void {
  p.stale |= 1 << device;
  vcpu.requests |= REQUEST_SAMPLE;
}

/** After an access to the PIC pair, of which only a change of INTR shows outside. */
export function settlePic(vcpu: Vcpu, p: Platform): void {
  if (pic8259Line(p.pic, 0) != ((p.lines & (1 << DEVICE_PIC)) != 0)) touch(vcpu, p, DEVICE_PIC);
}

/** After an access to the UART: bytes to send, a changed line or deadline, or room for a byte that waits outside. */
export function settleUart(vcpu: Vcpu, p: Platform, roomMade: bool, now: u64): void {
  const line = (p.lines & (1 << DEVICE_UART)) != 0;
  const same = uart16550Line(p.uart, now) == line && uart16550Deadline(p.uart, now) == p.uartDeadline;
  if (roomMade || !same || uart16550OutputCount(p.uart) != 0) touch(vcpu, p, DEVICE_UART);
}

/**
 * After an access to the vCPU's own local APIC: something to broadcast, send or take, or a deadline before the one that the
 * vCPU runs to. A deadline that moved away only makes one sample come early.
 */
export function settleLapic(vcpu: Vcpu, l: Lapic): void {
  const waiting = l.eoiVector >= 0 || l.ipiPending || l.signals != 0 || lapicLine(l, 0);
  if (waiting || vcpu.interruptWindow != 0 || lapicDeadline(l, 0) < vcpu.deadline) {
    vcpu.requests |= REQUEST_SAMPLE;
  }
  const priority = lapicTprClass(l);
  if (priority == vcpu.priorityClass) return;
  vcpu.priorityClass = priority;
  vcpu.requests |= REQUEST_SAMPLE;
}

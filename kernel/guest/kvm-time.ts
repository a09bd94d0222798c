// The kvm-clock MSRs: where in guest memory the time pages are, and filling them.
// Source: Linux, "KVM-specific MSRs" (Documentation/virt/kvm/x86/msr.rst).
import { rdtsc } from "../arch/intrinsics";
import { nsFromTsc } from "../arch/clock";
import {
  KVM_SYSTEM_TIME_BYTES,
  KVM_WALL_CLOCK_BYTES,
  kvmClockFill,
  kvmClockRoom,
  kvmWallClockFill,
} from "../devices/kvmclock";
import { guestWrite } from "../mm/guestmem";
import { Vcpu } from "../vcpu/vcpu";
import { kvmClockOf } from "./platform";
import { vmOf } from "./vm";

const ENABLE: u64 = 1;
/** Between the bit and the address, a multiple of 4. */
const RESERVED: u64 = 2;
const ADDRESS: u64 = ~(<u64>3);

/** MSR_KVM_SYSTEM_TIME as the guest wrote it. */
export function systemTimeMsr(vcpu: Vcpu): u64 {
  return kvmClockOf(vcpu).systemTimeMsr;
}

/**
 * Write of MSR_KVM_SYSTEM_TIME. The TSC's rate never changes and it runs whenever the guest does, so that the page is
 * filled once and stays right. False: not RAM.
 */
export function startSystemTime(vcpu: Vcpu, value: u64): bool {
  if ((value & RESERVED) != 0) return false;
  if ((value & ENABLE) != 0 && !writeSystemTime(vcpu, value & ADDRESS)) return false;
  kvmClockOf(vcpu).systemTimeMsr = value;
  return true;
}

function writeSystemTime(vcpu: Vcpu, address: u64): bool {
  const host = rdtsc();
  const vm = vmOf(vcpu);
  const clock = kvmClockOf(vcpu);
  const room = kvmClockRoom(clock);
  kvmClockFill(clock, room, host + vcpu.tscOffset, nsFromTsc(host - vm.startTsc));
  return guestWrite(vm.memory, address, room, KVM_SYSTEM_TIME_BYTES);
}

/** After the guest's TSC was moved: the page holds a TSC value. */
export function refreshSystemTime(vcpu: Vcpu): void {
  startSystemTime(vcpu, kvmClockOf(vcpu).systemTimeMsr);
}

/** Write of MSR_KVM_WALL_CLOCK: fills the structure at that address. False: not RAM. */
export function writeWallClock(vcpu: Vcpu, value: u64): bool {
  const vm = vmOf(vcpu);
  const clock = kvmClockOf(vcpu);
  const room = kvmClockRoom(clock);
  kvmWallClockFill(clock, room, vm.startUnixNs);
  return guestWrite(vm.memory, value & ADDRESS, room, KVM_WALL_CLOCK_BYTES);
}

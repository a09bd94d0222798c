// Whether a guest whose console has shown the end of a Linux panic is dead. The line alone proves nothing: any user can print
// it. After panic() Linux stays in a loop in kernel mode, serves its timer's interrupts and never again runs a task, halts or
// prints. So the guest is dead when, for a second of its time after the line, none of that has been seen: a character on the
// console, a HLT, user mode whenever it was looked at. What it does not see: a healthy kernel that idles without HLT
// (idle=poll) and says nothing for that second.
import { STATUS_GUEST_PANIC } from "../abi/status";
import { need } from "../vcpu/backend";
import { GROUP_SEGMENTS, SEG_SS, SEGMENT_DPL_SHIFT } from "../vcpu/registers";
import { REQUEST_SAMPLE, Vcpu } from "../vcpu/vcpu";
import { platformLookUpAt } from "./lines";
import { platformOf } from "./platform";
import { stopVmWith, Vm, vmNow, vmOf, vmVcpu } from "./vm";

/** `Platform.panicSince`: nothing is suspected. */
const NOT_SUSPECTED: u64 = U64.MAX_VALUE;
/** How long a guest must show no life, and how often it is looked at, nanoseconds of VM time. */
const LIFELESS_NS: u64 = 1_000_000_000;
const LOOK_NS: u64 = 10_000_000;

/** The console has shown the whole line. */
export function panicSuspect(vm: Vm): void {
  const now = vmNow(vm);
  platformOf(vm).panicSince = now;
  platformLookUpAt(vm, now);
  vmVcpu(vm, 0).requests |= REQUEST_SAMPLE;
}

/** The guest lives: it has halted, or printed something. */
export function panicDeny(vm: Vm): void {
  platformOf(vm).panicSince = NOT_SUSPECTED;
}

/** Looks at the guest, now and then. Ends it when it has shown no life for long enough. */
export function panicWatch(vcpu: Vcpu): void {
  const vm = vmOf(vcpu);
  const since = platformOf(vm).panicSince;
  if (since == NOT_SUSPECTED) return;
  need(vcpu, GROUP_SEGMENTS);
  const now = vmNow(vm);
  const privilege = (vcpu.segment(SEG_SS).access >> SEGMENT_DPL_SHIFT) & 3;
  if (privilege != 0) panicDeny(vm);
  else if (now - since >= LIFELESS_NS) stopVmWith(vm, STATUS_GUEST_PANIC);
  else lookAgain(vm, vcpu, now + LOOK_NS);
}

/** The deadline is for this entry, and for one behind a further sample. */
function lookAgain(vm: Vm, vcpu: Vcpu, ns: u64): void {
  platformLookUpAt(vm, ns);
  vcpu.deadline = min(vcpu.deadline, ns);
}

// The backend's own part of a vCPU, behind `Vcpu.backend`.
import { arenaAlloc, arenaNew } from "../lib/arena";
import { BackendLink, KnownLink } from "../lib/links";
import { GUEST_WALK_BYTES, GuestWalk } from "../mm/guestwalk";
import { Vcpu } from "../vcpu/vcpu";

/** NMIs are open. */
export const NMI_OPEN: u32 = 0;
/** One was delivered; the guest's IRET is intercepted. */
export const NMI_BLOCKED: u32 = 1;
/** The guest is at that IRET (`iretRip`): NMIs open once it has been executed. */
export const NMI_AT_IRET: u32 = 2;
/** The same, and the guest is stepped over it because an NMI is waiting. */
export const NMI_STEPPING: u32 = 3;

@unmanaged
export class SvmVcpu extends BackendLink {
  /** Physical addresses of this vCPU's VMCB (`Vcpu.vmcb` as well, for the exit path) and MSR map. */
  vmcb: u64;
  msrMap: u64;
  nestedRoot: u64;
  /** CLEAN_* for the next entry, if anything is dirty. */
  clean: u32;
  /** TLB_CONTROL for the next entry. */
  tlbControl: u32;
  /** CPU that ran it last (index), and that CPU's generation of ASIDs in which it got its own. */
  cpu: u32;
  asid: u32;
  generation: u64;
  /** NMI_*. */
  nmi: u32;
  /** 1: a software interrupt or exception was put into EVENTINJ by this hypervisor and RIP is already past it. */
  softInjected: u32;
  iretRip: u64;
  /** DR6 before stepping over IRET. */
  steppedDr6: u64;
  /** Its cache of known instructions (known.ts). */
  known: KnownLink;
  /** The walk by which the last of them was found. */
  codeWalk: GuestWalk;
}

/** Bytes of the cache of known instructions. */
export const KNOWN_BYTES: usize = 8192;

/** Part of `Vcpu.dirty` that no neutral group covers: an event to inject, TLB_CONTROL or the clean bits to write. */
export const DIRTY_CONTROL: u32 = 1 << 31;

/** A vCPU's private part. */
export function svmOf(vcpu: Vcpu): SvmVcpu {
  return changetype<SvmVcpu>(vcpu.backend);
}

/** The parts `bits` (CLEAN_*) of the VMCB differ from what the processor may have cached. */
export function unclean(vcpu: Vcpu, svm: SvmVcpu, bits: u32): void {
  svm.clean &= ~bits;
  vcpu.dirty |= DIRTY_CONTROL;
}

/** Gives a vCPU its private part, with the VMCB at physical address `vmcb`; boot time only. */
export function svmCreate(vcpu: Vcpu, vmcb: u64): SvmVcpu {
  const svm = arenaNew<SvmVcpu>();
  svm.vmcb = vmcb;
  svm.known = changetype<KnownLink>(arenaAlloc(KNOWN_BYTES, 64));
  svm.codeWalk = changetype<GuestWalk>(arenaAlloc(GUEST_WALK_BYTES, 16));
  vcpu.backend = svm;
  vcpu.vmcb = vmcb;
  return svm;
}

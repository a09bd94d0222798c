// Where the bytes of the guest's instruction are: the page walk that its fetch made.
import { physicalAddressBits } from "../arch/cpuid";
import { EFER_LMA } from "../arch/msr";
import { phys_load16, phys_load64, phys_load8 } from "../arch/intrinsics";
import { NO_HPA } from "../mm/frames";
import { guestTranslate } from "../mm/guestmem";
import { GuestWalk, WALK_FETCH, WALK_OK, WALK_USER, walkGuest } from "../mm/guestwalk";
import { machine } from "../vcpu/machine";
import { Vcpu } from "../vcpu/vcpu";
import { VMCB_CPL, VMCB_CR0, VMCB_CR3, VMCB_CR4, VMCB_CS, VMCB_EFER } from "./vmcb";

const USER: u32 = 3;
/** Within a segment of the VMCB; L is bit 9 of the attributes. */
const ATTRIBUTES: u64 = 2;
const BASE: u64 = 8;
const ATTRIBUTE_LONG: u32 = 1 << 9;

let physicalBits: u32 = 0;

/** Before the first guest runs. */
export function codeWalkPrepare(): void {
  physicalBits = physicalAddressBits();
}

/**
 * Host-physical address of `bytes` of code at a guest-linear address, within one page; 0: not mapped for a fetch, or not RAM.
 * `walk` gets the trail.
 */
export function translateCode(vcpu: Vcpu, walk: GuestWalk, linear: u64, bytes: u64): u64 {
  prepareWalk(vcpu, walk);
  if (walkGuest(walk, linear) != WALK_OK) return 0;
  const hpa = guestTranslate(walk.memory, walk.gpa, bytes);
  return hpa == NO_HPA ? 0 : hpa;
}

/** Backend.codeWalk. */
export function codeWalk(vcpu: Vcpu, walk: GuestWalk): u64 {
  prepareWalk(vcpu, walk);
  const isLong =
    (walk.efer & EFER_LMA) != 0 && (phys_load16(vcpu.vmcb + VMCB_CS + ATTRIBUTES) & ATTRIBUTE_LONG) != 0;
  return isLong ? vcpu.exit.rip : (phys_load64(vcpu.vmcb + VMCB_CS + BASE) + vcpu.exit.rip) & U32.MAX_VALUE;
}

function prepareWalk(vcpu: Vcpu, walk: GuestWalk): void {
  const vmcb = vcpu.vmcb;
  walk.memory = machine().guestMemory(vcpu);
  walk.cr0 = phys_load64(vmcb + VMCB_CR0);
  walk.cr3 = phys_load64(vmcb + VMCB_CR3);
  walk.cr4 = phys_load64(vmcb + VMCB_CR4);
  walk.efer = phys_load64(vmcb + VMCB_EFER);
  walk.pdptes = null;
  walk.access = phys_load8(vmcb + VMCB_CPL) == USER ? WALK_FETCH | WALK_USER : WALK_FETCH;
  walk.physicalBits = physicalBits;
}

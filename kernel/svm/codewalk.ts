// Where the bytes of the guest's instruction are: the page walk that its fetch made.
import { physicalAddressBits } from "../arch/cpuid";
import { phys_load64, phys_load8 } from "../arch/intrinsics";
import { NO_HPA } from "../mm/frames";
import { GuestMemory, guestTranslate } from "../mm/guestmem";
import { GuestWalk, WALK_FETCH, WALK_OK, WALK_USER, walkGuest } from "../mm/guestwalk";
import { machine } from "../vcpu/machine";
import { Vcpu } from "../vcpu/vcpu";
import { VMCB_CPL, VMCB_CR0, VMCB_CR3, VMCB_CR4, VMCB_EFER } from "./vmcb";

const USER: u32 = 3;

/** One serves all vCPUs of this CPU, since a walk never yields. */
const walk = changetype<GuestWalk>(memory.data(256, 16));
let physicalBits: u32 = 0;

/** Before the first guest runs. */
export function codeWalkPrepare(): void {
  assert(offsetof<GuestWalk>() <= 256, "svm: storage of the walk");
  physicalBits = physicalAddressBits();
}

/** Host-physical address of `bytes` of code at a guest-linear address, within one page; 0: not mapped for a fetch, or not RAM. */
export function translateCode(vcpu: Vcpu, linear: u64, bytes: u64): u64 {
  const vmcb = vcpu.vmcb;
  walk.memory = changetype<GuestMemory>(machine().guestMemory(vcpu));
  walk.cr0 = phys_load64(vmcb + VMCB_CR0);
  walk.cr3 = phys_load64(vmcb + VMCB_CR3);
  walk.cr4 = phys_load64(vmcb + VMCB_CR4);
  walk.efer = phys_load64(vmcb + VMCB_EFER);
  walk.access = phys_load8(vmcb + VMCB_CPL) == USER ? WALK_FETCH | WALK_USER : WALK_FETCH;
  walk.physicalBits = physicalBits;
  if (walkGuest(walk, linear) != WALK_OK) return 0;
  const hpa = guestTranslate(walk.memory, walk.gpa, bytes);
  return hpa == NO_HPA ? 0 : hpa;
}

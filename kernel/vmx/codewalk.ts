// Where the bytes of the guest's instruction are: the page walk that its fetch made.
import { EFER_LMA } from "../arch/msr";
import { vmread } from "../arch/intrinsics";
import { GuestWalk, WALK_FETCH, WALK_USER } from "../mm/guestwalk";
import { machine } from "../vcpu/machine";
import { setPdptes } from "../vcpu/pdptes";
import { SEGMENT_LONG } from "../vcpu/registers";
import { Vcpu } from "../vcpu/vcpu";
import {
  GUEST_CR0,
  GUEST_CR3,
  GUEST_CR4,
  GUEST_CS_ACCESS,
  GUEST_CS_BASE,
  GUEST_EFER,
  GUEST_SS_ACCESS,
} from "./fields";

/** DPL in a segment's access rights; that of SS is CPL. */
const DPL: u64 = 3 << 5;

/** Backend.codeWalk. */
export function codeWalk(vcpu: Vcpu, walk: GuestWalk): u64 {
  walk.memory = machine().guestMemory(vcpu);
  walk.cr0 = vmread(GUEST_CR0);
  walk.cr3 = vmread(GUEST_CR3);
  walk.cr4 = vmread(GUEST_CR4);
  walk.efer = vmread(GUEST_EFER);
  setPdptes(vcpu, walk);
  walk.access = (vmread(GUEST_SS_ACCESS) & DPL) == DPL ? WALK_FETCH | WALK_USER : WALK_FETCH;
  walk.physicalBits = machine().physicalBits(vcpu);
  if ((walk.efer & EFER_LMA) != 0 && (vmread(GUEST_CS_ACCESS) & SEGMENT_LONG) != 0) return vcpu.exit.rip;
  return (vmread(GUEST_CS_BASE) + vcpu.exit.rip) & U32.MAX_VALUE;
}

// Decoded instructions, remembered by RIP. A driver touches a device's registers from a few places over and over: an
// instruction that is known there by its bytes needs no walk of the guest's page tables and no decode.
//
// What is remembered is checked against the guest's memory every time: the same paging mode, CR3 and code segment, the
// same way through its page tables to the code (kernel/mm/trail.ts), the same bytes there. So nothing has to be told when the
// guest changes its tables or its code.
import { CR0_PE, CR0_PG } from "../../arch/cr";
import { phys_load64 } from "../../arch/intrinsics";
import { tailOf } from "../../lib/tail";
import { NO_HPA } from "../../mm/frames";
import { GuestWalk, PDPTES } from "../../mm/guestwalk";
import { Trail, TRAIL_BYTES, trailHolds, trailPdpte, trailTake } from "../../mm/trail";
import { need } from "../../vcpu/backend";
import { GROUP_CONTROL, GROUP_PDPTES, SEG_CS } from "../../vcpu/registers";
import { Vcpu } from "../../vcpu/vcpu";
import { DECODED_BYTES, decodedSlot, Emulator, segmentOf } from "./emulator";
import { Instruction } from "./instruction";

const CR0_MODE: u64 = CR0_PE | CR0_PG;
/** Bytes that are compared, wherever the instruction ends. */
export const CODE_BYTES: u64 = 16;

/** Ends in its trail; the instruction follows. */
@unmanaged
export class Decoded {
  rip: u64;
  /** Base of the code segment. */
  base: u64;
  cr0: u64;
  cr3: u64;
  cr4: u64;
  efer: u64;
  /** Host-physical address of the first byte; NO_HPA when the processor supplied the bytes. */
  hpa: u64;
  /** The page-directory-pointer-table entry that was used, if the processor held it; else 0. */
  pdpte: u64;
  valid: bool;
  mode: u32;

  get trail(): Trail {
    return changetype<Trail>(tailOf(this));
  }
}

const INSTRUCTION_OFFSET: usize = (offsetof<Decoded>() + TRAIL_BYTES + 15) & ~15;

/** Where an instruction at the vCPU's RIP is, or will be, remembered. */
export function decodedAt(e: Emulator): Decoded {
  assert(INSTRUCTION_OFFSET + offsetof<Instruction>() <= DECODED_BYTES, "emulation: slots are too small");
  const rip = <usize>e.vcpu.rip;
  return changetype<Decoded>(decodedSlot(e, rip ^ (rip >> 3)));
}

export function decodedInstruction(d: Decoded): Instruction {
  if (isDefined(CHECKED)) assert((changetype<usize>(d) & 15) == 0, "decoded: a slot is aligned");
  return changetype<Instruction>(changetype<usize>(d) + INSTRUCTION_OFFSET);
}

/** Whether `d` is the instruction that is at RIP now, its bytes read from memory. */
export function isStillThere(e: Emulator, d: Decoded): bool {
  const vcpu = e.vcpu;
  if (isDefined(CHECKED))
    assert((vcpu.valid & GROUP_CONTROL) != 0, "decoded: control registers are not valid");
  if (d.rip != vcpu.rip || !d.valid || d.mode != e.mode || d.hpa == NO_HPA) return false;
  const base = segmentOf(vcpu, SEG_CS).base;
  const paging =
    (d.cr3 ^ vcpu.cr3) | (d.cr4 ^ vcpu.cr4) | (d.efer ^ vcpu.efer) | ((d.cr0 ^ vcpu.cr0) & CR0_MODE);
  if ((paging | (d.base ^ base)) != 0 || !trailHolds(d.trail)) return false;
  if (d.pdpte != 0 && !holdsPdpte(vcpu, base + vcpu.rip, d.pdpte)) return false;
  const i = decodedInstruction(d);
  return phys_load64(d.hpa) == i.bytes0 && phys_load64(d.hpa + 8) == i.bytes1;
}

/** Whether the processor still holds `entry` for an address: one that has loaded its CR3 anew may not. */
function holdsPdpte(vcpu: Vcpu, linear: u64, entry: u64): bool {
  assert((entry & 1) != 0, "decoded: the walk used an entry that is not present");
  need(vcpu, GROUP_PDPTES);
  return vcpu.pdptes.at(<u32>(linear >> 30) & (PDPTES - 1)) == entry;
}

/** Whether `d` is the instruction with these bytes, which the processor supplied. */
export function hasBytes(e: Emulator, d: Decoded, bytes0: u64, bytes1: u64): bool {
  if (isDefined(CHECKED)) assert(e.vcpu.exit.byteCount != 0, "decoded: the processor supplied no bytes");
  if (d.rip != e.vcpu.rip || !d.valid || d.mode != e.mode || d.hpa != NO_HPA) return false;
  const i = decodedInstruction(d);
  return i.bytes0 == bytes0 && i.bytes1 == bytes1;
}

/** Remembers what has just been decoded into `d`. `hpa`: where its bytes are; `walk`: the walk that led there. */
export function remember(d: Decoded, vcpu: Vcpu, mode: u32, hpa: u64, walk: GuestWalk): void {
  if (isDefined(CHECKED))
    assert((vcpu.valid & GROUP_CONTROL) != 0, "decoded: control registers are not valid");
  if (isDefined(CHECKED)) assert(decodedInstruction(d).mode == mode, "decoded: for another mode");
  if (isDefined(CHECKED)) assert(!d.valid, "decoded: there is another instruction");
  d.rip = vcpu.rip;
  d.base = segmentOf(vcpu, SEG_CS).base;
  d.cr0 = vcpu.cr0;
  d.cr3 = vcpu.cr3;
  d.cr4 = vcpu.cr4;
  d.efer = vcpu.efer;
  d.mode = mode;
  d.hpa = hpa;
  d.pdpte = 0;
  d.valid = hpa == NO_HPA;
  if (d.valid) return;
  d.pdpte = trailPdpte(walk);
  d.valid = trailTake(d.trail, walk, hpa);
}

// The four page-directory-pointer-table entries of PAE paging, which the processor reads once, when CR3 is loaded or paging
// changes, and keeps (SDM, "PDPTE Registers"): what the guest's table holds later does not count until then. AMD-V under nested
// paging keeps none, and reads them in memory whenever it walks (APM volume 2, "Legacy PAE Mode").
import { guestLoad64 } from "../mm/guestmem";
import { GuestWalk, isValidPdpte, PDPTES, pagingLevels } from "../mm/guestwalk";
import { need } from "./backend";
import { machine } from "./machine";
import { GROUP_PDPTES } from "./registers";
import { Vcpu } from "./vcpu";

const PAE_TABLE: u64 = 0xffff_ffe0;
const PAE_LEVELS: u32 = 3;

/**
 * With PAE paging in the state that these registers describe, reads the four entries, each once, and takes them over. False, and
 * nothing has changed: one of them has a reserved bit set.
 */
export function loadPdptes(vcpu: Vcpu, cr0: u64, cr3: u64, cr4: u64, efer: u64): bool {
  if (pagingLevels(cr0, cr4, efer) != PAE_LEVELS) return true;
  const memory = machine().guestMemory(vcpu);
  const table = cr3 & PAE_TABLE;
  const bits = machine().physicalBits(vcpu);
  if (isDefined(CHECKED)) assert(bits >= 32 && bits <= 52, "pdptes: physical-address width");
  // What is not RAM reads as all ones, present and reserved bits among them.
  const entry0 = guestLoad64(memory, table, U64.MAX_VALUE);
  const entry1 = guestLoad64(memory, table + 8, U64.MAX_VALUE);
  const entry2 = guestLoad64(memory, table + 16, U64.MAX_VALUE);
  const entry3 = guestLoad64(memory, table + 24, U64.MAX_VALUE);
  if (!isValidPdpte(entry0, bits) || !isValidPdpte(entry1, bits)) return false;
  if (!isValidPdpte(entry2, bits) || !isValidPdpte(entry3, bits)) return false;
  assert(PDPTES == 4, "pdptes: entries of a table");
  const pdptes = vcpu.pdptes;
  pdptes.put(0, entry0);
  pdptes.put(1, entry1);
  pdptes.put(2, entry2);
  pdptes.put(3, entry3);
  vcpu.valid |= GROUP_PDPTES;
  vcpu.dirty |= GROUP_PDPTES;
  return true;
}

/** Gives a walk, whose registers are set, the entries that the processor walks with: none if it reads them in memory. */
export function setPdptes(vcpu: Vcpu, walk: GuestWalk): void {
  walk.pdptes = null;
  if (pagingLevels(walk.cr0, walk.cr4, walk.efer) != PAE_LEVELS) return;
  need(vcpu, GROUP_PDPTES);
  if (isDefined(CHECKED))
    assert((vcpu.dirty & GROUP_PDPTES & ~vcpu.valid) == 0, "pdptes: dirty but not valid");
  if ((vcpu.valid & GROUP_PDPTES) != 0) walk.pdptes = vcpu.pdptes;
}

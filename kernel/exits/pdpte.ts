// The four page-directory-pointer-table entries of PAE paging, which the processor reads once, when CR3 is loaded or paging
// changes, and keeps (SDM, "PDPTE Registers"): what the guest's table holds later does not count until then.
import { GuestMemory, guestLoad64 } from "../mm/guestmem";
import { isValidPdpte, pagingLevels } from "../mm/guestwalk";
import { machine } from "../vcpu/machine";
import { GROUP_PDPTES, PDPTES } from "../vcpu/registers";
import { Vcpu } from "../vcpu/vcpu";

const PAE_TABLE: u64 = 0xffff_ffe0;
const PAE_LEVELS: u32 = 3;

/**
 * With PAE paging in the state that these registers describe, reads the four entries, each once, and takes them over. False, and
 * nothing has changed: one of them has a reserved bit set.
 */
export function loadPdptes(vcpu: Vcpu, cr0: u64, cr3: u64, cr4: u64, efer: u64): bool {
  if (pagingLevels(cr0, cr4, efer) != PAE_LEVELS) return true;
  const memory = changetype<GuestMemory>(machine().guestMemory(vcpu));
  const table = cr3 & PAE_TABLE;
  const bits = machine().physicalBits(vcpu);
  // What is not RAM reads as all ones, present and reserved bits among them.
  const entry0 = guestLoad64(memory, table, U64.MAX_VALUE);
  const entry1 = guestLoad64(memory, table + 8, U64.MAX_VALUE);
  const entry2 = guestLoad64(memory, table + 16, U64.MAX_VALUE);
  const entry3 = guestLoad64(memory, table + 24, U64.MAX_VALUE);
  if (!isValidPdpte(entry0, bits) || !isValidPdpte(entry1, bits)) return false;
  if (!isValidPdpte(entry2, bits) || !isValidPdpte(entry3, bits)) return false;
  assert(PDPTES == 4, "pdpte: entries of a table");
  vcpu.setPdpte(0, entry0);
  vcpu.setPdpte(1, entry1);
  vcpu.setPdpte(2, entry2);
  vcpu.setPdpte(3, entry3);
  vcpu.dirty |= GROUP_PDPTES;
  return true;
}

// Page tables, entry by entry, for people: the guest's own and the nested ones. Nothing is changed by looking, not even an
// accessed flag.
import { vmOf } from "../guest/vm";
import { logDecimal, logEnd, logHex, logText, logWord } from "../lib/log";
import { NO_HPA } from "../mm/frames";
import {
  entryBytes,
  GUEST_WALK_BYTES,
  GuestWalk,
  rootTable,
  tableIndex,
  WALK_LOOK,
  WALK_OK,
  walkEntry,
  walkGuest,
} from "../mm/guestwalk";
import {
  NESTED_EPT,
  NESTED_LEVELS,
  NESTED_WALK_BYTES,
  NestedWalk,
  nestedEntry,
  nestedWalk,
} from "../mm/nested";
import { need } from "../vcpu/backend";
import { setPdptes } from "../vcpu/pdptes";
import { GROUP_CONTROL } from "../vcpu/registers";
import { Vcpu } from "../vcpu/vcpu";
import { logBits } from "./bits";

const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const PAGE_OFFSET: u64 = 0xfff;
const LEVEL_NAMES: string = "PTE PDE PDPTE PML4E PML5E";
/** Bits 0 to 8 of an ordinary entry. SDM, "4-Level Paging"; bit 63 is NX. */
const BITS: string = "P W U PWT PCD A D PS G";
/** Bits 0 to 9 of an EPT entry; 5..3 are a leaf's memory type. */
const EPT_BITS: string = "R W X - - - IPAT PS A D";
const MEMORY_TYPES: string = "UC WC - - WT WP WB";
const NX_SHIFT: u64 = 63;

const guest = changetype<GuestWalk>(memory.data(GUEST_WALK_BYTES, 16));
const nested = changetype<NestedWalk>(memory.data(NESTED_WALK_BYTES, 16));

/** The guest-physical address that a linear one leads to; shows the way if `show`. NO_HPA: it has no translation. */
export function walkLinear(vcpu: Vcpu, gva: u64, show: bool): u64 {
  need(vcpu, GROUP_CONTROL);
  guest.memory = vmOf(vcpu).memory;
  guest.cr0 = vcpu.cr0;
  guest.cr3 = vcpu.cr3;
  guest.cr4 = vcpu.cr4;
  guest.efer = vcpu.efer;
  guest.access = WALK_LOOK;
  setPdptes(vcpu, guest);
  const found = walkGuest(guest, gva) == WALK_OK;
  if (show) showGuestWalk(gva, found);
  return found ? guest.gpa : NO_HPA;
}

/** What the walk has used; and, if it ended where there is no RAM, where that is. */
function showGuestWalk(gva: u64, found: bool): void {
  // Without paging there was no walk.
  if (guest.levels == 0) return;
  const length = guest.trailLength;
  let table = rootTable(guest);
  for (let i: u32 = 0; i < length; i++) {
    const level = guest.levels - i;
    const index = tableIndex(guest, level, gva);
    const step = walkEntry(guest, i);
    logPlace(level, index, table + index * entryBytes(guest), step.hpa == NO_HPA ? HELD : ": ");
    logEntry(step.value, BITS, found && i == length - 1);
    table = step.value & ADDRESS;
  }
  if (!guest.outside) return;
  const level = guest.levels - length;
  const index = tableIndex(guest, level, gva);
  logPlace(level, index, table + index * entryBytes(guest), ": not in the guest's RAM");
  logEnd();
}

/** Shows the way through the nested tables. Returns the host-physical address; NO_HPA: there is no mapping. */
export function walkNested(vcpu: Vcpu, gpa: u64): u64 {
  const vm = vmOf(vcpu);
  const found = nestedWalk(vm.nestedRoot, vm.nestedKind, gpa, nested);
  for (let i: u32 = 0; i < nested.length; i++) {
    const step = nestedEntry(nested, i);
    logPlace(NESTED_LEVELS - i, (step.hpa & PAGE_OFFSET) / 8, step.hpa, ": ");
    logEntry(step.value, vm.nestedKind == NESTED_EPT ? EPT_BITS : BITS, found && i == nested.length - 1);
  }
  return nested.hpa;
}

/** Of an entry that the processor has loaded: what the table holds now may differ. */
const HELD: string = ", as the processor holds it: ";

function logPlace(level: u32, index: u64, at: u64, text: string): void {
  logText("  ");
  logWord(LEVEL_NAMES, level - 1);
  logText(" ");
  logDecimal(index);
  logText(" at ");
  logHex(at);
  logText(text);
}

function logEntry(entry: u64, bits: string, leaf: bool): void {
  logHex(entry);
  logBits(entry, bits);
  if (bits == EPT_BITS) {
    if (leaf) logMemoryType(entry);
  } else if (entry >> NX_SHIFT != 0) logText(" NX");
  if ((entry & 7) == 0) logText(" not present");
  else logText(leaf ? ", the page" : "");
  logEnd();
}

function logMemoryType(entry: u64): void {
  logText(" ");
  logWord(MEMORY_TYPES, <u32>(entry >> 3) & 7);
}

// Page tables, entry by entry, for people: the guest's own and the nested ones. Nothing is changed by looking, not even an
// accessed flag.
import { phys_load32, phys_load64 } from "../arch/intrinsics";
import { vmOf } from "../guest/vm";
import { logDecimal, logEnd, logHex, logText, logWord } from "../lib/log";
import { NO_HPA } from "../mm/frames";
import { guestTranslate } from "../mm/guestmem";
import { pagingLevels } from "../mm/guestwalk";
import { NESTED_EPT } from "../mm/nested";
import { need } from "../vcpu/backend";
import { GROUP_CONTROL } from "../vcpu/registers";
import { Vcpu } from "../vcpu/vcpu";
import { logBits } from "./bits";

const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const PAE_ROOT: u64 = 0xffff_ffe0;
const LARGE: u64 = 1 << 7;
const LEVEL_NAMES: string = "PTE PDE PDPTE PML4E PML5E";
/** Bits 0 to 8 of an ordinary entry. SDM, "4-Level Paging"; bit 63 is NX. */
const BITS: string = "P W U PWT PCD A D PS G";
/** Bits 0 to 9 of an EPT entry; 5..3 are a leaf's memory type. */
const EPT_BITS: string = "R W X - - - IPAT PS A D";
const MEMORY_TYPES: string = "UC WC - - WT WP WB";
const NX_SHIFT: u64 = 63;

/** Where the walk of the guest's tables ended, and says so if `show`. NO_HPA: the linear address has no translation. */
export function walkLinear(vcpu: Vcpu, gva: u64, show: bool): u64 {
  need(vcpu, GROUP_CONTROL);
  const levels = pagingLevels(vcpu.cr0, vcpu.cr4, vcpu.efer);
  if (levels == 0) return gva;
  const memory = vmOf(vcpu).memory;
  const indexBits: u32 = levels == 2 ? 10 : 9;
  const bytes: u32 = levels == 2 ? 4 : 8;
  let table = vcpu.cr3 & (levels == 3 ? PAE_ROOT : ADDRESS);
  let level = levels;
  while (true) {
    const shift = 12 + indexBits * (level - 1);
    const index = (gva >> shift) & ((1 << indexBits) - 1);
    const at = table + index * bytes;
    const hpa = guestTranslate(memory, at, bytes);
    if (hpa == NO_HPA) {
      if (show) logPlace(level, index, at, ": not in the guest's RAM");
      return NO_HPA;
    }
    const entry = bytes == 4 ? <u64>phys_load32(hpa) : phys_load64(hpa);
    const leaf = level == 1 || ((entry & LARGE) != 0 && !(levels == 3 && level == 3));
    if (show) logEntry(level, index, at, entry, BITS, leaf);
    if ((entry & 1) == 0) return NO_HPA;
    if (leaf) return leafAddress(entry, levels, gva, shift);
    table = entry & ADDRESS;
    level--;
  }
}

/** 4 MiB pages have bits 39..32 of the address in bits 20..13. */
function leafAddress(entry: u64, levels: u32, gva: u64, shift: u32): u64 {
  const offset = ((<u64>1) << shift) - 1;
  const high: u64 = levels == 2 && shift > 12 ? ((entry >> 13) & 0xff) << 32 : 0;
  return (entry & ADDRESS & ~offset) | high | (gva & offset);
}

/** Shows the walk of the nested tables. Returns the host-physical address; NO_HPA: there is no mapping. */
export function walkNested(vcpu: Vcpu, gpa: u64): u64 {
  const vm = vmOf(vcpu);
  const isEpt = vm.nestedKind == NESTED_EPT;
  let table = vm.nestedRoot;
  let level: u32 = 4;
  while (true) {
    const shift = 12 + 9 * (level - 1);
    const index = (gpa >> shift) & 511;
    const at = table + index * 8;
    const entry = phys_load64(at);
    const leaf = level == 1 || (entry & LARGE) != 0;
    logEntry(level, index, at, entry, isEpt ? EPT_BITS : BITS, leaf);
    if ((entry & (isEpt ? 7 : 1)) == 0) return NO_HPA;
    if (leaf) return leafAddress(entry, 4, gpa, shift);
    table = entry & ADDRESS;
    level--;
  }
}

function logPlace(level: u32, index: u64, at: u64, text: string): void {
  logText("  ");
  logWord(LEVEL_NAMES, level - 1);
  logText(" ");
  logDecimal(index);
  logText(" at ");
  logHex(at);
  logText(text);
  if (text.length > 2) logEnd();
}

function logEntry(level: u32, index: u64, at: u64, entry: u64, bits: string, leaf: bool): void {
  logPlace(level, index, at, ": ");
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

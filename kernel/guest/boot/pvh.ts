// ELF kernels with a PVH entry point: 32-bit protected mode, EBX = start information.
// Source: Xen, "x86/HVM direct boot ABI" (docs/misc/pvh.pandoc) and public/arch-x86/hvm/start_info.h.
import { guestFill, guestStore32, guestStore64 } from "../../mm/guestmem";
import { buildMemoryMap, memoryMapEntry } from "../memory-map";
import { problem } from "../problem";
import { GuestModule, Vm } from "../vm";
import { bootInformation, placeBootData, placeCommandLine } from "./boot-data";
import { elfLoadSegments, elfOpen, elfProbe, elfSegment, PT_NOTE } from "./elf";
import { enterProtected } from "./entry";
import { image32, imageHolds } from "./image";
import { moduleAt, moduleCount, placeModule } from "./modules";
import { NO_PLACE } from "./placement";

const XEN_ELFNOTE_PHYS32_ENTRY: u32 = 18;
const NAME_XEN: u32 = 0x006e6558; // "Xen" and a zero
const NOTE_HEADER: u64 = 12;
const NO_ENTRY: u64 = U64.MAX_VALUE;

const START_MAGIC: u32 = 0x336ec578;
// Version 1 of the structure; what follows it in the same pages.
const START_INFO_BYTES: u64 = 56;
const MODULE_LIST: u64 = 0x100;
const MODULE_BYTES: u64 = 32;
const MEMORY_MAP: u64 = 0x800;
const MEMORY_MAP_BYTES: u64 = 24;

/** Whether the file is an ELF; whether it has the note, `pvhLoad` says. */
export function pvhProbe(image: GuestModule): bool {
  return elfProbe(image);
}

/** Loads it with its modules and sets the boot vCPU up. False: the log says why not. */
export function pvhLoad(vm: Vm): bool {
  if (!elfOpen(vm)) return false;
  const entry = findEntry(vm);
  if (entry == NO_ENTRY) {
    return problem(
      vm,
      "its kernel is an ELF without a PVH note (XEN_ELFNOTE_PHYS32_ENTRY) and without a multiboot header",
      "Take a bzImage, a Linux vmlinux built with CONFIG_PVH, or a multiboot kernel",
    );
  }
  if (!elfLoadSegments(vm) || !placeBootData(vm) || !writeModules(vm)) return false;
  writeStartInfo(vm);
  const vcpu = enterProtected(vm, entry);
  vcpu.rbx = bootInformation(vm);
  return true;
}

/** Address in the note, in whichever note segment it is, or NO_ENTRY. */
function findEntry(vm: Vm): u64 {
  const image = vm.kernel;
  for (let i: u32 = 0; i < vm.elf.count; i++) {
    const s = elfSegment(vm, i);
    if (s.type != PT_NOTE || !imageHolds(image, s.offset, s.fileBytes)) continue;
    const entry = findInNotes(image, s.offset, s.offset + s.fileBytes);
    if (entry != NO_ENTRY) return entry;
  }
  return NO_ENTRY;
}

/** Notes are: name bytes, descriptor bytes, type (32 bits each), name, descriptor, both padded to 4. */
function findInNotes(image: GuestModule, start: u64, end: u64): u64 {
  let at = start;
  while (at + NOTE_HEADER <= end) {
    const nameBytes = <u64>image32(image, at);
    const bytes = <u64>image32(image, at + 4);
    const descriptor = at + NOTE_HEADER + padded(nameBytes);
    if (descriptor + bytes > end) return NO_ENTRY;
    const isEntry = image32(image, at + 8) == XEN_ELFNOTE_PHYS32_ENTRY && nameBytes == 4 && bytes >= 4;
    if (isEntry && image32(image, at + NOTE_HEADER) == NAME_XEN) return image32(image, descriptor);
    at = descriptor + padded(bytes);
  }
  return NO_ENTRY;
}

function padded(bytes: u64): u64 {
  return (bytes + 3) & ~3;
}

/**
 *   0        8       16         24
 *   address  length  cmd. line  reserved
 */
function writeModules(vm: Vm): bool {
  const m = vm.memory;
  for (let i: u32 = 0; i < moduleCount(vm); i++) {
    const module = moduleAt(vm, i);
    const place = placeModule(vm, module);
    if (place == NO_PLACE) return false;
    const entry = bootInformation(vm) + MODULE_LIST + <u64>i * MODULE_BYTES;
    guestStore64(m, entry, place);
    guestStore64(m, entry + 8, module.bytes);
    guestStore64(m, entry + 16, placeCommandLine(vm, module));
    guestStore64(m, entry + 24, 0);
  }
  return true;
}

/**
 *   0      4        8      12       16           24            32    40          48              52
 *   magic  version  flags  modules  module list  command line  RSDP  memory map  map's entries   reserved
 */
function writeStartInfo(vm: Vm): void {
  const m = vm.memory;
  const info = bootInformation(vm);
  assert(guestFill(m, info, 0, START_INFO_BYTES), "pvh: no RAM for the start information");
  const modules = moduleCount(vm);
  guestStore32(m, info, START_MAGIC);
  guestStore32(m, info + 4, 1);
  guestStore32(m, info + 12, modules);
  if (modules != 0) guestStore64(m, info + 16, info + MODULE_LIST);
  guestStore64(m, info + 24, placeCommandLine(vm, vm.kernel));
  guestStore64(m, info + 32, vm.rsdp);
  guestStore64(m, info + 40, info + MEMORY_MAP);
  guestStore32(m, info + 48, writeMemoryMap(vm));
}

/** Entries as E820's, padded to 24 bytes. Returns their number. */
function writeMemoryMap(vm: Vm): u32 {
  const entries = buildMemoryMap(vm);
  for (let i: u32 = 0; i < entries; i++) {
    const from = memoryMapEntry(vm, i);
    const at = bootInformation(vm) + MEMORY_MAP + <u64>i * MEMORY_MAP_BYTES;
    guestStore64(vm.memory, at, from.start);
    guestStore64(vm.memory, at + 8, from.bytes);
    guestStore64(vm.memory, at + 16, from.type);
  }
  return entries;
}

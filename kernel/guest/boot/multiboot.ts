// Multiboot-1 kernels: 32-bit protected mode, EAX = magic, EBX = boot information. Source: GNU, "Multiboot Specification
// version 0.6.96", "OS image format" and "Boot information format".
import { logDecimal, logHex, logText } from "../../lib/log";
import { guestFill, guestStore32, guestStore64, guestStore8 } from "../../mm/guestmem";
import { buildMemoryMap, EBDA, HIGH_MEMORY, memoryMapEntry, ramBelow4G } from "../memory-map";
import { problem, problemBytes, problemEnd, problemStart } from "../problem";
import { GuestModule, Vm } from "../vm";
import { bootInformation, placeBootData, placeCommandLine } from "./boot-data";
import { elfLoadSegments, elfOpen, elfProbe } from "./elf";
import { enterProtected } from "./entry";
import { clearMemory, image32, imageCopy, imageHolds } from "./image";
import { moduleAt, moduleCount, placeModule } from "./modules";
import { logPlaced, NO_PLACE, placeAt } from "./placement";

const HEADER_MAGIC: u32 = 0x1badb002;
const LOADER_MAGIC: u32 = 0x2badb002;
/** The header lies within this, at a multiple of 4. */
const SEARCH_BYTES: u64 = 8192;
const NO_HEADER: u64 = U64.MAX_VALUE;

/** Header flags: modules on pages, memory information, video mode; the address fields are there. */
const FLAG_PAGE_ALIGN: u32 = 1 << 0;
const FLAG_MEMORY: u32 = 1 << 1;
const FLAG_VIDEO: u32 = 1 << 2;
const FLAG_ADDRESSES: u32 = 1 << 16;
/** The lower half of the flags are demands: an unknown one must be refused. There is no display to set a mode on. */
const DEMANDS: u32 = 0xffff;
const DEMANDS_MET: u32 = FLAG_PAGE_ALIGN | FLAG_MEMORY;

/** Boot information flags: memory, command line, modules, memory map, loader name. */
const INFO_MEMORY: u32 = 1 << 0;
const INFO_COMMAND_LINE: u32 = 1 << 2;
const INFO_MODULES: u32 = 1 << 3;
const INFO_MEMORY_MAP: u32 = 1 << 6;
const INFO_LOADER_NAME: u32 = 1 << 9;

const INFO_BYTES: u64 = 120;
// What follows the boot information in the same pages.
const LOADER_NAME: u64 = 0x80;
const MODULE_LIST: u64 = 0x100;
const MODULE_BYTES: u64 = 16;
const MEMORY_MAP: u64 = 0x800;
/** Bytes of a map entry, and what its size field says: itself not counted. */
const MAP_ENTRY_BYTES: u64 = 24;
const MAP_ENTRY_SIZE: u32 = 20;

const LOADER: string = "Typevisor";

/** Whether the file has a multiboot header. */
export function multibootProbe(image: GuestModule): bool {
  return findHeader(image) != NO_HEADER;
}

/** Offset of the header, or NO_HEADER. */
function findHeader(image: GuestModule): u64 {
  for (let at: u64 = 0; at + 12 <= SEARCH_BYTES && imageHolds(image, at, 12); at += 4) {
    if (image32(image, at) != HEADER_MAGIC) continue;
    if (HEADER_MAGIC + image32(image, at + 4) + image32(image, at + 8) == 0) return at;
  }
  return NO_HEADER;
}

/** Loads it with its modules and sets the boot vCPU up. False: the log says why not. */
export function multibootLoad(vm: Vm): bool {
  const header = findHeader(vm.kernel);
  const flags = image32(vm.kernel, header + 4);
  const unmet = flags & DEMANDS & ~DEMANDS_MET & ~FLAG_VIDEO;
  if (unmet != 0) return demandsTooMuch(vm, unmet);
  const loaded = (flags & FLAG_ADDRESSES) != 0 ? loadByAddresses(vm, header) : loadElf(vm);
  if (!loaded || !placeBootData(vm) || !writeModules(vm)) return false;
  writeInformation(vm);
  const entry: u64 = (flags & FLAG_ADDRESSES) != 0 ? image32(vm.kernel, header + 28) : vm.elf.entry;
  const vcpu = enterProtected(vm, entry);
  vcpu.rax = LOADER_MAGIC;
  vcpu.rbx = bootInformation(vm);
  return true;
}

function demandsTooMuch(vm: Vm, unmet: u32): bool {
  problemStart(vm);
  logText("its kernel's multiboot header demands features that are not known (flags ");
  logHex(unmet);
  logText(")");
  return problemEnd("Build it for multiboot 1");
}

function loadElf(vm: Vm): bool {
  if (elfProbe(vm.kernel)) return elfOpen(vm) && elfLoadSegments(vm);
  return problem(
    vm,
    "its kernel has a multiboot header but is neither an ELF nor gives load addresses (flag 16)",
    "Link it as ELF32, or fill in the header's address fields",
  );
}

/** "The address fields of Multiboot header": a flat file, from the header's place on. */
function loadByAddresses(vm: Vm, header: u64): bool {
  const headerAddress = <u64>image32(vm.kernel, header + 12);
  const load = <u64>image32(vm.kernel, header + 16);
  const loadEnd = <u64>image32(vm.kernel, header + 20);
  const bssEnd = <u64>image32(vm.kernel, header + 24);
  const lead = headerAddress - load;
  if (headerAddress < load || lead > header || (loadEnd != 0 && loadEnd < load)) {
    return problem(
      vm,
      "the load addresses in its kernel's multiboot header contradict each other",
      "Correct them",
    );
  }
  const offset = header - lead;
  const bytes = loadEnd == 0 ? vm.kernel.bytes - offset : loadEnd - load;
  if (!imageHolds(vm.kernel, offset, bytes)) {
    problemStart(vm);
    logText("its kernel is truncated: the multiboot header speaks of ");
    problemBytes(offset + bytes);
    logText(", the file has ");
    problemBytes(vm.kernel.bytes);
    return problemEnd("Fetch or build the file again, whole");
  }
  const total = bssEnd > load + bytes ? bssEnd - load : bytes;
  return putFlat(vm, offset, load, bytes, total);
}

function putFlat(vm: Vm, offset: u64, load: u64, bytes: u64, total: u64): bool {
  const wrong = placeAt(vm, load, total);
  if (wrong !== null) {
    problemStart(vm);
    logText("its kernel, at ");
    logHex(load);
    logText(" with ");
    logDecimal(total);
    logText(" bytes, ");
    logText(wrong);
    return problemEnd("Link it for free memory, such as from 1 MiB on, or give the VM more");
  }
  imageCopy(vm, vm.kernel, offset, load, bytes);
  clearMemory(vm, load + bytes, total - bytes);
  logPlaced("kernel", load, total);
  return true;
}

/**
 *   0      4    8       12
 *   start  end  string  reserved
 */
function writeModules(vm: Vm): bool {
  const m = vm.memory;
  for (let i: u32 = 0; i < moduleCount(vm); i++) {
    const module = moduleAt(vm, i);
    const place = placeModule(vm, module);
    if (place == NO_PLACE) return false;
    const entry = bootInformation(vm) + MODULE_LIST + <u64>i * MODULE_BYTES;
    guestStore32(m, entry, <u32>place);
    guestStore32(m, entry + 4, <u32>(place + module.bytes));
    guestStore32(m, entry + 8, <u32>placeCommandLine(vm, module));
    guestStore32(m, entry + 12, 0);
  }
  return true;
}

/**
 *   0      4          8          16            20       24           44          48           64
 *   flags  mem_lower  mem_upper  command line  modules  module list  map length  map address  loader name
 */
function writeInformation(vm: Vm): void {
  const m = vm.memory;
  const info = bootInformation(vm);
  assert(guestFill(m, info, 0, INFO_BYTES), "multiboot: no RAM for the boot information");
  const modules = moduleCount(vm);
  guestStore32(m, info, INFO_MEMORY | INFO_COMMAND_LINE | INFO_MODULES | INFO_MEMORY_MAP | INFO_LOADER_NAME);
  guestStore32(m, info + 4, <u32>(EBDA >> 10));
  guestStore32(m, info + 8, <u32>((ramBelow4G(vm) - HIGH_MEMORY) >> 10));
  guestStore32(m, info + 16, <u32>placeCommandLine(vm, vm.kernel));
  guestStore32(m, info + 20, modules);
  guestStore32(m, info + 24, <u32>(info + MODULE_LIST));
  guestStore32(m, info + 44, writeMemoryMap(vm));
  guestStore32(m, info + 48, <u32>(info + MEMORY_MAP));
  for (let i = 0; i < LOADER.length; i++) guestStore8(m, info + LOADER_NAME + <u64>i, LOADER.charCodeAt(i));
  guestStore8(m, info + LOADER_NAME + <u64>LOADER.length, 0);
  guestStore32(m, info + 64, <u32>(info + LOADER_NAME));
}

/** Returns the map's length in bytes. */
function writeMemoryMap(vm: Vm): u32 {
  const entries = buildMemoryMap(vm);
  for (let i: u32 = 0; i < entries; i++) {
    const from = memoryMapEntry(vm, i);
    const at = bootInformation(vm) + MEMORY_MAP + <u64>i * MAP_ENTRY_BYTES;
    guestStore32(vm.memory, at, MAP_ENTRY_SIZE);
    guestStore64(vm.memory, at + 4, from.start);
    guestStore64(vm.memory, at + 12, from.bytes);
    guestStore32(vm.memory, at + 20, from.type);
  }
  return entries * <u32>MAP_ENTRY_BYTES;
}

// Multiboot-1 loaders (QEMU -kernel, GRUB): command line, modules and memory map into kernel/lib/bootinfo.ts.
// (Multiboot Specification 0.6.96, "Boot information format".)
import { phys_load32, phys_load64, phys_load8 } from "../arch/intrinsics";
import {
  bootInfo,
  bootModule,
  bootModuleText,
  commandLine,
  MEMORY_ACPI_RECLAIMABLE,
  MEMORY_RESERVED,
  MEMORY_USABLE,
  memoryRange,
} from "../lib/bootinfo";
import { MAX_COMMAND_LINE, MAX_MEMORY_RANGES, MAX_MODULES } from "../lib/limits";

/** What a multiboot-1 loader leaves in EAX. */
export const MULTIBOOT_LOADER_MAGIC: u64 = 0x2badb002;

// Offsets in the information structure, and the bits of its first word that say which fields are valid.
const INFO_FLAGS: u64 = 0;
const INFO_MEM_UPPER: u64 = 8;
const INFO_CMDLINE: u64 = 16;
const INFO_MODS_COUNT: u64 = 20;
const INFO_MODS_ADDR: u64 = 24;
const INFO_MMAP_LENGTH: u64 = 44;
const INFO_MMAP_ADDR: u64 = 48;
const FLAG_MEMORY: u32 = 1 << 0;
const FLAG_CMDLINE: u32 = 1 << 2;
const FLAG_MODS: u32 = 1 << 3;
const FLAG_MMAP: u32 = 1 << 6;

// A module: start, end, string, reserved; 4 bytes each.
const MODULE_BYTES: u64 = 16;
// An entry of the memory map: size of the rest (4), base (8), length (8), type (4).
const MAP_TYPE: u64 = 20;
const MAP_SMALLEST: u32 = 20;

const ONE_MIB: u64 = 1 << 20;

/** Copies everything but the modules' contents out of the loader's structures at physical address `info`. */
export function multibootRead(info: u64): void {
  const flags = phys_load32(info + INFO_FLAGS);
  if ((flags & FLAG_CMDLINE) != 0) copyString(phys_load32(info + INFO_CMDLINE), commandLine());
  if ((flags & FLAG_MODS) != 0)
    readModules(phys_load32(info + INFO_MODS_ADDR), phys_load32(info + INFO_MODS_COUNT));
  if ((flags & FLAG_MMAP) != 0)
    readMap(phys_load32(info + INFO_MMAP_ADDR), phys_load32(info + INFO_MMAP_LENGTH));
  else if ((flags & FLAG_MEMORY) != 0)
    addRange(ONE_MIB, (<u64>phys_load32(info + INFO_MEM_UPPER)) << 10, MEMORY_USABLE);
}

function readModules(list: u64, count: u32): void {
  const kept = min(count, MAX_MODULES);
  bootInfo().moduleCount = kept;
  bootInfo().modulesDropped = count - kept;
  for (let i: u32 = 0; i < kept; i++) {
    const entry = list + i * MODULE_BYTES;
    const module = bootModule(i);
    const start: u64 = phys_load32(entry);
    const end: u64 = phys_load32(entry + 4);
    module.start = start;
    module.bytes = end > start ? end - start : 0;
    module.text = bootModuleText(i);
    copyString(phys_load32(entry + 8), module.text);
  }
}

function readMap(map: u64, length: u32): void {
  const end = map + length;
  for (let at = map; at + MAP_SMALLEST + 4 <= end; ) {
    const size = phys_load32(at);
    if (size < MAP_SMALLEST) return;
    addRange(phys_load64(at + 4), phys_load64(at + 12), kindOf(phys_load32(at + MAP_TYPE)));
    at += size + 4;
  }
}

function kindOf(type: u32): u32 {
  if (type == 1) return MEMORY_USABLE;
  return type == 3 ? MEMORY_ACPI_RECLAIMABLE : MEMORY_RESERVED;
}

function addRange(start: u64, bytes: u64, kind: u32): void {
  const info = bootInfo();
  if (info.rangeCount == MAX_MEMORY_RANGES) {
    info.rangesDropped++;
    return;
  }
  const range = memoryRange(info.rangeCount++);
  range.start = start;
  range.bytes = bytes;
  range.kind = kind;
}

/** A zero-terminated string at a physical address, cut to MAX_COMMAND_LINE - 1 bytes. Address 0: empty. */
function copyString(from: u64, to: usize): void {
  let length: u32 = 0;
  for (; from != 0 && length < MAX_COMMAND_LINE - 1; length++) {
    const byte = phys_load8(from + length);
    if (byte == 0) break;
    store<u8>(to + length, <u8>byte);
  }
  store<u8>(to + length, 0);
  if (length == MAX_COMMAND_LINE - 1 && phys_load8(from + length) != 0) bootInfo().truncated = 1;
}

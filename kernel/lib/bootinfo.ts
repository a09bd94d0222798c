// What the loader handed over, in one form whatever the loader: command line, modules, memory map. Strings are copied
// into linear memory and end with a zero; memory and modules are described by physical addresses.
import { MAX_COMMAND_LINE, MAX_MEMORY_RANGES, MAX_MODULES } from "./limits";

/** Kinds of memory ranges. */
export const MEMORY_USABLE: u32 = 1;
export const MEMORY_RESERVED: u32 = 2;
export const MEMORY_ACPI_RECLAIMABLE: u32 = 3;

@unmanaged
export class BootModule {
  /** Physical address and bytes of its contents. */
  start: u64;
  bytes: u64;
  /** Linear address of its string (MAX_COMMAND_LINE bytes with the final zero). */
  text: usize;
}

@unmanaged
export class MemoryRange {
  start: u64;
  bytes: u64;
  /** MEMORY_*. */
  kind: u32;
}

@unmanaged
class BootInfo {
  moduleCount: u32;
  rangeCount: u32;
  /** Modules or ranges beyond the limits, which were left out. */
  modulesDropped: u32;
  rangesDropped: u32;
  /** A module's or the hypervisor's command line was longer than MAX_COMMAND_LINE - 1 and was cut. */
  truncated: u32;
}

const info = memory.data(offsetof<BootInfo>(), 16);
const modules = memory.data(MAX_MODULES * 24, 16);
const ranges = memory.data(MAX_MEMORY_RANGES * 24, 16);
const moduleTexts = memory.data(MAX_MODULES * MAX_COMMAND_LINE, 16);
const line = memory.data(MAX_COMMAND_LINE, 16);

export function bootInfo(): BootInfo {
  return changetype<BootInfo>(info);
}

/** Module `index` below `bootInfo().moduleCount`. */
export function bootModule(index: u32): BootModule {
  assert(index < MAX_MODULES, "bootinfo: module index");
  return changetype<BootModule>(modules + index * 24);
}

/** Linear address of the buffer for module `index`'s string. */
export function bootModuleText(index: u32): usize {
  assert(index < MAX_MODULES, "bootinfo: module index");
  return moduleTexts + index * MAX_COMMAND_LINE;
}

/** Memory range `index` below `bootInfo().rangeCount`, in the loader's order. */
export function memoryRange(index: u32): MemoryRange {
  assert(index < MAX_MEMORY_RANGES, "bootinfo: range index");
  return changetype<MemoryRange>(ranges + index * 24);
}

/** The hypervisor's own command line: linear address of a zero-terminated string. */
export function commandLine(): usize {
  return line;
}

// What a boot protocol needs in the guest's memory until the kernel has taken it over: one block, in low memory unless the
// kernel itself is there.
//
//   0     GDT, one page
//   1000  identity map of the first 4 GiB, six pages
//   7000  zero page, PVH start information or multiboot information, each with its tables, four pages
//   B000  small stack for kernels that are entered without one of their own, four pages
//   F000  command lines
import { MAX_COMMAND_LINE } from "../../lib/limits";
import { guestWrite } from "../../mm/guestmem";
import { problem } from "../problem";
import { GuestModule, MAX_GUEST_MODULES, Vm } from "../vm";
import { NO_PLACE, placeLow } from "./placement";

const PAGE: u64 = 4096;
const PAGE_TABLES: u64 = 0x1000;
const INFORMATION: u64 = 0x7000;
const STACK_TOP: u64 = 0xf000;
const COMMAND_LINES: u64 = 0xf000;
const BYTES: u64 = 0x15000;
const LINE_ALIGN: u64 = 16;

/** Finds its place, once the kernel has its own. False: there is none, and the log says so. */
export function placeBootData(vm: Vm): bool {
  // The lines of the kernel, the initrd and every module.
  assert((MAX_GUEST_MODULES + 2) * (MAX_COMMAND_LINE + LINE_ALIGN) <= BYTES - COMMAND_LINES, "boot: lines");
  vm.bootData = placeLow(vm, BYTES, PAGE, PAGE);
  vm.nextCommandLine = vm.bootData + COMMAND_LINES;
  if (vm.bootData != NO_PLACE) return true;
  return problem(
    vm,
    "its kernel leaves no 84 KiB of memory for what it is to be told",
    "Give the VM more memory",
  );
}

export function bootGdt(vm: Vm): u64 {
  return vm.bootData;
}

export function bootPageTables(vm: Vm): u64 {
  return vm.bootData + PAGE_TABLES;
}

export function bootInformation(vm: Vm): u64 {
  return vm.bootData + INFORMATION;
}

export function bootStackTop(vm: Vm): u64 {
  return vm.bootData + STACK_TOP;
}

/** Copies a module's command line with its final zero behind those before it; returns its guest-physical address. */
export function placeCommandLine(vm: Vm, module: GuestModule): u64 {
  const at = vm.nextCommandLine;
  const bytes = module.textLength + 1;
  assert(at + bytes <= vm.bootData + BYTES, "boot: too many command lines");
  assert(guestWrite(vm.memory, at, module.text, bytes), "boot: no RAM for command lines");
  vm.nextCommandLine = (at + bytes + LINE_ALIGN - 1) & ~(LINE_ALIGN - 1);
  return at;
}

// Linux's bzImage through its 64-bit entry point, or the 32-bit one, or the one in real mode (realmode.ts) if it has no other.
// Source: Linux, "The Linux/x86 Boot Protocol" (Documentation/arch/x86/boot.rst), sections "32-bit Boot Protocol" and "64-bit
// Boot Protocol".
import { logDecimal, logHex, logText } from "../../lib/log";
import {
  guestFill,
  guestStore16,
  guestStore32,
  guestStore64,
  guestStore8,
  guestWrite,
} from "../../mm/guestmem";
import { buildMemoryMap, E820_ENTRY_BYTES, HIGH_MEMORY, memoryMapEntry, ramBelow4G } from "../memory-map";
import { problemBytes, problemEnd, problemStart } from "../problem";
import { GuestModule, Vm } from "../vm";
import { bootInformation, placeBootData, placeCommandLine } from "./boot-data";
import { enterLong, enterProtected } from "./entry";
import { imageCopy, imageHolds } from "./image";
import { realModeEnter } from "./realmode";
import { largestHole, logPlaced, NO_PLACE, placeAt, placeHigh, placeLow } from "./placement";
import {
  CMD_LINE_PTR,
  checkSetupHeader,
  commandLineLimit,
  hasLongEntry,
  initBytes,
  initrdLimit,
  isRealModeOnly,
  movableBy,
  preferredAddress,
  RAMDISK_IMAGE,
  RAMDISK_SIZE,
  SETUP_HEADER,
  setupBytes,
  setupHeaderEnd,
  TYPE_OF_LOADER,
  VID_MODE,
} from "./setup-header";

// Offsets in the zero page alone.
const ZERO_ACPI_RSDP: u64 = 0x070;
const ZERO_EXT_MEM_K: u64 = 0x002;
const ZERO_ALT_MEM_K: u64 = 0x1e0;
const ZERO_E820_ENTRIES: u64 = 0x1e8;
const ZERO_E820_TABLE: u64 = 0x2d0;

const PAGE: u64 = 4096;
const ENTRY_64: u64 = 0x200;
/** Loader without a number of its own. */
const LOADER_UNKNOWN: u32 = 0xff;
const VIDEO_NORMAL: u32 = 0xffff;

/** Loads it, its initrd and command line, and sets the boot vCPU up. False: the log says why not. */
export function bzimageLoad(vm: Vm): bool {
  if (!checkSetupHeader(vm, vm.kernel)) return false;
  const kernel = placeKernel(vm, vm.kernel);
  if (kernel == NO_PLACE || !placeBootData(vm)) return false;
  const setup = setupBytes(vm.kernel);
  const initrd = vm.initrd.bytes == 0 ? 0 : placeInitrd(vm);
  if (initrd == NO_PLACE || !isCommandLineShort(vm)) return false;
  imageCopy(vm, vm.kernel, setup, kernel, vm.kernel.bytes - setup);
  if (initrd != 0) imageCopy(vm, vm.initrd, 0, initrd, vm.initrd.bytes);
  if (isRealModeOnly(vm.kernel)) return realModeEnter(vm, initrd);
  writeZeroPage(vm, initrd);
  const vcpu = hasLongEntry(vm.kernel) ? enterLong(vm, kernel + ENTRY_64) : enterProtected(vm, kernel);
  vcpu.rsi = bootInformation(vm);
  return true;
}

/** Where the kernel runs: its preferred address if there is room, else, if it may move, the lowest place from 1 MiB on. */
function placeKernel(vm: Vm, image: GuestModule): u64 {
  const bytes = initBytes(image);
  const preferred = preferredAddress(image);
  if (preferred >= HIGH_MEMORY && placeAt(vm, preferred, bytes) === null) {
    logPlaced("kernel", preferred, bytes);
    return preferred;
  }
  const align = movableBy(image);
  const place = align != 0 ? placeLow(vm, bytes, align, HIGH_MEMORY) : NO_PLACE;
  if (place != NO_PLACE) logPlaced("kernel", place, bytes);
  else kernelDoesNotFit(vm, preferred, bytes, align != 0);
  return place;
}

function kernelDoesNotFit(vm: Vm, preferred: u64, bytes: u64, movable: bool): void {
  problemStart(vm);
  logText("its kernel needs ");
  problemBytes(bytes);
  if (!movable) {
    logText(" at address ");
    logHex(preferred);
  }
  logText(" to unpack itself, but the VM has only ");
  problemBytes(vm.memoryBytes);
  problemEnd("Give the VM more memory");
}

/** As high as it may be, out of the kernel's way. */
function placeInitrd(vm: Vm): u64 {
  const end = initrdLimit(vm.kernel) + 1;
  const place = placeHigh(vm, vm.initrd.bytes, PAGE, end);
  if (place != NO_PLACE) {
    logPlaced("initrd", place, vm.initrd.bytes);
    return place;
  }
  problemStart(vm);
  logText("its initrd of ");
  problemBytes(vm.initrd.bytes);
  logText(" does not fit: beside the kernel, ");
  problemBytes(largestHole(vm));
  logText(" are free");
  problemEnd("Give the VM more memory, or take a smaller initrd");
  return NO_PLACE;
}

function isCommandLineShort(vm: Vm): bool {
  const most = commandLineLimit(vm.kernel);
  if (vm.kernel.textLength <= most) return true;
  problemStart(vm);
  logText("its command line has ");
  logDecimal(vm.kernel.textLength);
  logText(" bytes, but this kernel takes ");
  logDecimal(most);
  return problemEnd("Shorten it");
}

/** The zero page: the file's setup header, what the loader fills in, and the memory map. */
function writeZeroPage(vm: Vm, initrd: u64): void {
  const m = vm.memory;
  const zero = bootInformation(vm);
  assert(guestFill(m, zero, 0, PAGE), "bzimage: no RAM for the zero page");
  const end = setupHeaderEnd(vm.kernel);
  if (end > SETUP_HEADER && imageHolds(vm.kernel, 0, end)) {
    imageCopy(vm, vm.kernel, SETUP_HEADER, zero + SETUP_HEADER, end - SETUP_HEADER);
  }
  guestStore16(m, zero + VID_MODE, VIDEO_NORMAL);
  guestStore8(m, zero + TYPE_OF_LOADER, LOADER_UNKNOWN);
  guestStore32(m, zero + RAMDISK_IMAGE, <u32>initrd);
  guestStore32(m, zero + RAMDISK_SIZE, <u32>vm.initrd.bytes);
  guestStore32(m, zero + CMD_LINE_PTR, <u32>placeCommandLine(vm, vm.kernel));
  guestStore64(m, zero + ZERO_ACPI_RSDP, vm.rsdp);
  const high = (ramBelow4G(vm) - HIGH_MEMORY) >> 10;
  guestStore16(m, zero + ZERO_EXT_MEM_K, <u32>min<u64>(high, 0xffff));
  guestStore32(m, zero + ZERO_ALT_MEM_K, <u32>high);
  const entries = buildMemoryMap(vm);
  guestStore8(m, zero + ZERO_E820_ENTRIES, entries);
  guestWrite(m, zero + ZERO_E820_TABLE, changetype<usize>(memoryMapEntry(vm, 0)), entries * E820_ENTRY_BYTES);
}

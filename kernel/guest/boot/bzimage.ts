// Linux's bzImage through its 64-bit entry point. Source: Linux, "The Linux/x86 Boot Protocol"
// (Documentation/arch/x86/boot.rst), sections "The Real-Mode Kernel Header" and "64-bit Boot Protocol".
import { logDecimal, logHex, logText } from "../../lib/log";
import {
  guestFill,
  guestStore16,
  guestStore32,
  guestStore64,
  guestStore8,
  guestWrite,
} from "../../mm/guestmem";
import {
  BOOT_INFORMATION,
  buildMemoryMap,
  E820_ENTRY_BYTES,
  HIGH_MEMORY,
  memoryMapEntry,
  ramBelow4G,
} from "../memory-map";
import { problem, problemBytes, problemEnd, problemStart } from "../problem";
import { GuestModule, Vm } from "../vm";
import { placeCommandLine } from "./command-line";
import { enterLong } from "./entry";
import { image16, image32, image64, image8, imageCopy, imageHolds } from "./image";
import { largestHole, logPlaced, NO_PLACE, placeAt, placeHigh, placeLow } from "./placement";

// Offsets in the file's first sectors; the zero page has the same from SETUP_HEADER on.
const SETUP_HEADER: u64 = 0x1f1;
const SETUP_SECTS: u64 = 0x1f1;
const SYSSIZE: u64 = 0x1f4;
const VID_MODE: u64 = 0x1fa;
const BOOT_FLAG: u64 = 0x1fe;
const JUMP_OFFSET: u64 = 0x201;
const HEADER_MAGIC: u64 = 0x202;
const VERSION: u64 = 0x206;
const TYPE_OF_LOADER: u64 = 0x210;
const LOADFLAGS: u64 = 0x211;
const RAMDISK_IMAGE: u64 = 0x218;
const RAMDISK_SIZE: u64 = 0x21c;
const CMD_LINE_PTR: u64 = 0x228;
const INITRD_ADDR_MAX: u64 = 0x22c;
const KERNEL_ALIGNMENT: u64 = 0x230;
const RELOCATABLE_KERNEL: u64 = 0x234;
const XLOADFLAGS: u64 = 0x236;
const CMDLINE_SIZE: u64 = 0x238;
const PREF_ADDRESS: u64 = 0x258;
const INIT_SIZE: u64 = 0x260;
/** End of the header of protocol 2.12, and of the room for it in the zero page. */
const HEADER_END: u64 = 0x268;
const HEADER_ROOM_END: u64 = 0x290;

// Offsets in the zero page alone.
const ZERO_ACPI_RSDP: u64 = 0x070;
const ZERO_EXT_MEM_K: u64 = 0x002;
const ZERO_ALT_MEM_K: u64 = 0x1e0;
const ZERO_E820_ENTRIES: u64 = 0x1e8;
const ZERO_E820_TABLE: u64 = 0x2d0;

const MAGIC: u32 = 0x53726448; // "HdrS"
const FLAG_AA55: u32 = 0xaa55;
const PROTOCOL_2_12: u32 = 0x020c;
const XLF_KERNEL_64: u32 = 1;
const LOADED_HIGH: u32 = 1;
const SECTOR: u64 = 512;
const PAGE: u64 = 4096;
const ENTRY_64: u64 = 0x200;
/** Loader without a number of its own. */
const LOADER_UNKNOWN: u32 = 0xff;
const VIDEO_NORMAL: u32 = 0xffff;
/** Alignments that a header may ask for. */
const MAX_ALIGNMENT: u64 = 1 << 30;

/** Whether the file claims to be a bzImage. */
export function bzimageProbe(image: GuestModule): bool {
  return image32(image, HEADER_MAGIC) == MAGIC;
}

/** Loads it, its initrd and command line, and sets the boot vCPU up. False: the log says why not. */
export function bzimageLoad(vm: Vm): bool {
  if (!isWhole(vm, vm.kernel) || !isSupported(vm, vm.kernel)) return false;
  const kernel = placeKernel(vm, vm.kernel);
  if (kernel == NO_PLACE) return false;
  const setup = setupBytes(vm.kernel);
  const initrd = vm.initrd.bytes == 0 ? 0 : placeInitrd(vm);
  if (initrd == NO_PLACE || !isCommandLineShort(vm)) return false;
  imageCopy(vm, vm.kernel, setup, kernel, vm.kernel.bytes - setup);
  if (initrd != 0) imageCopy(vm, vm.initrd, 0, initrd, vm.initrd.bytes);
  writeZeroPage(vm, initrd);
  const vcpu = enterLong(vm, kernel + ENTRY_64);
  vcpu.rsi = BOOT_INFORMATION;
  return true;
}

/** Bytes of the real-mode part: boot sector and setup sectors (0 means 4). */
function setupBytes(image: GuestModule): u64 {
  const sectors = image8(image, SETUP_SECTS);
  return (<u64>(sectors == 0 ? 4 : sectors) + 1) * SECTOR;
}

function isWhole(vm: Vm, image: GuestModule): bool {
  const setup = setupBytes(image);
  const needed = setup + <u64>image32(image, SYSSIZE) * 16;
  if (imageHolds(image, 0, HEADER_END) && image.bytes > setup && imageHolds(image, 0, needed)) return true;
  problemStart(vm);
  logText("its kernel is a truncated bzImage: the header speaks of ");
  problemBytes(needed);
  logText(", the file has ");
  problemBytes(image.bytes);
  return problemEnd("Fetch the file again, whole");
}

function isSupported(vm: Vm, image: GuestModule): bool {
  if (image16(image, BOOT_FLAG) != FLAG_AA55) {
    return problem(
      vm,
      "its kernel is a damaged bzImage: no boot flag AA55 at offset 0x1fe",
      "Fetch the file again",
    );
  }
  const version = image16(image, VERSION);
  if (version >= PROTOCOL_2_12 && (image16(image, XLOADFLAGS) & XLF_KERNEL_64) != 0) {
    if ((image8(image, LOADFLAGS) & LOADED_HIGH) != 0) return true;
    return problem(vm, "its kernel is a zImage, which loads below 1 MiB", "Build the kernel as a bzImage");
  }
  problemStart(vm);
  logText("its kernel (boot protocol ");
  logDecimal(version >> 8);
  logText(".");
  logDecimal(version & 0xff);
  logText(") has no 64-bit entry point");
  return problemEnd("Take a Linux kernel for x86-64, 3.8 or newer");
}

/** Where the kernel runs: its preferred address if there is room, else, if it may move, the lowest place from 1 MiB on. */
function placeKernel(vm: Vm, image: GuestModule): u64 {
  const bytes = max(<u64>image32(image, INIT_SIZE), image.bytes - setupBytes(image));
  const preferred = image64(image, PREF_ADDRESS);
  if (preferred >= HIGH_MEMORY && placeAt(preferred, bytes) === null) {
    logPlaced("kernel", preferred, bytes);
    return preferred;
  }
  const align = <u64>image32(image, KERNEL_ALIGNMENT);
  const movable = image8(image, RELOCATABLE_KERNEL) != 0 && isAlignment(align);
  const place = movable ? placeLow(bytes, align, HIGH_MEMORY) : NO_PLACE;
  if (place != NO_PLACE) logPlaced("kernel", place, bytes);
  else kernelDoesNotFit(vm, preferred, bytes, movable);
  return place;
}

function isAlignment(align: u64): bool {
  return align >= PAGE && align <= MAX_ALIGNMENT && (align & (align - 1)) == 0;
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
  const end = <u64>image32(vm.kernel, INITRD_ADDR_MAX) + 1;
  const place = placeHigh(vm.initrd.bytes, PAGE, end);
  if (place != NO_PLACE) {
    logPlaced("initrd", place, vm.initrd.bytes);
    return place;
  }
  problemStart(vm);
  logText("its initrd of ");
  problemBytes(vm.initrd.bytes);
  logText(" does not fit: beside the kernel, ");
  problemBytes(largestHole());
  logText(" are free");
  problemEnd("Give the VM more memory, or take a smaller initrd");
  return NO_PLACE;
}

function isCommandLineShort(vm: Vm): bool {
  const most = image32(vm.kernel, CMDLINE_SIZE);
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
  const zero = BOOT_INFORMATION;
  assert(guestFill(m, zero, 0, PAGE), "bzimage: no RAM for the zero page");
  const end = min(HEADER_MAGIC + <u64>image8(vm.kernel, JUMP_OFFSET), HEADER_ROOM_END);
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
  guestWrite(m, zero + ZERO_E820_TABLE, changetype<usize>(memoryMapEntry(0)), entries * E820_ENTRY_BYTES);
}

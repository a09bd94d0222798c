// The setup header of a bzImage: fields that came with a later protocol than the image's own have the values that the
// older protocol implies. Source: Linux, "The Linux/x86 Boot Protocol" (Documentation/arch/x86/boot.rst), "The Real-Mode
// Kernel Header" and "Details of Header Fields".
import { logDecimal, logText } from "../../lib/log";
import { HIGH_MEMORY } from "../memory-map";
import { problem, problemBytes, problemEnd, problemStart } from "../problem";
import { GuestModule, Vm } from "../vm";
import { image16, image32, image64, image8, imageHolds } from "./image";

// Offsets in the file's first sectors; the zero page has the same from SETUP_HEADER on.
export const SETUP_HEADER: u64 = 0x1f1;
const SETUP_SECTS: u64 = 0x1f1;
const SYSSIZE: u64 = 0x1f4;
export const VID_MODE: u64 = 0x1fa;
const BOOT_FLAG: u64 = 0x1fe;
const JUMP_OFFSET: u64 = 0x201;
const HEADER_MAGIC: u64 = 0x202;
const VERSION: u64 = 0x206;
export const TYPE_OF_LOADER: u64 = 0x210;
const LOADFLAGS: u64 = 0x211;
const CODE32_START: u64 = 0x214;
export const RAMDISK_IMAGE: u64 = 0x218;
export const RAMDISK_SIZE: u64 = 0x21c;
export const CMD_LINE_PTR: u64 = 0x228;
const INITRD_ADDR_MAX: u64 = 0x22c;
const KERNEL_ALIGNMENT: u64 = 0x230;
const RELOCATABLE_KERNEL: u64 = 0x234;
const XLOADFLAGS: u64 = 0x236;
const CMDLINE_SIZE: u64 = 0x238;
const PREF_ADDRESS: u64 = 0x258;
const INIT_SIZE: u64 = 0x260;
/** End of the room for the header in the zero page. */
const HEADER_ROOM_END: u64 = 0x290;

const MAGIC: u32 = 0x53726448; // "HdrS"
const FLAG_AA55: u32 = 0xaa55;
const XLF_KERNEL_64: u32 = 1;
const LOADED_HIGH: u32 = 1;
const SECTOR: u64 = 512;
/** Bytes of a unit of `syssize`; the last one may be begun only. */
const PARAGRAPH: u64 = 16;
const PAGE: u64 = 4096;
/** Alignments that a header may ask for. */
const MAX_ALIGNMENT: u64 = 1 << 30;

// Protocols and what came with them: the command line's address; initrd_addr_max; kernel_alignment and relocatable_kernel;
// cmdline_size; pref_address and init_size; xloadflags.
const PROTOCOL_2_02: u32 = 0x0202;
const PROTOCOL_2_03: u32 = 0x0203;
const PROTOCOL_2_05: u32 = 0x0205;
const PROTOCOL_2_06: u32 = 0x0206;
const PROTOCOL_2_10: u32 = 0x020a;
const PROTOCOL_2_12: u32 = 0x020c;
const OLD_INITRD_ADDR_MAX: u64 = 0x37ffffff;
const OLD_CMDLINE_SIZE: u32 = 255;
/** What a kernel unpacks itself to, at most, when it does not say so, as a multiple of its compressed size. */
const OLD_UNPACKED: u64 = 4;

/** Whether the file claims to be a bzImage. */
export function hasSetupHeader(image: GuestModule): bool {
  return image32(image, HEADER_MAGIC) == MAGIC;
}

/** Bytes of the real-mode part: boot sector and setup sectors (0 means 4). */
export function setupBytes(image: GuestModule): u64 {
  const sectors = image8(image, SETUP_SECTS);
  return (<u64>(sectors == 0 ? 4 : sectors) + 1) * SECTOR;
}

/** Offset behind the last byte of the header, which says itself how long it is. */
export function setupHeaderEnd(image: GuestModule): u64 {
  return min(HEADER_MAGIC + <u64>image8(image, JUMP_OFFSET), HEADER_ROOM_END);
}

/** Whether the image has a 64-bit entry beside the 32-bit one. */
export function hasLongEntry(image: GuestModule): bool {
  return image16(image, VERSION) >= PROTOCOL_2_12 && (image16(image, XLOADFLAGS) & XLF_KERNEL_64) != 0;
}

/** Whether it can be entered in real mode only. */
export function isRealModeOnly(image: GuestModule): bool {
  return !hasLongEntry(image) && image32(image, CODE32_START) == 0;
}

/** The highest address that the initrd's last byte may have. */
export function initrdLimit(image: GuestModule): u64 {
  return image16(image, VERSION) < PROTOCOL_2_03 ? OLD_INITRD_ADDR_MAX : image32(image, INITRD_ADDR_MAX);
}

/** Bytes of a command line, its final zero not counted. */
export function commandLineLimit(image: GuestModule): u32 {
  return image16(image, VERSION) < PROTOCOL_2_06 ? OLD_CMDLINE_SIZE : image32(image, CMDLINE_SIZE);
}

/** Alignment at which the kernel may be put elsewhere than at its preferred address; 0: it may not. */
export function movableBy(image: GuestModule): u64 {
  if (image16(image, VERSION) < PROTOCOL_2_05 || image8(image, RELOCATABLE_KERNEL) == 0) return 0;
  const align = <u64>image32(image, KERNEL_ALIGNMENT);
  return align >= PAGE && align <= MAX_ALIGNMENT && (align & (align - 1)) == 0 ? align : 0;
}

export function preferredAddress(image: GuestModule): u64 {
  return image16(image, VERSION) < PROTOCOL_2_10 ? HIGH_MEMORY : image64(image, PREF_ADDRESS);
}

/** Bytes of memory from its address on that the kernel uses until it knows the memory map. */
export function initBytes(image: GuestModule): u64 {
  const loaded = image.bytes - setupBytes(image);
  return image16(image, VERSION) < PROTOCOL_2_10
    ? loaded * OLD_UNPACKED
    : max(loaded, image32(image, INIT_SIZE));
}

/** Checks that the file is whole and of a kind that can be entered. False: the log says what is wrong. */
export function checkSetupHeader(vm: Vm, image: GuestModule): bool {
  return isWhole(vm, image) && isSupported(vm, image);
}

function isWhole(vm: Vm, image: GuestModule): bool {
  const setup = setupBytes(image);
  const needed = setup + <u64>image32(image, SYSSIZE) * PARAGRAPH;
  const begun = needed - min(needed - setup, PARAGRAPH - 1);
  if (image.bytes > setup && imageHolds(image, 0, begun)) return true;
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
  if (version < PROTOCOL_2_02) {
    problemStart(vm);
    logText("its kernel speaks boot protocol ");
    logDecimal(version >> 8);
    logText(".");
    logDecimal(version & 0xff);
    logText(", and 2.2 is the oldest that is known here");
    return problemEnd("Take a Linux kernel from 2.4 on");
  }
  if ((image8(image, LOADFLAGS) & LOADED_HIGH) == 0) {
    return problem(vm, "its kernel is a zImage, which loads below 1 MiB", "Build the kernel as a bzImage");
  }
  return true;
}

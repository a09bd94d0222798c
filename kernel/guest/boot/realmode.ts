// A bzImage that has nothing but its real-mode entry, such as iPXE's `ipxe.lkrn`: it is entered where a boot loader of a PC
// enters it, with the BIOS's services behind the interrupt vectors and its timer ticking. Source: Linux, "The Linux/x86 Boot
// Protocol", sections "Memory Layout", "Loading The Rest of The Kernel" and "Running the Kernel".
import { CR0_ET } from "../../arch/cr";
import { PIC_MASTER, PIC_SLAVE, pic8259Write } from "../../devices/pic8259";
import { pit8254Write } from "../../devices/pit8254";
import { guestStore32, guestStore8 } from "../../mm/guestmem";
import { change } from "../../vcpu/backend";
import {
  GROUP_CONTROL,
  GROUP_RIP,
  GROUP_SEGMENTS,
  GROUP_STACK_FLAGS,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_SS,
} from "../../vcpu/registers";
import { Vcpu } from "../../vcpu/vcpu";
import { EBDA } from "../memory-map";
import { platformOf } from "../platform";
import { problem } from "../problem";
import { Vm, vmNow, vmVcpu } from "../vm";
import { bootStackTop, placeCommandLine } from "./boot-data";
import { imageCopy } from "./image";
import { logPlaced, NO_PLACE, placeLow } from "./placement";
import { CMD_LINE_PTR, RAMDISK_IMAGE, RAMDISK_SIZE, setupBytes, TYPE_OF_LOADER } from "./setup-header";

/** Where loaders put the real-mode part, at the earliest: below it are their own stacks. */
const SETUP_FROM: u64 = 0x20000;
const PARAGRAPH: u64 = 16;
/** The entry, in paragraphs behind the setup's segment: behind the old boot sector. */
const ENTRY_SEGMENT: u32 = 0x20;
const LOADER_UNKNOWN: u32 = 0xff;
const SEGMENT_LIMIT: u32 = 0xffff;
const ACCESS_CODE16: u32 = 0x9b;
const ACCESS_DATA16: u32 = 0x93;
const STACK_BYTES: u32 = 0xf000;

/**
 * Loads the real-mode part of a kernel whose other part, and initrd (at `initrd`, 0: none), are in their places, and enters it.
 * False: the log says why not.
 */
export function realModeEnter(vm: Vm, initrd: u64): bool {
  const image = vm.kernel;
  const bytes = setupBytes(image);
  const setup = placeLow(vm, bytes, PARAGRAPH, SETUP_FROM);
  if (setup == NO_PLACE || setup + bytes > EBDA) {
    return problem(vm, "the real-mode part of its kernel does not fit below 1 MiB", "Take another image");
  }
  logPlaced("real-mode part", setup, bytes);
  imageCopy(vm, image, 0, setup, bytes);
  const m = vm.memory;
  guestStore8(m, setup + TYPE_OF_LOADER, LOADER_UNKNOWN);
  guestStore32(m, setup + RAMDISK_IMAGE, <u32>initrd);
  guestStore32(m, setup + RAMDISK_SIZE, <u32>vm.initrd.bytes);
  guestStore32(m, setup + CMD_LINE_PTR, <u32>placeCommandLine(vm, image));
  startTimer(vm);
  enterReal(vmVcpu(vm, 0), <u32>(setup >> 4), <u32>((bootStackTop(vm) - STACK_BYTES) >> 4));
  return true;
}

/** Interrupts at vectors 8 and 70h, the timer's and the cascade's open, the timer at 18.2 Hz: as a BIOS leaves them. */
function startTimer(vm: Vm): void {
  const p = platformOf(vm);
  const now = vmNow(vm);
  initializePic(vm, PIC_MASTER, 0x08, 0x04, 0xfa);
  initializePic(vm, PIC_SLAVE, 0x70, 0x02, 0xff);
  // Channel 0, both bytes of the count, mode 3; 0 stands for 65536.
  pit8254Write(p.pit, 3, 1, 0x36, now);
  pit8254Write(p.pit, 0, 1, 0, now);
  pit8254Write(p.pit, 0, 1, 0, now);
}

/** ICW1 to ICW4 (cascaded, edge-triggered, 8086 mode), then the mask. */
function initializePic(vm: Vm, offset: u32, base: u32, cascade: u32, mask: u32): void {
  const pic = platformOf(vm).pic;
  pic8259Write(pic, offset, 1, 0x11, 0);
  pic8259Write(pic, offset + 1, 1, base, 0);
  pic8259Write(pic, offset + 1, 1, cascade, 0);
  pic8259Write(pic, offset + 1, 1, 0x01, 0);
  pic8259Write(pic, offset + 1, 1, mask, 0);
}

function enterReal(vcpu: Vcpu, segment: u32, stack: u32): void {
  change(vcpu, GROUP_RIP | GROUP_STACK_FLAGS | GROUP_SEGMENTS | GROUP_CONTROL);
  vcpu.rip = 0;
  vcpu.rsp = STACK_BYTES;
  vcpu.cr0 = CR0_ET;
  setParagraph(vcpu, SEG_CS, segment + ENTRY_SEGMENT, ACCESS_CODE16);
  setParagraph(vcpu, SEG_DS, segment, ACCESS_DATA16);
  setParagraph(vcpu, SEG_ES, segment, ACCESS_DATA16);
  setParagraph(vcpu, SEG_FS, segment, ACCESS_DATA16);
  setParagraph(vcpu, SEG_GS, segment, ACCESS_DATA16);
  setParagraph(vcpu, SEG_SS, stack, ACCESS_DATA16);
}

function setParagraph(vcpu: Vcpu, index: u32, selector: u32, access: u32): void {
  const segment = vcpu.segment(index);
  segment.selector = selector;
  segment.base = (<u64>selector) << 4;
  segment.limit = SEGMENT_LIMIT;
  segment.access = access;
}

// A bzImage that has nothing but its real-mode entry, such as iPXE's `ipxe.lkrn`: it is entered where a boot loader of a PC
// enters it, with the BIOS's services behind the interrupt vectors and its timer ticking. Source: Linux, "The Linux/x86 Boot
// Protocol", sections "Memory Layout", "Loading The Rest of The Kernel" and "Running the Kernel".
import { guestStore32, guestStore8 } from "../../mm/guestmem";
import { portOut } from "../../vcpu/machine";
import { Vcpu } from "../../vcpu/vcpu";
import { EBDA } from "../memory-map";
import { PORT_PIC_MASTER, PORT_PIC_SLAVE, PORT_PIT } from "../ports";
import { problem } from "../problem";
import { Vm } from "../vm";
import { placeCommandLine } from "./boot-data";
import { enterReal } from "./entry";
import { imageCopy } from "./image";
import { logPlaced, NO_PLACE, placeLow } from "./placement";
import { CMD_LINE_PTR, RAMDISK_IMAGE, RAMDISK_SIZE, setupBytes, TYPE_OF_LOADER } from "./setup-header";

/** Where loaders put the real-mode part, at the earliest: below it are their own stacks. */
const SETUP_FROM: u64 = 0x20000;
const PARAGRAPH: u64 = 16;
/** The entry, in bytes from the setup's start: behind the old boot sector. */
const ENTRY: u64 = 0x200;
const LOADER_UNKNOWN: u32 = 0xff;

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
  startTimer(enterReal(vm, setup + ENTRY, setup));
  return true;
}

/** Interrupts at vectors 8 and 70h, the timer's and the cascade's open, the timer at 18.2 Hz: as a BIOS leaves them. */
function startTimer(vcpu: Vcpu): void {
  startPic(vcpu, PORT_PIC_MASTER, 0x08, 0x04, 0xfa);
  startPic(vcpu, PORT_PIC_SLAVE, 0x70, 0x02, 0xff);
  // Channel 0, both bytes of the count, mode 3; 0 stands for 65536.
  portOut(vcpu, PORT_PIT + 3, 1, 0x36);
  portOut(vcpu, PORT_PIT, 1, 0);
  portOut(vcpu, PORT_PIT, 1, 0);
}

/** ICW1 to ICW4 (cascaded, edge-triggered, 8086 mode), then the mask. */
function startPic(vcpu: Vcpu, port: u32, base: u32, cascade: u32, mask: u32): void {
  portOut(vcpu, port, 1, 0x11);
  portOut(vcpu, port + 1, 1, base);
  portOut(vcpu, port + 1, 1, cascade);
  portOut(vcpu, port + 1, 1, 0x01);
  portOut(vcpu, port + 1, 1, mask);
}

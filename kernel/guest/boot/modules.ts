// The files beside the kernel that PVH and multiboot hand over as modules: the initrd first, then the others.
import { HIGH_MEMORY } from "../memory-map";
import { logText } from "../../lib/log";
import { problemBytes, problemEnd, problemStart } from "../problem";
import { GuestModule, guestModuleAt, Vm } from "../vm";
import { imageCopy } from "./image";
import { largestHole, logPlaced, NO_PLACE, placeLow } from "./placement";

const PAGE: u64 = 4096;

/** Number of them. */
export function moduleCount(vm: Vm): u32 {
  return vm.moduleCount + (vm.initrd.bytes != 0 ? 1 : 0);
}

/** Module `index`, below `moduleCount`. */
export function moduleAt(vm: Vm, index: u32): GuestModule {
  if (vm.initrd.bytes == 0) return guestModuleAt(vm, index);
  return index == 0 ? vm.initrd : guestModuleAt(vm, index - 1);
}

/** Copies a module behind the kernel, page-aligned. Returns its guest-physical address, or NO_PLACE: the log says why. */
export function placeModule(vm: Vm, module: GuestModule): u64 {
  const place = placeLow(vm, module.bytes, PAGE, HIGH_MEMORY);
  if (place == NO_PLACE) {
    problemStart(vm);
    logText("a module or initrd of ");
    problemBytes(module.bytes);
    logText(" does not fit: ");
    problemBytes(largestHole(vm));
    logText(" are free");
    problemEnd("Give the VM more memory");
    return NO_PLACE;
  }
  imageCopy(vm, module, 0, place, module.bytes);
  logPlaced("module", place, module.bytes);
  return place;
}

// Command lines of the kernel and of modules, one behind the other in the guest's memory.
import { guestWrite } from "../../mm/guestmem";
import { BOOT_COMMAND_LINES, BOOT_COMMAND_LINES_END } from "../memory-map";
import { GuestModule, Vm } from "../vm";

let next: u64 = BOOT_COMMAND_LINES;

/** Starts over for a VM. */
export function commandLinesStart(): void {
  next = BOOT_COMMAND_LINES;
}

/** Copies a module's command line with its final zero; returns its guest-physical address. */
export function placeCommandLine(vm: Vm, module: GuestModule): u64 {
  const at = next;
  const bytes = module.textLength + 1;
  assert(at + bytes <= BOOT_COMMAND_LINES_END, "boot: too many command lines");
  assert(guestWrite(vm.memory, at, module.text, bytes), "boot: no RAM for command lines");
  next = (at + bytes + 15) & ~15;
  return at;
}

// The frame allocator's stock: usable RAM of the loader's memory map, less what the loader put there.
import { LAYOUT_IMAGE_END, LAYOUT_IMAGE_START } from "../abi/layout";
import { bootLayout } from "../lib/layout";
import { bootInfo, bootModule, MEMORY_USABLE, memoryRange } from "../lib/bootinfo";
import { framesAdd, framesReserve, framesTotal } from "./frames";

/** Fills the frame allocator. Ranges that the map declares both usable and reserved are reserved. */
export function ramStart(): void {
  assert(framesTotal() == 0, "ram: started twice");
  const info = bootInfo();
  for (let i: u32 = 0; i < info.rangeCount; i++) {
    const range = memoryRange(i);
    if (range.kind == MEMORY_USABLE) framesAdd(range.start, range.bytes);
  }
  for (let i: u32 = 0; i < info.rangeCount; i++) {
    const range = memoryRange(i);
    if (range.kind != MEMORY_USABLE) framesReserve(range.start, range.bytes);
  }
  framesReserve(
    bootLayout(LAYOUT_IMAGE_START),
    bootLayout(LAYOUT_IMAGE_END) - bootLayout(LAYOUT_IMAGE_START),
  );
  for (let i: u32 = 0; i < info.moduleCount; i++) framesReserve(bootModule(i).start, bootModule(i).bytes);
}

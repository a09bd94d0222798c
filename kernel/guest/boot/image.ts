// A kernel image as the loader left it in host memory. It is input from strangers: every offset is checked against the
// file's length, and what lies outside reads as zero. The guest cannot reach this memory, so a field read twice is the same.
import { phys_load16, phys_load32, phys_load64, phys_load8 } from "../../arch/intrinsics";
import { guestCopyFromHost } from "../../mm/guestmem";
import { GuestModule, Vm } from "../vm";

/** Whether [offset, offset + length) lies in the file. */
export function imageHolds(image: GuestModule, offset: u64, length: u64): bool {
  return offset <= image.bytes && length <= image.bytes - offset;
}

export function image8(image: GuestModule, offset: u64): u32 {
  return imageHolds(image, offset, 1) ? phys_load8(image.hpa + offset) : 0;
}

export function image16(image: GuestModule, offset: u64): u32 {
  return imageHolds(image, offset, 2) ? phys_load16(image.hpa + offset) : 0;
}

export function image32(image: GuestModule, offset: u64): u32 {
  return imageHolds(image, offset, 4) ? phys_load32(image.hpa + offset) : 0;
}

export function image64(image: GuestModule, offset: u64): u64 {
  return imageHolds(image, offset, 8) ? phys_load64(image.hpa + offset) : 0;
}

/** Copies a part of the file, which must lie in it, to guest memory, which must be RAM. */
export function imageCopy(vm: Vm, image: GuestModule, offset: u64, gpa: u64, length: u64): void {
  assert(imageHolds(image, offset, length), "image: copy past its end");
  if (length != 0)
    assert(guestCopyFromHost(vm.memory, gpa, image.hpa + offset, length), "image: target is not RAM");
}

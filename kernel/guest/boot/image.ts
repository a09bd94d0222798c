// A kernel image as the loader left it in host memory. It is input from strangers: every offset is checked against the
// file's length, and what lies outside reads as zero. The guest cannot reach this memory, so a field read twice is the same.
import { phys_load16, phys_load32, phys_load64, phys_load8 } from "../../arch/intrinsics";
import { guestCopyFromHost, guestFill } from "../../mm/guestmem";
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

/** RAM is contiguous for the guest, but on the host it may be pieced together at multiples of this (ram.ts). */
const PIECE: u64 = 2 << 20;

/** Copies a part of the file, which must lie in it, to guest memory, which must be RAM. */
export function imageCopy(vm: Vm, image: GuestModule, offset: u64, gpa: u64, length: u64): void {
  assert(imageHolds(image, offset, length), "image: copy past its end");
  for (let done: u64 = 0; done < length; ) {
    const bytes = min(length - done, bytesToPiece(gpa + done));
    assert(guestCopyFromHost(vm.memory, gpa + done, image.hpa + offset + done, bytes), "image: no RAM there");
    done += bytes;
  }
}

/** Zeroes guest memory, which must be RAM. */
export function clearMemory(vm: Vm, gpa: u64, length: u64): void {
  for (let done: u64 = 0; done < length; ) {
    const bytes = min(length - done, bytesToPiece(gpa + done));
    assert(guestFill(vm.memory, gpa + done, 0, bytes), "image: no RAM there");
    done += bytes;
  }
}

function bytesToPiece(gpa: u64): u64 {
  return PIECE - (gpa & (PIECE - 1));
}

// The boot sequence.
import { halt_forever, out8 } from "./arch/intrinsics";
import { abort } from "./lib/panic";

export function kmain(): void {
  out8(0x3f8, 0x41);
  halt_forever();
}
export function exception(vector: u32, frame: u64): void {}
export function interrupt(vector: u32): void {}

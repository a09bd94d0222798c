// CPUID as a function that returns one register, for set-up code. Hot paths call the intrinsic with a buffer of their own.
import { cpuid } from "./intrinsics";

const buffer = memory.data(16, 16);

/** Which of the four result registers. */
export const EAX: u32 = 0;
export const EBX: u32 = 1;
export const ECX: u32 = 2;
export const EDX: u32 = 3;

/** One result register (EAX … EDX) of CPUID leaf `leaf`, sub-leaf `subleaf`. */
export function cpuidRegister(leaf: u32, subleaf: u32, register: u32): u32 {
  cpuid(leaf, subleaf, buffer);
  return load<u32>(buffer + 4 * register);
}

/** True when `leaf` is within the range that the processor reports for its kind (0x0, 0x40000000, 0x80000000). */
export function cpuidHasLeaf(leaf: u32): bool {
  const range = leaf & 0xffff0000;
  const highest = cpuidRegister(range, 0, EAX);
  return highest >= leaf && (highest & 0xffff0000) == range;
}

/** True when bit `bit` of a result register is set and the leaf exists. */
export function cpuidFeature(leaf: u32, subleaf: u32, register: u32, bit: u32): bool {
  return cpuidHasLeaf(leaf) && ((cpuidRegister(leaf, subleaf, register) >> bit) & 1) != 0;
}

/** Width of physical addresses in bits (CPUID 0x80000008 EAX[7:0]; 36 without that leaf). */
export function physicalAddressBits(): u32 {
  return cpuidHasLeaf(0x80000008) ? cpuidRegister(0x80000008, 0, EAX) & 0xff : 36;
}

/** CPUID 1 ECX[31]: this hypervisor itself runs under another one. */
export function underHypervisor(): bool {
  return cpuidFeature(1, 0, ECX, 31);
}

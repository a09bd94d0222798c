// CPUID leaf 0Dh, the layout of XSAVE areas, for the state components that guests may enable.
// Source: SDM, "Enumeration of CPU Support for XSAVE Instructions and XSAVE-Supported Features".
import { EAX, EBX, ECX, cpuidHasLeaf, cpuidRegister } from "../arch/cpuid";
import {
  XCR0_AVX,
  XCR0_HI16_ZMM,
  XCR0_OPMASK,
  XCR0_PKRU,
  XCR0_SSE,
  XCR0_X87,
  XCR0_ZMM_HI256,
} from "../arch/cr";

/** Components 0 to 9: up to the protection-key register. */
export const SUBLEAVES_XSAVE: u32 = 10;
const LEAF: u32 = 0x0d;
const XSAVE_FEATURE: u32 = 1 << 26;
/** Opmask and the two halves of the ZMM registers: all or none. */
const XCR0_AVX512: u64 = XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM;
const XCR0_OFFERED: u64 = XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512 | XCR0_PKRU;

// Subleaf 1, EAX.
const XSAVEOPT: u32 = 1 << 0;
const XSAVEC: u32 = 1 << 1;
const XGETBV_1: u32 = 1 << 2;
/** Of a component's ECX: it is aligned to 64 bytes in the compacted format. */
export const XSAVE_COMPACTED_ALIGNED: u32 = 1 << 1;
/** Legacy region and header. */
export const XSAVE_BASE_BYTES: u32 = 576;

/** XCR0 bits that a guest may set on this host; 0: the host has no XSAVE. */
export function guestXcr0Mask(): u64 {
  if (!cpuidHasLeaf(LEAF) || (cpuidRegister(1, 0, ECX) & XSAVE_FEATURE) == 0) return 0;
  return <u64>cpuidRegister(LEAF, 0, EAX) & XCR0_OFFERED;
}

/** Fills four u32 at `slot` for a subleaf, given the components of `guestXcr0Mask`. EBX of 0 and 1 is completed at lookup. */
export function xsaveLeaf(subleaf: u32, mask: u64, slot: usize): void {
  if (subleaf == 0) {
    store<u32>(slot, <u32>mask);
    store<u32>(slot, XSAVE_BASE_BYTES, 4);
    store<u32>(slot, areaBytes(mask), 8);
  } else if (subleaf == 1) {
    const features = cpuidRegister(LEAF, 1, EAX) & (XSAVEOPT | XSAVEC | XGETBV_1);
    store<u32>(slot, features);
    if ((features & XSAVEC) != 0) store<u32>(slot, XSAVE_BASE_BYTES, 4);
  } else if (((mask >> subleaf) & 1) != 0) {
    store<u32>(slot, cpuidRegister(LEAF, subleaf, EAX));
    store<u32>(slot, cpuidRegister(LEAF, subleaf, EBX), 4);
    store<u32>(slot, cpuidRegister(LEAF, subleaf, ECX) & XSAVE_COMPACTED_ALIGNED, 8);
  }
}

/** Bytes of an area in the standard format that holds all components of `mask`. */
function areaBytes(mask: u64): u32 {
  let bytes = XSAVE_BASE_BYTES;
  for (let component: u32 = 2; component < SUBLEAVES_XSAVE; component++) {
    if (((mask >> component) & 1) == 0) continue;
    const end = cpuidRegister(LEAF, component, EBX) + cpuidRegister(LEAF, component, EAX);
    if (end > bytes) bytes = end;
  }
  return bytes;
}

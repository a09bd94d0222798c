// CPUID leaf 0Dh, the layout of XSAVE areas, for the state components that guests may enable.
// Source: SDM, "Enumeration of CPU Support for XSAVE Instructions and XSAVE-Supported Features".
import { EAX, EBX, ECX, cpuidRegister } from "../arch/cpuid";

/** Components 0 to 9: up to the protection-key register. */
export const SUBLEAVES_XSAVE: u32 = 10;
const LEAF: u32 = 0x0d;
// Subleaf 1, EAX.
const XSAVEOPT: u32 = 1 << 0;
const XSAVEC: u32 = 1 << 1;
const XGETBV_1: u32 = 1 << 2;
/** Of a component's ECX: it is aligned to 64 bytes in the compacted format. */
export const XSAVE_COMPACTED_ALIGNED: u32 = 1 << 1;
/** Legacy region and header. */
export const XSAVE_BASE_BYTES: u32 = 576;

/** Fills four u32 at `slot` for a subleaf, given what XCR0 may hold. EBX of 0 and 1 is completed at lookup. */
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

// x87, SSE, AVX and whatever else XSAVE manages (SDM volume 1, "Managing State Using the XSAVE Feature Set"). The hypervisor uses
// none of it: the registers stay the guest's from exit to entry, and are exchanged only when another vCPU gets the processor.
import { CR4_OSXSAVE } from "../arch/cr";
import { cpuidFeature, cpuidHasLeaf, cpuidRegister, EAX, ECX, EDX } from "../arch/cpuid";
import {
  phys_fill,
  phys_fxrstor,
  phys_fxsave,
  phys_store16,
  phys_store32,
  phys_store64,
  phys_store8,
  phys_xrstor,
  phys_xsave,
  read_cr4,
  write_cr4,
  xgetbv,
  xsetbv,
} from "../arch/intrinsics";
import { FRAME_BYTES, frameAllocZeroed, NO_HPA } from "../mm/frames";
import { Vcpu } from "./vcpu";

const CPUID_XSAVE_BIT: u32 = 26;
const LEAF_XSAVE: u32 = 0x0d;

// The area: a legacy region of 512 bytes as FXSAVE has it, then a header that says which components the area holds.
const AREA_FCW: u64 = 0;
const AREA_FTW: u64 = 4;
const AREA_MXCSR: u64 = 24;
const AREA_XSTATE_BV: u64 = 512;
const LEGACY_BYTES: u64 = 512;
const X87_AND_SSE: u64 = 3;

// Values after power-up (SDM volume 3, "Processor State After Reset"): FTW 5555h, in the form of one bit a register.
const FCW_RESET: u32 = 0x0040;
const FTW_RESET: u32 = 0xff;
const MXCSR_RESET: u32 = 0x1f80;

let hasXsave: bool = false;
/** All components that the processor has, and bytes that they need. */
let components: u64 = 0;
let areaBytes: u64 = LEGACY_BYTES;

/** Looks at what this CPU has, and lets the host exchange it. Once per CPU, before any vCPU. */
export function extendedEnable(): void {
  hasXsave = cpuidFeature(1, 0, ECX, CPUID_XSAVE_BIT) && cpuidHasLeaf(LEAF_XSAVE);
  if (!hasXsave) return;
  write_cr4(read_cr4() | CR4_OSXSAVE);
  components = ((<u64>cpuidRegister(LEAF_XSAVE, 0, EDX)) << 32) | <u64>cpuidRegister(LEAF_XSAVE, 0, EAX);
  if (isDefined(CHECKED))
    assert((components & X87_AND_SSE) == X87_AND_SSE, "extended: XSAVE without x87 or SSE");
  areaBytes = max<u64>(cpuidRegister(LEAF_XSAVE, 0, ECX), LEGACY_BYTES + 64);
}

/** Gives a vCPU its area; boot time only. */
export function extendedCreate(vcpu: Vcpu): void {
  assert(vcpu.extendedArea == 0, "extended: created twice");
  vcpu.extendedArea = frameAllocZeroed((areaBytes + FRAME_BYTES - 1) / FRAME_BYTES, FRAME_BYTES);
  assert(vcpu.extendedArea != NO_HPA, "vcpu: no memory left for its extended state");
}

/** What the vCPU has after power-up; its area has it, and `extendedRestore` makes it live. */
export function extendedReset(vcpu: Vcpu): void {
  const area = vcpu.extendedArea;
  assert(area != 0 && area != NO_HPA, "vcpu: has no area for its extended state");
  phys_fill(area, 0, areaBytes);
  phys_store16(area + AREA_FCW, FCW_RESET);
  phys_store8(area + AREA_FTW, FTW_RESET);
  phys_store32(area + AREA_MXCSR, MXCSR_RESET);
  // The other components, which the header leaves out, get their initial values.
  if (hasXsave) phys_store64(area + AREA_XSTATE_BV, X87_AND_SSE);
  vcpu.xcr0 = 1;
}

/** Copies the live registers into the area of the vCPU that owns them. */
export function extendedSave(vcpu: Vcpu): void {
  assert(vcpu.extendedArea != 0, "extended: no area");
  if (!hasXsave) {
    phys_fxsave(vcpu.extendedArea);
    return;
  }
  vcpu.xcr0 = xgetbv(0);
  if (isDefined(CHECKED)) assert((vcpu.xcr0 & ~components) == 0, "extended: a component that there is not");
  // The guest may have switched components off whose registers still hold something of it.
  xsetbv(0, components);
  phys_xsave(vcpu.extendedArea, components);
}

/** Makes the vCPU's registers live: none of the vCPU that ran before is left. */
export function extendedRestore(vcpu: Vcpu): void {
  assert(vcpu.extendedArea != 0, "extended: no area");
  if (!hasXsave) {
    phys_fxrstor(vcpu.extendedArea);
    return;
  }
  if (isDefined(CHECKED))
    assert((vcpu.xcr0 & 1) != 0 && (vcpu.xcr0 & ~components) == 0, "extended: no value of XCR0");
  xsetbv(0, components);
  phys_xrstor(vcpu.extendedArea, components);
  xsetbv(0, vcpu.xcr0);
}

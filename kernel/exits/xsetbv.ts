// XSETBV (SDM, "XSETBV—Set Extended Control Register", and "Enabling the XSAVE Feature Set and XSAVE-Enabled Features").
import {
  CR4_OSXSAVE,
  XCR0_AVX,
  XCR0_BNDCSR,
  XCR0_BNDREGS,
  XCR0_HI16_ZMM,
  XCR0_OPMASK,
  XCR0_SSE,
  XCR0_TILECFG,
  XCR0_TILEDATA,
  XCR0_X87,
  XCR0_ZMM_HI256,
} from "../arch/cr";
import { xsetbv } from "../arch/intrinsics";
import { machine } from "../vcpu/machine";
import { OUTCOME_ADVANCE } from "../vcpu/outcome";
import { raise, raiseGp, VECTOR_UD } from "../vcpu/raise";
import { Vcpu } from "../vcpu/vcpu";
import { isPrivileged } from "./privilege";

const BOUNDS: u64 = XCR0_BNDREGS | XCR0_BNDCSR;
const AVX512: u64 = XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM;
const TILES: u64 = XCR0_TILECFG | XCR0_TILEDATA;

export function handleXsetbv(vcpu: Vcpu): u32 {
  const privileged = isPrivileged(vcpu);
  if ((vcpu.cr4 & CR4_OSXSAVE) == 0) return raise(vcpu, VECTOR_UD);
  if (!privileged) return raiseGp(vcpu);
  const value = (vcpu.rdx << 32) | (vcpu.rax & 0xffffffff);
  if (<u32>vcpu.rcx != 0 || !isValidXcr0(value, machine().xcr0Mask(vcpu))) return raiseGp(vcpu);
  vcpu.xcr0 = value;
  // The host uses no extended state, so the guest's XCR0 stays in force while this vCPU owns the CPU.
  xsetbv(0, value);
  return OUTCOME_ADVANCE;
}

/** Whether XCR0 may have this value on a CPU that offers the components in `offered`. */
function isValidXcr0(value: u64, offered: u64): bool {
  if ((value & ~offered) != 0 || (value & XCR0_X87) == 0) return false;
  if ((value & XCR0_AVX) != 0 && (value & XCR0_SSE) == 0) return false;
  if (!allOrNone(value, BOUNDS) || !allOrNone(value, TILES) || !allOrNone(value, AVX512)) return false;
  return (value & AVX512) == 0 || (value & XCR0_AVX) != 0;
}

function allOrNone(value: u64, components: u64): bool {
  const present = value & components;
  return present == 0 || present == components;
}

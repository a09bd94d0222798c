// Guest registers that neither backend's control structure holds: they stay in the processor while one vCPU owns it, and
// are copied only when another takes over. The host uses none of them.
import { cpuidFeature, ECX, EDX } from "../arch/cpuid";
import { CR4_OSXSAVE } from "../arch/cr";
import {
  rdmsr,
  read_cr4,
  read_dr0,
  read_dr1,
  read_dr2,
  read_dr3,
  read_dr6,
  write_cr4,
  write_dr0,
  write_dr1,
  write_dr2,
  write_dr3,
  write_dr6,
  wrmsr,
  xgetbv,
  xsetbv,
} from "../arch/intrinsics";
import { IA32_TSC_AUX } from "../arch/msr";
import { Vcpu } from "./vcpu";

const CPUID_XSAVE_BIT: u32 = 26;
const CPUID_RDTSCP_BIT: u32 = 27;

let hasXsave: bool = false;
let hasTscAux: bool = false;

/** Looks at what this CPU has, and lets the host execute XSETBV on the guest's behalf. Once per CPU, before any vCPU. */
export function liveEnable(): void {
  hasXsave = cpuidFeature(1, 0, ECX, CPUID_XSAVE_BIT);
  hasTscAux = cpuidFeature(0x80000001, 0, EDX, CPUID_RDTSCP_BIT);
  if (hasXsave) write_cr4(read_cr4() | CR4_OSXSAVE);
}

/** Debug registers that no control structure has. */
export function liveSaveBreakpoints(vcpu: Vcpu): void {
  vcpu.dr0 = read_dr0();
  vcpu.dr1 = read_dr1();
  vcpu.dr2 = read_dr2();
  vcpu.dr3 = read_dr3();
}

/** Debug registers, but DR7, which the control structure has. */
export function liveSaveDebug(vcpu: Vcpu): void {
  liveSaveBreakpoints(vcpu);
  vcpu.dr6 = read_dr6();
}

export function liveRestoreDebug(vcpu: Vcpu): void {
  write_dr0(vcpu.dr0);
  write_dr1(vcpu.dr1);
  write_dr2(vcpu.dr2);
  write_dr3(vcpu.dr3);
  write_dr6(vcpu.dr6);
}

/** Copies the live registers into the vCPU that owns them. */
export function liveSave(vcpu: Vcpu): void {
  liveSaveDebug(vcpu);
  if (hasTscAux) vcpu.tscAux = rdmsr(IA32_TSC_AUX);
  if (hasXsave) vcpu.xcr0 = xgetbv(0);
}

/** Makes the vCPU's registers live. */
export function liveRestore(vcpu: Vcpu): void {
  liveRestoreDebug(vcpu);
  if (hasTscAux) wrmsr(IA32_TSC_AUX, vcpu.tscAux);
  if (hasXsave) xsetbv(0, vcpu.xcr0);
}

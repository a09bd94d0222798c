// Guest registers that neither backend's control structure holds: they stay in the processor while one vCPU owns it, and
// are copied only when another takes over. The host uses none of them.
import { cpuidFeature, cpuidHasLeaf, cpuidRegister, EBX, EDX } from "../arch/cpuid";
import {
  rdmsr,
  rdmsr_safe,
  read_dr0,
  read_dr1,
  read_dr2,
  read_dr3,
  read_dr6,
  write_dr0,
  write_dr1,
  write_dr2,
  write_dr3,
  write_dr6,
  wrmsr,
} from "../arch/intrinsics";
import { IA32_PRED_CMD, IA32_SPEC_CTRL, IA32_TSC_AUX, PRED_CMD_IBPB } from "../arch/msr";
import { extendedCreate, extendedEnable, extendedReset, extendedRestore, extendedSave } from "./extended";
import { Vcpu } from "./vcpu";

const CPUID_RDTSCP_BIT: u32 = 27;
/** Leaf 7 EDX: IBRS and IBPB, STIBP, SSBD. Leaf 80000008h EBX, as AMD has them: IBPB; IBRS, STIBP, SSBD. */
const INTEL_IBPB: u32 = 1 << 26;
const INTEL_SPEC_CTRL: u32 = INTEL_IBPB | (1 << 27) | (1 << 31);
const AMD_IBPB: u32 = 1 << 12;
const AMD_SPEC_CTRL: u32 = (1 << 14) | (1 << 15) | (1 << 24);

let hasTscAux: bool = false;
let hasSpecCtrl: bool = false;
let hasBarrier: bool = false;

/** Looks at what this CPU has, and lets the host exchange it. Once per CPU, before any vCPU. */
export function liveEnable(): void {
  extendedEnable();
  hasTscAux = cpuidFeature(0x80000001, 0, EDX, CPUID_RDTSCP_BIT);
  const structured = cpuidHasLeaf(7) ? cpuidRegister(7, 0, EDX) : 0;
  const amd = cpuidHasLeaf(0x80000008) ? cpuidRegister(0x80000008, 0, EBX) : 0;
  hasBarrier = (structured & INTEL_IBPB) != 0 || (amd & AMD_IBPB) != 0;
  hasSpecCtrl = (structured & INTEL_SPEC_CTRL) != 0 || (amd & AMD_SPEC_CTRL) != 0;
}

/** Gives a vCPU the storage that it needs; boot time only. */
export function liveCreate(vcpu: Vcpu): void {
  assert(vcpu.extendedArea == 0, "live: created twice");
  extendedCreate(vcpu);
  if (isDefined(CHECKED)) assert(vcpu.extendedArea != 0, "live: no room for the extended state");
  liveReset(vcpu);
}

/** Power-up values of what no control structure holds; `liveRestore` makes them live. */
export function liveReset(vcpu: Vcpu): void {
  if (isDefined(CHECKED)) assert(vcpu.extendedArea != 0, "live: not created");
  extendedReset(vcpu);
  vcpu.specCtrl = 0;
  vcpu.tscAux = 0;
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
  assert(vcpu.dr6 >> 32 == 0, "live: DR6 has 32 bits");
}

export function liveRestoreDebug(vcpu: Vcpu): void {
  assert(vcpu.dr6 >> 32 == 0, "live: DR6 has 32 bits");
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
  if (isDefined(CHECKED)) assert(vcpu.tscAux >> 32 == 0, "live: IA32_TSC_AUX has 32 bits");
  // The MSR's own bits may be fewer than CPUID's word for it suggests.
  if (hasSpecCtrl) rdmsr_safe(IA32_SPEC_CTRL, changetype<usize>(vcpu) + offsetof<Vcpu>("specCtrl"));
  extendedSave(vcpu);
}

/** Makes the vCPU's registers live, and lets it not be steered by predictions that another has trained. */
export function liveRestore(vcpu: Vcpu): void {
  if (isDefined(CHECKED)) assert(vcpu.tscAux >> 32 == 0, "live: IA32_TSC_AUX has 32 bits");
  liveRestoreDebug(vcpu);
  if (hasTscAux) wrmsr(IA32_TSC_AUX, vcpu.tscAux);
  if (hasSpecCtrl) wrmsr(IA32_SPEC_CTRL, vcpu.specCtrl);
  if (hasBarrier) wrmsr(IA32_PRED_CMD, PRED_CMD_IBPB);
  extendedRestore(vcpu);
}

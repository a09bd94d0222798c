// What the CPU must offer before this backend runs on it, checked one by one: the first that is missing is named, with
// what to do about it (SDM volume 3, "VMX Capability Reporting Facility" and "Enabling and Entering VMX Operation").
import { cpuidFeature, ECX } from "../arch/cpuid";
import { rdmsr, wrmsr } from "../arch/intrinsics";
import {
  FEATURE_CONTROL_LOCK,
  FEATURE_CONTROL_VMX_OUTSIDE_SMX,
  IA32_FEATURE_CONTROL,
  IA32_VMX_BASIC,
  IA32_VMX_EPT_VPID_CAP,
  IA32_VMX_MISC,
} from "../arch/msr";
import {
  ENTRYC_LOAD_EFER,
  ENTRYC_LOAD_PAT,
  ENTRYC_REQUIRED,
  EXITC_REQUIRED,
  entryCapability,
  exitCapability,
  missingControls,
  PIN_PREEMPTION_TIMER,
  PIN_REQUIRED,
  PIN_VIRTUAL_NMIS,
  PRIMARY_REQUIRED,
  PRIMARY_SECONDARY_CONTROLS,
  PRIMARY_USE_MSR_BITMAPS,
  pinCapability,
  primaryCapability,
  SECONDARY_ENABLE_EPT,
  SECONDARY_ENABLE_VPID,
  SECONDARY_REQUIRED,
  SECONDARY_UNRESTRICTED_GUEST,
  secondaryCapability,
} from "./controls";

const CPUID_VMX_BIT: u32 = 5;

// IA32_VMX_EPT_VPID_CAP.
const EPT_WALK_4_LEVELS: u64 = 1 << 6;
const EPT_WRITE_BACK: u64 = 1 << 14;
const EPT_2M_PAGES: u64 = 1 << 16;
const EPT_1G_PAGES: u64 = 1 << 17;
const INVEPT_SUPPORTED: u64 = 1 << 20;
const EPT_ACCESSED_DIRTY: u64 = 1 << 21;
const INVEPT_SINGLE: u64 = 1 << 25;
const INVEPT_ALL: u64 = 1 << 26;
const INVVPID_SUPPORTED: u64 = 1 << 32;
const INVVPID_SINGLE: u64 = 1 << 41;
const INVVPID_ALL: u64 = 1 << 42;

// IA32_VMX_BASIC.
const BASIC_MEMORY_TYPE_SHIFT: u64 = 50;
const BASIC_MEMORY_TYPE_WB: u64 = 6;
const BASIC_IO_INSTRUCTION_INFO: u64 = 1 << 54;

/** Enables VMX in IA32_FEATURE_CONTROL where firmware left it open; null, or why it cannot be enabled. */
function openFeatureControl(): string | null {
  const needed = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX;
  const control = rdmsr(IA32_FEATURE_CONTROL);
  if ((control & FEATURE_CONTROL_LOCK) == 0) {
    wrmsr(IA32_FEATURE_CONTROL, control | needed);
    return null;
  }
  if ((control & FEATURE_CONTROL_VMX_OUTSIDE_SMX) != 0) return null;
  return "VT-x is locked off by the firmware (IA32_FEATURE_CONTROL): enable virtualization in its set-up and power-cycle.";
}

/** Null, or the first of the required controls that is missing. */
function missingControl(): string | null {
  const primary = missingControls(primaryCapability(), PRIMARY_REQUIRED);
  if ((primary & PRIMARY_SECONDARY_CONTROLS) != 0) {
    return "VT-x on this CPU has no secondary controls, so no EPT: a CPU from 2010 on (Westmere or later) is needed.";
  }
  if ((primary & PRIMARY_USE_MSR_BITMAPS) != 0)
    return "VT-x on this CPU has no MSR bitmaps: every later CPU has them.";
  if (primary != 0) return "VT-x on this CPU lacks a required primary processor-based control.";
  const secondary = missingControls(secondaryCapability(), SECONDARY_REQUIRED);
  if ((secondary & SECONDARY_ENABLE_EPT) != 0) {
    return "VT-x on this CPU has no EPT (extended page tables). Under another hypervisor, turn EPT on for this VM.";
  }
  if ((secondary & SECONDARY_UNRESTRICTED_GUEST) != 0) {
    return (
      "VT-x on this CPU has no unrestricted guest: a CPU from Westmere on is needed. Under KVM, load kvm_intel with " +
      "unrestricted_guest=1."
    );
  }
  if ((secondary & SECONDARY_ENABLE_VPID) != 0) {
    return "VT-x on this CPU has no VPID. Under KVM, load kvm_intel with vpid=1.";
  }
  const pin = missingControls(pinCapability(), PIN_REQUIRED);
  if ((pin & PIN_PREEMPTION_TIMER) != 0) {
    return "VT-x on this CPU has no VMX-preemption timer. Under KVM, load kvm_intel with preemption_timer=1.";
  }
  if ((pin & PIN_VIRTUAL_NMIS) != 0)
    return "VT-x on this CPU has no virtual NMIs. Under KVM, load kvm_intel with vnmi=1.";
  if (pin != 0) return "VT-x on this CPU lacks a required pin-based control.";
  if (missingControls(exitCapability(), EXITC_REQUIRED) != 0) {
    return "VT-x on this CPU lacks a required VM-exit control (64-bit host, saving and loading of EFER and PAT).";
  }
  const entry = missingControls(entryCapability(), ENTRYC_REQUIRED);
  if ((entry & (ENTRYC_LOAD_EFER | ENTRYC_LOAD_PAT)) != 0)
    return "VT-x on this CPU cannot load EFER and PAT on VM entry.";
  return entry != 0 ? "VT-x on this CPU cannot run 64-bit guests." : null;
}

/** Null, or what EPT and VPID lack. */
function missingTranslation(): string | null {
  const capability = rdmsr(IA32_VMX_EPT_VPID_CAP);
  if ((capability & EPT_WALK_4_LEVELS) == 0) return "EPT on this CPU has no 4-level page walk.";
  if ((capability & EPT_WRITE_BACK) == 0)
    return "EPT on this CPU cannot keep its tables in write-back memory.";
  if ((capability & INVEPT_SUPPORTED) == 0 || (capability & (INVEPT_SINGLE | INVEPT_ALL)) == 0) {
    return "VT-x on this CPU has no INVEPT that drops a whole context.";
  }
  if ((capability & INVVPID_SUPPORTED) == 0 || (capability & (INVVPID_SINGLE | INVVPID_ALL)) == 0) {
    return "VT-x on this CPU has no INVVPID that drops a whole context.";
  }
  return null;
}

/** Null when this CPU has all that the backend needs, else what is missing and what to do. Opens IA32_FEATURE_CONTROL. */
export function vmxMissing(): string | null {
  if (!cpuidFeature(1, 0, ECX, CPUID_VMX_BIT)) {
    return "the CPU has no VT-x (CPUID 1 ECX[5]). Under another hypervisor, turn nested virtualization on for this VM.";
  }
  const locked = openFeatureControl();
  if (locked !== null) return locked;
  if (((rdmsr(IA32_VMX_BASIC) >> BASIC_MEMORY_TYPE_SHIFT) & 15) != BASIC_MEMORY_TYPE_WB) {
    return "VT-x on this CPU wants its control structures in uncacheable memory, which this hypervisor does not support.";
  }
  const control = missingControl();
  return control !== null ? control : missingTranslation();
}

/** VMCS revision identifier, the first word of every VMXON region and VMCS. */
export function vmxRevision(): u32 {
  return <u32>rdmsr(IA32_VMX_BASIC) & 0x7fffffff;
}

/** INS and OUTS exits report segment and address size in the VM-exit instruction information. */
export function reportsIoInstructionInfo(): bool {
  return (rdmsr(IA32_VMX_BASIC) & BASIC_IO_INSTRUCTION_INFO) != 0;
}

/** EPT sets accessed and dirty bits. */
export function hasEptAccessedDirty(): bool {
  return (rdmsr(IA32_VMX_EPT_VPID_CAP) & EPT_ACCESSED_DIRTY) != 0;
}

/** Largest EPT leaf as a level: 1 (4 KiB), 2 (2 MiB), 3 (1 GiB). */
export function largestEptLeaf(): u32 {
  const capability = rdmsr(IA32_VMX_EPT_VPID_CAP);
  if ((capability & EPT_2M_PAGES) == 0) return 1;
  return (capability & EPT_1G_PAGES) != 0 ? 3 : 2;
}

/** INVEPT type: 1 = the context of one EPT pointer, 2 = all contexts. */
export function inveptType(): u32 {
  return (rdmsr(IA32_VMX_EPT_VPID_CAP) & INVEPT_SINGLE) != 0 ? 1 : 2;
}

/** INVVPID type: 1 = the context of one VPID, 2 = all contexts. */
export function invvpidType(): u32 {
  return (rdmsr(IA32_VMX_EPT_VPID_CAP) & INVVPID_SINGLE) != 0 ? 1 : 2;
}

/** The VMX-preemption timer counts once per 2^n ticks of the TSC. */
export function preemptionTimerShift(): u32 {
  return <u32>rdmsr(IA32_VMX_MISC) & 31;
}

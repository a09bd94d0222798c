// biome-ignore-all format: aligned tables.
//
// The VM-execution, VM-exit and VM-entry controls: their bits in the manual's order (SDM volume 3, "VM-Execution Control
// Fields", "VM-Exit Control Fields", "VM-Entry Control Fields"), which of them this hypervisor requires and which it takes
// when offered, and the words computed from what the capability MSRs allow.
import { rdmsr } from "../arch/intrinsics";
import {
  IA32_VMX_BASIC, IA32_VMX_ENTRY_CTLS, IA32_VMX_EXIT_CTLS, IA32_VMX_PINBASED_CTLS, IA32_VMX_PROCBASED_CTLS,
  IA32_VMX_PROCBASED_CTLS2, IA32_VMX_TRUE_ENTRY_CTLS, IA32_VMX_TRUE_EXIT_CTLS, IA32_VMX_TRUE_PINBASED_CTLS,
  IA32_VMX_TRUE_PROCBASED_CTLS,
} from "../arch/msr";

// --- pin-based VM-execution controls -------------------------------------------------------------------------------------
export const PIN_EXTERNAL_INTERRUPT_EXITING: u32    = 1 << 0;
export const PIN_NMI_EXITING: u32                   = 1 << 3;
export const PIN_VIRTUAL_NMIS: u32                  = 1 << 5;
export const PIN_PREEMPTION_TIMER: u32              = 1 << 6;
export const PIN_POSTED_INTERRUPTS: u32             = 1 << 7;

// --- primary processor-based VM-execution controls -----------------------------------------------------------------------
export const PRIMARY_INTERRUPT_WINDOW_EXITING: u32  = 1 << 2;
export const PRIMARY_USE_TSC_OFFSETTING: u32        = 1 << 3;
export const PRIMARY_HLT_EXITING: u32               = 1 << 7;
export const PRIMARY_INVLPG_EXITING: u32            = 1 << 9;
export const PRIMARY_MWAIT_EXITING: u32             = 1 << 10;
export const PRIMARY_RDPMC_EXITING: u32             = 1 << 11;
export const PRIMARY_RDTSC_EXITING: u32             = 1 << 12;
export const PRIMARY_CR3_LOAD_EXITING: u32          = 1 << 15;
export const PRIMARY_CR3_STORE_EXITING: u32         = 1 << 16;
export const PRIMARY_TERTIARY_CONTROLS: u32         = 1 << 17;
export const PRIMARY_CR8_LOAD_EXITING: u32          = 1 << 19;
export const PRIMARY_CR8_STORE_EXITING: u32         = 1 << 20;
export const PRIMARY_USE_TPR_SHADOW: u32            = 1 << 21;
export const PRIMARY_NMI_WINDOW_EXITING: u32        = 1 << 22;
export const PRIMARY_MOV_DR_EXITING: u32            = 1 << 23;
export const PRIMARY_UNCONDITIONAL_IO_EXITING: u32  = 1 << 24;
export const PRIMARY_USE_IO_BITMAPS: u32            = 1 << 25;
export const PRIMARY_MONITOR_TRAP_FLAG: u32         = 1 << 27;
export const PRIMARY_USE_MSR_BITMAPS: u32           = 1 << 28;
export const PRIMARY_MONITOR_EXITING: u32           = 1 << 29;
export const PRIMARY_PAUSE_EXITING: u32             = 1 << 30;
export const PRIMARY_SECONDARY_CONTROLS: u32        = 1 << 31;

// --- secondary processor-based VM-execution controls ---------------------------------------------------------------------
export const SECONDARY_VIRTUALIZE_APIC_ACCESSES: u32     = 1 << 0;
export const SECONDARY_ENABLE_EPT: u32                   = 1 << 1;
export const SECONDARY_DESCRIPTOR_TABLE_EXITING: u32     = 1 << 2;
export const SECONDARY_ENABLE_RDTSCP: u32                = 1 << 3;
export const SECONDARY_VIRTUALIZE_X2APIC: u32            = 1 << 4;
export const SECONDARY_ENABLE_VPID: u32                  = 1 << 5;
export const SECONDARY_WBINVD_EXITING: u32               = 1 << 6;
export const SECONDARY_UNRESTRICTED_GUEST: u32           = 1 << 7;
export const SECONDARY_APIC_REGISTER_VIRTUALIZATION: u32 = 1 << 8;
export const SECONDARY_VIRTUAL_INTERRUPT_DELIVERY: u32   = 1 << 9;
export const SECONDARY_PAUSE_LOOP_EXITING: u32           = 1 << 10;
export const SECONDARY_RDRAND_EXITING: u32               = 1 << 11;
export const SECONDARY_ENABLE_INVPCID: u32               = 1 << 12;
export const SECONDARY_ENABLE_VM_FUNCTIONS: u32          = 1 << 13;
export const SECONDARY_VMCS_SHADOWING: u32               = 1 << 14;
export const SECONDARY_ENCLS_EXITING: u32                = 1 << 15;
export const SECONDARY_RDSEED_EXITING: u32               = 1 << 16;
export const SECONDARY_ENABLE_PML: u32                   = 1 << 17;
export const SECONDARY_EPT_VIOLATION_VE: u32             = 1 << 18;
export const SECONDARY_ENABLE_XSAVES: u32                = 1 << 20;
export const SECONDARY_MODE_BASED_EXECUTE: u32           = 1 << 22;
export const SECONDARY_USE_TSC_SCALING: u32              = 1 << 25;

// --- VM-exit controls ----------------------------------------------------------------------------------------------------
export const EXITC_SAVE_DEBUG_CONTROLS: u32         = 1 << 2;
export const EXITC_HOST_64_BIT: u32                 = 1 << 9;
export const EXITC_LOAD_PERF_GLOBAL_CTRL: u32       = 1 << 12;
export const EXITC_ACKNOWLEDGE_INTERRUPT: u32       = 1 << 15;
export const EXITC_SAVE_PAT: u32                    = 1 << 18;
export const EXITC_LOAD_PAT: u32                    = 1 << 19;
export const EXITC_SAVE_EFER: u32                   = 1 << 20;
export const EXITC_LOAD_EFER: u32                   = 1 << 21;
export const EXITC_SAVE_PREEMPTION_TIMER: u32       = 1 << 22;

// --- VM-entry controls ---------------------------------------------------------------------------------------------------
export const ENTRYC_LOAD_DEBUG_CONTROLS: u32        = 1 << 2;
export const ENTRYC_IA32E_GUEST: u32                = 1 << 9;
export const ENTRYC_ENTRY_TO_SMM: u32               = 1 << 10;
export const ENTRYC_DEACTIVATE_DUAL_MONITOR: u32    = 1 << 11;
export const ENTRYC_LOAD_PERF_GLOBAL_CTRL: u32      = 1 << 13;
export const ENTRYC_LOAD_PAT: u32                   = 1 << 14;
export const ENTRYC_LOAD_EFER: u32                  = 1 << 15;

// --- what this hypervisor asks for ---------------------------------------------------------------------------------------

export const PIN_REQUIRED: u32 =
  PIN_EXTERNAL_INTERRUPT_EXITING | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS | PIN_PREEMPTION_TIMER;
export const PIN_DESIRED: u32 = 0;

export const PRIMARY_REQUIRED: u32 =
  PRIMARY_USE_TSC_OFFSETTING | PRIMARY_HLT_EXITING | PRIMARY_MWAIT_EXITING | PRIMARY_RDPMC_EXITING |
  PRIMARY_CR8_LOAD_EXITING | PRIMARY_CR8_STORE_EXITING | PRIMARY_USE_IO_BITMAPS | PRIMARY_USE_MSR_BITMAPS |
  PRIMARY_MONITOR_EXITING | PRIMARY_SECONDARY_CONTROLS;
export const PRIMARY_DESIRED: u32 = 0;

/** Intercepted to be emulated, or enabled so that what CPUID shows of it works. */
export const SECONDARY_REQUIRED: u32 = SECONDARY_ENABLE_EPT | SECONDARY_ENABLE_VPID | SECONDARY_UNRESTRICTED_GUEST;
export const SECONDARY_DESIRED: u32 =
  SECONDARY_ENABLE_RDTSCP | SECONDARY_WBINVD_EXITING | SECONDARY_ENABLE_INVPCID | SECONDARY_ENABLE_XSAVES;

export const EXITC_REQUIRED: u32 =
  EXITC_SAVE_DEBUG_CONTROLS | EXITC_HOST_64_BIT | EXITC_ACKNOWLEDGE_INTERRUPT | EXITC_SAVE_PAT | EXITC_LOAD_PAT |
  EXITC_SAVE_EFER | EXITC_LOAD_EFER;
export const EXITC_DESIRED: u32 = 0;

export const ENTRYC_REQUIRED: u32 =
  ENTRYC_LOAD_DEBUG_CONTROLS | ENTRYC_IA32E_GUEST | ENTRYC_LOAD_PAT | ENTRYC_LOAD_EFER;
export const ENTRYC_DESIRED: u32 = 0;

/** The five words, as every VMCS starts with them. */
@unmanaged
export class VmxControls {
  pin: u32;
  primary: u32;
  secondary: u32;
  exit: u32;
  entry: u32;
}

// --- capability MSRs -----------------------------------------------------------------------------------------------------

/** IA32_VMX_BASIC: the "true" capability MSRs exist and allow the default-1 controls to be 0. */
const BASIC_TRUE_CONTROLS: u64 = 1 << 55;

function capability(ordinary: u32, trueMsr: u32): u64 {
  return rdmsr((rdmsr(IA32_VMX_BASIC) & BASIC_TRUE_CONTROLS) != 0 ? trueMsr : ordinary);
}

/** Capability words: bits 31..0 must be 1 in the control, bits 63..32 may be 1. */
export function pinCapability(): u64 {
  return capability(IA32_VMX_PINBASED_CTLS, IA32_VMX_TRUE_PINBASED_CTLS);
}

export function primaryCapability(): u64 {
  return capability(IA32_VMX_PROCBASED_CTLS, IA32_VMX_TRUE_PROCBASED_CTLS);
}

/** Zero when the CPU has no secondary controls. */
export function secondaryCapability(): u64 {
  const offered = (primaryCapability() >> 32) & <u64>PRIMARY_SECONDARY_CONTROLS;
  return offered != 0 ? rdmsr(IA32_VMX_PROCBASED_CTLS2) : 0;
}

export function exitCapability(): u64 {
  return capability(IA32_VMX_EXIT_CTLS, IA32_VMX_TRUE_EXIT_CTLS);
}

export function entryCapability(): u64 {
  return capability(IA32_VMX_ENTRY_CTLS, IA32_VMX_TRUE_ENTRY_CTLS);
}

/** Bits of `required` that the CPU does not let software set. */
export function missingControls(capability: u64, required: u32): u32 {
  return required & ~<u32>(capability >> 32);
}

/** What is required, what is desired and allowed, and what the CPU insists on. */
function computeControls(capability: u64, required: u32, desired: u32): u32 {
  return (required | desired | <u32>capability) & <u32>(capability >> 32);
}

/** Computes the five words for this CPU. Capabilities have been checked (kernel/vmx/capabilities.ts). */
export function computeAllControls(controls: VmxControls): void {
  controls.pin = computeControls(pinCapability(), PIN_REQUIRED, PIN_DESIRED);
  controls.primary = computeControls(primaryCapability(), PRIMARY_REQUIRED, PRIMARY_DESIRED);
  controls.secondary = computeControls(secondaryCapability(), SECONDARY_REQUIRED, SECONDARY_DESIRED);
  controls.exit = computeControls(exitCapability(), EXITC_REQUIRED, EXITC_DESIRED);
  controls.entry = computeControls(entryCapability(), ENTRYC_REQUIRED, ENTRYC_DESIRED) & ~ENTRYC_IA32E_GUEST;
}

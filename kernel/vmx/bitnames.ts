// biome-ignore-all format: aligned tables.
//
// Bits of the VMCS's fields by the manual's names (SDM volume 3, "VM-Execution Control Fields", "VM-Exit Control Fields",
// "VM-Entry Control Fields", "Guest Non-Register State", "Information for VM Exits Due to Vectored Events"), in the form of
// kernel/lib/fields.ts. Controls are those of ./controls.ts: others are never set, and names cost room.

export const PIN_NAMES: string =
  "External-interrupt~|2|NMI~|1|Virtual NMIs|Activate VMX-preemption timer|Process posted interrupts";

export const PRIMARY_NAMES: string =
  "2|Interrupt-window~|Use TSC offsetting|3|HLT~|1|INVLPG~|MWAIT~|RDPMC~|RDTSC~|2|CR3-load~|CR3-store~|" +
  "Activate tertiary controls|1|CR8-load~|CR8-store~|Use TPR shadow|NMI-window~|MOV-DR~|Unconditional I/O~|" +
  "Use I/O bitmaps|1|Monitor trap flag|Use MSR bitmaps|MONITOR~|PAUSE~|Activate secondary controls";

export const SECONDARY_NAMES: string =
  "Virtualize APIC accesses|Enable EPT|Descriptor-table~|Enable RDTSCP|Virtualize x2APIC mode|Enable VPID|WBINVD~|" +
  "Unrestricted guest|APIC-register virtualization|Virtual-interrupt delivery|PAUSE-loop~|RDRAND~|Enable INVPCID|" +
  "Enable VM functions|VMCS shadowing|Enable ENCLS~|RDSEED~|Enable PML|EPT-violation #VE|1|Enable XSAVES/XRSTORS|1|" +
  "Mode-based execute control for EPT|2|Use TSC scaling";

export const EXIT_NAMES: string =
  "2|Save debug controls|6|Host address-space size|2|Load IA32_PERF_GLOBAL_CTRL|2|Acknowledge interrupt on exit|2|" +
  "Save IA32_PAT|Load IA32_PAT|Save IA32_EFER|Load IA32_EFER|Save VMX-preemption timer value";

export const ENTRY_NAMES: string =
  "2|Load debug controls|6|IA-32e mode guest|Entry to SMM|Deactivate dual-monitor treatment|1|" +
  "Load IA32_PERF_GLOBAL_CTRL|Load IA32_PAT|Load IA32_EFER";

export const INTERRUPTIBILITY_NAMES: string =
  "Blocking by STI|Blocking by MOV SS|Blocking by SMI|Blocking by NMI|Enclave interruption";

/** By number. */
export const ACTIVITY_NAMES: string = "Active|HLT|Shutdown|Wait-for-SIPI";

export const PENDING_DEBUG_NAMES: string = "B0|B1|B2|B3|7|BLD|Enabled breakpoint|1|BS|1|RTM";

/** Interruption types, by number. */
export const EVENT_TYPES: string =
  "External interrupt|1|NMI|Hardware exception|Software interrupt|Privileged software exception|Software exception|" +
  "Other event";

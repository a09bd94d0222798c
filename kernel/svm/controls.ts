// biome-ignore-all format: aligned tables.
//
// What the guest must not do by itself: the intercept words, by name (APM, appendix "Layout of VMCB", "VMCB Control Area").
import { phys_store16, phys_store32 } from "../arch/intrinsics";
import { hasInvlpgb, hasMcommit, hasRdpru, SVM_PAUSE_FILTER, svmFeatures } from "./capabilities";
import {
  VMCB_INTERCEPT_CR,
  VMCB_INTERCEPT_DR,
  VMCB_INTERCEPT_EXCEPTION,
  VMCB_INTERCEPT_MISC1,
  VMCB_INTERCEPT_MISC2,
  VMCB_INTERCEPT_MISC3,
  VMCB_PAUSE_FILTER_COUNT,
  VMCB_PAUSE_FILTER_THRESHOLD,
} from "./vmcb";

// --- VMCB_INTERCEPT_MISC1 ----------------------------------------------------------------------------------------------------
export const INTERCEPT_INTR: u32 = 1 << 0;
export const INTERCEPT_NMI: u32 = 1 << 1;
export const INTERCEPT_SMI: u32 = 1 << 2;
export const INTERCEPT_INIT: u32 = 1 << 3;
export const INTERCEPT_VINTR: u32 = 1 << 4;
/** Writes of CR0 that change more than TS and MP. */
export const INTERCEPT_CR0_SELECTIVE: u32 = 1 << 5;
export const INTERCEPT_RDTSC: u32 = 1 << 14;
export const INTERCEPT_RDPMC: u32 = 1 << 15;
export const INTERCEPT_CPUID: u32 = 1 << 18;
export const INTERCEPT_RSM: u32 = 1 << 19;
export const INTERCEPT_IRET: u32 = 1 << 20;
export const INTERCEPT_INVD: u32 = 1 << 22;
export const INTERCEPT_PAUSE: u32 = 1 << 23;
export const INTERCEPT_HLT: u32 = 1 << 24;
export const INTERCEPT_INVLPG: u32 = 1 << 25;
export const INTERCEPT_INVLPGA: u32 = 1 << 26;
export const INTERCEPT_IOIO: u32 = 1 << 27;
export const INTERCEPT_MSR: u32 = 1 << 28;
export const INTERCEPT_TASK_SWITCH: u32 = 1 << 29;
export const INTERCEPT_FERR_FREEZE: u32 = 1 << 30;
export const INTERCEPT_SHUTDOWN: u32 = 1 << 31;

// --- VMCB_INTERCEPT_MISC2 ----------------------------------------------------------------------------------------------------
export const INTERCEPT_VMRUN: u32 = 1 << 0;
export const INTERCEPT_VMMCALL: u32 = 1 << 1;
export const INTERCEPT_VMLOAD: u32 = 1 << 2;
export const INTERCEPT_VMSAVE: u32 = 1 << 3;
export const INTERCEPT_STGI: u32 = 1 << 4;
export const INTERCEPT_CLGI: u32 = 1 << 5;
export const INTERCEPT_SKINIT: u32 = 1 << 6;
export const INTERCEPT_RDTSCP: u32 = 1 << 7;
export const INTERCEPT_ICEBP: u32 = 1 << 8;
export const INTERCEPT_WBINVD: u32 = 1 << 9;
export const INTERCEPT_MONITOR: u32 = 1 << 10;
export const INTERCEPT_MWAIT: u32 = 1 << 11;
export const INTERCEPT_MWAIT_ARMED: u32 = 1 << 12;
export const INTERCEPT_XSETBV: u32 = 1 << 13;
export const INTERCEPT_RDPRU: u32 = 1 << 14;

// --- VMCB_INTERCEPT_MISC3 ----------------------------------------------------------------------------------------------------
export const INTERCEPT_INVLPGB: u32 = 1 << 0;
export const INTERCEPT_INVLPGB_ILLEGAL: u32 = 1 << 1;
export const INTERCEPT_MCOMMIT: u32 = 1 << 3;
export const INTERCEPT_TLBSYNC: u32 = 1 << 4;

// --- VMCB_INTERCEPT_EXCEPTION: vectors -----------------------------------------------------------------------------------------
export const INTERCEPT_DB: u32 = 1 << 1;
export const INTERCEPT_AC: u32 = 1 << 17;
export const INTERCEPT_MC: u32 = 1 << 18;

/**
 * Control registers: writes of CR4 (its reserved and hidden bits must fault) and of CR8 (the local APIC's model wants them;
 * reads find V_TPR). CR0 through INTERCEPT_CR0_SELECTIVE, which spares TS switches. Nested paging needs no exits for CR3.
 */
export const INTERCEPTED_CR: u32 = (1 << (16 + 4)) | (1 << (16 + 8));

/** A guest can make #DB or #AC recur without end during delivery, holding the CPU; #MC is the host's. */
export const INTERCEPTED_EXCEPTIONS: u32 = INTERCEPT_DB | INTERCEPT_AC | INTERCEPT_MC;

/** TASK_SWITCH is left to the processor, RDTSC and RDTSCP to TSC_OFFSET. */
export const INTERCEPTED_MISC1: u32 = INTERCEPT_INTR
  | INTERCEPT_NMI
  | INTERCEPT_INIT
  | INTERCEPT_CR0_SELECTIVE
  | INTERCEPT_RDPMC
  | INTERCEPT_CPUID
  | INTERCEPT_RSM
  | INTERCEPT_INVD
  | INTERCEPT_HLT
  | INTERCEPT_INVLPGA
  | INTERCEPT_IOIO
  | INTERCEPT_MSR
  | INTERCEPT_SHUTDOWN;

export const INTERCEPTED_MISC2: u32 = INTERCEPT_VMRUN
  | INTERCEPT_VMMCALL
  | INTERCEPT_VMLOAD
  | INTERCEPT_VMSAVE
  | INTERCEPT_STGI
  | INTERCEPT_CLGI
  | INTERCEPT_SKINIT
  | INTERCEPT_WBINVD
  | INTERCEPT_MONITOR
  | INTERCEPT_MWAIT
  | INTERCEPT_XSETBV;

/** PAUSE instructions within PAUSE_THRESHOLD cycles of each other before the filter exits: a spin lock's waiter. */
const PAUSE_COUNT: u32 = 3000;
const PAUSE_THRESHOLD: u32 = 128;

/** Writes all intercept words of a fresh VMCB. */
export function writeIntercepts(vmcb: u64): void {
  const pauseFilter = (svmFeatures() & SVM_PAUSE_FILTER) != 0;
  phys_store32(vmcb + VMCB_INTERCEPT_CR, INTERCEPTED_CR);
  phys_store32(vmcb + VMCB_INTERCEPT_DR, 0);
  phys_store32(vmcb + VMCB_INTERCEPT_EXCEPTION, INTERCEPTED_EXCEPTIONS);
  phys_store32(vmcb + VMCB_INTERCEPT_MISC1, INTERCEPTED_MISC1 | (pauseFilter ? INTERCEPT_PAUSE : 0));
  phys_store32(vmcb + VMCB_INTERCEPT_MISC2, INTERCEPTED_MISC2 | (hasRdpru() ? INTERCEPT_RDPRU : 0));
  let misc3: u32 = 0;
  if (hasInvlpgb()) misc3 |= INTERCEPT_INVLPGB | INTERCEPT_INVLPGB_ILLEGAL | INTERCEPT_TLBSYNC;
  if (hasMcommit()) misc3 |= INTERCEPT_MCOMMIT;
  phys_store32(vmcb + VMCB_INTERCEPT_MISC3, misc3);
  if (pauseFilter) {
    phys_store16(vmcb + VMCB_PAUSE_FILTER_COUNT, PAUSE_COUNT);
    phys_store16(vmcb + VMCB_PAUSE_FILTER_THRESHOLD, PAUSE_THRESHOLD);
  }
}

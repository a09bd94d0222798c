// Guest state by group, between the VMCS and the neutral registers of the vCPU (SDM volume 3, "Guest-State Area"). Groups
// are read only when asked for and written only when dirty.
import { CR0_CD, CR0_NE, CR0_NW, CR0_PG, CR4_PAE } from "../arch/cr";
import {
  CR4_DE,
  CR4_FSGSBASE,
  CR4_MCE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_PCE,
  CR4_PGE,
  CR4_PSE,
  CR4_PVI,
} from "../arch/cr";
import { CR4_SMAP, CR4_SMEP, CR4_TSD, CR4_VME } from "../arch/cr";
import { rdmsr, read_dr6, vmread, vmwrite, write_dr6, wrmsr } from "../arch/intrinsics";
import {
  EFER_LMA,
  EFER_LME,
  IA32_CSTAR,
  IA32_FMASK,
  IA32_KERNEL_GS_BASE,
  IA32_LSTAR,
  IA32_STAR,
} from "../arch/msr";
import { PDPTES } from "../mm/guestwalk";
import { IA32_VMX_CR0_FIXED1, IA32_VMX_CR4_FIXED0, IA32_VMX_CR4_FIXED1 } from "../arch/msr";
import { DR6_BREAKPOINTS, DR6_SINGLE_STEP } from "../vcpu/debug";
import { liveRestoreDebug, liveSaveDebug } from "../vcpu/live";
import {
  BLOCKED_BY_MOV_SS,
  BLOCKED_BY_NMI,
  BLOCKED_BY_STI,
  GROUP_CONTROL,
  GROUP_INTERRUPTIBILITY,
  GROUP_PDPTES,
  GROUP_RIP,
  GROUP_SEGMENT_SHIFT,
  GROUP_SEGMENTS,
  GROUP_SINGLE_SEGMENTS,
  GROUP_STACK_FLAGS,
  GROUP_SYSTEM,
  GROUP_TABLES,
} from "../vcpu/registers";
import { Vcpu } from "../vcpu/vcpu";
import { ENTRYC_IA32E_GUEST } from "./controls";
import {
  CR0_READ_SHADOW,
  CR4_READ_SHADOW,
  ENTRY_CONTROLS,
  GUEST_CR0,
  GUEST_CR3,
  GUEST_CR4,
  GUEST_DEBUGCTL,
  GUEST_DR7,
  GUEST_EFER,
  GUEST_ES_ACCESS,
  GUEST_ES_BASE,
  GUEST_ES_LIMIT,
  GUEST_ES_SELECTOR,
  GUEST_GDTR_BASE,
  GUEST_GDTR_LIMIT,
  GUEST_IDTR_BASE,
  GUEST_IDTR_LIMIT,
  GUEST_INTERRUPTIBILITY,
  GUEST_PAT,
  GUEST_PDPTE0,
  GUEST_PENDING_DEBUG,
  GUEST_RFLAGS,
  GUEST_RIP,
  GUEST_RSP,
  GUEST_SYSENTER_CS,
  GUEST_SYSENTER_EIP,
  GUEST_SYSENTER_ESP,
} from "./fields";

/** Guest interruptibility state: bits 0 (STI) and 1 (MOV SS) are the neutral ones, bit 3 is blocking by NMI. */
export const INTERRUPTIBILITY_SHADOWS: u32 = 3;
export const INTERRUPTIBILITY_NMI: u32 = 1 << 3;

/** Guest pending debug exceptions, bit 12: at least one enabled breakpoint was met. */
const PENDING_ENABLED_BREAKPOINT: u64 = 1 << 12;

/** CR0 bits whose changes exit: the processor runs with its own value of them, the guest sees the shadow. */
export const CR0_HOST_OWNED: u64 = CR0_NE | CR0_CD | CR0_NW;
/** CR4 bits that the guest may change without an exit: those that need no policy. Changes of all others exit. */
export const CR4_GUEST_OWNED: u64 =
  CR4_VME |
  CR4_PVI |
  CR4_TSD |
  CR4_DE |
  CR4_PSE |
  CR4_PAE |
  CR4_PGE |
  CR4_PCE |
  CR4_OSFXSR |
  CR4_OSXMMEXCPT |
  CR4_FSGSBASE |
  CR4_SMEP |
  CR4_SMAP;

/** Fields of the eight segment registers follow each other in the order of SEG_*, two encodings apart. */
const NEXT_FIELD: u32 = 2;
const SEGMENTS: u32 = 8;

// --- VMCS to vCPU ----------------------------------------------------------------------------------------------------------

function loadSegments(vcpu: Vcpu): void {
  for (let i: u32 = 0; i < SEGMENTS; i++) loadSegment(vcpu, i);
}

function loadSegment(vcpu: Vcpu, i: u32): void {
  const segment = vcpu.segment(i);
  segment.selector = <u32>vmread(GUEST_ES_SELECTOR + i * NEXT_FIELD);
  segment.base = vmread(GUEST_ES_BASE + i * NEXT_FIELD);
  segment.limit = <u32>vmread(GUEST_ES_LIMIT + i * NEXT_FIELD);
  segment.access = <u32>vmread(GUEST_ES_ACCESS + i * NEXT_FIELD);
}

function loadTables(vcpu: Vcpu): void {
  vcpu.gdtrBase = vmread(GUEST_GDTR_BASE);
  vcpu.gdtrLimit = <u32>vmread(GUEST_GDTR_LIMIT);
  vcpu.idtrBase = vmread(GUEST_IDTR_BASE);
  vcpu.idtrLimit = <u32>vmread(GUEST_IDTR_LIMIT);
}

function loadControl(vcpu: Vcpu): void {
  vcpu.cr0 = (vmread(GUEST_CR0) & ~CR0_HOST_OWNED) | (vmread(CR0_READ_SHADOW) & CR0_HOST_OWNED);
  vcpu.cr3 = vmread(GUEST_CR3);
  vcpu.cr4 = (vmread(GUEST_CR4) & CR4_GUEST_OWNED) | (vmread(CR4_READ_SHADOW) & ~CR4_GUEST_OWNED);
  vcpu.efer = vmread(GUEST_EFER);
}

/** What the processor walks with in PAE paging; without that, of no meaning. */
function loadPdptes(vcpu: Vcpu): void {
  for (let i: u32 = 0; i < PDPTES; i++) vcpu.pdptes.put(i, vmread(GUEST_PDPTE0 + i * NEXT_FIELD));
}

function loadSystem(vcpu: Vcpu): void {
  vcpu.dr6 = read_dr6();
  vcpu.dr7 = vmread(GUEST_DR7);
  vcpu.debugctl = vmread(GUEST_DEBUGCTL);
  vcpu.pat = vmread(GUEST_PAT);
  vcpu.sysenterCs = vmread(GUEST_SYSENTER_CS);
  vcpu.sysenterEsp = vmread(GUEST_SYSENTER_ESP);
  vcpu.sysenterEip = vmread(GUEST_SYSENTER_EIP);
  saveSyscallRegisters(vcpu);
  liveSaveDebug(vcpu);
}

function loadInterruptibility(vcpu: Vcpu): void {
  const state = <u32>vmread(GUEST_INTERRUPTIBILITY);
  const nmi: u32 = (state & INTERRUPTIBILITY_NMI) != 0 ? BLOCKED_BY_NMI : 0;
  // RIP has moved since the exit: the VMCS still has the shadow that ended with that, until the next entry.
  const shadows: u32 = (vcpu.dirty & GROUP_RIP) != 0 ? 0 : state & INTERRUPTIBILITY_SHADOWS;
  vcpu.interruptibility = shadows | nmi;
  vcpu.pendingDebug = vmread(GUEST_PENDING_DEBUG) & (DR6_BREAKPOINTS | DR6_SINGLE_STEP);
}

/** Copies groups (GROUP_*) of guest state from the current VMCS into the vCPU and marks them valid. */
export function loadState(vcpu: Vcpu, groups: u32): void {
  if ((groups & GROUP_STACK_FLAGS) != 0) {
    vcpu.rsp = vmread(GUEST_RSP);
    vcpu.rflags = vmread(GUEST_RFLAGS);
  }
  if ((groups & GROUP_SINGLE_SEGMENTS) != 0) loadSegment(vcpu, ctz(groups >> GROUP_SEGMENT_SHIFT));
  if ((groups & GROUP_SEGMENTS) != 0) loadSegments(vcpu);
  if ((groups & GROUP_TABLES) != 0) loadTables(vcpu);
  if ((groups & GROUP_CONTROL) != 0) loadControl(vcpu);
  if ((groups & GROUP_PDPTES) != 0) loadPdptes(vcpu);
  if ((groups & GROUP_SYSTEM) != 0) loadSystem(vcpu);
  if ((groups & GROUP_INTERRUPTIBILITY) != 0) loadInterruptibility(vcpu);
  if ((groups & GROUP_RIP) != 0) vcpu.rip = vmread(GUEST_RIP);
  vcpu.valid |= groups;
}

// --- vCPU to VMCS ----------------------------------------------------------------------------------------------------------

/** RIP moves past an instruction, or elsewhere: either way the shadow of the instruction before is over. */
function storeRip(vcpu: Vcpu, dirty: u32): void {
  vmwrite(GUEST_RIP, vcpu.rip);
  if ((dirty & GROUP_INTERRUPTIBILITY) != 0 || vcpu.exit.plainLength != 0) return;
  clearShadows();
  vcpu.interruptibility &= ~(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS);
}

/** RIP has moved, if at all, past an instruction in no shadow. */
export function storePlainRip(vcpu: Vcpu): void {
  if (vcpu.rip != vcpu.exit.rip) vmwrite(GUEST_RIP, vcpu.rip);
}

/** Ends blocking by STI and by MOV SS. */
function clearShadows(): void {
  const state = vmread(GUEST_INTERRUPTIBILITY);
  if ((state & <u64>INTERRUPTIBILITY_SHADOWS) != 0) {
    vmwrite(GUEST_INTERRUPTIBILITY, state & ~(<u64>INTERRUPTIBILITY_SHADOWS));
  }
}

function storeSegments(vcpu: Vcpu): void {
  for (let i: u32 = 0; i < SEGMENTS; i++) {
    const segment = vcpu.segment(i);
    vmwrite(GUEST_ES_SELECTOR + i * NEXT_FIELD, segment.selector);
    vmwrite(GUEST_ES_BASE + i * NEXT_FIELD, segment.base);
    vmwrite(GUEST_ES_LIMIT + i * NEXT_FIELD, segment.limit);
    vmwrite(GUEST_ES_ACCESS + i * NEXT_FIELD, segment.access);
  }
}

function storeTables(vcpu: Vcpu): void {
  vmwrite(GUEST_GDTR_BASE, vcpu.gdtrBase);
  vmwrite(GUEST_GDTR_LIMIT, vcpu.gdtrLimit);
  vmwrite(GUEST_IDTR_BASE, vcpu.idtrBase);
  vmwrite(GUEST_IDTR_LIMIT, vcpu.idtrLimit);
}

/** With PAE paging under EPT the processor takes the four page-directory pointers from the VMCS, not from memory. */
function storePdptes(vcpu: Vcpu): void {
  for (let i: u32 = 0; i < PDPTES; i++) vmwrite(GUEST_PDPTE0 + i * NEXT_FIELD, vcpu.pdptes.at(i));
}

/** CR0, CR3, CR4 and EFER together: long mode is the product of CR0.PG and EFER.LME. */
function storeControl(vcpu: Vcpu): void {
  const longMode = (vcpu.cr0 & CR0_PG) != 0 && (vcpu.efer & EFER_LME) != 0;
  vcpu.efer = longMode ? vcpu.efer | EFER_LMA : vcpu.efer & ~EFER_LMA;
  // PE and PG may be 0 (unrestricted guest); of the bits that VMX operation fixes to 1, that leaves NE.
  vmwrite(GUEST_CR0, ((vcpu.cr0 & ~CR0_HOST_OWNED) | CR0_NE) & rdmsr(IA32_VMX_CR0_FIXED1));
  vmwrite(CR0_READ_SHADOW, vcpu.cr0);
  vmwrite(GUEST_CR3, vcpu.cr3);
  // A machine check with CR4.MCE clear would shut the whole machine down.
  vmwrite(GUEST_CR4, (vcpu.cr4 | CR4_MCE | rdmsr(IA32_VMX_CR4_FIXED0)) & rdmsr(IA32_VMX_CR4_FIXED1));
  vmwrite(CR4_READ_SHADOW, vcpu.cr4);
  vmwrite(GUEST_EFER, vcpu.efer);
  // The processor keeps this control in step with EFER.LMA while the guest runs: it is never cached.
  const entry = <u32>vmread(ENTRY_CONTROLS);
  vmwrite(ENTRY_CONTROLS, longMode ? entry | ENTRYC_IA32E_GUEST : entry & ~ENTRYC_IA32E_GUEST);
}

function storeSystem(vcpu: Vcpu): void {
  write_dr6(vcpu.dr6);
  vmwrite(GUEST_DR7, vcpu.dr7);
  vmwrite(GUEST_DEBUGCTL, vcpu.debugctl);
  vmwrite(GUEST_PAT, vcpu.pat);
  vmwrite(GUEST_SYSENTER_CS, vcpu.sysenterCs);
  vmwrite(GUEST_SYSENTER_ESP, vcpu.sysenterEsp);
  vmwrite(GUEST_SYSENTER_EIP, vcpu.sysenterEip);
  restoreSyscallRegisters(vcpu);
  liveRestoreDebug(vcpu);
}

function storeInterruptibility(vcpu: Vcpu): void {
  const nmi: u32 = (vcpu.interruptibility & BLOCKED_BY_NMI) != 0 ? INTERRUPTIBILITY_NMI : 0;
  vmwrite(GUEST_INTERRUPTIBILITY, (vcpu.interruptibility & INTERRUPTIBILITY_SHADOWS) | nmi);
  const breakpoints = vcpu.pendingDebug & DR6_BREAKPOINTS;
  vmwrite(GUEST_PENDING_DEBUG, vcpu.pendingDebug | (breakpoints != 0 ? PENDING_ENABLED_BREAKPOINT : 0));
}

/** Writes the vCPU's dirty groups to the current VMCS. */
export function storeState(vcpu: Vcpu): void {
  const dirty = vcpu.dirty;
  vcpu.dirty = 0;
  if ((dirty & GROUP_RIP) != 0) storeRip(vcpu, dirty);
  else storePlainRip(vcpu);
  if (dirty == GROUP_RIP) return;
  if ((dirty & GROUP_STACK_FLAGS) != 0) {
    vmwrite(GUEST_RSP, vcpu.rsp);
    vmwrite(GUEST_RFLAGS, vcpu.rflags);
  }
  if ((dirty & GROUP_SEGMENTS) != 0) storeSegments(vcpu);
  if ((dirty & GROUP_TABLES) != 0) storeTables(vcpu);
  if ((dirty & GROUP_CONTROL) != 0) storeControl(vcpu);
  if ((dirty & GROUP_PDPTES) != 0) storePdptes(vcpu);
  if ((dirty & GROUP_SYSTEM) != 0) storeSystem(vcpu);
  if ((dirty & GROUP_INTERRUPTIBILITY) != 0) storeInterruptibility(vcpu);
}

// --- registers that stay in the processor while one vCPU owns it -----------------------------------------------------------

/** SYSCALL's registers and the swapped GS base: the host uses none of them. */
export function saveSyscallRegisters(vcpu: Vcpu): void {
  vcpu.star = rdmsr(IA32_STAR);
  vcpu.lstar = rdmsr(IA32_LSTAR);
  vcpu.cstar = rdmsr(IA32_CSTAR);
  vcpu.fmask = rdmsr(IA32_FMASK);
  vcpu.kernelGsBase = rdmsr(IA32_KERNEL_GS_BASE);
}

export function restoreSyscallRegisters(vcpu: Vcpu): void {
  wrmsr(IA32_STAR, vcpu.star);
  wrmsr(IA32_LSTAR, vcpu.lstar);
  wrmsr(IA32_CSTAR, vcpu.cstar);
  wrmsr(IA32_FMASK, vcpu.fmask);
  wrmsr(IA32_KERNEL_GS_BASE, vcpu.kernelGsBase);
}

// Guest state by group, between the VMCB's state save area and the neutral registers of the vCPU (APM volume 2, appendix
// "Layout of VMCB"). Groups are read only when asked for and written only when dirty.
//
// Segment attributes, VMCB form (descriptor bits 55..52, 47..40) and neutral form (VT-x access rights):
//
//   VMCB     11  10   9  8    7  6..5  4  3..0
//            G   D/B  L  AVL  P  DPL   S  type
//   neutral  16        15  14   13  12   7  6..5  4  3..0
//            unusable  G   D/B  L   AVL  P  DPL   S  type
import {
  phys_load16,
  phys_load32,
  phys_load64,
  phys_load8,
  phys_store16,
  phys_store32,
  phys_store64,
  phys_store8,
  wrmsr,
} from "../arch/intrinsics";
import { CR0_PE, CR0_PG, CR4_LA57, CR4_PAE, CR4_PSE } from "../arch/cr";
import { EFER_LMA, EFER_SVME, IA32_DEBUGCTL } from "../arch/msr";
import { liveSaveBreakpoints } from "../vcpu/live";
import {
  BLOCKED_BY_MOV_SS,
  BLOCKED_BY_NMI,
  BLOCKED_BY_STI,
  GROUP_CONTROL,
  GROUP_INTERRUPTIBILITY,
  GROUP_PDPTES,
  GROUP_SEGMENT_SHIFT,
  GROUP_SEGMENTS,
  GROUP_SINGLE_SEGMENTS,
  GROUP_STACK_FLAGS,
  GROUP_SYSTEM,
  GROUP_TABLES,
  SEG_SS,
  SEG_TR,
  SEGMENT_DPL_SHIFT,
  SEGMENT_PRESENT,
  SEGMENT_UNUSABLE,
} from "../vcpu/registers";
import { Vcpu } from "../vcpu/vcpu";
import { hasLbrVirtualization } from "./capabilities";
import { knownForget } from "./known";
import { NMI_AT_IRET, NMI_OPEN, SvmVcpu } from "./svm";
import {
  CLEAN_CONTROL_REGISTERS,
  CLEAN_CR2,
  CLEAN_DEBUG_REGISTERS,
  CLEAN_DESCRIPTOR_TABLES,
  CLEAN_LAST_BRANCH,
  CLEAN_NESTED_PAGING,
  CLEAN_SEGMENTS,
  INTERRUPT_SHADOW,
  LBR_VIRTUALIZATION_ENABLE,
  VMCB_CPL,
  VMCB_CR0,
  VMCB_CR2,
  VMCB_CR3,
  VMCB_CR4,
  VMCB_CSTAR,
  VMCB_DBGCTL,
  VMCB_DR6,
  VMCB_DR7,
  VMCB_EFER,
  VMCB_G_PAT,
  VMCB_GDTR,
  VMCB_IDTR,
  VMCB_INTERRUPT_SHADOW,
  VMCB_KERNEL_GS_BASE,
  VMCB_LBR_CONTROL,
  VMCB_LSTAR,
  VMCB_RFLAGS,
  VMCB_RSP,
  VMCB_SFMASK,
  VMCB_STAR,
  VMCB_SYSENTER_CS,
  VMCB_SYSENTER_EIP,
  VMCB_SYSENTER_ESP,
  vmcbSegment,
} from "./vmcb";

// Offsets within a segment of the VMCB.
const ATTRIBUTES: u64 = 2;
const LIMIT: u64 = 4;
const BASE: u64 = 8;

const LOW_ATTRIBUTES: u32 = 0x0ff;
const HIGH_ATTRIBUTES: u32 = 0xf00;
const HIGH_SHIFT: u32 = 4;
const DPL_MASK: u32 = 3 << SEGMENT_DPL_SHIFT;

let lbrVirtualization: bool = false;

/** Before the first guest runs. */
export function statePrepare(): void {
  lbrVirtualization = hasLbrVirtualization();
}

/** VMCB attributes -> neutral access rights. A segment that is not present is what VT-x calls unusable. */
export function accessFromAttributes(attributes: u32): u32 {
  const access = (attributes & LOW_ATTRIBUTES) | ((attributes & HIGH_ATTRIBUTES) << HIGH_SHIFT);
  return (attributes & SEGMENT_PRESENT) != 0 ? access : access | SEGMENT_UNUSABLE;
}

/** Neutral access rights -> VMCB attributes. */
function attributesFromAccess(access: u32): u32 {
  const attributes = (access & LOW_ATTRIBUTES) | ((access >> HIGH_SHIFT) & HIGH_ATTRIBUTES);
  return (access & SEGMENT_UNUSABLE) != 0 ? attributes & ~SEGMENT_PRESENT : attributes;
}

/** Reads groups from the VMCB into the vCPU, and marks them valid. */
export function loadState(vcpu: Vcpu, svm: SvmVcpu, groups: u32): void {
  const vmcb = svm.vmcb;
  if ((groups & GROUP_STACK_FLAGS) != 0) {
    vcpu.rsp = phys_load64(vmcb + VMCB_RSP);
    vcpu.rflags = phys_load64(vmcb + VMCB_RFLAGS);
  }
  if ((groups & GROUP_SINGLE_SEGMENTS) != 0) loadSegment(vcpu, vmcb, ctz(groups >> GROUP_SEGMENT_SHIFT));
  if ((groups & GROUP_SEGMENTS) != 0) loadSegments(vcpu, vmcb);
  if ((groups & GROUP_TABLES) != 0) {
    vcpu.gdtrLimit = phys_load32(vmcb + VMCB_GDTR + LIMIT) & 0xffff;
    vcpu.gdtrBase = phys_load64(vmcb + VMCB_GDTR + BASE);
    vcpu.idtrLimit = phys_load32(vmcb + VMCB_IDTR + LIMIT) & 0xffff;
    vcpu.idtrBase = phys_load64(vmcb + VMCB_IDTR + BASE);
  }
  if ((groups & GROUP_CONTROL) != 0) {
    vcpu.cr0 = phys_load64(vmcb + VMCB_CR0);
    vcpu.cr3 = phys_load64(vmcb + VMCB_CR3);
    vcpu.cr4 = phys_load64(vmcb + VMCB_CR4);
    vcpu.efer = phys_load64(vmcb + VMCB_EFER) & ~EFER_SVME;
  }
  if ((groups & GROUP_SYSTEM) != 0) loadSystem(vcpu, vmcb);
  if ((groups & GROUP_INTERRUPTIBILITY) != 0) vcpu.interruptibility = interruptibility(svm, vcpu.rip);
  // The processor reads PDPTEs in memory: there are none to be valid.
  vcpu.valid |= groups & ~GROUP_PDPTES;
}

/** Writes groups back to the VMCB, with the clean bits that this takes. */
export function storeState(vcpu: Vcpu, svm: SvmVcpu, groups: u32): void {
  const vmcb = svm.vmcb;
  if ((groups & GROUP_STACK_FLAGS) != 0) {
    phys_store64(vmcb + VMCB_RSP, vcpu.rsp);
    phys_store64(vmcb + VMCB_RFLAGS, vcpu.rflags);
  }
  if ((groups & GROUP_SEGMENTS) != 0) {
    storeSegments(vcpu, vmcb);
    svm.clean &= ~CLEAN_SEGMENTS;
  }
  if ((groups & GROUP_TABLES) != 0) {
    phys_store32(vmcb + VMCB_GDTR + LIMIT, vcpu.gdtrLimit);
    phys_store64(vmcb + VMCB_GDTR + BASE, vcpu.gdtrBase);
    phys_store32(vmcb + VMCB_IDTR + LIMIT, vcpu.idtrLimit);
    phys_store64(vmcb + VMCB_IDTR + BASE, vcpu.idtrBase);
    svm.clean &= ~CLEAN_DESCRIPTOR_TABLES;
  }
  if ((groups & GROUP_CONTROL) != 0) {
    if (pagingChanges(vcpu, vmcb)) knownForget(svm);
    phys_store64(vmcb + VMCB_CR0, vcpu.cr0);
    phys_store64(vmcb + VMCB_CR3, vcpu.cr3);
    phys_store64(vmcb + VMCB_CR4, vcpu.cr4);
    // VMRUN refuses a guest whose EFER lacks SVME; the guest never sees it.
    phys_store64(vmcb + VMCB_EFER, vcpu.efer | EFER_SVME);
    svm.clean &= ~CLEAN_CONTROL_REGISTERS;
  }
  if ((groups & GROUP_SYSTEM) != 0) {
    storeSystem(vcpu, vmcb);
    svm.clean &= ~(CLEAN_CR2 | CLEAN_DEBUG_REGISTERS | CLEAN_NESTED_PAGING | CLEAN_LAST_BRANCH);
  }
  if ((groups & GROUP_INTERRUPTIBILITY) != 0) storeInterruptibility(vcpu, svm);
}

/** Whether the guest's page tables will be read in another way than before. */
function pagingChanges(vcpu: Vcpu, vmcb: u64): bool {
  const cr0 = (vcpu.cr0 ^ phys_load64(vmcb + VMCB_CR0)) & (CR0_PE | CR0_PG);
  const cr4 = (vcpu.cr4 ^ phys_load64(vmcb + VMCB_CR4)) & (CR4_PSE | CR4_PAE | CR4_LA57);
  const efer = (vcpu.efer ^ phys_load64(vmcb + VMCB_EFER)) & EFER_LMA;
  return (cr0 | cr4 | efer) != 0;
}

function loadSegments(vcpu: Vcpu, vmcb: u64): void {
  for (let i: u32 = 0; i <= SEG_TR; i++) loadSegment(vcpu, vmcb, i);
}

function loadSegment(vcpu: Vcpu, vmcb: u64, i: u32): void {
  const at = vmcb + vmcbSegment(i);
  const segment = vcpu.segment(i);
  segment.selector = phys_load16(at);
  let access = accessFromAttributes(phys_load16(at + ATTRIBUTES));
  segment.limit = phys_load32(at + LIMIT);
  segment.base = phys_load64(at + BASE);
  // The privilege level is in the VMCB's CPL; neutral state keeps it where VT-x does, in SS.DPL.
  if (i == SEG_SS) access = (access & ~DPL_MASK) | (phys_load8(vmcb + VMCB_CPL) << SEGMENT_DPL_SHIFT);
  segment.access = access;
}

function storeSegments(vcpu: Vcpu, vmcb: u64): void {
  for (let i: u32 = 0; i <= SEG_TR; i++) {
    const at = vmcb + vmcbSegment(i);
    const segment = vcpu.segment(i);
    phys_store16(at, segment.selector);
    phys_store16(at + ATTRIBUTES, attributesFromAccess(segment.access));
    phys_store32(at + LIMIT, segment.limit);
    phys_store64(at + BASE, segment.base);
  }
  phys_store8(vmcb + VMCB_CPL, (vcpu.segment(SEG_SS).access & DPL_MASK) >> SEGMENT_DPL_SHIFT);
}

function loadSystem(vcpu: Vcpu, vmcb: u64): void {
  liveSaveBreakpoints(vcpu);
  vcpu.dr6 = phys_load64(vmcb + VMCB_DR6);
  vcpu.dr7 = phys_load64(vmcb + VMCB_DR7);
  vcpu.cr2 = phys_load64(vmcb + VMCB_CR2);
  vcpu.pat = phys_load64(vmcb + VMCB_G_PAT);
  vcpu.sysenterCs = phys_load64(vmcb + VMCB_SYSENTER_CS);
  vcpu.sysenterEsp = phys_load64(vmcb + VMCB_SYSENTER_ESP);
  vcpu.sysenterEip = phys_load64(vmcb + VMCB_SYSENTER_EIP);
  vcpu.star = phys_load64(vmcb + VMCB_STAR);
  vcpu.lstar = phys_load64(vmcb + VMCB_LSTAR);
  vcpu.cstar = phys_load64(vmcb + VMCB_CSTAR);
  vcpu.fmask = phys_load64(vmcb + VMCB_SFMASK);
  vcpu.kernelGsBase = phys_load64(vmcb + VMCB_KERNEL_GS_BASE);
  vcpu.debugctl = phys_load64(vmcb + VMCB_DBGCTL);
}

function storeSystem(vcpu: Vcpu, vmcb: u64): void {
  phys_store64(vmcb + VMCB_DR6, vcpu.dr6);
  phys_store64(vmcb + VMCB_DR7, vcpu.dr7);
  phys_store64(vmcb + VMCB_CR2, vcpu.cr2);
  phys_store64(vmcb + VMCB_G_PAT, vcpu.pat);
  phys_store64(vmcb + VMCB_SYSENTER_CS, vcpu.sysenterCs);
  phys_store64(vmcb + VMCB_SYSENTER_ESP, vcpu.sysenterEsp);
  phys_store64(vmcb + VMCB_SYSENTER_EIP, vcpu.sysenterEip);
  phys_store64(vmcb + VMCB_STAR, vcpu.star);
  phys_store64(vmcb + VMCB_LSTAR, vcpu.lstar);
  phys_store64(vmcb + VMCB_CSTAR, vcpu.cstar);
  phys_store64(vmcb + VMCB_SFMASK, vcpu.fmask);
  phys_store64(vmcb + VMCB_KERNEL_GS_BASE, vcpu.kernelGsBase);
  storeDebugControl(vcpu, vmcb);
}

/**
 * With LBR virtualization the processor exchanges DEBUGCTL at every entry and exit, which is asked for only while the guest uses
 * it. Without, the guest's is in force all the time: the host neither steps nor records branches.
 */
function storeDebugControl(vcpu: Vcpu, vmcb: u64): void {
  const had = phys_load64(vmcb + VMCB_DBGCTL);
  phys_store64(vmcb + VMCB_DBGCTL, vcpu.debugctl);
  if (lbrVirtualization) {
    phys_store64(vmcb + VMCB_LBR_CONTROL, vcpu.debugctl != 0 ? LBR_VIRTUALIZATION_ENABLE : 0);
  } else if (had != vcpu.debugctl) {
    wrmsr(IA32_DEBUGCTL, vcpu.debugctl);
  }
}

/** When another vCPU gets this CPU, or this one is reset. */
export function restoreDebugControl(svm: SvmVcpu): void {
  if (!lbrVirtualization) wrmsr(IA32_DEBUGCTL, phys_load64(svm.vmcb + VMCB_DBGCTL));
}

/** BLOCKED_*: the VMCB has one shadow for STI and MOV SS; NMIs are tracked in software, up to the guest's IRET. */
export function interruptibility(svm: SvmVcpu, rip: u64): u32 {
  const shadow = (phys_load64(svm.vmcb + VMCB_INTERRUPT_SHADOW) & INTERRUPT_SHADOW) != 0;
  let state: u32 = shadow ? BLOCKED_BY_STI : 0;
  if (svm.nmi != NMI_OPEN) {
    if (svm.nmi >= NMI_AT_IRET && rip != svm.iretRip) svm.nmi = NMI_OPEN;
    else state |= BLOCKED_BY_NMI;
  }
  return state;
}

function storeInterruptibility(vcpu: Vcpu, svm: SvmVcpu): void {
  const shadow = (vcpu.interruptibility & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS)) != 0;
  phys_store64(svm.vmcb + VMCB_INTERRUPT_SHADOW, shadow ? INTERRUPT_SHADOW : 0);
  // Nothing in the VMCB keeps what waits; a step that does is found by the processor, since TF is still set.
  vcpu.pendingDebug = 0;
}

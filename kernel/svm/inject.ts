// Delivering events at VM entry, and asking for an exit when the guest becomes able to take one (APM volume 2, "Event
// Injection", "Virtual Interrupts"). The neutral event has the form of EVENTINJ's low half.
//
// AMD-V without virtual NMIs does not say when an NMI handler ends: after an NMI was delivered the guest's IRET exits. NMIs
// open when that IRET has been executed; if one is waiting, the guest is stepped over it by RFLAGS.TF.
import { CR0_PE, RFLAGS_TF } from "../arch/cr";
import { phys_load32, phys_load64, phys_store32, phys_store64 } from "../arch/intrinsics";
import { machine } from "../vcpu/machine";
import { VECTOR_BP, VECTOR_OF } from "../vcpu/raise";
import {
  EVENT_EXCEPTION,
  EVENT_HAS_ERROR,
  EVENT_NMI,
  EVENT_SOFT_INTERRUPT,
  EVENT_TYPE_MASK,
  EVENT_VALID,
  Vcpu,
} from "../vcpu/vcpu";
import { INTERCEPT_IRET, INTERCEPT_VINTR } from "./controls";
import { knownUse } from "./known";
import { NMI_AT_IRET, NMI_BLOCKED, NMI_OPEN, NMI_STEPPING, SvmVcpu, unclean } from "./svm";
import {
  CLEAN_DEBUG_REGISTERS,
  CLEAN_INTERCEPTS,
  CLEAN_VINTR,
  INTERRUPT_SHADOW,
  V_IGN_TPR,
  V_INTR_MASKING,
  V_INTR_PRIO_HIGHEST,
  V_IRQ,
  VMCB_CR0,
  VMCB_DR6,
  VMCB_EVENTINJ,
  VMCB_INTERCEPT_MISC1,
  VMCB_INTERRUPT_SHADOW,
  VMCB_NRIP,
  VMCB_RFLAGS,
  VMCB_VINTR,
} from "./vmcb";

const VECTOR_MASK: u32 = 0xff;
/** DR6.BS: single step. */
const DR6_STEP: u64 = 1 << 14;

/** Puts `vcpu.event` into EVENTINJ and takes it from the vCPU. This may move RIP, which is to be stored after it. */
export function injectEvent(vcpu: Vcpu, svm: SvmVcpu): void {
  const vmcb = svm.vmcb;
  let event = vcpu.event;
  let type = event & EVENT_TYPE_MASK;
  // Real mode pushes no error codes.
  if ((event & EVENT_HAS_ERROR) != 0 && (phys_load64(vmcb + VMCB_CR0) & CR0_PE) == 0)
    event &= ~EVENT_HAS_ERROR;
  svm.softInjected = 0;
  if (type >= EVENT_SOFT_INTERRUPT) {
    skipSoftInstruction(vcpu, svm);
    // INT3, INTO and ICEBP are exceptions to EVENTINJ, which knows no type beyond software interrupts.
    if (type > EVENT_SOFT_INTERRUPT) type = EVENT_EXCEPTION;
    event = (event & ~EVENT_TYPE_MASK) | type;
  }
  if (type == EVENT_NMI) blockNmi(vcpu, svm);
  const error: u64 = (event & EVENT_HAS_ERROR) != 0 ? vcpu.eventError & 0xffff : 0;
  phys_store64(vmcb + VMCB_EVENTINJ, (error << 32) | event);
  phys_store64(vmcb + VMCB_INTERRUPT_SHADOW, phys_load64(vmcb + VMCB_INTERRUPT_SHADOW) & ~INTERRUPT_SHADOW);
  vcpu.event = 0;
}

/**
 * The return address of a software event is the next instruction's. Processors with NRIP save push VMCB.nRIP, others
 * VMCB.RIP: both get it.
 */
function skipSoftInstruction(vcpu: Vcpu, svm: SvmVcpu): void {
  vcpu.rip += vcpu.eventLength;
  phys_store64(svm.vmcb + VMCB_NRIP, vcpu.rip);
  svm.softInjected = 1;
}

/**
 * The event whose delivery the exit interrupted, from EXITINTINFO, as it must be delivered again; 0: none. A software event
 * that the guest itself caused is dropped: RIP is still at its instruction, which will cause it again.
 */
export function interruptedEvent(vcpu: Vcpu, svm: SvmVcpu, exitIntInfo: u32): u32 {
  if ((exitIntInfo & EVENT_VALID) == 0) return 0;
  const type = exitIntInfo & EVENT_TYPE_MASK;
  const vector = exitIntInfo & VECTOR_MASK;
  const soft =
    type == EVENT_SOFT_INTERRUPT || (type == EVENT_EXCEPTION && (vector == VECTOR_BP || vector == VECTOR_OF));
  if (type == EVENT_NMI) openNmi(vcpu, svm);
  return soft && svm.softInjected == 0 ? 0 : exitIntInfo;
}

function setMisc1(vcpu: Vcpu, svm: SvmVcpu, bit: u32, on: bool): void {
  const at = svm.vmcb + VMCB_INTERCEPT_MISC1;
  const old = phys_load32(at);
  const wanted = on ? old | bit : old & ~bit;
  if (wanted == old) return;
  phys_store32(at, wanted);
  unclean(vcpu, svm, CLEAN_INTERCEPTS);
}

function blockNmi(vcpu: Vcpu, svm: SvmVcpu): void {
  svm.nmi = NMI_BLOCKED;
  knownUse(vcpu, svm);
  setMisc1(vcpu, svm, INTERCEPT_IRET, true);
}

function openNmi(vcpu: Vcpu, svm: SvmVcpu): void {
  svm.nmi = NMI_OPEN;
  setMisc1(vcpu, svm, INTERCEPT_IRET, false);
}

/** The guest is about to execute the IRET that ends its NMI handler. */
export function nmiReachedIret(vcpu: Vcpu, svm: SvmVcpu, rip: u64): void {
  setMisc1(vcpu, svm, INTERCEPT_IRET, false);
  svm.nmi = NMI_AT_IRET;
  svm.iretRip = rip;
}

/** A #DB exit while stepping over IRET: undoes the step. False: the #DB is the guest's own. */
export function nmiFinishStep(vcpu: Vcpu, svm: SvmVcpu): bool {
  if (svm.nmi != NMI_STEPPING) return false;
  svm.nmi = NMI_OPEN;
  const dr6 = phys_load64(svm.vmcb + VMCB_DR6);
  // Breakpoints met on the way stay reported; the step is reported only if it was before.
  phys_store64(svm.vmcb + VMCB_DR6, (dr6 & ~DR6_STEP) | (svm.steppedDr6 & DR6_STEP));
  unclean(vcpu, svm, CLEAN_DEBUG_REGISTERS);
  return (dr6 & 0xf) == 0;
}

/** The exit came before the IRET that is being stepped over was executed: takes TF back, to be set again if still wanted. */
export function nmiSuspendStep(svm: SvmVcpu, rip: u64): void {
  if (rip != svm.iretRip) return;
  phys_store64(svm.vmcb + VMCB_RFLAGS, phys_load64(svm.vmcb + VMCB_RFLAGS) & ~RFLAGS_TF);
  svm.nmi = NMI_AT_IRET;
}

/** Turns the interrupt and NMI windows on or off, as the vCPU's flags say, and shows the guest its task priority in CR8. */
export function updateWindows(vcpu: Vcpu, svm: SvmVcpu): void {
  const priority = machine().tprRead(vcpu) & 15;
  const open: u32 = vcpu.interruptWindow != 0 ? V_IRQ | V_IGN_TPR | V_INTR_PRIO_HIGHEST : 0;
  const wanted = V_INTR_MASKING | open | priority;
  if (phys_load32(svm.vmcb + VMCB_VINTR) != wanted) {
    phys_store32(svm.vmcb + VMCB_VINTR, wanted);
    unclean(vcpu, svm, CLEAN_VINTR);
  }
  setMisc1(vcpu, svm, INTERCEPT_VINTR, vcpu.interruptWindow != 0);
  if (vcpu.nmiWindow != 0 && svm.nmi == NMI_AT_IRET) stepOverIret(svm);
}

function stepOverIret(svm: SvmVcpu): void {
  svm.nmi = NMI_STEPPING;
  svm.steppedDr6 = phys_load64(svm.vmcb + VMCB_DR6);
  phys_store64(svm.vmcb + VMCB_RFLAGS, phys_load64(svm.vmcb + VMCB_RFLAGS) | RFLAGS_TF);
}

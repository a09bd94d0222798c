// From the VMCB's exit fields to the neutral exit record (APM volume 2, "#VMEXIT", "Decode Assists", and the appendix "SVM
// Intercept Exit Codes").
import { RFLAGS_RF, RFLAGS_TF } from "../arch/cr";
import { phys_load32, phys_load64, phys_load8 } from "../arch/intrinsics";
import {
  ACCESS_FETCH,
  ACCESS_GVA_VALID,
  ACCESS_PAGE_WALK,
  ACCESS_PRESENT,
  ACCESS_READ,
  ACCESS_WRITE,
  CR_READ,
  CR_UNDECODED,
  CR_WRITE,
  EXIT_CR,
  EXIT_DR,
  EXIT_EXCEPTION,
  EXIT_EXTERNAL_INTERRUPT,
  EXIT_INVLPG,
  EXIT_IO,
  EXIT_NESTED_FAULT,
  EXIT_NESTED_MISCONFIG,
  EXIT_NMI_WINDOW,
  EXIT_RDMSR,
  ExitRecord,
  IO_DECODED,
  NO_VECTOR,
} from "../vcpu/exit";
import { VECTOR_DB, VECTOR_PF } from "../vcpu/raise";
import { GROUP_INTERRUPTIBILITY, GROUP_STACK_FLAGS } from "../vcpu/registers";
import { Vcpu } from "../vcpu/vcpu";
import { SVM_DECODE_ASSISTS, SVM_NRIP_SAVE, svmFeatures } from "./capabilities";
import {
  EXITCODE_CR0_SEL_WRITE,
  EXITCODE_CR_WRITE,
  EXITCODE_DR_WRITE,
  EXITCODE_EXCEPTION,
  exitKind,
} from "./exitcodes";
import { interruptedEvent, nmiFinishStep, nmiReachedIret, nmiSuspendStep } from "./inject";
import { findNextRip, fixedNextRip, isFixed } from "./nextrip";
import { interruptibility } from "./state";
import { NMI_OPEN, NMI_STEPPING, SvmVcpu } from "./svm";
import {
  INTERRUPT_SHADOW,
  VMCB_EXITCODE,
  VMCB_EXITINFO1,
  VMCB_EXITINFO2,
  VMCB_EXITINTINFO,
  VMCB_FETCHED_BYTES,
  VMCB_FETCHED_COUNT,
  VMCB_INTERRUPT_SHADOW,
  VMCB_NRIP,
  VMCB_RFLAGS,
  VMCB_RIP,
  VMCB_RSP,
} from "./vmcb";

// EXITINFO1 of an I/O exit:
//
//   31..16  12..10   9    8    7    6     5     4    3    2    0
//   port    segment  A64  A32  A16  SZ32  SZ16  SZ8  REP  STR  IN
const IOIO_IN: u32 = 1 << 0;
const IOIO_STRING: u32 = 1 << 2;
const IOIO_REP: u32 = 1 << 3;

// EXITINFO1 of a nested page fault: the page-fault error code, and what was being translated.
const NPF_PRESENT: u64 = 1 << 0;
const NPF_WRITE: u64 = 1 << 1;
const NPF_RESERVED: u64 = 1 << 3;
const NPF_FETCH: u64 = 1 << 4;
const NPF_PAGE_WALK: u64 = 1 << 33;

/** EXITINFO1 of a control-register exit, with decode assists: it was a MOV, its register in bits 3..0. */
const MOV_CR: u64 = 1 << 63;

/** Flags that make the completion of an instruction more than a new RIP. */
const TRAP_FLAGS: u64 = RFLAGS_TF | RFLAGS_RF;

let nripSave: bool = false;
let decodeAssists: bool = false;

/** Before the first guest runs: notes what this processor reports with an exit. */
export function decodePrepare(): void {
  nripSave = (svmFeatures() & SVM_NRIP_SAVE) != 0;
  decodeAssists = (svmFeatures() & SVM_DECODE_ASSISTS) != 0;
}

/**
 * Fills `vcpu.exit` and `vcpu.rip` from the VMCB, and the groups that nearly every exit needs: stack and flags,
 * interruptibility. The frequent kinds come first and leave early.
 */
export function decode(vcpu: Vcpu, svm: SvmVcpu): void {
  const vmcb = svm.vmcb;
  const exit = vcpu.exit;
  const rip = phys_load64(vmcb + VMCB_RIP);
  const rflags = phys_load64(vmcb + VMCB_RFLAGS);
  const shadow = phys_load64(vmcb + VMCB_INTERRUPT_SHADOW) & INTERRUPT_SHADOW;
  const code = phys_load32(vmcb + VMCB_EXITCODE);
  const info1 = phys_load64(vmcb + VMCB_EXITINFO1);
  vcpu.rip = rip;
  exit.rip = rip;
  vcpu.rsp = phys_load64(vmcb + VMCB_RSP);
  vcpu.rflags = rflags;
  vcpu.interruptibility = <u32>shadow;
  vcpu.valid = GROUP_INTERRUPTIBILITY | GROUP_STACK_FLAGS;
  exit.reason = code;
  exit.qualification = info1;
  exit.byteCount = 0;
  let kind = exitKind(code);
  if (kind == EXIT_RDMSR) {
    // EXITINFO1 is 1 for WRMSR, whose class follows that of RDMSR.
    kind += <u32>info1;
    exit.msr = <u32>vcpu.rcx;
  }
  exit.kind = kind;
  if (!isFixed(kind)) {
    if (kind != EXIT_IO) {
      if (kind == EXIT_NESTED_FAULT) decodeRest(vcpu, svm, exit, code, true);
      else decodeRest(vcpu, svm, exit, code, false);
      return;
    }
    const behind = decodeIo(exit, phys_load64(vmcb + VMCB_EXITINFO2));
    exit.nextRip = behind;
    exit.plainRip = ((rflags & TRAP_FLAGS) | shadow) == 0 ? behind : 0;
    if (svm.nmi != NMI_OPEN) decodeUncached(vcpu, svm, exit);
    return;
  }
  const next = nripSave ? phys_load64(vmcb + VMCB_NRIP) : fixedNextRip(svm, kind, rip);
  exit.nextRip = next;
  exit.plainRip = ((rflags & TRAP_FLAGS) | shadow) == 0 ? next : 0;
  if (next == 0 || svm.nmi != NMI_OPEN) decodeUncached(vcpu, svm, exit);
}

/** The instruction was not where one was seen before, or NMIs are blocked. */
function decodeUncached(vcpu: Vcpu, svm: SvmVcpu, exit: ExitRecord): void {
  if (exit.nextRip == 0) exit.nextRip = findNextRip(vcpu, svm, exit.kind, exit.rip);
  if (svm.nmi != NMI_OPEN) followNmi(vcpu, svm, exit);
}

/** The exits that are not one instruction with its length known. Only these may have interrupted the delivery of an event. */
function decodeRest(vcpu: Vcpu, svm: SvmVcpu, exit: ExitRecord, code: u32, isFault: bool): void {
  exit.plainRip = 0;
  exit.nextRip = nripSave ? phys_load64(svm.vmcb + VMCB_NRIP) : 0;
  exit.info = phys_load64(svm.vmcb + VMCB_EXITINFO2);
  if (isFault) decodeNestedFault(exit, svm.vmcb);
  else decodeRare(vcpu, svm, exit, code);
  decodeInterruptedEvent(vcpu, svm, exit);
  if (svm.nmi != NMI_OPEN) followNmi(vcpu, svm, exit);
}

function decodeRare(vcpu: Vcpu, svm: SvmVcpu, exit: ExitRecord, code: u32): void {
  switch (exit.kind) {
    case EXIT_CR:
      decodeControlRegister(exit, code);
      break;
    case EXIT_DR:
      exit.crNumber = code & 15;
      exit.gpr = <u32>exit.qualification & 15;
      exit.crAccess = !decodeAssists ? CR_UNDECODED : code >= EXITCODE_DR_WRITE ? CR_WRITE : CR_READ;
      break;
    case EXIT_EXCEPTION:
      decodeException(vcpu, svm, exit, code - EXITCODE_EXCEPTION);
      break;
    case EXIT_EXTERNAL_INTERRUPT:
      exit.vector = NO_VECTOR;
      break;
    case EXIT_INVLPG:
      exit.flags = decodeAssists ? ACCESS_GVA_VALID : 0;
      exit.gva = exit.qualification;
      break;
    case EXIT_NMI_WINDOW:
      nmiReachedIret(vcpu, svm, exit.rip);
      break;
  }
}

/** NMIs are blocked, or the guest is being stepped to where they are not. */
function followNmi(vcpu: Vcpu, svm: SvmVcpu, exit: ExitRecord): void {
  if (svm.nmi == NMI_STEPPING) nmiSuspendStep(svm, exit.rip);
  vcpu.interruptibility = interruptibility(svm, exit.rip);
}

function decodeInterruptedEvent(vcpu: Vcpu, svm: SvmVcpu, exit: ExitRecord): void {
  const info = phys_load64(svm.vmcb + VMCB_EXITINTINFO);
  exit.interruptedEvent = interruptedEvent(vcpu, svm, <u32>info);
  exit.interruptedError = <u32>(info >> 32);
  // What is delivered again has its return address in RIP already.
  exit.interruptedLength = 0;
}

/** Returns the RIP after the instruction, which EXITINFO2 has on every processor. */
function decodeIo(exit: ExitRecord, nextRip: u64): u64 {
  const info = <u32>exit.qualification;
  // STR and REP are one place further up than in the neutral record.
  exit.flags = (info & IOIO_IN) | ((info & (IOIO_STRING | IOIO_REP)) >> 1);
  exit.size = (info >> 4) & 7;
  exit.port = info >> 16;
  exit.info = nextRip;
  if ((info & IOIO_STRING) != 0) decodeStringIo(exit, info);
  return nextRip;
}

/** A16, A32, A64 are one bit each, as are the operand sizes: the field is half the address size in bytes. */
function decodeStringIo(exit: ExitRecord, info: u32): void {
  exit.segment = (info >> 10) & 7;
  exit.addressSize = ((info >> 7) & 7) << 1;
  if (decodeAssists && exit.addressSize != 0) exit.flags |= IO_DECODED;
}

function decodeNestedFault(exit: ExitRecord, vmcb: u64): void {
  const error = exit.qualification;
  exit.gpa = exit.info;
  let flags: u32 = 0;
  if ((error & NPF_FETCH) != 0) flags = ACCESS_FETCH;
  else flags = (error & NPF_WRITE) != 0 ? ACCESS_WRITE : ACCESS_READ;
  if ((error & NPF_PRESENT) != 0) flags |= ACCESS_PRESENT;
  if ((error & NPF_PAGE_WALK) != 0) flags |= ACCESS_PAGE_WALK;
  exit.flags = flags;
  // QEMU reports reserved bits with P = 0: the RSVD bit alone decides.
  if ((error & NPF_RESERVED) != 0) exit.kind = EXIT_NESTED_MISCONFIG;
  if (!decodeAssists) return;
  exit.byteCount = phys_load8(vmcb + VMCB_FETCHED_COUNT) & 15;
  exit.bytes0 = phys_load64(vmcb + VMCB_FETCHED_BYTES);
  exit.bytes1 = phys_load64(vmcb + VMCB_FETCHED_BYTES + 7) >> 8;
}

function decodeControlRegister(exit: ExitRecord, code: u32): void {
  const number: u32 = code == EXITCODE_CR0_SEL_WRITE ? 0 : code & 15;
  exit.crNumber = number;
  exit.gpr = <u32>exit.qualification & 15;
  if (!decodeAssists || (exit.qualification & MOV_CR) == 0) exit.crAccess = CR_UNDECODED;
  else exit.crAccess = code >= EXITCODE_CR_WRITE ? CR_WRITE : CR_READ;
}

function decodeException(vcpu: Vcpu, svm: SvmVcpu, exit: ExitRecord, vector: u32): void {
  exit.vector = vector;
  exit.errorCode = <u32>exit.qualification;
  exit.flags = 0;
  if (vector == VECTOR_PF) {
    exit.gva = exit.info;
    exit.flags = ACCESS_GVA_VALID;
  }
  if (vector == VECTOR_DB && nmiFinishStep(vcpu, svm)) exit.kind = EXIT_NMI_WINDOW;
}

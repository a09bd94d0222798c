// From the VMCB's exit fields to the neutral exit record (APM volume 2, "#VMEXIT", "Decode Assists", and the appendix "SVM
// Intercept Exit Codes").
import { takeInterrupts } from "../arch/gate";
import {
  RFLAGS_ARITHMETIC,
  RFLAGS_DEFINED,
  RFLAGS_IF,
  RFLAGS_RESERVED_ONE,
  RFLAGS_RF,
  RFLAGS_TF,
} from "../arch/cr";
import { phys_load32, phys_load64, phys_load8, phys_store64 } from "../arch/intrinsics";
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
  EXIT_MACHINE_CHECK,
  EXIT_NESTED_FAULT,
  EXIT_NESTED_MISCONFIG,
  EXIT_NMI,
  EXIT_NMI_WINDOW,
  EXIT_RDMSR,
  ExitRecord,
  IO_DECODED,
  IO_IN,
  IO_REP,
  IO_STRING,
  NO_VECTOR,
} from "../vcpu/exit";
import { VECTOR_DB, VECTOR_MC, VECTOR_PF } from "../vcpu/raise";
import { GROUP_INTERRUPTIBILITY, GROUP_STACK_FLAGS } from "../vcpu/registers";
import { Vcpu } from "../vcpu/vcpu";
import { SVM_DECODE_ASSISTS, SVM_NRIP_SAVE, svmFeatures } from "./capabilities";
import {
  EXITCODE_CR0_SEL_WRITE,
  EXITCODE_CR_WRITE,
  EXITCODE_DR_WRITE,
  EXITCODE_EXCEPTION,
  EXITCODE_IOIO,
  EXITCODE_NPF,
  exitKind,
} from "./exitcodes";
import { interruptedEvent, nmiFinishStep, nmiReachedIret, nmiSuspendStep } from "./inject";
import {
  findNextRip,
  fixedDetail,
  isFixed,
  isFixedExit,
  isTrue,
  KnownInstruction,
  knownEntry,
  knownMove,
  knownUse,
  linearAddress,
} from "./known";
import { interruptibility, loadState } from "./state";
import { NMI_STEPPING, SvmVcpu, svmOf } from "./svm";
import {
  VMCB_DR6,
  VMCB_DR7,
  VMCB_EXITCODE,
  VMCB_EXITCODE_UPPER,
  VMCB_EXITINFO1,
  VMCB_EXITINFO2,
  VMCB_EXITINTINFO,
  VMCB_FETCHED_BYTES,
  VMCB_FETCHED_COUNT,
  VMCB_INTERRUPT_SHADOW,
  VMCB_NRIP,
  VMCB_RFLAGS,
  VMCB_RIP,
} from "./vmcb";

// EXITINFO1 of an I/O exit:
//
//   31..16  12..10   9    8    7    6     5     4    3    2    0
//   port    segment  A64  A32  A16  SZ32  SZ16  SZ8  REP  STR  IN

// EXITINFO1 of a nested page fault: the page-fault error code, and what was being translated.
const NPF_PRESENT: u64 = 1 << 0;
const NPF_WRITE: u64 = 1 << 1;
const NPF_RESERVED: u64 = 1 << 3;
const NPF_FETCH: u64 = 1 << 4;
const NPF_PAGE_WALK: u64 = 1 << 33;

/** EXITINFO1 of a control-register exit, with decode assists: it was a MOV, its register in bits 3..0. */
const MOV_CR: u64 = 1 << 63;

const PAGE_SHIFT: u64 = 12;
/** What completing an instruction looks at, when there is more to it than RIP. */
const AT_HAND: u32 = GROUP_INTERRUPTIBILITY | GROUP_STACK_FLAGS;

/** DR6: BT, BS, BD, B3..B0. */
const DR6_CONDITIONS: u32 = 0xe00f;

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
 * Fills `vcpu.exit` and `vcpu.rip` from the VMCB. Most exits are of instructions that are known, and leave early. What comes
 * after this reads RIP from the VMCB again, which saves one instruction here: a copy of it, where it becomes the linear address.
 */
export function decode(vcpu: Vcpu): void {
  const vmcb = vcpu.vmcb;
  const exit = vcpu.exit;
  const rip = phys_load64(vmcb + VMCB_RIP);
  vcpu.rip = rip;
  const linear = linearAddress(vmcb, rip);
  const known = knownEntry(vcpu, linear);
  if (isTrue(vcpu, known, linear)) {
    if (isFixedExit(vcpu, known)) {
      exit.kindAndLength = known.kindAndLength;
      exit.key =
        <u64>load<u32>(changetype<usize>(vcpu) + known.detailAt) + phys_load64(vmcb + VMCB_EXITCODE_UPPER);
      complete(vcpu, 0);
      return;
    }
    if (decodeMove(vcpu, known)) return;
  }
  decodeOther(vcpu);
}

/**
 * `exit.plainLength` is the length of the exiting instruction: whether completing it is more than to go past it. `breakpoints`:
 * DR7's enable bits, if it accesses memory or a port.
 */
function complete(vcpu: Vcpu, breakpoints: u32): void {
  const vmcb = vcpu.vmcb;
  vcpu.valid = 0;
  // Bits of the other word than the shadow can only lead to a second look.
  const traps = phys_load32(vmcb + VMCB_RFLAGS) & <u32>TRAP_FLAGS;
  if ((traps | phys_load32(vmcb + VMCB_INTERRUPT_SHADOW) | breakpoints) != 0) {
    completeWithEffects(vcpu, breakpoints);
  }
}

function completeWithEffects(vcpu: Vcpu, breakpoints: u32): void {
  const exit = vcpu.exit;
  const rip = phys_load64(vcpu.vmcb + VMCB_RIP);
  const length = exit.plainLength;
  exit.breakpoints = breakpoints;
  exit.met = 0;
  exit.plainLength = 0;
  exit.rip = rip;
  exit.nextRip = length == 0 ? 0 : rip + length;
  exit.byteCount = 0;
  loadState(vcpu, svmOf(vcpu), AT_HAND);
}

/** A nested page fault, if it is that of a known access to a device: `known` is true. */
function decodeMove(vcpu: Vcpu, known: KnownInstruction): bool {
  const vmcb = vcpu.vmcb;
  const code = phys_load32(vmcb + VMCB_EXITCODE);
  // What is known of a MOV does not say which linear address it accesses.
  if (code != EXITCODE_NPF || enabledBreakpoints(vmcb) != 0) return false;
  const error = phys_load64(vmcb + VMCB_EXITINFO1);
  const gpa = phys_load64(vmcb + VMCB_EXITINFO2);
  if (!knownMove(vcpu, known, error, gpa)) return false;
  vcpu.exit.reason = code;
  complete(vcpu, 0);
  return true;
}

/** Enable bits of DR7; 0: no access can meet a breakpoint. */
function enabledBreakpoints(vmcb: u64): u32 {
  return phys_load8(vmcb + VMCB_DR7);
}

/** Port I/O, which the processor describes by itself, and the rest. */
function decodeOther(vcpu: Vcpu): void {
  const code = phys_load32(vcpu.vmcb + VMCB_EXITCODE);
  vcpu.exit.reason = code;
  if (code == EXITCODE_IOIO) decodeIo(vcpu);
  else decodeUnknown(vcpu, code);
}

/** Exits that the cache does not answer. */
function decodeUnknown(vcpu: Vcpu, code: u32): void {
  const svm = svmOf(vcpu);
  const exit = vcpu.exit;
  const info1 = phys_load64(vcpu.vmcb + VMCB_EXITINFO1);
  exit.rip = phys_load64(vcpu.vmcb + VMCB_RIP);
  exit.qualification = info1;
  exit.byteCount = 0;
  let kind = exitKind(code);
  // EXITINFO1 is 1 for WRMSR, whose class follows that of RDMSR.
  if (kind == EXIT_RDMSR) kind += <u32>info1 & 1;
  exit.kind = kind;
  if (kind == EXIT_NESTED_FAULT) decodeRest(vcpu, svm, code, true);
  else if (isFixed(kind)) decodeFixed(vcpu, code, kind);
  else decodeRest(vcpu, svm, code, false);
  if (vcpu.knownClosed != 0) followNmi(vcpu, svm);
}

/** An instruction of fixed encoding, whose end the processor tells or a look at it. */
function decodeFixed(vcpu: Vcpu, code: u32, kind: u32): void {
  const next = nripSave ? phys_load64(vcpu.vmcb + VMCB_NRIP) : findNextRip(vcpu, code, kind, vcpu.exit.rip);
  vcpu.exit.detail = fixedDetail(vcpu, kind);
  vcpu.exit.nextRip = 0;
  vcpu.exit.plainLength = lengthTo(vcpu, next);
  complete(vcpu, 0);
}

/** Bytes from RIP to `next`; 0: `next` is not known. */
function lengthTo(vcpu: Vcpu, next: u64): u32 {
  return next == 0 ? 0 : <u32>(next - vcpu.exit.rip);
}

/** The exits that are not one instruction with its length known. Only these may have interrupted the delivery of an event. */
function decodeRest(vcpu: Vcpu, svm: SvmVcpu, code: u32, isFault: bool): void {
  const exit = vcpu.exit;
  const vmcb = vcpu.vmcb;
  vcpu.valid = 0;
  exit.plainLength = 0;
  exit.nextRip = nripSave ? phys_load64(vmcb + VMCB_NRIP) : 0;
  exit.info = phys_load64(vmcb + VMCB_EXITINFO2);
  exit.breakpoints = enabledBreakpoints(vmcb);
  exit.met = 0;
  if (isFault) decodeNestedFault(exit, vmcb);
  else decodeRare(vcpu, svm, exit, code);
  decodeInterruptedEvent(vcpu, svm, exit);
}

/**
 * What a trace shows of an exit and its handler does not need; the record has it for all exits that `decode` does not pass
 * on the shortest way.
 */
export function decodeForTrace(vcpu: Vcpu): void {
  const exit = vcpu.exit;
  if (exit.plainLength == 0) return;
  exit.rip = vcpu.rip;
  exit.qualification = phys_load64(vcpu.vmcb + VMCB_EXITINFO1);
  exit.info = phys_load64(vcpu.vmcb + VMCB_EXITINFO2);
  if (exit.kind == EXIT_NESTED_FAULT) exit.flags = faultFlags(exit.qualification);
}

/**
 * QEMU's TCG, interrupted behind a CMPXCHG16B, can save an operand's bits in RFLAGS: those that no processor sets tell of it.
 * Loaded again, the others would make QEMU take the guest for virtual-8086 mode, or have it count strings down. The arithmetic
 * flags are no worse than they were; IF is kept, the others are as in nearly all code.
 */
function dropStrayFlags(vmcb: u64): void {
  const flags = phys_load64(vmcb + VMCB_RFLAGS);
  if ((flags & ~(RFLAGS_DEFINED | RFLAGS_RESERVED_ONE)) == 0) return;
  phys_store64(vmcb + VMCB_RFLAGS, (flags & (RFLAGS_ARITHMETIC | RFLAGS_IF)) | RFLAGS_RESERVED_ONE);
}

function decodeRare(vcpu: Vcpu, svm: SvmVcpu, exit: ExitRecord, code: u32): void {
  exit.detail = 0;
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
      dropStrayFlags(vcpu.vmcb);
      break;
    case EXIT_NMI:
      // It waits for GIF.
      takeInterrupts();
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

/** NMIs were blocked at the last look, or the guest is being stepped to where they are not. */
function followNmi(vcpu: Vcpu, svm: SvmVcpu): void {
  if (svm.nmi == NMI_STEPPING) nmiSuspendStep(svm, vcpu.rip);
  vcpu.interruptibility = interruptibility(svm, vcpu.rip);
  vcpu.valid |= GROUP_INTERRUPTIBILITY;
  knownUse(vcpu, svm);
}

function decodeInterruptedEvent(vcpu: Vcpu, svm: SvmVcpu, exit: ExitRecord): void {
  const info = phys_load64(svm.vmcb + VMCB_EXITINTINFO);
  exit.interruptedEvent = interruptedEvent(vcpu, svm, <u32>info);
  exit.interruptedError = <u32>(info >> 32);
  // What is delivered again has its return address in RIP already.
  exit.interruptedLength = 0;
}

/** EXITINFO2 has the RIP after the instruction on every processor. */
function decodeIo(vcpu: Vcpu): void {
  const exit = vcpu.exit;
  const info = phys_load32(vcpu.vmcb + VMCB_EXITINFO1);
  exit.kind = EXIT_IO;
  // These bits are where the neutral record has them.
  exit.flags = info & (IO_IN | IO_STRING | IO_REP);
  exit.size = (info >> 4) & 7;
  exit.port = info >> 16;
  const next = phys_load64(vcpu.vmcb + VMCB_EXITINFO2);
  exit.plainLength = <u32>(next - phys_load64(vcpu.vmcb + VMCB_RIP));
  complete(vcpu, enabledBreakpoints(vcpu.vmcb));
  if ((info & IO_STRING) != 0) decodeStringIo(vcpu, exit, info, next);
  if (vcpu.knownClosed != 0) followNmi(vcpu, svmOf(vcpu));
}

/** A16, A32, A64 are one bit each, as are the operand sizes: the field is half the address size in bytes. */
function decodeStringIo(vcpu: Vcpu, exit: ExitRecord, info: u32, next: u64): void {
  exit.rip = vcpu.rip;
  exit.nextRip = next;
  exit.byteCount = 0;
  exit.segment = (info >> 10) & 7;
  exit.addressSize = ((info >> 7) & 7) << 1;
  if (decodeAssists && exit.addressSize != 0) exit.flags |= IO_DECODED;
}

function faultFlags(error: u64): u32 {
  let flags: u32 = 0;
  if ((error & NPF_FETCH) != 0) flags = ACCESS_FETCH;
  else flags = (error & NPF_WRITE) != 0 ? ACCESS_WRITE : ACCESS_READ;
  if ((error & NPF_PRESENT) != 0) flags |= ACCESS_PRESENT;
  if ((error & NPF_PAGE_WALK) != 0) flags |= ACCESS_PAGE_WALK;
  return flags;
}

function decodeNestedFault(exit: ExitRecord, vmcb: u64): void {
  exit.move = 0;
  const error = exit.qualification;
  exit.gpa = exit.info;
  exit.detail = <u32>(exit.info >> PAGE_SHIFT);
  exit.flags = faultFlags(error);
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
  // A physical one: that of the host, whatever the guest's CR4.MCE says.
  if (vector == VECTOR_MC) exit.kind = EXIT_MACHINE_CHECK;
  exit.errorCode = <u32>exit.qualification;
  exit.flags = 0;
  if (vector == VECTOR_PF) {
    exit.gva = exit.info;
    exit.flags = ACCESS_GVA_VALID;
  }
  if (vector != VECTOR_DB) return;
  if (nmiFinishStep(vcpu, svm)) exit.kind = EXIT_NMI_WINDOW;
  // The processor has put them into DR6 already.
  else exit.met = phys_load32(svm.vmcb + VMCB_DR6) & DR6_CONDITIONS;
}

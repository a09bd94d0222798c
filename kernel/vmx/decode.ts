// From the VMCS to the neutral exit record: exit reason, qualification and what else the exit's class needs, and no more,
// since every VMREAD counts (SDM volume 3, "VM Exits" and "Exit Qualification"; appendix "VMX Basic Exit Reasons").
import { RFLAGS_RF, RFLAGS_TF } from "../arch/cr";
import { vmread, vmwrite } from "../arch/intrinsics";
import {
  ACCESS_FETCH,
  ACCESS_GVA_VALID,
  ACCESS_PAGE_WALK,
  ACCESS_PRESENT,
  ACCESS_READ,
  ACCESS_WRITE,
  CR_READ,
  CR_WRITE,
  EXIT_CPUID,
  EXIT_CR,
  EXIT_DESCRIPTOR,
  EXIT_DR,
  EXIT_ENTRY_FAILURE,
  EXIT_EXCEPTION,
  EXIT_EXTERNAL_INTERRUPT,
  EXIT_HYPERCALL,
  EXIT_INVLPG,
  EXIT_IO,
  EXIT_MACHINE_CHECK,
  EXIT_NESTED_FAULT,
  EXIT_NESTED_MISCONFIG,
  EXIT_NMI,
  EXIT_OTHER_INSTRUCTION,
  EXIT_RDMSR,
  EXIT_SIPI,
  EXIT_TASK_SWITCH,
  EXIT_UNKNOWN,
  EXIT_WRMSR,
  ExitRecord,
  IO_DECODED,
  IO_IN,
  IO_REP,
  IO_STRING,
} from "../vcpu/exit";
import { DR7_ENABLES } from "../vcpu/debug";
import { VECTOR_DB, VECTOR_DF, VECTOR_MC } from "../vcpu/raise";
import { GROUP_RIP } from "../vcpu/registers";
import {
  EVENT_HAS_ERROR,
  EVENT_NMI,
  EVENT_SOFT_INTERRUPT,
  EVENT_TYPE_MASK,
  EVENT_VALID,
  Vcpu,
} from "../vcpu/vcpu";
import { BY_INSTRUCTION, CLASS_MASK, exitClass } from "./classes";
import {
  EXIT_INSTRUCTION_INFO,
  EXIT_INSTRUCTION_LENGTH,
  EXIT_INTERRUPTION_ERROR_CODE,
  EXIT_INTERRUPTION_INFO,
  EXIT_QUALIFICATION,
  EXIT_REASON,
  GUEST_DR7,
  GUEST_INTERRUPTIBILITY,
  GUEST_LINEAR_ADDRESS,
  GUEST_PHYSICAL_ADDRESS,
  GUEST_RFLAGS,
  GUEST_RIP,
  IDT_VECTORING_ERROR_CODE,
  IDT_VECTORING_INFO,
  VM_INSTRUCTION_ERROR,
} from "./fields";
import { REASON_ENTRY_FAILED, REASON_MCE_DURING_VMENTRY, REASON_VMFAIL } from "../abi/vmx-reasons";
import { INTERRUPTIBILITY_NMI, INTERRUPTIBILITY_SHADOWS } from "./state";

/** A debug exception's qualification has B3..B0, BD and BS where DR6 has them. */
const DR6_FROM_QUALIFICATION: u32 = 0x600f;
/** Interruption-information fields: the bits that the neutral event keeps, and bit 12, NMI unblocking due to IRET. */
const INFO_EVENT_MASK: u32 = EVENT_VALID | 0xfff;
const NMI_UNBLOCKED_BY_IRET: u64 = 1 << 12;

const PAGE_SHIFT: u64 = 12;

let ioInstructionInfo: bool = false;

/** Whether this CPU describes INS and OUTS in the VM-exit instruction information. */
export function decodeSetIoInstructionInfo(reported: bool): void {
  ioInstructionInfo = reported;
}

// Exit qualification of I/O instructions:
//
//   63..32  31..16  15..7  6          5    4       3   2..0
//   0       port    0      immediate  REP  string  IN  size - 1
//
// VM-exit instruction information of INS and OUTS: bits 9..7 address size (2, 4, 8 bytes as 0, 1, 2), bits 17..15 segment.
function decodeIo(exit: ExitRecord): void {
  const qualification = <u32>vmread(EXIT_QUALIFICATION);
  exit.qualification = qualification;
  exit.port = qualification >> 16;
  exit.size = (qualification & 7) + 1;
  exit.flags = ((qualification >> 3) & IO_IN) | ((qualification >> 2) & (IO_STRING | IO_REP));
  decodeBreakpoints(exit);
  if ((exit.flags & IO_STRING) != 0) {
    exit.gva = vmread(GUEST_LINEAR_ADDRESS);
    if (ioInstructionInfo) {
      const info = <u32>vmread(EXIT_INSTRUCTION_INFO);
      exit.info = info;
      exit.addressSize = 2 << ((info >> 7) & 3);
      exit.segment = (info >> 15) & 7;
      exit.flags |= IO_DECODED;
    }
  }
}

/** With breakpoints enabled, completing an access may be more than a new RIP. */
function decodeBreakpoints(exit: ExitRecord): void {
  exit.breakpoints = <u32>vmread(GUEST_DR7) & DR7_ENABLES;
  if (exit.breakpoints != 0) exit.plainLength = 0;
}

// Exit qualification of control-register accesses. The access types are those of the exit record:
//
//   31..16       15..12  11..8     7  6               5..4         3..0
//   LMSW source  0       register  0  LMSW in memory  access type  CR number
function decodeCr(exit: ExitRecord): void {
  const qualification = <u32>vmread(EXIT_QUALIFICATION);
  exit.qualification = qualification;
  exit.crNumber = qualification & 15;
  exit.crAccess = (qualification >> 4) & 3;
  exit.gpr = (qualification >> 8) & 15;
  exit.info = qualification >> 16;
}

// Exit qualification of MOV DR: bits 2..0 number, bit 4 direction (1 = from the debug register), bits 11..8 register.
function decodeDr(exit: ExitRecord): void {
  const qualification = <u32>vmread(EXIT_QUALIFICATION);
  exit.qualification = qualification;
  exit.crNumber = qualification & 7;
  exit.crAccess = (qualification & 16) != 0 ? CR_READ : CR_WRITE;
  exit.gpr = (qualification >> 8) & 15;
}

// Exit qualification of EPT violations:
//
//   12           8                    7                5..3                     2      1      0
//   NMI unblock  final (0 page walk)  linear is valid  X W R of the translation  fetch  write  read
function decodeNestedFault(exit: ExitRecord): void {
  const qualification = vmread(EXIT_QUALIFICATION);
  const bits = <u32>qualification;
  exit.qualification = qualification;
  exit.move = 0;
  decodeBreakpoints(exit);
  exit.gpa = vmread(GUEST_PHYSICAL_ADDRESS);
  exit.detail = <u32>(exit.gpa >> PAGE_SHIFT);
  let flags = bits & (ACCESS_READ | ACCESS_WRITE | ACCESS_FETCH);
  if ((bits & 0x38) != 0) flags |= ACCESS_PRESENT;
  if ((bits & 0x80) != 0) {
    flags |= ACCESS_GVA_VALID;
    exit.gva = vmread(GUEST_LINEAR_ADDRESS);
    if ((bits & 0x100) == 0) flags |= ACCESS_PAGE_WALK;
  }
  exit.flags = flags;
  decodeInterruptedEvent(exit);
  if (exit.interruptedEvent == 0) restoreNmiBlocking(qualification);
}

function decodeMisconfiguration(exit: ExitRecord): void {
  exit.gpa = vmread(GUEST_PHYSICAL_ADDRESS);
  decodeInterruptedEvent(exit);
}

/** The event that was being delivered when the exit came: it must be delivered again. */
function decodeInterruptedEvent(exit: ExitRecord): void {
  const info = <u32>vmread(IDT_VECTORING_INFO);
  if ((info & EVENT_VALID) == 0) return;
  exit.interruptedEvent = info & INFO_EVENT_MASK;
  if ((info & EVENT_HAS_ERROR) != 0) exit.interruptedError = <u32>vmread(IDT_VECTORING_ERROR_CODE);
  if ((info & EVENT_TYPE_MASK) >= EVENT_SOFT_INTERRUPT)
    exit.interruptedLength = <u32>vmread(EXIT_INSTRUCTION_LENGTH);
}

/** IRET had ended blocking by NMI and then faulted: as it will run again, NMIs are still blocked. */
function restoreNmiBlocking(info: u64): void {
  if ((info & NMI_UNBLOCKED_BY_IRET) == 0) return;
  vmwrite(GUEST_INTERRUPTIBILITY, vmread(GUEST_INTERRUPTIBILITY) | <u64>INTERRUPTIBILITY_NMI);
}

/** ICEBP, INT3, INTO: their exceptions return behind them, and that of ICEBP is none of the conditions of DR6. */
function passInstruction(vcpu: Vcpu, exit: ExitRecord): void {
  exit.nextRip = exit.rip + vmread(EXIT_INSTRUCTION_LENGTH);
  vcpu.rip = exit.nextRip;
  vcpu.dirty |= GROUP_RIP;
}

function decodeException(vcpu: Vcpu, exit: ExitRecord): void {
  const info = <u32>vmread(EXIT_INTERRUPTION_INFO);
  exit.info = info;
  exit.vector = info & 0xff;
  if ((info & EVENT_TYPE_MASK) == EVENT_NMI) {
    exit.kind = EXIT_NMI;
    return;
  }
  if (exit.vector == VECTOR_MC) {
    exit.kind = EXIT_MACHINE_CHECK;
    return;
  }
  exit.qualification = vmread(EXIT_QUALIFICATION);
  if ((info & EVENT_HAS_ERROR) != 0) exit.errorCode = <u32>vmread(EXIT_INTERRUPTION_ERROR_CODE);
  if ((info & EVENT_TYPE_MASK) >= EVENT_SOFT_INTERRUPT) passInstruction(vcpu, exit);
  else if (exit.vector == VECTOR_DB) exit.met = <u32>exit.qualification & DR6_FROM_QUALIFICATION;
  decodeInterruptedEvent(exit);
  if (exit.interruptedEvent == 0 && exit.vector != VECTOR_DF) restoreNmiBlocking(info);
}

function decodeTaskSwitch(exit: ExitRecord): void {
  exit.qualification = vmread(EXIT_QUALIFICATION);
  decodeInterruptedEvent(exit);
}

function decodeInvlpg(exit: ExitRecord): void {
  exit.qualification = vmread(EXIT_QUALIFICATION);
  exit.gva = exit.qualification;
}

/** Instructions whose operand the VM-exit instruction information describes. */
function decodeWithInfo(exit: ExitRecord): void {
  exit.qualification = vmread(EXIT_QUALIFICATION);
  exit.info = vmread(EXIT_INSTRUCTION_INFO);
}

function decodeExternalInterrupt(exit: ExitRecord): void {
  exit.vector = <u32>vmread(EXIT_INTERRUPTION_INFO) & 0xff;
}

/** The fields of the record that its class defines. Classes not named here have none. */
function decodeDetails(vcpu: Vcpu, exit: ExitRecord): void {
  switch (exit.kind) {
    case EXIT_EXCEPTION:
      return decodeException(vcpu, exit);
    case EXIT_EXTERNAL_INTERRUPT:
      return decodeExternalInterrupt(exit);
    case EXIT_SIPI:
      exit.vector = <u32>vmread(EXIT_QUALIFICATION) & 0xff;
      return;
    case EXIT_TASK_SWITCH:
      return decodeTaskSwitch(exit);
    case EXIT_INVLPG:
      return decodeInvlpg(exit);
    case EXIT_CR:
      return decodeCr(exit);
    case EXIT_DR:
      return decodeDr(exit);
    case EXIT_IO:
      return decodeIo(exit);
    case EXIT_CPUID:
    case EXIT_HYPERCALL:
      exit.detail = <u32>vcpu.rax;
      return;
    case EXIT_RDMSR:
    case EXIT_WRMSR:
      exit.msr = <u32>vcpu.rcx;
      return;
    case EXIT_DESCRIPTOR:
    case EXIT_OTHER_INSTRUCTION:
      return decodeWithInfo(exit);
    case EXIT_NESTED_FAULT:
      return decodeNestedFault(exit);
    case EXIT_NESTED_MISCONFIG:
      return decodeMisconfiguration(exit);
    case EXIT_UNKNOWN:
      exit.qualification = vmread(EXIT_QUALIFICATION);
      return;
  }
}

/** Where the instruction ends, and whether completing it is more than going there. */
function decodeInstruction(exit: ExitRecord, rip: u64): void {
  const length = vmread(EXIT_INSTRUCTION_LENGTH);
  const next = rip + length;
  exit.nextRip = next;
  const traps = vmread(GUEST_RFLAGS) & (RFLAGS_TF | RFLAGS_RF);
  const shadows = vmread(GUEST_INTERRUPTIBILITY) & INTERRUPTIBILITY_SHADOWS;
  if ((traps | shadows | ((next ^ rip) >> 32)) == 0) exit.plainLength = <u32>length;
}

/** Fills `vcpu.exit` and `vcpu.rip` from the current VMCS after a VM exit, or a VM entry that failed on the guest state. */
export function decodeExit(vcpu: Vcpu): void {
  const exit = vcpu.exit;
  const reason = <u32>vmread(EXIT_REASON);
  const rip = vmread(GUEST_RIP);
  vcpu.rip = rip;
  vcpu.valid = GROUP_RIP;
  exit.reason = reason;
  exit.detail = 0;
  exit.qualification = 0;
  exit.rip = rip;
  exit.nextRip = 0;
  exit.plainLength = 0;
  exit.flags = 0;
  exit.met = 0;
  exit.interruptedEvent = 0;
  if ((reason & REASON_ENTRY_FAILED) != 0) {
    exit.qualification = vmread(EXIT_QUALIFICATION);
    exit.kind = (reason & 0xffff) == REASON_MCE_DURING_VMENTRY ? EXIT_MACHINE_CHECK : EXIT_ENTRY_FAILURE;
    return;
  }
  const entry = exitClass(reason & 0xffff);
  if ((entry & BY_INSTRUCTION) != 0) decodeInstruction(exit, rip);
  exit.kind = entry & CLASS_MASK;
  decodeDetails(vcpu, exit);
}

/** The record of a VMLAUNCH or VMRESUME that failed with `status` (1 VMfailInvalid, 2 VMfailValid): no guest state changed. */
export function decodeFailedEntry(vcpu: Vcpu, status: u32): void {
  const exit = vcpu.exit;
  exit.kind = EXIT_ENTRY_FAILURE;
  exit.reason = REASON_VMFAIL;
  exit.detail = 0;
  exit.qualification = status == 2 ? vmread(VM_INSTRUCTION_ERROR) : 0;
  exit.rip = vcpu.rip;
  exit.nextRip = 0;
  exit.plainLength = 0;
  exit.flags = 0;
  exit.interruptedEvent = 0;
  vcpu.valid = GROUP_RIP;
}

// The neutral exit record: what happened, in one flat structure that the backends fill and the exit handlers read.
// Handlers never touch the VMCS or the VMCB, so one handler serves VT-x and AMD-V, and Node.

import { EXIT_CLASSES, NO_VECTOR } from "../abi/exits";

export * from "../abi/exits";

// ExitRecord.move:
//
//   11..8     2          1      0
//   register  immediate  write  known
export const MOVE_KNOWN: u32 = 1 << 0;
export const MOVE_WRITE: u32 = 1 << 1;
export const MOVE_IMMEDIATE: u32 = 1 << 2;
export const MOVE_REGISTER_SHIFT: u32 = 8;

@unmanaged
export class ExitRecord {
  /**
   * What tells exits of one reason apart: port, MSR, CPUID leaf, number of the control or debug register, number of the
   * guest-physical page, vector, or hypercall; 0 for the others.
   */
  detail: u32;
  /** VT-x: basic exit reason (all 32 bits of the field). AMD-V: EXITCODE, low 32 bits. With `detail` one word: `key`. */
  reason: u32;
  /** EXIT_*. */
  kind: u32;
  /** Bytes of the instruction when nothing but RIP changes on completion: no trap flag, no shadow to end. 0: find out. */
  plainLength: u32;
  /** VT-x: exit qualification. AMD-V: EXITINFO1. */
  qualification: u64;
  /** VT-x: guest-linear address or VM-exit instruction information. AMD-V: EXITINFO2. */
  info: u64;
  /**
   * Guest RIP of the exiting instruction, and the RIP after it (0 when the length is not known: decode to find it). Not
   * written while `plainLength` is not 0, unless the exit is traced.
   */
  rip: u64;
  nextRip: u64;
  gpa: u64;
  gva: u64;
  flags: u32;
  /** Operand size in bytes (1, 2, 4). */
  size: u32;
  /** Address size in bytes of a string I/O (2, 4, 8) and its segment (SEG_*), when IO_DECODED. */
  addressSize: u32;
  segment: u32;
  crAccess: u32;
  gpr: u32;
  errorCode: u32;
  /** Event whose delivery the exit interrupted (EVENT_* form, 0 if none), with its error code and instruction length. */
  interruptedEvent: u32;
  interruptedError: u32;
  interruptedLength: u32;
  /** Instruction bytes that the processor supplied (AMD-V with decode assists), and how many. */
  byteCount: u32;
  bytes0: u64;
  bytes1: u64;
  /**
   * EXIT_IO and EXIT_NESTED_FAULT: DR7's enable bits; 0: no access can meet a breakpoint. Not written while `plainLength` is not
   * 0, which it is not with breakpoints enabled.
   */
  breakpoints: u32;
  /**
   * Debug conditions as in DR6: breakpoints that the instruction's accesses have met (`meet`), so that #DB follows when it
   * completes; of EXIT_EXCEPTION, those that #DB is about (0: about none, as that of ICEBP). They are this exit's as long as
   * `plainLength` is 0: the backend then begins with none, and one #DB tells of all.
   */
  met: u32;
  /**
   * What the handler of this exit asked for (outcome.ts), for those who record exits. The run loop alone writes it, and not when
   * there was nothing to do but to move RIP.
   */
  outcome: u32;
  /** EXIT_NESTED_FAULT: the access is this MOV of four bytes to or from `gpa` (MOVE_*); 0: not known, decode it. */
  move: u32;
  /** What a MOV of an immediate writes. */
  moveValue: u32;

  // `detail` by the names that it has for a class of exits.
  get port(): u32 {
    if (isDefined(CHECKED)) assert(this.detail <= 0xffff, "exit: port");
    return this.detail;
  }
  set port(value: u32) {
    if (isDefined(CHECKED)) assert(value <= 0xffff, "exit: port");
    this.detail = value;
  }
  get msr(): u32 {
    return this.detail;
  }
  set msr(value: u32) {
    this.detail = value;
  }
  get crNumber(): u32 {
    if (isDefined(CHECKED)) assert(this.detail <= 15, "exit: number of a register");
    return this.detail;
  }
  set crNumber(value: u32) {
    if (isDefined(CHECKED)) assert(value <= 15, "exit: number of a register");
    this.detail = value;
  }
  get vector(): u32 {
    return this.detail;
  }
  set vector(value: u32) {
    if (isDefined(CHECKED)) assert(value <= 0xff || value == NO_VECTOR, "exit: vector");
    this.detail = value;
  }

  /** Notes the debug conditions that one of the instruction's accesses meets. */
  meet(conditions: u64): void {
    if (isDefined(CHECKED)) assert(conditions >> 16 == 0, "exit: conditions have the form of DR6");
    assert(this.plainLength == 0, "exit: debug conditions of an instruction that can have none");
    this.met |= <u32>conditions;
  }

  /** `kind` and, in the upper half, `plainLength`. */
  set kindAndLength(value: u64) {
    if (isDefined(CHECKED)) assert(<u32>value < EXIT_CLASSES && value >> 32 <= 15, "exit: class or length");
    store<u64>(changetype<usize>(this), value, offsetof<ExitRecord>("kind"));
  }

  /** `detail` and, in the upper half, `reason`. */
  set key(value: u64) {
    store<u64>(changetype<usize>(this), value, offsetof<ExitRecord>("detail"));
  }
  get key(): u64 {
    return load<u64>(changetype<usize>(this), offsetof<ExitRecord>("detail"));
  }
}

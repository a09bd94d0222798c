// The neutral exit record: what happened, in one flat structure that the backends fill and the exit handlers read.
// Handlers never touch the VMCS or the VMCB, so one handler serves VT-x and AMD-V, and Node.

export * from "../abi/exits";

@unmanaged
export class ExitRecord {
  /** EXIT_*. */
  kind: u32;
  /** VT-x: basic exit reason (all 32 bits of the field). AMD-V: EXITCODE, low 32 bits. */
  reason: u32;
  /** VT-x: exit qualification. AMD-V: EXITINFO1. */
  qualification: u64;
  /** VT-x: guest-linear address or VM-exit instruction information. AMD-V: EXITINFO2. */
  info: u64;
  /** Guest RIP of the exiting instruction, and the RIP after it (0 when the length is not known: decode to find it). */
  rip: u64;
  nextRip: u64;
  /** The same when nothing but RIP changes on completion: no trap flag, no shadow to end. 0: find out. */
  plainRip: u64;
  gpa: u64;
  gva: u64;
  flags: u32;
  port: u32;
  /** Operand size in bytes (1, 2, 4). */
  size: u32;
  /** Address size in bytes of a string I/O (2, 4, 8) and its segment (SEG_*), when IO_DECODED. */
  addressSize: u32;
  segment: u32;
  msr: u32;
  crNumber: u32;
  crAccess: u32;
  gpr: u32;
  vector: u32;
  errorCode: u32;
  /** Event whose delivery the exit interrupted (EVENT_* form, 0 if none), with its error code and instruction length. */
  interruptedEvent: u32;
  interruptedError: u32;
  interruptedLength: u32;
  /** Instruction bytes that the processor supplied (AMD-V with decode assists), and how many. */
  byteCount: u32;
  reserved: u32;
  bytes0: u64;
  bytes1: u64;
}

// One virtual CPU. Its head is read and written by the assembly of VM entry (boot/vmentry_*.asm), so the order and
// offsets of the first fields are fixed; tools/gen derives the assembler's constants from this class.
import { DETAIL_INDEX } from "../lib/limits";
import {
  BackendLink,
  CodeBytesLink,
  CountersLink,
  DetailLink,
  EmulatorLink,
  KnownLink,
  LapicLink,
  VcpuLink,
  VmLink,
} from "../lib/links";
import { PDPTES_BYTES, Pdptes } from "../mm/guestwalk";
import { CpuidTable } from "./cpuid";
import { ExitRecord } from "./exit";
import { KnownMsrs } from "./msrs";
import { GROUP_STACK_FLAGS, RSP, SEGMENT_STRIDE, Segment } from "./registers";

// Event to deliver at the next entry, in the form of VT-x's VM-entry interruption information:
//
//   31     30..12   11          10..8   7..0
//   valid  0        error code  type    vector
export const EVENT_VALID: u32 = 1 << 31;
export const EVENT_HAS_ERROR: u32 = 1 << 11;
export const EVENT_EXTERNAL: u32 = 0 << 8;
export const EVENT_NMI: u32 = 2 << 8;
export const EVENT_EXCEPTION: u32 = 3 << 8;
export const EVENT_SOFT_INTERRUPT: u32 = 4 << 8;
export const EVENT_SOFT_EXCEPTION: u32 = 6 << 8;
export const EVENT_TYPE_MASK: u32 = 7 << 8;

/** What a vCPU is doing. */
export const ACTIVITY_RUNNING: u32 = 0;
export const ACTIVITY_HALTED: u32 = 1;
/** Waiting for SIPI (application processors after INIT). */
export const ACTIVITY_WAIT_SIPI: u32 = 2;

// Work to look at before the next entry, as bits of `Vcpu.requests`; zero means: enter at once.

/** A device, the local APIC or the clock may have changed an interrupt line or deadline: sample. */
export const REQUEST_SAMPLE: u32 = 1 << 0;
/** An interrupt is waiting in the local APIC or PIC. Not set while the guest runs on to its `interruptWindow`. */
export const REQUEST_INTERRUPT: u32 = 1 << 1;
/** An NMI is pending. */
export const REQUEST_NMI: u32 = 1 << 2;
/** `event` holds an exception or a re-injection to deliver. */
export const REQUEST_EVENT: u32 = 1 << 3;
/** Flush the guest's translations before entry. */
export const REQUEST_FLUSH: u32 = 1 << 4;
/** The run loop is to be left: the VM is reset or stopped, or recording was switched on or off. */
export const REQUEST_STOP: u32 = 1 << 5;
/** The hypervisor's own work is due: the console's ring, the trace's. */
export const REQUEST_HOST: u32 = 1 << 6;

@unmanaged
export class Vcpu extends VcpuLink {
  // -- head: known to assembly ---------------------------------------------------------------------------------------
  rax: u64;
  rcx: u64;
  rdx: u64;
  rbx: u64;
  /** RSP: loaded and stored through the VMCS or VMCB, not by the entry code (slot kept so that encodings index the head). */
  rsp: u64;
  rbp: u64;
  rsi: u64;
  rdi: u64;
  r8: u64;
  r9: u64;
  r10: u64;
  r11: u64;
  r12: u64;
  r13: u64;
  r14: u64;
  r15: u64;
  /** TSC of the host, read by the entry code right after the exit. */
  tscExit: u64;
  /** TSC of the host, read by the entry code right before the entry. */
  tscEntry: u64;
  /** Guest CR2 (VT-x: switched by the entry code; AMD-V: in the VMCB). */
  cr2: u64;
  /** The host's stack pointer while the guest runs: entry code only. */
  hostStack: u64;
  /** AMD-V: physical addresses of the VMCB that holds this CPU's own state, and of the guest's. */
  hostVmcb: u64;
  vmcb: u64;

  // -- neutral guest state, by group (kernel/vcpu/registers.ts) ---------------------------------------------------------
  rip: u64;
  rflags: u64;
  /** What keeps the vCPU from going straight back into the guest: REQUEST_*, groups to write back. Together: `pending`. */
  requests: u32;
  dirty: u32;
  valid: u32;
  interruptibility: u32;
  gdtrBase: u64;
  idtrBase: u64;
  gdtrLimit: u32;
  idtrLimit: u32;
  cr0: u64;
  cr3: u64;
  cr4: u64;
  efer: u64;
  dr7: u64;
  /**
   * Debug exceptions that have come up and wait until MOV SS no longer holds them back (SDM, "Guest Non-Register State"), as in
   * DR6: B3..B0 and BS. Of GROUP_INTERRUPTIBILITY. AMD-V does not show them: always 0.
   */
  pendingDebug: u64;
  pat: u64;
  sysenterCs: u64;
  sysenterEsp: u64;
  sysenterEip: u64;
  star: u64;
  lstar: u64;
  cstar: u64;
  fmask: u64;
  kernelGsBase: u64;
  debugctl: u64;

  // -- what the run loop keeps -------------------------------------------------------------------------------------------
  activity: u32;
  /** Event to deliver at the next entry (EVENT_*), its error code, and for software events the instruction's length. */
  event: u32;
  eventError: u32;
  eventLength: u32;
  /** An interrupt or NMI whose delivery an exception interrupted: delivered after that one, as soon as the guest can take it. */
  deferredEvent: u32;
  /** Task-priority class (CR8) at the last sample: AMD-V lets the guest read CR8 without an exit. */
  priorityClass: u32;
  /** 1 while the backend is asked to exit as soon as the guest can take an interrupt (NMI). */
  interruptWindow: u32;
  nmiWindow: u32;
  /** Guest TSC minus host TSC. */
  tscOffset: u64;
  /** VM time (ns) at which the vCPU must leave the guest at the latest; U64.MAX_VALUE: never. */
  deadline: u64;
  xcr0: u64;
  /** Physical address of its extended state while another vCPU owns the processor (extended.ts). */
  extendedArea: u64;
  /** IA32_SPEC_CTRL, likewise. */
  specCtrl: u64;
  /** IA32_TSC_AUX and IA32_MISC_ENABLE as the guest wrote them. */
  tscAux: u64;
  miscEnable: u64;
  /** Guest's DR0-3, DR6 live in the processor while one vCPU owns it; saved here when it gives it up. */
  dr0: u64;
  dr1: u64;
  dr2: u64;
  dr3: u64;
  dr6: u64;

  // -- identity -------------------------------------------------------------------------------------------------------
  /** Index within its VM, and its local APIC id. */
  index: u32;
  vmIndex: u32;
  /** Its VM, and what the backend keeps of it. */
  vm: VmLink;
  backend: BackendLink;
  emulator: EmulatorLink;
  codeBytes: CodeBytesLink;
  counters: CountersLink;
  /** What those have of the exit that is not accounted yet: its entry, and its time. */
  openDetail: DetailLink;
  openTsc: u64;
  lapic: LapicLink;
  /** MSRs that need no more than memory. */
  msrs: KnownMsrs;
  /** CPUID as its VM's guest sees it. */
  cpuid: CpuidTable;
  /** AMD-V: the instructions whose exits are known. */
  known: KnownLink;
  /** AMD-V: 1 while that cache is out of use. */
  knownClosed: u32;
  /** 0: what exits that no register tells apart have for `detail`. To load it is one instruction, to ask takes two. */
  noDetail: u32;

  /** The last exit. In memory it follows the fields above. */
  get exit(): ExitRecord {
    return changetype<ExitRecord>(changetype<usize>(this) + EXIT_OFFSET);
  }

  /** 0: nothing to do before the next entry but to write RIP. */
  get pending(): u64 {
    return load<u64>(changetype<usize>(this), offsetof<Vcpu>("requests"));
  }

  /** Segment register `index` (SEG_*). GROUP_SEGMENTS must be valid. In memory the eight follow the exit record. */
  segment(index: u32): Segment {
    if (isDefined(CHECKED)) assert(index < 8, "vcpu: no such segment register");
    return changetype<Segment>(changetype<usize>(this) + SEGMENTS_OFFSET + index * SEGMENT_STRIDE);
  }

  /** Page-directory-pointer-table entries of PAE paging: GROUP_PDPTES (pdptes.ts). */
  get pdptes(): Pdptes {
    return changetype<Pdptes>(changetype<usize>(this) + PDPTES_OFFSET);
  }

  /** General-purpose register `index` (its encoding, 0..15), 64 bits. RSP needs GROUP_STACK_FLAGS valid. */
  gpr(index: u32): u64 {
    if (isDefined(CHECKED)) assert(index < 16, "vcpu: no such register");
    return load<u64>(changetype<usize>(this) + (index & 15) * 8);
  }

  /** Writes 64 bits of general-purpose register `index`. Writing RSP needs GROUP_STACK_FLAGS valid, and marks it dirty. */
  setGpr(index: u32, value: u64): void {
    if (isDefined(CHECKED)) assert(index < 16, "vcpu: no such register");
    if ((index & 15) == RSP) this.dirty |= GROUP_STACK_FLAGS;
    store<u64>(changetype<usize>(this) + (index & 15) * 8, value);
  }

  /** A 64-bit result as RDMSR and RDTSC give it: two halves, each with the upper half of its register cleared. */
  setEdxEax(value: u64): void {
    this.rax = value & U32.MAX_VALUE;
    this.rdx = value >> 32;
  }

  /** Asks for work before the next entry (REQUEST_*). */
  request(bits: u32): void {
    if (isDefined(CHECKED)) assert(bits != 0 && bits < REQUEST_HOST << 1, "vcpu: no such request");
    this.requests |= bits;
  }
}

const EXIT_OFFSET: usize = offsetof<Vcpu>();
const SEGMENTS_OFFSET: usize = offsetof<Vcpu>() + offsetof<ExitRecord>();

const PDPTES_OFFSET: usize = SEGMENTS_OFFSET + 8 * SEGMENT_STRIDE;
/** The index of its counters (kernel/trace/details.ts). Every exit looks at it: being here saves one load, of its address. */
export const DETAIL_INDEX_OFFSET: usize = PDPTES_OFFSET + PDPTES_BYTES;

/** Bytes of one vCPU with its exit record, segment registers, PDPTEs and index of counters. */
export const VCPU_BYTES: usize = DETAIL_INDEX_OFFSET + <usize>DETAIL_INDEX * 4;

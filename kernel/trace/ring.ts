// The ring of exit records of one physical CPU (kernel/abi/trace.ts). The exit path only writes into it; it is emptied off
// the hot path. A full ring drops the new record and counts it: a trace with holes says so.
import { RECORD_BYTES } from "../abi/trace";
import {
  RECORD_BYTES_HIGH,
  RECORD_BYTES_LOW,
  RECORD_DETAIL,
  RECORD_GPA,
  RECORD_INFO,
  RECORD_KIND,
  RECORD_OUTCOME,
  RECORD_QUALIFICATION,
  RECORD_RAX,
  RECORD_RCX,
  RECORD_RDX,
  RECORD_REASON,
  RECORD_RIP,
  RECORD_TSC_IN,
  RECORD_TSC_OUT,
  RECORD_VCPU,
  RECORD_VM,
} from "../abi/trace";
import { thisCpu } from "../arch/percpu";
import { arenaAlloc } from "../lib/arena";
import { MAX_CPUS, TRACE_RING_RECORDS } from "../lib/limits";
import {
  EXIT_CR,
  EXIT_DR,
  EXIT_EXCEPTION,
  EXIT_EXTERNAL_INTERRUPT,
  EXIT_IO,
  EXIT_RDMSR,
  EXIT_WRMSR,
  ExitRecord,
} from "../vcpu/exit";
import { Vcpu } from "../vcpu/vcpu";
import { filterPasses } from "./filter";

@unmanaged
export class TraceRing {
  /** Linear address of TRACE_RING_RECORDS records. */
  records: usize;
  /** Records ever written, and ever taken out; their difference is what the ring holds. */
  head: u32;
  tail: u32;
  /** The record of the exit that is being handled; 0: none. It is inside the ring, at `head`, and not yet counted. */
  open: usize;
  /** Records dropped because the ring was full, in all and already told. */
  lost: u64;
  lostTold: u64;
  taken: u64;
  /** Ticks spent emptying the ring, in all, and within the exit that is being handled. */
  drainTicks: u64;
  drainInExit: u64;
}

const table = memory.data(MAX_CPUS * 4, 16);

/** Storage for this CPU's ring; boot time only. */
export function ringCreate(): void {
  const ring = arenaAlloc(offsetof<TraceRing>(), 16);
  changetype<TraceRing>(ring).records = arenaAlloc(<usize>(TRACE_RING_RECORDS * RECORD_BYTES), 64);
  store<u32>(table + <usize>thisCpu().index * 4, <u32>ring);
}

/** The ring of CPU `cpu`; null when it has none. */
export function ringOf(cpu: u32): TraceRing | null {
  return changetype<TraceRing | null>(load<u32>(table + <usize>cpu * 4));
}

function ownRing(): TraceRing {
  return changetype<TraceRing>(load<u32>(table + <usize>thisCpu().index * 4));
}

/** Linear address of record number `index`. */
export function ringRecord(ring: TraceRing, index: u32): usize {
  return ring.records + <usize>((index & (TRACE_RING_RECORDS - 1)) * RECORD_BYTES);
}

/** Records that can be taken out. */
export function ringHeld(ring: TraceRing): u32 {
  return ring.head - ring.tail;
}

/** Whether this CPU's ring is three quarters full: time to send some of it, even in the middle of things. */
export function ringIsFilling(): bool {
  return ringHeld(ownRing()) > (TRACE_RING_RECORDS / 4) * 3;
}

/** Right after an exit: completes the record of the one before, and opens this one's if the filter wants it. */
export function traceExit(vcpu: Vcpu): void {
  const ring = ownRing();
  close(ring, vcpu.tscEntry);
  if (!filterPasses(vcpu)) return;
  if (ringHeld(ring) == TRACE_RING_RECORDS) {
    ring.lost++;
    return;
  }
  const record = ringRecord(ring, ring.head);
  ring.open = record;
  const exit = vcpu.exit;
  store<u64>(record + RECORD_TSC_IN, vcpu.tscExit);
  store<u64>(record + RECORD_RIP, exit.rip);
  store<u64>(record + RECORD_QUALIFICATION, exit.qualification);
  store<u64>(record + RECORD_INFO, exit.info);
  store<u64>(record + RECORD_GPA, exit.gpa);
  store<u64>(record + RECORD_RAX, vcpu.rax);
  store<u64>(record + RECORD_RCX, vcpu.rcx);
  store<u64>(record + RECORD_RDX, vcpu.rdx);
  store<u64>(record + RECORD_DETAIL, detailOf(exit));
  store<u32>(record + RECORD_REASON, exit.reason);
  store<u8>(record + RECORD_KIND, <u8>exit.kind);
  store<u8>(record + RECORD_VM, <u8>vcpu.vmIndex);
  store<u8>(record + RECORD_VCPU, <u8>vcpu.index);
}

/** After the handler: what it decided, and the instruction's bytes where it has fetched them. */
export function traceOutcome(vcpu: Vcpu, outcome: u32): void {
  const record = ownRing().open;
  if (record == 0) return;
  const exit = vcpu.exit;
  store<u8>(record + RECORD_OUTCOME, <u8>outcome);
  const count = min<u64>(exit.byteCount, 15);
  store<u64>(record + RECORD_BYTES_LOW, count != 0 ? exit.bytes0 : 0);
  store<u64>(
    record + RECORD_BYTES_HIGH,
    count != 0 ? (exit.bytes1 & 0x00ff_ffff_ffff_ffff) | (count << 56) : 0,
  );
}

/** The bytes of the instruction that the handler has emulated, when it had to fetch them: `length` of them. */
export function traceInstruction(bytes0: u64, bytes1: u64, length: u32): void {
  const record = ownRing().open;
  if (record == 0) return;
  const count = <u64>min<u32>(length, 15);
  store<u64>(record + RECORD_BYTES_LOW, bytes0);
  store<u64>(record + RECORD_BYTES_HIGH, (bytes1 & 0x00ff_ffff_ffff_ffff) | (count << 56));
}

/** Completes the open record of this CPU when no further exit will: its VM has stopped. */
export function traceClose(tsc: u64): void {
  close(ownRing(), tsc);
}

/** The time that draining took within the exit is not the exit's. */
function close(ring: TraceRing, entered: u64): void {
  const record = ring.open;
  if (record != 0) {
    store<u64>(record + RECORD_TSC_OUT, max(entered - ring.drainInExit, load<u64>(record + RECORD_TSC_IN)));
    ring.head++;
    ring.open = 0;
  }
  ring.drainInExit = 0;
}

/** The number that tells exits of one kind apart. */
function detailOf(exit: ExitRecord): u64 {
  switch (exit.kind) {
    case EXIT_RDMSR:
    case EXIT_WRMSR:
      return exit.msr;
    case EXIT_IO:
      return <u64>exit.port | ((<u64>exit.size) << 16) | ((<u64>exit.flags) << 24);
    case EXIT_CR:
    case EXIT_DR:
      return <u64>exit.crNumber | ((<u64>exit.crAccess) << 8) | ((<u64>exit.gpr) << 16);
    case EXIT_EXCEPTION:
    case EXIT_EXTERNAL_INTERRUPT:
      return <u64>exit.vector | ((<u64>exit.errorCode) << 32);
    default:
      return (<u64>exit.flags) << 24;
  }
}

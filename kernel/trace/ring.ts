// The ring of exit records of one physical CPU (kernel/abi/trace.ts). The exit path only writes into it; it is emptied off
// the hot path. A full ring drops the new record and counts it: a trace with holes says so. Records may also go to the log as
// text, right away and at the cost of the time that takes; where only that is wanted, one record suffices.
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
import { rdtsc } from "../arch/intrinsics";
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
import { countersExclude } from "./counters";
import { filterPasses } from "./filter";
import { logExit } from "./text";

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
  /** Ticks spent on recording so far; times in records leave them out, as if they had not passed. */
  excluded: u64;
}

const table = memory.data(MAX_CPUS * 4, 16);

// What is done with records, as bits of `traceSinks()`.

/** The ring keeps them for the stream. */
export const SINK_STREAM: u32 = 1 << 0;
/** Each is a line on the log. */
export const SINK_LOG: u32 = 1 << 1;
let sinks: u32 = 0;

/** SINK_*: 0 while exits are not recorded. */
export function traceSinks(): u32 {
  return sinks;
}

export function traceSetSinks(bits: u32): void {
  sinks = bits;
}

/** Storage for this CPU's ring; boot time only. Without `stream`, its records can go to the log only. */
export function ringCreate(stream: bool): void {
  const ring = arenaAlloc(offsetof<TraceRing>(), 16);
  const records: u32 = stream ? TRACE_RING_RECORDS : 1;
  changetype<TraceRing>(ring).records = arenaAlloc(<usize>(records * RECORD_BYTES), 64);
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

/**
 * Right after an exit: completes the record of the one before, and opens this one's if the filter wants it. Returns the ticks
 * that writing to the log took. All that recording takes is to be given to traceExclude.
 */
export function traceExit(vcpu: Vcpu): u64 {
  const ring = ownRing();
  const spent = close(ring, vcpu.tscEntry);
  if (filterPasses(vcpu)) open(ring, vcpu);
  return spent;
}

function open(ring: TraceRing, vcpu: Vcpu): void {
  if (ringHeld(ring) == TRACE_RING_RECORDS) {
    ring.lost++;
    return;
  }
  ring.open = ringRecord(ring, ring.head);
  fillRecord(ring.open, vcpu);
  store<u64>(ring.open + RECORD_TSC_IN, vcpu.tscExit - ring.excluded);
  store<u64>(ring.open + RECORD_BYTES_LOW, 0);
  store<u64>(ring.open + RECORD_BYTES_HIGH, 0);
}

/** Writes what is known of the vCPU's last exit before it is handled to the RECORD_BYTES at `record`. */
export function fillRecord(record: usize, vcpu: Vcpu): void {
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

/** After the handler: what it decided. */
export function traceOutcome(outcome: u32): void {
  const record = ownRing().open;
  if (record != 0) store<u8>(record + RECORD_OUTCOME, <u8>outcome);
}

/** Whether the exit's record is to have the instruction: lines on the log do not show it. */
export function traceWantsInstruction(): bool {
  return (sinks & SINK_STREAM) != 0 && ownRing().open != 0;
}

/** The bytes of the exit's instruction, `length` of them. */
export function traceInstruction(bytes0: u64, bytes1: u64, length: u32): void {
  const record = ownRing().open;
  if (record == 0) return;
  const count = <u64>min<u32>(length, 15);
  store<u64>(record + RECORD_BYTES_LOW, bytes0);
  store<u64>(record + RECORD_BYTES_HIGH, (bytes1 & 0x00ff_ffff_ffff_ffff) | (count << 56));
}

/** Leaves `ticks` out of the time of the exit that is being handled: they were spent on observing it. */
export function traceExclude(vcpu: Vcpu, ticks: u64): void {
  ownRing().excluded += ticks;
  countersExclude(vcpu, ticks);
}

/** Completes the open record of this CPU when no further exit will: its VM has stopped. */
export function traceClose(tsc: u64): void {
  close(ownRing(), tsc);
}

/** Returns the ticks that the log took. */
function close(ring: TraceRing, entered: u64): u64 {
  const record = ring.open;
  if (record == 0) return 0;
  store<u64>(record + RECORD_TSC_OUT, max(entered - ring.excluded, load<u64>(record + RECORD_TSC_IN)));
  ring.open = 0;
  if ((sinks & SINK_STREAM) != 0) ring.head++;
  return (sinks & SINK_LOG) != 0 ? writeLine(record) : 0;
}

function writeLine(record: usize): u64 {
  const before = rdtsc();
  logExit(record);
  return rdtsc() - before;
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

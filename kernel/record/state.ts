// Everything that the recorder keeps, in one block of linear memory and in no global: so that its own doings can be told from
// the hypervisor's when a replay compares memory.
import { HEAD_WORDS } from "../abi/recording";
import { RECORD_BYTES, TRACE_CRC_BYTES, TRACE_HEADER_BYTES, TRACE_MAX_PAYLOAD } from "../abi/trace";
import { REQUEST_SAMPLE, Vcpu } from "../vcpu/vcpu";

@unmanaged
export class Recorder {
  /** The backend's own run function, and what it is to call before entries and at each exit. */
  run: (vcpu: Vcpu, prepare: (vcpu: Vcpu) => bool, onExit: (vcpu: Vcpu) => void) => void;
  prepare: (vcpu: Vcpu) => bool;
  onExit: (vcpu: Vcpu) => void;
  /** 0: the backend's loop is to be left. The request that makes it ask, if the vCPU did not have it. */
  goOn: u32;
  forced: u32;
  /** 1 while intrinsics are logged. */
  logging: u32;
  /** 1 when all that was asked for is recorded. */
  done: u32;
  /** 1: a window is to begin, so the backend's loop has been left. */
  reopen: u32;
  /** Outcome of the exit that is being handled. */
  outcome: u32;
  /** Number of the next frame. */
  sequence: u32;
  /** Bytes of the payload that are filled. */
  held: u32;
  backendCode: u32;
  /** Exits so far, exits to let pass first, exits to record. */
  exits: u64;
  first: u64;
  count: u64;
  /** Bytes of the window's log so far, and how many make it time for the next window. */
  logged: u64;
  windowBytes: u64;
}

const FRAME_BYTES: usize = <usize>(TRACE_HEADER_BYTES + TRACE_MAX_PAYLOAD + TRACE_CRC_BYTES);
const HEAD_BYTES: usize = <usize>(HEAD_WORDS * 8);
/** Multiples of 8, so that what follows is aligned. */
const HEAD_AT: usize = 128;
const RECORD_AT: usize = 128 + 176;
const FRAME_AT: usize = 128 + 176 + 112;

/** Size of the whole block. */
export const RECORDER_BYTES: usize = 128 + 176 + 112 + 4112;

const block = memory.data(128 + 176 + 112 + 4112, 64);

export function recorder(): Recorder {
  return changetype<Recorder>(block);
}

/** Boot time: that the pieces fit. */
export function recorderCheck(): void {
  assert(offsetof<Recorder>() <= HEAD_AT && HEAD_BYTES <= RECORD_AT - HEAD_AT, "recorder: layout");
  assert(
    RECORD_BYTES <= <u32>(FRAME_AT - RECORD_AT) && FRAME_BYTES <= RECORDER_BYTES - FRAME_AT,
    "recorder: layout",
  );
}

/** Handles an exit, up to readiness for the next entry. False: the VM is to be stopped or reset. */
export function handleExit(vcpu: Vcpu): bool {
  const state = recorder();
  state.onExit(vcpu);
  return vcpu.requests == 0 || state.prepare(vcpu);
}

/** Makes the backend's loop go on, or end. */
export function leaveLoop(vcpu: Vcpu, goOn: bool): void {
  const state = recorder();
  state.goOn = goOn ? 1 : 0;
  state.forced = goOn ? 0 : ~vcpu.requests & REQUEST_SAMPLE;
  vcpu.requests |= state.forced;
}

/** What the backend's loop asks before an entry if there are requests: `handleExit` has served them. */
export function mayEnter(_vcpu: Vcpu): bool {
  return recorder().goOn != 0;
}

/** The vCPU's head as the log knows it. */
export function knownHead(): usize {
  return block + HEAD_AT;
}

/** Room for one exit record (RECORD_BYTES of kernel/abi/trace.ts). */
export function recordSpace(): usize {
  return block + RECORD_AT;
}

/** The frame that is being filled. */
export function recorderFrame(): usize {
  return block + FRAME_AT;
}

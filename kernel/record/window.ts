// The beginning of a window: the hypervisor's whole state, sent as it is between two entries.
import { LAYOUT_GLOBALS_END, LAYOUT_GLOBALS_START } from "../abi/layout";
import {
  RECORDING_FRAME_GLOBALS,
  RECORDING_FRAME_MEMORY,
  RECORDING_FRAME_WINDOW,
  WINDOW_WORDS,
} from "../abi/recording";
import { TRACE_MAX_PAYLOAD } from "../abi/trace";
import { tscHz } from "../arch/clock";
import { boot_layout, cpu_base, peek64, rdtsc } from "../arch/intrinsics";
import { bootLayout } from "../lib/layout";
import { Vcpu } from "../vcpu/vcpu";
import { framePayload, frameSend } from "./frames";
import { Recorder, recorder, RECORDER_BYTES } from "./state";

/** Memory is looked at in pieces of this size; those of zeros are not sent. */
const PIECE: u32 = 256;
/** The page at address 0 is never mapped. */
const FIRST_ADDRESS: u32 = 4096;
const MEMORY_HEAD: u32 = 4;
const GLOBALS_HEAD: u32 = 8;

/** Sends the state. Nothing may be logged meanwhile. */
export function sendWindow(vcpu: Vcpu): void {
  sendDescription(vcpu, recorder());
  sendMemory();
  sendGlobals();
}

function globalCount(): u32 {
  return <u32>((bootLayout(LAYOUT_GLOBALS_END) - bootLayout(LAYOUT_GLOBALS_START)) >> 3);
}

function sendDescription(vcpu: Vcpu, state: Recorder): void {
  const payload = framePayload();
  store<u64>(payload, state.exits);
  store<u64>(payload + 8, <u64>changetype<usize>(vcpu));
  store<u64>(payload + 16, <u64>cpu_base());
  store<u64>(payload + 24, boot_layout());
  store<u64>(payload + 32, <u64>memoryEnd());
  store<u64>(payload + 40, <u64>changetype<usize>(state));
  store<u64>(payload + 48, <u64>RECORDER_BYTES);
  store<u64>(payload + 56, tscHz());
  store<u64>(payload + 64, rdtsc());
  store<u64>(payload + 72, state.backendCode);
  store<u64>(payload + 80, globalCount());
  frameSend(RECORDING_FRAME_WINDOW, WINDOW_WORDS * 8);
}

function memoryEnd(): u32 {
  return (<u32>memory.size()) << 16;
}

function sendMemory(): void {
  const end = memoryEnd();
  let at = FIRST_ADDRESS;
  while (at < end) {
    let length: u32 = 0;
    while (at + length < end && length + PIECE <= TRACE_MAX_PAYLOAD - MEMORY_HEAD && !isZero(at + length))
      length += PIECE;
    if (length != 0) sendPiece(at, length);
    at += max(length, PIECE);
  }
}

function isZero(at: u32): bool {
  for (let i: u32 = 0; i < PIECE; i += 8) {
    if (load<u64>(<usize>(at + i)) != 0) return false;
  }
  return true;
}

function sendPiece(at: u32, length: u32): void {
  const payload = framePayload();
  store<u32>(payload, at);
  memory.copy(payload + MEMORY_HEAD, <usize>at, <usize>length);
  frameSend(RECORDING_FRAME_MEMORY, MEMORY_HEAD + length);
}

function sendGlobals(): void {
  const start = bootLayout(LAYOUT_GLOBALS_START);
  const count = globalCount();
  const most = (TRACE_MAX_PAYLOAD - GLOBALS_HEAD) / 8;
  const payload = framePayload();
  for (let first: u32 = 0; first < count; first += most) {
    const pieces = min(most, count - first);
    store<u32>(payload, first);
    store<u32>(payload + 4, 0);
    for (let i: u32 = 0; i < pieces; i++) {
      store<u64>(payload + GLOBALS_HEAD + <usize>i * 8, peek64(start + <u64>(first + i) * 8));
    }
    frameSend(RECORDING_FRAME_GLOBALS, GLOBALS_HEAD + pieces * 8);
  }
}

// Frames to the trace port, and the emptying of the rings into them (kernel/abi/trace.ts).
import {
  RECORD_MAX_ENCODED,
  TRACE_CRC_BYTES,
  TRACE_FRAME_END,
  TRACE_FRAME_EXITS,
  TRACE_FRAME_FILTER,
  TRACE_FRAME_LOST,
  TRACE_FRAME_OVERHEAD,
  TRACE_FRAME_START,
  TRACE_HEADER_BYTES,
  TRACE_MAGIC_0,
  TRACE_MAGIC_1,
  TRACE_MAGIC_2,
  TRACE_MAGIC_3,
  TRACE_MAX_PAYLOAD,
  TRACE_VERSION,
} from "../abi/trace";
import { rdtsc } from "../arch/intrinsics";
import { MAX_CPUS, TRACE_FRAME_PAYLOAD } from "../lib/limits";
import { crc32, crc32Prepare } from "./crc32";
import { encodeRecord, encodeStart } from "./encode";
import { filterDescribe, filterIsOpen, filterReset } from "./filter";
import { ringHeld, ringOf, ringRecord, SINK_STREAM, TraceRing, traceSetSinks, traceSinks } from "./ring";

const frame = memory.data(TRACE_HEADER_BYTES + TRACE_MAX_PAYLOAD + TRACE_CRC_BYTES, 16);
const payload: usize = frame + TRACE_HEADER_BYTES;

let sink: (start: usize, length: u32) => void = discard;
let sequence: u32 = 0;
let started: bool = false;
/** Whether the reader knows of a filter. */
let filterTold: bool = false;

function discard(_start: usize, _length: u32): void {}

/** Boot time: where the stream goes. `write` takes bytes of linear memory and must not fail. */
export function tracePrepare(write: (start: usize, length: u32) => void): void {
  sink = write;
  crc32Prepare();
  filterReset();
}

/** Whether exits are being recorded, for the stream or the log. */
export function traceIsOn(): bool {
  return traceSinks() != 0;
}

/** Whether there is a stream: recording has begun before. */
export function traceHasStream(): bool {
  return started;
}

/** Begins recording; the first time, the start frame describes the machine. */
export function traceStart(tscHz: u64, backend: u32, cpus: u32, vms: u32): void {
  if (!started) {
    store<u64>(payload, tscHz);
    store<u64>(payload + 8, rdtsc());
    store<u32>(payload + 16, backend);
    store<u32>(payload + 20, cpus);
    store<u32>(payload + 24, vms);
    store<u32>(payload + 28, 0);
    send(TRACE_FRAME_START, 32);
    started = true;
    traceTellFilter();
  }
  traceSetSinks(traceSinks() | SINK_STREAM);
}

/** Tells the reader what passes the filter from now on; to be called when it has changed. */
export function traceTellFilter(): void {
  if (!started || (filterIsOpen() && !filterTold)) return;
  filterTold = true;
  for (let cpu: u32 = 0; cpu < MAX_CPUS; cpu++) {
    const ring = ringOf(cpu);
    if (ring !== null) empty(cpu, ring);
  }
  send(TRACE_FRAME_FILTER, filterDescribe(payload));
}

/** Pauses recording; what the rings hold is still sent. */
function tracePause(): void {
  traceSetSinks(traceSinks() & ~SINK_STREAM);
}

/** Sends all that is left, and the totals. */
export function traceFinish(): void {
  if (!started) return;
  let taken: u64 = 0;
  let lost: u64 = 0;
  for (let cpu: u32 = 0; cpu < MAX_CPUS; cpu++) {
    const ring = ringOf(cpu);
    if (ring === null) continue;
    empty(cpu, ring);
    sendPair(TRACE_FRAME_OVERHEAD, cpu, ring.excluded);
    taken += ring.taken;
    lost += ring.lost;
  }
  store<u64>(payload, rdtsc());
  store<u64>(payload + 8, taken);
  store<u64>(payload + 16, lost);
  send(TRACE_FRAME_END, 24);
  tracePause();
}

function empty(cpu: u32, ring: TraceRing): void {
  while (ringHeld(ring) != 0) sendExits(cpu, ring);
  tellLost(cpu, ring);
}

/** Empties one frame's worth of a ring. Returns the ticks that took. */
export function traceDrain(cpu: u32): u64 {
  const ring = ringOf(cpu);
  if (ring === null || ringHeld(ring) == 0) return 0;
  const before = rdtsc();
  sendExits(cpu, ring);
  tellLost(cpu, ring);
  return rdtsc() - before;
}

function sendExits(cpu: u32, ring: TraceRing): void {
  let length: u32 = 8;
  let count: u32 = 0;
  encodeStart();
  while (ringHeld(ring) != 0 && length + RECORD_MAX_ENCODED <= TRACE_FRAME_PAYLOAD) {
    length += encodeRecord(ringRecord(ring, ring.tail), payload + length);
    ring.tail++;
    count++;
  }
  ring.taken += count;
  store<u32>(payload, cpu);
  store<u32>(payload + 4, count);
  send(TRACE_FRAME_EXITS, length);
}

function tellLost(cpu: u32, ring: TraceRing): void {
  const untold = ring.lost - ring.lostTold;
  if (untold == 0) return;
  ring.lostTold = ring.lost;
  sendPair(TRACE_FRAME_LOST, cpu, untold);
}

function sendPair(type: u32, cpu: u32, value: u64): void {
  store<u32>(payload, cpu);
  store<u32>(payload + 4, 0);
  store<u64>(payload + 8, value);
  send(type, 16);
}

/** Sends the first `length` bytes of the payload as one frame. */
function send(type: u32, length: u32): void {
  assert(length <= TRACE_MAX_PAYLOAD, "trace: frame too long");
  store<u8>(frame, <u8>TRACE_MAGIC_0);
  store<u8>(frame + 1, <u8>TRACE_MAGIC_1);
  store<u8>(frame + 2, <u8>TRACE_MAGIC_2);
  store<u8>(frame + 3, <u8>TRACE_MAGIC_3);
  store<u8>(frame + 4, <u8>type);
  store<u8>(frame + 5, <u8>TRACE_VERSION);
  store<u16>(frame + 6, <u16>length);
  store<u32>(frame + 8, sequence++);
  store<u32>(payload + length, crc32(frame + 4, TRACE_HEADER_BYTES - 4 + length));
  sink(frame, TRACE_HEADER_BYTES + length + TRACE_CRC_BYTES);
}

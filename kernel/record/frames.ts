// Frames to the port that carries the recording (kernel/abi/trace.ts, kernel/abi/recording.ts).
import { RECORDING_FRAME_LOG } from "../abi/recording";
import {
  TRACE_HEADER_BYTES,
  TRACE_MAGIC_0,
  TRACE_MAGIC_1,
  TRACE_MAGIC_2,
  TRACE_MAGIC_3,
  TRACE_MAX_PAYLOAD,
  TRACE_VERSION,
} from "../abi/trace";
import { tracePortSettle, tracePortWrite } from "../drivers/traceport";
import { crc32 } from "../trace/crc32";
import { recorder, recorderFrame } from "./state";

/** Linear address of the payload's first byte. */
export function framePayload(): usize {
  return recorderFrame() + TRACE_HEADER_BYTES;
}

/** Sends the first `length` bytes of the payload. Nothing of it is logged. */
export function frameSend(type: u32, length: u32): void {
  const state = recorder();
  const logging = state.logging;
  state.logging = 0;
  const frame = recorderFrame();
  store<u8>(frame, <u8>TRACE_MAGIC_0);
  store<u8>(frame + 1, <u8>TRACE_MAGIC_1);
  store<u8>(frame + 2, <u8>TRACE_MAGIC_2);
  store<u8>(frame + 3, <u8>TRACE_MAGIC_3);
  store<u8>(frame + 4, <u8>type);
  store<u8>(frame + 5, <u8>TRACE_VERSION);
  store<u16>(frame + 6, <u16>length);
  store<u32>(frame + 8, state.sequence++);
  store<u32>(framePayload() + length, crc32(frame + 4, TRACE_HEADER_BYTES - 4 + length));
  tracePortWrite(frame, TRACE_HEADER_BYTES + length + 4);
  tracePortSettle();
  state.logging = logging;
}

/** Sends what the log's payload holds. */
export function logFlush(): void {
  const state = recorder();
  if (state.held == 0) return;
  state.logged += state.held;
  frameSend(RECORDING_FRAME_LOG, state.held);
  state.held = 0;
}

/** Makes room for `bytes` more in the log's payload. */
export function logRoom(bytes: u32): void {
  if (recorder().held + bytes > TRACE_MAX_PAYLOAD) logFlush();
}

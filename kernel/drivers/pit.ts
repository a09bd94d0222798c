// Channel 2 of the computer's 8254, which counts without interrupting anyone: a clock of known rate for calibration.
// (Intel 8254 data sheet, "Mode 0: interrupt on terminal count".)
import { in8, out8 } from "../arch/intrinsics";

const CHANNEL_2: u32 = 0x42;
const COMMAND: u32 = 0x43;
/** System control port B: gate of channel 2 in bit 0, loudspeaker in bit 1. */
const CONTROL_B: u32 = 0x61;
const GATE: u32 = 1 << 0;
const SPEAKER: u32 = 1 << 1;

const COMMAND_CHANNEL_2_MODE_0: u32 = 0xb0;
const COMMAND_LATCH_CHANNEL_2: u32 = 0x80;

/** Ticks per second. */
export const PIT_HZ: u64 = 1_193_182;

/** Starts counting up from 0. */
export function pitStart(): void {
  out8(CONTROL_B, (in8(CONTROL_B) & ~SPEAKER) | GATE);
  out8(COMMAND, COMMAND_CHANNEL_2_MODE_0);
  out8(CHANNEL_2, 0xff);
  out8(CHANNEL_2, 0xff);
}

/** Ticks since `pitStart`, modulo 65536 (55 ms). */
export function pitRead(): u32 {
  out8(COMMAND, COMMAND_LATCH_CHANNEL_2);
  const low = in8(CHANNEL_2);
  return 0xffff - (low | (in8(CHANNEL_2) << 8));
}

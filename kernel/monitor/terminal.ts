// The monitor's side of the console: characters out, keys in.
import { consoleDrain, consoleReceive, consoleTransmit } from "../drivers/console";
import { hostIdle } from "../drivers/timer";

// Keys beyond characters: their codes lie above those of bytes.
export const KEY_UP: u32 = 0x100;
export const KEY_DOWN: u32 = 0x101;
export const KEY_RIGHT: u32 = 0x102;
export const KEY_LEFT: u32 = 0x103;
export const KEY_END: u32 = 0x105;
export const KEY_HOME: u32 = 0x107;
const KEY_UNKNOWN: u32 = 0x1ff;

export const ESC: u32 = 0x1b;
export const BELL: u32 = 0x07;

/** Sends a byte to the terminal; waits for room. */
export function put(byte: u32): void {
  if (consoleTransmit(byte)) return;
  consoleDrain();
  consoleTransmit(byte);
}

/** The next byte typed; the processor idles until there is one. */
function nextByte(): u32 {
  let byte = consoleReceive();
  while (byte < 0) {
    hostIdle(U64.MAX_VALUE);
    byte = consoleReceive();
  }
  return byte;
}

/** The next key: a byte, or KEY_* for what terminals send as several (ECMA-48, "Cursor" control functions; xterm's forms). */
export function readKey(): u32 {
  const byte = nextByte();
  if (byte != ESC) return byte;
  const kind = nextByte();
  if (kind != 0x5b && kind != 0x4f) return KEY_UNKNOWN;
  let last = nextByte();
  // Parameters come before the final letter.
  while (last < 0x40) last = nextByte();
  return last >= 0x41 && last <= 0x48 ? KEY_UP + (last - 0x41) : KEY_UNKNOWN;
}

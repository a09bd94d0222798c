// Where the trace stream goes: the second serial port, or port E9h, the debug console of emulators, which takes bytes at
// any rate (Bochs paces its serial ports to their baud rate).
import { in8, out8, pause } from "../arch/intrinsics";
import { COM2, STATUS_HOLDING_EMPTY, UART_DATA, UART_FIFO_BYTES, UART_LINE_STATUS } from "./serial";

const DEBUG_CONSOLE: u32 = 0xe9;
/** Polls before the port counts as dead: a trace must never hang the machine. */
const PATIENCE: u32 = 1_000_000;

let port: u32 = COM2;

/** Sends the stream to port E9h instead of COM2. */
export function tracePortUseDebugConsole(): void {
  port = DEBUG_CONSOLE;
}

/** Sends `length` bytes of linear memory. */
export function tracePortWrite(start: usize, length: u32): void {
  let credit: u32 = port == DEBUG_CONSOLE ? length : 0;
  for (let i: u32 = 0; i < length; i++) {
    if (credit == 0) {
      waitForRoom();
      credit = UART_FIFO_BYTES;
    }
    out8(port + UART_DATA, load<u8>(start + i));
    credit--;
  }
}

function waitForRoom(): void {
  for (let polls: u32 = 0; polls < PATIENCE; polls++) {
    if ((in8(port + UART_LINE_STATUS) & STATUS_HOLDING_EMPTY) != 0) return;
    pause();
  }
}

/** Waits until the port takes bytes from others again, who may already have asked whether it does. */
export function tracePortSettle(): void {
  if (port != DEBUG_CONSOLE) waitForRoom();
}

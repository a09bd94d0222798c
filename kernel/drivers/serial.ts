// The computer's own 16550 serial ports, by polling; kernel/drivers/console.ts adds interrupts for the console.
// (National Semiconductor PC16550D data sheet, "Registers".)
import { in8, out8, pause } from "../arch/intrinsics";

export const COM1: u32 = 0x3f8;
export const COM2: u32 = 0x2f8;

// Registers: offsets from the port's base.
export const UART_DATA: u32 = 0;
export const UART_INTERRUPT_ENABLE: u32 = 1;
export const UART_FIFO_CONTROL: u32 = 2;
const UART_INTERRUPT_ID: u32 = 2;
const UART_LINE_CONTROL: u32 = 3;
const UART_MODEM_CONTROL: u32 = 4;
export const UART_LINE_STATUS: u32 = 5;
const UART_SCRATCH: u32 = 7;

export const INTERRUPT_RECEIVED: u32 = 1 << 0;
export const INTERRUPT_TRANSMITTER_EMPTY: u32 = 1 << 1;
/** FIFOs on and cleared, receiver interrupt at 8 of 16 bytes (or on a pause). */
const FIFO_ENABLE_CLEAR: u32 = 0x87;
const LINE_8N1: u32 = 0x03;
const LINE_DIVISOR: u32 = 0x80;
/** DTR, RTS, and OUT2, which lets interrupts through on a PC. */
const MODEM_READY: u32 = 0x0b;
export const STATUS_DATA_READY: u32 = 1 << 0;
export const STATUS_HOLDING_EMPTY: u32 = 1 << 5;
const STATUS_IDLE: u32 = 1 << 6;

/** Bytes that the transmitter takes once its holding register is empty. */
export const UART_FIFO_BYTES: u32 = 16;
/** Polls before a port counts as dead: a log must never hang the machine. */
const PATIENCE: u32 = 1_000_000;

/** Sets a port to 115200 baud, 8N1, FIFOs on, interrupts off. False: there is no port. */
export function serialStart(port: u32): bool {
  out8(port + UART_SCRATCH, 0x5a);
  if (in8(port + UART_SCRATCH) != 0x5a || in8(port + UART_LINE_STATUS) == 0xff) return false;
  out8(port + UART_INTERRUPT_ENABLE, 0);
  out8(port + UART_LINE_CONTROL, LINE_DIVISOR | LINE_8N1);
  out8(port + UART_DATA, 1);
  out8(port + UART_INTERRUPT_ENABLE, 0);
  out8(port + UART_LINE_CONTROL, LINE_8N1);
  out8(port + UART_FIFO_CONTROL, FIFO_ENABLE_CLEAR);
  out8(port + UART_MODEM_CONTROL, MODEM_READY);
  in8(port + UART_INTERRUPT_ID);
  return true;
}

/** Sends one byte, waiting for room. */
export function serialPut(port: u32, byte: u32): void {
  waitFor(port, STATUS_HOLDING_EMPTY);
  out8(port + UART_DATA, byte);
}

/** Waits until the last bit has left. */
export function serialFlush(port: u32): void {
  waitFor(port, STATUS_IDLE);
}

function waitFor(port: u32, status: u32): void {
  for (let polls: u32 = 0; polls < PATIENCE; polls++) {
    if ((in8(port + UART_LINE_STATUS) & status) != 0) return;
    pause();
  }
}

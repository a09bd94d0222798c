// The computer's COM1 as the guest's console: bytes in both directions through rings, moved by interrupts, so that neither
// a flood of output nor a long paste waits or loses anything.
import { in8, out8 } from "../arch/intrinsics";
import {
  COM1,
  INTERRUPT_RECEIVED,
  INTERRUPT_TRANSMITTER_EMPTY,
  STATUS_DATA_READY,
  STATUS_HOLDING_EMPTY,
  UART_DATA,
  UART_FIFO_BYTES,
  UART_INTERRUPT_ENABLE,
  UART_LINE_STATUS,
} from "./serial";

/** ISA interrupt of COM1. */
export const CONSOLE_IRQ: u32 = 4;

/** Bytes of each ring; a power of two. */
const RING_BYTES: u32 = 8192;
const RING_MASK: u32 = RING_BYTES - 1;

const received = memory.data(8192, 16);
let receivedHead: u32 = 0;
let receivedTail: u32 = 0;
const waiting = memory.data(8192, 16);
let waitingHead: u32 = 0;
let waitingTail: u32 = 0;

let present: bool = false;
/** Bytes that the transmitter's FIFO takes without asking. */
let credit: u32 = 0;
/** The receive ring was full: the UART still holds bytes and will not interrupt for them again. */
let blocked: bool = false;
let transmitInterrupt: bool = false;

/** Takes the port over. `serialStart(COM1)` has found it, and its interrupt is routed. */
export function consoleStart(): void {
  present = true;
  out8(COM1 + UART_INTERRUPT_ENABLE, INTERRUPT_RECEIVED);
  receiveAll();
}

/** The next byte typed at the console, or -1. */
export function consoleReceive(): i32 {
  if (receivedHead == receivedTail) return -1;
  const byte = load<u8>(received + (receivedTail++ & RING_MASK));
  if (blocked) receiveAll();
  return byte;
}

/** Whether `consoleTransmit` would take a byte. */
export function consoleHasRoom(): bool {
  return !present || waitingHead - waitingTail < RING_BYTES;
}

/** Sends a byte to the console. False: the ring is full; try again later. Without a port, output is dropped. */
export function consoleTransmit(byte: u32): bool {
  if (!present) return true;
  if (waitingHead == waitingTail) {
    if (credit == 0 && (in8(COM1 + UART_LINE_STATUS) & STATUS_HOLDING_EMPTY) != 0) credit = UART_FIFO_BYTES;
    if (credit != 0) {
      credit--;
      out8(COM1 + UART_DATA, byte);
      return true;
    }
  }
  if (waitingHead - waitingTail == RING_BYTES) return false;
  store<u8>(waiting + (waitingHead++ & RING_MASK), <u8>byte);
  if (!transmitInterrupt) enableTransmitInterrupt(true);
  return true;
}

/**
 * Does what the port's interrupt would do. Progress does not depend on that one: an emulated interrupt controller may keep it
 * back for as long as a guest runs with interrupts off.
 */
export function consolePoll(): void {
  if (present) consoleInterrupt();
}

/** The port's interrupt: takes what has arrived and refills the transmitter. */
export function consoleInterrupt(): void {
  receiveAll();
  if (waitingHead != waitingTail && (in8(COM1 + UART_LINE_STATUS) & STATUS_HOLDING_EMPTY) != 0) {
    credit = UART_FIFO_BYTES;
    while (credit != 0 && waitingHead != waitingTail) {
      credit--;
      out8(COM1 + UART_DATA, load<u8>(waiting + (waitingTail++ & RING_MASK)));
    }
  }
  if (transmitInterrupt && waitingHead == waitingTail) enableTransmitInterrupt(false);
}

/** Sends what still waits, by polling: before the machine stops. */
export function consoleDrain(): void {
  if (!present) return;
  for (let polls: u32 = 0; waitingHead != waitingTail && polls < DRAIN_POLLS; polls++) consoleInterrupt();
}

const DRAIN_POLLS: u32 = 10_000_000;

function receiveAll(): void {
  blocked = false;
  while ((in8(COM1 + UART_LINE_STATUS) & STATUS_DATA_READY) != 0) {
    if (receivedHead - receivedTail == RING_BYTES) {
      blocked = true;
      return;
    }
    store<u8>(received + (receivedHead++ & RING_MASK), <u8>in8(COM1 + UART_DATA));
  }
}

function enableTransmitInterrupt(on: bool): void {
  transmitInterrupt = on;
  out8(
    COM1 + UART_INTERRUPT_ENABLE,
    on ? INTERRUPT_RECEIVED | INTERRUPT_TRANSMITTER_EMPTY : INTERRUPT_RECEIVED,
  );
}

// The keyboard controller of a PC (Intel 8042 as the IBM PC/AT Technical Reference, "Keyboard Controller",
// describes it), with nothing plugged in, and system control port A. Commands answer as a controller without
// auxiliary port does, so that an operating system which probes it finds a healthy controller and no
// keyboard. Its use here is resetting the machine.
import { arenaNewWithTail } from "../lib/arena";
import { tailOf } from "../lib/tail";
import { isPortSize } from "../lib/sizes";

// Offsets; the platform maps ports to them.
/** Data port, 60h. */
export const I8042_DATA: u32 = 0;
/** Status and command port, 64h. */
export const I8042_COMMAND: u32 = 4;
/** System control port A, 92h: A20 gate (bit 1) and fast reset (bit 0). */
export const I8042_PORT_A: u32 = 8;

// Status: 7 parity error | 6 time-out | 5 auxiliary data | 4 not locked | 3 last write was a command | 2
// system | 1 input full | 0 output full.
const STATUS_OUTPUT_FULL: u32 = 1 << 0;
const STATUS_SYSTEM: u32 = 1 << 2;
const STATUS_COMMAND: u32 = 1 << 3;
const STATUS_NOT_LOCKED: u32 = 1 << 4;
const STATUS_TIMEOUT: u32 = 1 << 6;

// Command byte: 6 translate | 5 auxiliary clock off | 4 keyboard clock off | 2 system flag | 1 auxiliary
// interrupt | 0 keyboard interrupt.
const CTR_KEYBOARD_INTERRUPT: u32 = 1 << 0;
const CTR_SYSTEM: u32 = 1 << 2;
const CTR_KEYBOARD_OFF: u32 = 1 << 4;
const CTR_AUXILIARY_OFF: u32 = 1 << 5;

const READ_MEMORY: u32 = 0x20;
const WRITE_MEMORY: u32 = 0x60;
const DISABLE_AUXILIARY: u32 = 0xa7;
const ENABLE_AUXILIARY: u32 = 0xa8;
const TEST_AUXILIARY: u32 = 0xa9;
const SELF_TEST: u32 = 0xaa;
const TEST_KEYBOARD: u32 = 0xab;
const DISABLE_KEYBOARD: u32 = 0xad;
const ENABLE_KEYBOARD: u32 = 0xae;
const READ_INPUT_PORT: u32 = 0xc0;
const READ_OUTPUT_PORT: u32 = 0xd0;
const WRITE_OUTPUT_PORT: u32 = 0xd1;
const WRITE_KEYBOARD_OUTPUT: u32 = 0xd2;
const WRITE_AUXILIARY_OUTPUT: u32 = 0xd3;
const WRITE_AUXILIARY: u32 = 0xd4;
const PULSE_OUTPUT: u32 = 0xf0;

const SELF_TEST_PASSED: u32 = 0x55;
/** Clock line stuck high: what a test of an absent auxiliary port gives. */
const AUXILIARY_ABSENT: u32 = 0x02;
/** What the keyboard port receives for a byte that nobody acknowledges: RESEND, with the time-out bit. */
const NO_ANSWER: u32 = 0xfe;
/** Output port: 4 output buffer full | 1 A20 | 0 not reset. */
const OUTPUT_NOT_RESET: u32 = 1 << 0;
const OUTPUT_A20: u32 = 1 << 1;
const OUTPUT_BUFFER_FULL: u32 = 1 << 4;
/** Input port: 7 keyboard not inhibited. */
const INPUT_PORT: u32 = 1 << 7;
const MEMORY_BYTES: u32 = 32;

/** No command waits for its data byte. */
const NO_COMMAND: u32 = 0;

/** Ends in the controller's memory, MEMORY_BYTES of it; byte 0 is the command byte. */
@unmanaged
export class I8042 {
  /** Output buffer, and whether it holds a byte from the keyboard port with its time-out bit. */
  output: u32;
  outputFull: bool;
  timeout: bool;
  /** Command that waits for its data byte, or NO_COMMAND. */
  command: u32;
  lastWasCommand: bool;
  /** The self-test has run: status bit 2. */
  tested: bool;
  /** The guest asked for a reset (command FEh, output port bit 0, port A bit 0). */
  resetRequested: bool;
  /** State of the A20 gate: for reading back only; addresses are never masked. */
  a20: bool;
}

/** Storage for one; boot time only. */
export function i8042New(): I8042 {
  return arenaNewWithTail<I8042>(<usize>MEMORY_BYTES);
}

/** As firmware leaves it: self-test passed, A20 on, keyboard and auxiliary clocks off, interrupts off. */
export function i8042Reset(d: I8042): void {
  memory.fill(changetype<usize>(d), 0, offsetof<I8042>() + <usize>MEMORY_BYTES);
  d.tested = true;
  d.a20 = true;
  setMemory(d, 0, CTR_SYSTEM | CTR_KEYBOARD_OFF | CTR_AUXILIARY_OFF);
}

/** Port read at one of the offsets above; bytes past it read as ones. */
export function i8042Read(d: I8042, offset: u32, size: u32, _now: u64): u32 {
  assert(isPortSize(size), "i8042: bytes of an access");
  const others: u32 = size > 1 ? 0xffffff00 : 0;
  switch (offset) {
    case I8042_DATA:
      return readData(d) | others;
    case I8042_COMMAND:
      return status(d) | others;
    case I8042_PORT_A:
      return (d.a20 ? 2 : 0) | others;
    default:
      return 0xff | others;
  }
}

/** Port write: the low byte counts. */
export function i8042Write(d: I8042, offset: u32, _size: u32, value: u32, _now: u64): void {
  assert(isPortSize(_size), "i8042: bytes of an access");
  const byte = value & 0xff;
  switch (offset) {
    case I8042_DATA:
      writeData(d, byte);
      break;
    case I8042_COMMAND:
      d.lastWasCommand = true;
      writeCommand(d, byte);
      break;
    case I8042_PORT_A:
      d.a20 = (byte & 2) != 0;
      if ((byte & 1) != 0) d.resetRequested = true;
      break;
    default:
      break;
  }
}

/** IRQ 1: the output buffer is full and its interrupt enabled. */
export function i8042Line(d: I8042, _now: u64): bool {
  assert(d.output <= 0xff, "i8042: a byte");
  return d.outputFull && (memoryAt(d, 0) & CTR_KEYBOARD_INTERRUPT) != 0;
}

function memoryAt(d: I8042, index: u32): u32 {
  assert(index < MEMORY_BYTES, "i8042: address in its memory");
  return load<u8>(tailOf(d) + <usize>index);
}

function setMemory(d: I8042, index: u32, value: u32): void {
  assert(index < MEMORY_BYTES, "i8042: address in its memory");
  assert(value <= 0xff, "i8042: a byte");
  store<u8>(tailOf(d) + <usize>index, <u8>value);
}

function status(d: I8042): u32 {
  assert(!d.timeout || d.output == NO_ANSWER, "i8042: nothing but the keyboard times out");
  return (
    STATUS_NOT_LOCKED |
    (d.outputFull ? STATUS_OUTPUT_FULL : 0) |
    (d.outputFull && d.timeout ? STATUS_TIMEOUT : 0) |
    (d.tested ? STATUS_SYSTEM : 0) |
    (d.lastWasCommand ? STATUS_COMMAND : 0)
  );
}

function readData(d: I8042): u32 {
  assert(d.output <= 0xff, "i8042: a byte");
  d.outputFull = false;
  return d.output;
}

function reply(d: I8042, byte: u32): void {
  assert(byte <= 0xff, "i8042: a byte");
  d.output = byte;
  d.outputFull = true;
  d.timeout = false;
}

/** A byte for the command that waits, or for the keyboard, where nobody answers. */
function writeData(d: I8042, byte: u32): void {
  assert(byte <= 0xff, "i8042: a byte");
  const command = d.command;
  d.command = NO_COMMAND;
  d.lastWasCommand = false;
  if (command >= WRITE_MEMORY && command < WRITE_MEMORY + MEMORY_BYTES) {
    setMemory(d, command - WRITE_MEMORY, byte);
    return;
  }
  switch (command) {
    case WRITE_OUTPUT_PORT:
      d.a20 = (byte & OUTPUT_A20) != 0;
      if ((byte & OUTPUT_NOT_RESET) == 0) d.resetRequested = true;
      break;
    case WRITE_KEYBOARD_OUTPUT:
      reply(d, byte);
      break;
    case WRITE_AUXILIARY_OUTPUT: // no auxiliary port: neither echo nor answer
    case WRITE_AUXILIARY:
      break;
    default:
      reply(d, NO_ANSWER);
      d.timeout = true;
      break;
  }
}

function writeCommand(d: I8042, command: u32): void {
  assert(command <= 0xff, "i8042: a byte");
  d.command = NO_COMMAND;
  if (command >= READ_MEMORY && command < READ_MEMORY + MEMORY_BYTES) {
    reply(d, memoryAt(d, command - READ_MEMORY));
  } else if (command >= WRITE_MEMORY && command < WRITE_MEMORY + MEMORY_BYTES) {
    d.command = command;
  } else if (command >= PULSE_OUTPUT) {
    if ((command & OUTPUT_NOT_RESET) == 0) d.resetRequested = true;
  } else {
    runCommand(d, command);
  }
}

function runCommand(d: I8042, command: u32): void {
  assert(d.command == NO_COMMAND, "i8042: another command waits");
  const ctr = memoryAt(d, 0);
  switch (command) {
    case DISABLE_AUXILIARY:
      setMemory(d, 0, ctr | CTR_AUXILIARY_OFF);
      break;
    case ENABLE_AUXILIARY:
      setMemory(d, 0, ctr & ~CTR_AUXILIARY_OFF);
      break;
    case TEST_AUXILIARY:
      reply(d, AUXILIARY_ABSENT);
      break;
    case SELF_TEST:
      d.tested = true;
      reply(d, SELF_TEST_PASSED);
      break;
    case TEST_KEYBOARD:
      reply(d, 0);
      break;
    case DISABLE_KEYBOARD:
      setMemory(d, 0, ctr | CTR_KEYBOARD_OFF);
      break;
    case ENABLE_KEYBOARD:
      setMemory(d, 0, ctr & ~CTR_KEYBOARD_OFF);
      break;
    case READ_INPUT_PORT:
      reply(d, INPUT_PORT);
      break;
    case READ_OUTPUT_PORT:
      reply(d, OUTPUT_NOT_RESET | (d.a20 ? OUTPUT_A20 : 0) | (d.outputFull ? OUTPUT_BUFFER_FULL : 0));
      break;
    case WRITE_OUTPUT_PORT:
    case WRITE_KEYBOARD_OUTPUT:
    case WRITE_AUXILIARY_OUTPUT:
    case WRITE_AUXILIARY:
      d.command = command;
      break;
    default: // unknown commands do nothing
      break;
  }
}

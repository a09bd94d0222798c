// A 16550A serial port as its data sheet (National Semiconductor "PC16550D Universal Asynchronous
// Receiver/Transmitter with FIFOs") and the PC's wiring have it: OUT2 gates the interrupt, carrier and peer
// are always there.
//
// The transmitter is a ring that the platform drains. It takes a byte at once, and stops reporting an empty
// holding register while a full FIFO's worth of bytes would not fit: a guest that obeys LSR.THRE never loses
// output. The receiver takes bytes only while it has room, so an overrun happens only in loopback, by the
// guest's own doing.
import { arenaNewWithTail } from "../lib/arena";
import { tailOf } from "../lib/tail";
import { isPortSize } from "../lib/sizes";

// Register offsets. With LCR.DLAB set, 0 and 1 are the divisor latch.
const DATA: u32 = 0;
const IER: u32 = 1;
/** Read: interrupt identification; write: FIFO control. */
const IIR_FCR: u32 = 2;
const LCR: u32 = 3;
const MCR: u32 = 4;
const LSR: u32 = 5;
const MSR: u32 = 6;
const SCRATCH: u32 = 7;

// Interrupt enable register.
const IER_RECEIVED_DATA: u32 = 1 << 0;
const IER_TRANSMITTER_EMPTY: u32 = 1 << 1;
const IER_LINE_STATUS: u32 = 1 << 2;
const IER_MODEM_STATUS: u32 = 1 << 3;

// Interrupt identification, highest priority first.
const IIR_LINE_STATUS: u32 = 0x06;
const IIR_RECEIVED_DATA: u32 = 0x04;
const IIR_CHARACTER_TIMEOUT: u32 = 0x0c;
const IIR_TRANSMITTER_EMPTY: u32 = 0x02;
const IIR_MODEM_STATUS: u32 = 0x00;
const IIR_NONE: u32 = 0x01;
const IIR_FIFOS_ENABLED: u32 = 0xc0;

// FIFO control: 7..6 receiver trigger | 3 DMA mode | 2 reset transmitter | 1 reset receiver | 0 enable.
const FCR_ENABLE: u32 = 1 << 0;
const FCR_RESET_RECEIVER: u32 = 1 << 1;
const FCR_TRIGGER_SHIFT: u32 = 6;

// Line control: 7 divisor latch access | 6 break | 5..3 parity | 2 two stop bits | 1..0 word length - 5.
const LCR_WORD_LENGTH: u32 = 3;
const LCR_TWO_STOP_BITS: u32 = 1 << 2;
const LCR_PARITY: u32 = 1 << 3;
const LCR_DIVISOR_LATCH: u32 = 1 << 7;

const MCR_DTR: u32 = 1 << 0;
const MCR_RTS: u32 = 1 << 1;
const MCR_OUT1: u32 = 1 << 2;
const MCR_OUT2: u32 = 1 << 3;
const MCR_LOOPBACK: u32 = 1 << 4;
const MCR_WRITABLE: u32 = 0x1f;

const LSR_DATA_READY: u32 = 1 << 0;
const LSR_OVERRUN: u32 = 1 << 1;
const LSR_HOLDING_EMPTY: u32 = 1 << 5;
const LSR_TRANSMITTER_EMPTY: u32 = 1 << 6;

// Modem status: 7 DCD, 6 RI, 5 DSR, 4 CTS; 3..0 their changes since the last read (RI: trailing edge).
const MSR_CTS: u32 = 1 << 4;
const MSR_DSR: u32 = 1 << 5;
const MSR_RI: u32 = 1 << 6;
const MSR_DCD: u32 = 1 << 7;
const MSR_CHANGES: u32 = 0x0f;

const FIFO: u32 = 16;
/** Bytes of the output ring: a power of two. */
const RING: u32 = 4096;
/** Bits per second at divisor 1: a 1.8432 MHz crystal over 16. */
const BASE_RATE: u64 = 115_200;
const SECOND: u64 = 1_000_000_000;
/** Characters of silence after which a FIFO below its trigger interrupts. */
const TIMEOUT_CHARACTERS: u64 = 4;

/** Ends in the receiver FIFO (16 bytes), then the output ring. Nothing that arrives has parity or framing errors. */
@unmanaged
export class Uart16550 {
  ier: u32;
  lcr: u32;
  mcr: u32;
  scratch: u32;
  divisor: u32;
  fifosEnabled: bool;
  /** Receiver FIFO level that interrupts: 1, 4, 8 or 14. */
  trigger: u32;
  /** LSR_OVERRUN until the guest has read it, else 0. */
  errors: u32;
  /** MSR change bits not yet read. */
  modemChanges: u32;
  /** The transmitter-empty interrupt waits to be acknowledged. */
  emptyPending: bool;
  /** The character-timeout interrupt waits for a read of the FIFO. */
  timeoutPending: bool;
  /** Index of the oldest received character, and how many there are. */
  receiveHead: u32;
  receiveCount: u32;
  /** What the receiver buffer register showed last. */
  receiveLast: u32;
  /** VM time of the last arrival in or read from the receiver FIFO. */
  receiveTime: u64;
  /** Free-running counts of bytes taken from and put into the output ring. */
  ringHead: u32;
  ringTail: u32;
}

/** Storage for one; boot time only. */
export function uart16550New(): Uart16550 {
  return arenaNewWithTail<Uart16550>(FIFO + RING);
}

/** Master reset. Bytes that the guest has sent stay in the output ring: they have left the UART. */
export function uart16550Reset(d: Uart16550): void {
  const head = d.ringHead;
  const tail = d.ringTail;
  memory.fill(changetype<usize>(d), 0, offsetof<Uart16550>());
  d.ringHead = head;
  d.ringTail = tail;
  d.trigger = 1;
  d.divisor = 1;
  assert(d.ringTail - d.ringHead <= RING, "uart: more than the ring holds");
}

/** Register read at `offset` 0..7; a wider access reads the following registers too, as the bus splits it. */
export function uart16550Read(d: Uart16550, offset: u32, size: u32, now: u64): u32 {
  if (isDefined(CHECKED)) assert(offset <= SCRATCH, "uart: register");
  if (isDefined(CHECKED)) assert(isPortSize(size), "uart: bytes of an access");
  uart16550Advance(d, now);
  if (size == 1) return readRegister(d, offset, now);
  let value: u32 = 0;
  for (let i: u32 = 0; i < size; i++) value |= readRegister(d, offset + i, now) << (i * 8);
  return value;
}

/** Register write at `offset` 0..7; a wider access writes the following registers too. */
export function uart16550Write(d: Uart16550, offset: u32, size: u32, value: u32, now: u64): void {
  if (isDefined(CHECKED)) assert(offset <= SCRATCH, "uart: register");
  if (isDefined(CHECKED)) assert(isPortSize(size), "uart: bytes of an access");
  uart16550Advance(d, now);
  for (let i: u32 = 0; i < size; i++) writeRegister(d, offset + i, (value >> (i * 8)) & 0xff, now);
}

/** INTR behind the PC's OUT2 gate. Loopback drives the OUT2 pin inactive. */
export function uart16550Line(d: Uart16550, now: u64): bool {
  if (isDefined(CHECKED)) assert((d.ier & 0xf0) == 0, "uart: interrupt enable");
  uart16550Advance(d, now);
  return (d.mcr & (MCR_OUT2 | MCR_LOOPBACK)) == MCR_OUT2 && interruptId(d) != IIR_NONE;
}

/** When the character timeout will interrupt. */
export function uart16550Deadline(d: Uart16550, _now: u64): u64 {
  if (isDefined(CHECKED)) assert(d.receiveCount <= FIFO, "uart: more than the FIFO holds");
  const waiting =
    d.fifosEnabled && d.receiveCount != 0 && !d.timeoutPending && (d.ier & IER_RECEIVED_DATA) != 0;
  return waiting ? d.receiveTime + timeoutNs(d) : u64.MAX_VALUE;
}

export function uart16550Advance(d: Uart16550, now: u64): void {
  if (isDefined(CHECKED)) assert(d.receiveCount <= FIFO, "uart: more than the FIFO holds");
  if (d.receiveCount == 0 || !d.fifosEnabled) return;
  if (now >= d.receiveTime + timeoutNs(d)) d.timeoutPending = true;
}

/** A byte arrives from the line. False: the receiver is full or in loopback; offer it again later. */
export function uart16550Receive(d: Uart16550, byte: u32, now: u64): bool {
  assert(d.receiveHead < FIFO, "uart: place in the FIFO");
  if ((d.mcr & MCR_LOOPBACK) != 0 || receiverFull(d)) return false;
  uart16550Advance(d, now);
  enqueue(d, byte & 0xff, now);
  return true;
}

/** Bytes that the guest has sent and the platform has not taken. */
export function uart16550OutputCount(d: Uart16550): u32 {
  if (isDefined(CHECKED)) assert(d.ringTail - d.ringHead <= RING, "uart: more than the ring holds");
  return d.ringTail - d.ringHead;
}

/**
 * Takes the oldest of them; there must be one. May raise the line, since the transmitter may become empty.
 */
export function uart16550OutputTake(d: Uart16550): u32 {
  assert(d.ringTail != d.ringHead, "uart16550: nothing to take");
  const wasEmpty = holdingEmpty(d);
  const byte = load<u8>(ringStart(d) + <usize>(d.ringHead & (RING - 1)));
  d.ringHead += 1;
  if (!wasEmpty && holdingEmpty(d)) d.emptyPending = true;
  return byte;
}

function ringStart(d: Uart16550): usize {
  return tailOf(d) + <usize>FIFO;
}

/** LSR.THRE: the output ring has room for all that a driver may send after seeing it. */
function holdingEmpty(d: Uart16550): bool {
  assert(d.ringTail - d.ringHead <= RING, "uart: more than the ring holds");
  return RING - (d.ringTail - d.ringHead) >= FIFO;
}

/** Silence that makes the character timeout: four characters of start, data, parity and stop bits. */
function timeoutNs(d: Uart16550): u64 {
  assert(d.divisor <= 0xffff, "uart: divisor");
  const data = 5 + (d.lcr & LCR_WORD_LENGTH);
  const parity: u32 = (d.lcr & LCR_PARITY) != 0 ? 1 : 0;
  const stop: u32 = (d.lcr & LCR_TWO_STOP_BITS) != 0 ? 2 : 1;
  const divisor: u64 = d.divisor == 0 ? 1 : d.divisor;
  return (TIMEOUT_CHARACTERS * <u64>(1 + data + parity + stop) * divisor * SECOND) / BASE_RATE;
}

function readRegister(d: Uart16550, offset: u32, now: u64): u32 {
  if (isDefined(CHECKED)) assert(d.lcr <= 0xff && d.divisor <= 0xffff, "uart: register");
  switch (offset) {
    case DATA:
      return (d.lcr & LCR_DIVISOR_LATCH) != 0 ? d.divisor & 0xff : readReceiver(d, now);
    case IER:
      return (d.lcr & LCR_DIVISOR_LATCH) != 0 ? d.divisor >> 8 : d.ier;
    case IIR_FCR:
      return readInterruptId(d);
    case LCR:
      return d.lcr;
    case MCR:
      return d.mcr;
    case LSR:
      return readLineStatus(d);
    case MSR:
      return readModemStatus(d);
    case SCRATCH:
      return d.scratch;
    default:
      return 0xff;
  }
}

function writeRegister(d: Uart16550, offset: u32, value: u32, now: u64): void {
  assert(value <= 0xff, "uart: a byte");
  switch (offset) {
    case DATA:
      if ((d.lcr & LCR_DIVISOR_LATCH) != 0) d.divisor = (d.divisor & 0xff00) | value;
      else transmit(d, value, now);
      break;
    case IER:
      if ((d.lcr & LCR_DIVISOR_LATCH) != 0) d.divisor = (d.divisor & 0x00ff) | (value << 8);
      else writeInterruptEnable(d, value);
      break;
    case IIR_FCR:
      writeFifoControl(d, value);
      break;
    case LCR:
      d.lcr = value;
      break;
    case MCR:
      writeModemControl(d, value);
      break;
    case SCRATCH:
      d.scratch = value;
      break;
    default: // LSR and MSR: writes are for factory testing
      break;
  }
}

/** The highest-priority interrupt that is enabled and pending. */
function interruptId(d: Uart16550): u32 {
  if (isDefined(CHECKED)) assert(d.trigger >= 1 && d.trigger <= 14, "uart: trigger");
  const ier = d.ier;
  if ((ier & IER_LINE_STATUS) != 0 && d.errors != 0) return IIR_LINE_STATUS;
  if ((ier & IER_RECEIVED_DATA) != 0 && d.receiveCount != 0) {
    if (!d.fifosEnabled || d.receiveCount >= d.trigger) return IIR_RECEIVED_DATA;
    if (d.timeoutPending) return IIR_CHARACTER_TIMEOUT;
  }
  if ((ier & IER_TRANSMITTER_EMPTY) != 0 && d.emptyPending) return IIR_TRANSMITTER_EMPTY;
  if ((ier & IER_MODEM_STATUS) != 0 && d.modemChanges != 0) return IIR_MODEM_STATUS;
  return IIR_NONE;
}

/** Reading the identification acknowledges the transmitter-empty interrupt if it is the one shown. */
function readInterruptId(d: Uart16550): u32 {
  const id = interruptId(d);
  assert(id <= IIR_CHARACTER_TIMEOUT, "uart: identification");
  if (id == IIR_TRANSMITTER_EMPTY) d.emptyPending = false;
  return d.fifosEnabled ? id | IIR_FIFOS_ENABLED : id;
}

/**
 * Enabling the transmitter-empty interrupt while the register is empty raises it at once: drivers rely on it.
 */
function writeInterruptEnable(d: Uart16550, value: u32): void {
  assert(value <= 0xff, "uart: a byte");
  const enabled = value & ~d.ier;
  const disabled = d.ier & ~value;
  d.ier = value & 0x0f;
  if ((enabled & IER_TRANSMITTER_EMPTY) != 0 && holdingEmpty(d)) d.emptyPending = true;
  if ((disabled & IER_TRANSMITTER_EMPTY) != 0) d.emptyPending = false;
}

/** Bits besides the enable bit count only when it is set; changing it empties the FIFOs. */
function writeFifoControl(d: Uart16550, value: u32): void {
  assert(value <= 0xff, "uart: a byte");
  const enable = (value & FCR_ENABLE) != 0;
  if (enable != d.fifosEnabled || (enable && (value & FCR_RESET_RECEIVER) != 0)) clearReceiver(d);
  d.fifosEnabled = enable;
  if (!enable) return;
  switch (value >> FCR_TRIGGER_SHIFT) {
    case 0:
      d.trigger = 1;
      break;
    case 1:
      d.trigger = 4;
      break;
    case 2:
      d.trigger = 8;
      break;
    default:
      d.trigger = 14;
      break;
  }
}

function writeModemControl(d: Uart16550, value: u32): void {
  assert(value <= 0xff, "uart: a byte");
  const before = modemInputs(d);
  d.mcr = value & MCR_WRITABLE;
  const after = modemInputs(d);
  const changed = (before ^ after) & (MSR_CTS | MSR_DSR | MSR_DCD);
  const ringEnded = before & ~after & MSR_RI;
  d.modemChanges |= ((changed | ringEnded) >> 4) & MSR_CHANGES;
  if (isDefined(CHECKED)) assert((d.modemChanges & ~MSR_CHANGES) == 0, "uart: modem status");
}

/** Modem inputs: a peer that is always ready, or in loopback the modem outputs. */
function modemInputs(d: Uart16550): u32 {
  if (isDefined(CHECKED)) assert((d.mcr & ~MCR_WRITABLE) == 0, "uart: modem control");
  if ((d.mcr & MCR_LOOPBACK) == 0) return MSR_CTS | MSR_DSR | MSR_DCD;
  let inputs: u32 = 0;
  if ((d.mcr & MCR_RTS) != 0) inputs |= MSR_CTS;
  if ((d.mcr & MCR_DTR) != 0) inputs |= MSR_DSR;
  if ((d.mcr & MCR_OUT1) != 0) inputs |= MSR_RI;
  if ((d.mcr & MCR_OUT2) != 0) inputs |= MSR_DCD;
  return inputs;
}

function readModemStatus(d: Uart16550): u32 {
  assert((d.modemChanges & ~MSR_CHANGES) == 0, "uart: modem status");
  const value = modemInputs(d) | d.modemChanges;
  d.modemChanges = 0;
  return value;
}

function readLineStatus(d: Uart16550): u32 {
  assert((d.errors & ~LSR_OVERRUN) == 0, "uart: no error but an overrun");
  let value = d.errors;
  if (d.receiveCount != 0) value |= LSR_DATA_READY;
  if (holdingEmpty(d)) value |= LSR_HOLDING_EMPTY;
  if (d.ringTail == d.ringHead) value |= LSR_TRANSMITTER_EMPTY;
  d.errors = 0;
  return value;
}

/** Address of the received character `index` places behind the oldest. */
function slot(d: Uart16550, index: u32): usize {
  assert(index < FIFO, "uart: place in the FIFO");
  return tailOf(d) + <usize>((d.receiveHead + index) & (FIFO - 1));
}

function clearReceiver(d: Uart16550): void {
  d.receiveHead = 0;
  d.receiveCount = 0;
  d.timeoutPending = false;
}

function readReceiver(d: Uart16550, now: u64): u32 {
  if (d.receiveCount == 0) return d.receiveLast;
  assert(d.receiveCount <= FIFO, "uart: more than the FIFO holds");
  d.receiveLast = load<u8>(slot(d, 0));
  d.receiveHead = (d.receiveHead + 1) & (FIFO - 1);
  d.receiveCount -= 1;
  d.receiveTime = now;
  d.timeoutPending = false;
  return d.receiveLast;
}

function receiverFull(d: Uart16550): bool {
  if (isDefined(CHECKED))
    assert(d.receiveCount <= (d.fifosEnabled ? FIFO : 1), "uart: more than the receiver holds");
  return d.receiveCount >= (d.fifosEnabled ? FIFO : 1);
}

/** Puts a character behind the others; there must be room. */
function enqueue(d: Uart16550, byte: u32, now: u64): void {
  assert(!receiverFull(d), "uart: the receiver is full");
  assert(byte <= 0xff, "uart: a byte");
  store<u8>(slot(d, d.receiveCount), <u8>byte);
  d.receiveCount += 1;
  d.receiveTime = now;
}

/** A byte written to the holding register: out to the ring, or in loopback straight to the receiver. */
function transmit(d: Uart16550, byte: u32, now: u64): void {
  assert(byte <= 0xff, "uart: a byte");
  d.emptyPending = false;
  if ((d.mcr & MCR_LOOPBACK) != 0) {
    const character = byte & (0xff >> (3 - (d.lcr & LCR_WORD_LENGTH)));
    if (receiverFull(d)) overrun(d, character);
    else enqueue(d, character, now);
  } else if (d.ringTail - d.ringHead < RING) {
    store<u8>(ringStart(d) + <usize>(d.ringTail & (RING - 1)), <u8>byte);
    d.ringTail += 1;
  }
  if (holdingEmpty(d)) d.emptyPending = true;
}

/** A character too many: with FIFOs it is lost, without them it replaces the one before. */
function overrun(d: Uart16550, byte: u32): void {
  assert((d.mcr & MCR_LOOPBACK) != 0, "uart: an overrun outside loopback");
  assert(receiverFull(d), "uart: the receiver has room");
  d.errors |= LSR_OVERRUN;
  if (!d.fifosEnabled) store<u8>(slot(d, 0), <u8>byte);
}

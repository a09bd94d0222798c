// The pair of 8259A interrupt controllers of a PC (Intel "8259A Programmable Interrupt Controller" data
// sheet), with the edge/level control registers of PC chipsets. The slave's INT is the master's request 2.
import { arenaNewWithTail } from "../lib/arena";
import { tailOf } from "../lib/tail";
import { isPortSize } from "../lib/sizes";

// Offsets of the register groups; the platform maps ports to them.
/** 20h and 21h. */
export const PIC_MASTER: u32 = 0;
/** A0h and A1h. */
export const PIC_SLAVE: u32 = 2;
/** Edge/level control registers, 4D0h and 4D1h. */
export const PIC_ELCR: u32 = 4;

const CASCADE: u32 = 2;
const SPURIOUS: u32 = 7;
const NONE: u32 = 8;

// Initialisation command word 1, at the even address: bit 4 set.
const ICW1: u32 = 1 << 4;
const ICW1_NEEDS_ICW4: u32 = 1 << 0;
const ICW1_SINGLE: u32 = 1 << 1;
const ICW1_LEVEL: u32 = 1 << 3;
const ICW4_AUTO_EOI: u32 = 1 << 1;
const ICW4_SPECIAL_FULLY_NESTED: u32 = 1 << 4;
// Operation command word 3: bit 3 set.
//
//   6                  5            4  3  2     1              0
//   special mask: set  to this bit  0  1  poll  read register  ISR (else IRR)
const OCW3: u32 = 1 << 3;

/** Which word the odd address expects. */
const EXPECT_OCW1: u32 = 0;
const EXPECT_ICW2: u32 = 2;
const EXPECT_ICW3: u32 = 3;
const EXPECT_ICW4: u32 = 4;

/** One 8259A. */
@unmanaged
class Pic8259Chip {
  /** Requests: latched edges, and the levels of level-triggered inputs. */
  irr: u32;
  isr: u32;
  imr: u32;
  /** Levels of the inputs, and which of them are level-triggered. */
  inputs: u32;
  elcr: u32;
  /** Vector base: its low three bits are zero. */
  base: u32;
  /** Request of the highest priority: 0 unless rotated. */
  highest: u32;
  /** Word expected next at the odd address: EXPECT_*. */
  expect: u32;
  initialized: bool;
  needsIcw4: bool;
  single: bool;
  /** LTIM: all inputs are level-triggered. */
  allLevel: bool;
  autoEoi: bool;
  rotateOnAutoEoi: bool;
  specialMask: bool;
  specialFullyNested: bool;
  readIsr: bool;
  poll: bool;
}

/** The pair: the two chips follow, master first. */
@unmanaged
export class Pic8259 {
  reserved: u64;
}

/** Storage for one pair; boot time only. */
export function pic8259New(): Pic8259 {
  return arenaNewWithTail<Pic8259>(2 * offsetof<Pic8259Chip>());
}

function master(d: Pic8259): Pic8259Chip {
  return changetype<Pic8259Chip>(tailOf(d));
}

function slave(d: Pic8259): Pic8259Chip {
  return changetype<Pic8259Chip>(tailOf(d) + offsetof<Pic8259Chip>());
}

/** Power-on: silent until initialised. The inputs keep their levels: devices drive them. */
export function pic8259Reset(d: Pic8259): void {
  resetChip(master(d));
  resetChip(slave(d));
  cascade(d);
}

function resetChip(c: Pic8259Chip): void {
  assert(c.inputs <= 0xff, "pic8259: a set of eight requests");
  const inputs = c.inputs;
  memory.fill(changetype<usize>(c), 0, offsetof<Pic8259Chip>());
  c.inputs = inputs;
}

/** Port read: PIC_* group plus the port's place in it. A wider access reads the group's second port too. */
export function pic8259Read(d: Pic8259, offset: u32, size: u32, _now: u64): u32 {
  if (isDefined(CHECKED)) assert(offset < PIC_ELCR + 2, "pic8259: port");
  if (isDefined(CHECKED)) assert(isPortSize(size), "pic8259: bytes of an access");
  let value = readPort(d, offset);
  if (size > 1) value |= ((offset & 1) == 0 ? readPort(d, offset + 1) : 0xff) << 8;
  return size == 4 ? value | 0xffff0000 : value;
}

/** Port write; a wider access writes the group's second port too. */
export function pic8259Write(d: Pic8259, offset: u32, size: u32, value: u32, _now: u64): void {
  if (isDefined(CHECKED)) assert(offset < PIC_ELCR + 2, "pic8259: port");
  if (isDefined(CHECKED)) assert(isPortSize(size), "pic8259: bytes of an access");
  writePort(d, offset, value & 0xff);
  if (size > 1 && (offset & 1) == 0) writePort(d, offset + 1, (value >> 8) & 0xff);
}

/** Level of interrupt request `irq` 0..15. Request 2 is the cascade and has no pin. */
export function pic8259SetPin(d: Pic8259, irq: u32, level: bool): void {
  assert(irq < 16, "pic8259: irq");
  if (irq == CASCADE) return;
  const chip = irq < 8 ? master(d) : slave(d);
  setInput(chip, irq & 7, level);
  if (irq >= 8) cascade(d);
}

/** Whether input `irq` is a level, else an edge. */
export function pic8259IsLevel(d: Pic8259, irq: u32): bool {
  assert(irq < 16, "pic8259: irq");
  return isLevel(irq < 8 ? master(d) : slave(d), 1 << (irq & 7));
}

/** INTR: an unmasked request of sufficient priority waits. */
export function pic8259Line(d: Pic8259, _now: u64): bool {
  if (isDefined(CHECKED))
    assert(
      ((master(d).inputs & (1 << CASCADE)) != 0) == (pendingRequest(slave(d)) != NONE),
      "pic8259: the cascade is the slave's INT",
    );
  return pendingRequest(master(d)) != NONE;
}

/**
 * The CPU's interrupt-acknowledge cycle.
 * @returns the vector; that of request 7 of the chip concerned if the request has gone away (a spurious
 * interrupt).
 */
export function pic8259Acknowledge(d: Pic8259): u32 {
  const first = master(d);
  if (isDefined(CHECKED)) assert((first.base & 7) == 0, "pic8259: vector base");
  const request = acknowledge(first);
  if (request != CASCADE || first.single) return first.base + (request == NONE ? SPURIOUS : request);
  const second = slave(d);
  if (isDefined(CHECKED)) assert((second.base & 7) == 0, "pic8259: vector base");
  const inner = acknowledge(second);
  pulseCascade(d);
  return second.base + (inner == NONE ? SPURIOUS : inner);
}

/** INT drops with every acknowledge, so that a further request makes a new edge. */
function pulseCascade(d: Pic8259): void {
  setInput(master(d), CASCADE, false);
  cascade(d);
}

/** The slave's INT output drives the master's request 2. */
function cascade(d: Pic8259): void {
  if (isDefined(CHECKED)) assert((master(d).elcr & (1 << CASCADE)) == 0, "pic8259: the cascade is an edge");
  setInput(master(d), CASCADE, pendingRequest(slave(d)) != NONE);
}

function isLevel(c: Pic8259Chip, bit: u32): bool {
  assert(bit != 0 && bit <= 0x80, "pic8259: request");
  return c.allLevel || (c.elcr & bit) != 0;
}

/** An edge is latched, but the latch goes with its input: a request must stay until it is acknowledged. */
function setInput(c: Pic8259Chip, request: u32, level: bool): void {
  assert(request < 8, "pic8259: request");
  const bit: u32 = 1 << request;
  if (!level) {
    c.irr &= ~bit;
    c.inputs &= ~bit;
    return;
  }
  if (isLevel(c, bit) || (c.inputs & bit) == 0) c.irr |= bit;
  c.inputs |= bit;
}

/** Place of `request` in the current order: 0 is the highest priority. */
function rank(c: Pic8259Chip, request: u32): u32 {
  if (isDefined(CHECKED)) assert(request < 8 && c.highest < 8, "pic8259: request");
  return (request - c.highest) & 7;
}

/** The bit of highest priority in a set of requests, or NONE. */
function highestOf(c: Pic8259Chip, requests: u32): u32 {
  if (isDefined(CHECKED)) assert(c.highest < 8, "pic8259: request");
  if (isDefined(CHECKED)) assert(requests <= 0xff, "pic8259: a set of eight requests");
  if (requests == 0) return NONE;
  const rotated = ((requests >> c.highest) | (requests << (8 - c.highest))) & 0xff;
  return (ctz<u32>(rotated) + c.highest) & 7;
}

/**
 * The request that INT stands for, or NONE. Requests in service hold back their own and lower priorities; not
 * if masked in special mask mode, and the cascade not itself in special fully nested mode.
 */
function pendingRequest(c: Pic8259Chip): u32 {
  if (isDefined(CHECKED)) assert((c.irr | c.isr | c.imr) <= 0xff, "pic8259: a set of eight requests");
  const waiting = c.irr & ~c.imr;
  if (waiting == 0 || !c.initialized) return NONE;
  const request = highestOf(c, waiting);
  const inService = highestOf(c, c.specialMask ? c.isr & ~c.imr : c.isr);
  if (inService == NONE || rank(c, request) < rank(c, inService)) return request;
  return c.specialFullyNested && request == CASCADE && inService == CASCADE ? request : NONE;
}

/** Takes the pending request into service. Without one, nothing changes: the interrupt is spurious. */
function acknowledge(c: Pic8259Chip): u32 {
  const request = pendingRequest(c);
  if (request == NONE) return NONE;
  const bit: u32 = 1 << request;
  if (isDefined(CHECKED)) assert((c.irr & ~c.imr & bit) != 0, "pic8259: not requested");
  if (!isLevel(c, bit)) c.irr &= ~bit;
  if (!c.autoEoi) c.isr |= bit;
  else if (c.rotateOnAutoEoi) c.highest = (request + 1) & 7;
  assert(c.initialized, "pic8259: silent until initialised");
  return request;
}

function readPort(d: Pic8259, offset: u32): u32 {
  if (isDefined(CHECKED)) assert(offset < PIC_ELCR + 2, "pic8259: port");
  switch (offset) {
    case PIC_MASTER:
    case PIC_SLAVE:
      return readEven(d, offset == PIC_SLAVE);
    case PIC_MASTER + 1:
    case PIC_SLAVE + 1:
      return readOdd(d, offset == PIC_SLAVE + 1);
    case PIC_ELCR:
      return master(d).elcr;
    case PIC_ELCR + 1:
      return slave(d).elcr;
    default:
      return 0xff;
  }
}

function writePort(d: Pic8259, offset: u32, value: u32): void {
  if (isDefined(CHECKED)) assert(offset < PIC_ELCR + 2, "pic8259: port");
  if (isDefined(CHECKED)) assert(value <= 0xff, "pic8259: a byte");
  // What is written to the master does not reach the cascade. Masks are most of it.
  if (offset == PIC_MASTER + 1) return writeOdd(master(d), value);
  switch (offset) {
    case PIC_MASTER:
      return writeEven(master(d), value);
    case PIC_SLAVE:
      writeEven(slave(d), value);
      break;
    case PIC_SLAVE + 1:
      writeOdd(slave(d), value);
      break;
    case PIC_ELCR: // timer, keyboard and cascade are always edges
      setTrigger(master(d), value & 0xf8);
      break;
    case PIC_ELCR + 1: // so are the clock and the coprocessor
      setTrigger(slave(d), value & 0xde);
      break;
    default:
      break;
  }
  cascade(d);
}

/** Level-triggered inputs request for as long as they are high. */
function setTrigger(c: Pic8259Chip, elcr: u32): void {
  assert(elcr <= 0xff, "pic8259: a set of eight requests");
  c.elcr = elcr;
  c.irr |= c.inputs & elcr;
}

function readEven(d: Pic8259, second: bool): u32 {
  const c = second ? slave(d) : master(d);
  if (isDefined(CHECKED)) assert((c.irr | c.isr) <= 0xff, "pic8259: a set of eight requests");
  if (c.poll) return readPoll(d, c);
  return c.readIsr ? c.isr : c.irr;
}

function readOdd(d: Pic8259, second: bool): u32 {
  const c = second ? slave(d) : master(d);
  if (isDefined(CHECKED)) assert(c.imr <= 0xff, "pic8259: a set of eight requests");
  return c.poll ? readPoll(d, c) : c.imr;
}

/** Poll command: the read is an acknowledge. Bit 7: there was a request, numbered in bits 2..0. */
function readPoll(d: Pic8259, c: Pic8259Chip): u32 {
  assert(c.poll, "pic8259: no poll");
  c.poll = false;
  const request = acknowledge(c);
  if (c == slave(d)) pulseCascade(d);
  return request == NONE ? 0 : 0x80 | request;
}

function writeEven(c: Pic8259Chip, value: u32): void {
  if (isDefined(CHECKED)) assert(value <= 0xff, "pic8259: a byte");
  if ((value & ICW1) != 0) beginInitialization(c, value);
  else if ((value & OCW3) != 0) writeOcw3(c, value);
  else writeOcw2(c, value);
}

/** ICW1 clears edge latches, masks, service and modes; the inputs must rise again. */
function beginInitialization(c: Pic8259Chip, value: u32): void {
  assert((value & ICW1) != 0, "pic8259: another word");
  c.allLevel = (value & ICW1_LEVEL) != 0;
  c.single = (value & ICW1_SINGLE) != 0;
  c.needsIcw4 = (value & ICW1_NEEDS_ICW4) != 0;
  c.irr = c.allLevel ? c.inputs : c.inputs & c.elcr;
  c.isr = 0;
  c.imr = 0;
  c.highest = 0;
  c.autoEoi = false;
  c.rotateOnAutoEoi = false;
  c.specialMask = false;
  c.specialFullyNested = false;
  c.readIsr = false;
  c.poll = false;
  c.initialized = false;
  c.expect = EXPECT_ICW2;
}

function writeOdd(c: Pic8259Chip, value: u32): void {
  if (isDefined(CHECKED)) assert(c.expect <= EXPECT_ICW4, "pic8259: word expected");
  if (isDefined(CHECKED)) assert(value <= 0xff, "pic8259: a byte");
  if (c.expect == EXPECT_OCW1) c.imr = value;
  else initialize(c, value);
}

/** ICW2, ICW3 or ICW4. */
function initialize(c: Pic8259Chip, value: u32): void {
  assert(c.expect != EXPECT_OCW1 && c.expect <= EXPECT_ICW4, "pic8259: word expected");
  switch (c.expect) {
    case EXPECT_ICW2:
      c.base = value & 0xf8;
      c.expect = c.single ? EXPECT_ICW4 : EXPECT_ICW3;
      break;
    case EXPECT_ICW3: // the cascade is wired: its description is not needed
      c.expect = EXPECT_ICW4;
      break;
    case EXPECT_ICW4:
      c.autoEoi = (value & ICW4_AUTO_EOI) != 0;
      c.specialFullyNested = (value & ICW4_SPECIAL_FULLY_NESTED) != 0;
      c.expect = EXPECT_OCW1;
      c.initialized = true;
      return;
    default:
      return;
  }
  if (c.expect == EXPECT_ICW4 && !c.needsIcw4) {
    c.expect = EXPECT_OCW1;
    c.initialized = true;
  }
}

function writeOcw3(c: Pic8259Chip, value: u32): void {
  assert((value & ICW1) == 0 && (value & OCW3) != 0, "pic8259: another word");
  if ((value & (1 << 6)) != 0) c.specialMask = (value & (1 << 5)) != 0;
  if ((value & (1 << 2)) != 0) c.poll = true;
  else if ((value & (1 << 1)) != 0) c.readIsr = (value & 1) != 0;
}

/** Operation command word 2: bits 7..5 rotate, specific, EOI; bits 2..0 a request. */
function writeOcw2(c: Pic8259Chip, value: u32): void {
  assert((value & (ICW1 | OCW3)) == 0, "pic8259: another word");
  const request = value & 7;
  switch (value >> 5) {
    case 0: // rotate in automatic EOI mode: clear
      c.rotateOnAutoEoi = false;
      break;
    case 1: // non-specific EOI
      nonSpecificEoi(c);
      break;
    case 3: // specific EOI
      c.isr &= ~(1 << request);
      break;
    case 4: // rotate in automatic EOI mode: set
      c.rotateOnAutoEoi = true;
      break;
    case 5: // rotate on non-specific EOI
      rotateBehind(c, nonSpecificEoi(c));
      break;
    case 6: // set priority
      rotateBehind(c, request);
      break;
    case 7: // rotate on specific EOI
      c.isr &= ~(1 << request);
      rotateBehind(c, request);
      break;
    default: // no operation
      break;
  }
}

/** Ends the highest-priority request in service; masked ones are passed over in special mask mode. */
function nonSpecificEoi(c: Pic8259Chip): u32 {
  if (isDefined(CHECKED)) assert((c.isr | c.imr) <= 0xff, "pic8259: a set of eight requests");
  const request = highestOf(c, c.specialMask ? c.isr & ~c.imr : c.isr);
  if (isDefined(CHECKED)) assert(request == NONE || (c.isr & (1 << request)) != 0, "pic8259: not in service");
  if (request != NONE) c.isr &= ~(1 << request);
  return request;
}

/** `request` becomes the lowest priority. */
function rotateBehind(c: Pic8259Chip, request: u32): void {
  assert(request <= NONE, "pic8259: request");
  if (request != NONE) c.highest = (request + 1) & 7;
}

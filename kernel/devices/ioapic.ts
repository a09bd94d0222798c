// The I/O APIC: 24 input pins whose edges or levels become interrupt messages (Intel "82093AA I/O Advanced
// Programmable Interrupt Controller" data sheet, with the EOI register of version 20h from Intel's ICH data
// sheets).
//
// Redirection entry:
//
//   63..56       55..17  16    15     14          13        12      11       10..8          7..0
//   destination  0       mask  level  remote IRR  polarity  status  logical  delivery mode  vector
import { arenaNewWithTail } from "../lib/arena";
import { tailOf } from "../lib/tail";
import { isPortSize } from "../lib/sizes";

export const IOAPIC_PINS: u32 = 24;
/** Result of `ioapicTakePending` when no pin has a message to send. */
export const NO_PIN: i32 = -1;

// Memory-mapped registers.
const SELECT: u32 = 0x00;
const WINDOW: u32 = 0x10;
const EOI: u32 = 0x40;

// Registers behind the window.
const INDEX_ID: u32 = 0;
const INDEX_VERSION: u32 = 1;
const INDEX_ARBITRATION: u32 = 2;
const INDEX_ENTRIES: u32 = 0x10;

/** Version 20h, highest entry in bits 23..16. */
const VERSION_VALUE: u32 = 0x20 | ((IOAPIC_PINS - 1) << 16);
const ID_WRITABLE: u32 = 0x0f000000;

const ENTRY_MODE_MASK: u64 = 7 << 8;
const ENTRY_NMI: u64 = 4 << 8;
const ENTRY_INIT: u64 = 5 << 8;
const ENTRY_EXTINT: u64 = 7 << 8;
const ENTRY_REMOTE_IRR: u64 = 1 << 14;
const ENTRY_LEVEL: u64 = 1 << 15;
const ENTRY_MASKED: u64 = 1 << 16;
/** Without delivery status, which is never seen busy, and remote IRR, which is kept apart. */
const ENTRY_LOW_WRITABLE: u32 = 0x0001afff;
const ENTRY_HIGH_WRITABLE: u32 = 0xff000000;

/** Ends in the redirection entries, 24 x u64, without remote IRR. The bit sets have one bit per pin. */
@unmanaged
export class Ioapic {
  id: u32;
  select: u32;
  /** Pins that are asserted. */
  asserted: u32;
  /** Unmasked edges whose message has not been sent. */
  edges: u32;
  /** Level-triggered pins whose message awaits its EOI. */
  remoteIrr: u32;
  /** From the entries: pins that are unmasked, level-triggered, in ExtINT mode. */
  unmasked: u32;
  level: u32;
  extInt: u32;
}

/** Storage for one; boot time only. */
export function ioapicNew(): Ioapic {
  return arenaNewWithTail<Ioapic>(<usize>IOAPIC_PINS * 8);
}

/** All entries masked. The pins keep their levels: devices drive them. */
export function ioapicReset(d: Ioapic): void {
  const asserted = d.asserted;
  memory.fill(changetype<usize>(d), 0, offsetof<Ioapic>());
  d.asserted = asserted;
  for (let pin: u32 = 0; pin < IOAPIC_PINS; pin++) store<u64>(entryAt(d, pin), ENTRY_MASKED);
  assert(ready(d) == 0 && d.unmasked == 0, "ioapic: all entries are masked");
}

/**
 * MMIO read; `offset` from the IOAPIC's base. Narrow accesses get the low bytes; unknown offsets read as
 * ones.
 */
export function ioapicRead(d: Ioapic, offset: u32, size: u32, _now: u64): u32 {
  assert(isPortSize(size), "ioapic: bytes of an access");
  const value = offset == SELECT ? d.select : offset == WINDOW ? readWindow(d) : 0xffffffff;
  return size == 4 ? value : value & ((1 << (size * 8)) - 1);
}

/** MMIO write. The window and the EOI register take 32-bit writes only. */
export function ioapicWrite(d: Ioapic, offset: u32, size: u32, value: u32, _now: u64): void {
  assert(isPortSize(size), "ioapic: bytes of an access");
  if (offset == SELECT) d.select = value & 0xff;
  if (size != 4) return;
  if (offset == WINDOW) writeWindow(d, value);
  if (offset == EOI) ioapicEoi(d, value & 0xff);
}

/**
 * Level of input `pin` 0..23, as the device means it: the polarity bit only describes the wire. An edge at a
 * masked pin is lost; a level waits.
 */
export function ioapicSetPin(d: Ioapic, pin: u32, asserted: bool): void {
  assert(pin < IOAPIC_PINS, "ioapic: pin");
  const bit: u32 = 1 << pin;
  if (!asserted) {
    d.asserted &= ~bit;
    return;
  }
  d.edges |= bit & ~d.asserted & ~d.level & d.unmasked & ~d.extInt;
  d.asserted |= bit;
}

/** Pins with a message to send now. */
function ready(d: Ioapic): u32 {
  if (isDefined(CHECKED)) assert((d.remoteIrr & ~d.level) == 0, "ioapic: only levels await an EOI");
  return d.edges | (d.asserted & d.level & d.unmasked & ~d.remoteIrr & ~d.extInt);
}

/**
 * Pin whose interrupt message is to be sent now (`ioapicEntry` says what and to whom), or NO_PIN. Call until
 * NO_PIN.
 */
export function ioapicTakePending(d: Ioapic): i32 {
  const pins = ready(d);
  if (pins == 0) return NO_PIN;
  const pin = ctz<u32>(pins);
  assert(pin < IOAPIC_PINS, "ioapic: pin");
  const bit: u32 = 1 << pin;
  d.edges &= ~bit;
  d.remoteIrr |= bit & d.level;
  return <i32>pin;
}

/** Redirection entry of `pin`, as drawn above. */
export function ioapicEntry(d: Ioapic, pin: u32): u64 {
  assert(pin < IOAPIC_PINS, "ioapic: pin");
  const entry = load<u64>(entryAt(d, pin));
  return (d.remoteIrr & (1 << pin)) != 0 ? entry | ENTRY_REMOTE_IRR : entry;
}

/** EOI of `vector` (0..255) by a CPU: level-triggered pins with that vector may interrupt again. */
export function ioapicEoi(d: Ioapic, vector: u32): void {
  assert(vector <= 0xff, "ioapic: vector");
  assert(
    d.remoteIrr >> IOAPIC_PINS == 0 && (d.remoteIrr & ~d.level) == 0,
    "ioapic: only levels await an EOI",
  );
  let waiting = d.remoteIrr;
  while (waiting != 0) {
    const pin = ctz<u32>(waiting);
    waiting &= waiting - 1;
    if ((<u32>load<u64>(entryAt(d, pin)) & 0xff) == vector) d.remoteIrr &= ~(1 << pin);
  }
}

/**
 * Whether an unmasked ExtINT entry passes its asserted pin (the PIC's INTR) on: the vector then comes from
 * the PIC.
 */
export function ioapicExtIntPending(d: Ioapic): bool {
  if (isDefined(CHECKED)) assert((d.unmasked | d.extInt) >> IOAPIC_PINS == 0, "ioapic: pin");
  return (d.asserted & d.unmasked & d.extInt) != 0;
}

/** Whether a pin can send an NMI or INIT, which wake a CPU that takes no interrupts. */
export function ioapicMaySendSignals(d: Ioapic): bool {
  if (isDefined(CHECKED)) assert((d.unmasked | d.level) >> IOAPIC_PINS == 0, "ioapic: pin");
  for (let pin: u32 = 0; pin < IOAPIC_PINS; pin++) {
    const mode = load<u64>(entryAt(d, pin)) & ENTRY_MODE_MASK;
    if ((d.unmasked & (1 << pin)) != 0 && (mode == ENTRY_NMI || mode == ENTRY_INIT)) return true;
  }
  return false;
}

/** Whether `ioapicTakePending` would give a pin. */
export function ioapicLine(d: Ioapic, _now: u64): bool {
  assert((d.edges | d.asserted) >> IOAPIC_PINS == 0, "ioapic: pin");
  return ready(d) != 0;
}

function entryAt(d: Ioapic, pin: u32): usize {
  assert(pin < IOAPIC_PINS, "ioapic: pin");
  return tailOf(d) + <usize>(pin << 3);
}

function readWindow(d: Ioapic): u32 {
  assert(d.select <= 0xff, "ioapic: register");
  switch (d.select) {
    case INDEX_ID:
    case INDEX_ARBITRATION:
      return d.id;
    case INDEX_VERSION:
      return VERSION_VALUE;
    default:
      break;
  }
  const half = d.select - INDEX_ENTRIES;
  if (d.select < INDEX_ENTRIES || half >= IOAPIC_PINS * 2) return 0;
  const entry = ioapicEntry(d, half >> 1);
  return (half & 1) != 0 ? <u32>(entry >> 32) : <u32>entry;
}

function writeWindow(d: Ioapic, value: u32): void {
  assert(d.select <= 0xff, "ioapic: register");
  if (d.select == INDEX_ID) d.id = value & ID_WRITABLE;
  const half = d.select - INDEX_ENTRIES;
  if (d.select < INDEX_ENTRIES || half >= IOAPIC_PINS * 2) return;
  const pin = half >> 1;
  const at = entryAt(d, pin) + <usize>((half & 1) << 2);
  store<u32>(at, value & ((half & 1) != 0 ? ENTRY_HIGH_WRITABLE : ENTRY_LOW_WRITABLE));
  digest(d, pin);
}

/**
 * Brings the bit sets up to date with an entry. A pin made edge-triggered forgets its remote IRR, as Linux
 * relies on.
 */
function digest(d: Ioapic, pin: u32): void {
  assert(pin < IOAPIC_PINS, "ioapic: pin");
  const entry = load<u64>(entryAt(d, pin));
  const bit: u32 = 1 << pin;
  d.unmasked = (entry & ENTRY_MASKED) == 0 ? d.unmasked | bit : d.unmasked & ~bit;
  d.level = (entry & ENTRY_LEVEL) != 0 ? d.level | bit : d.level & ~bit;
  d.extInt = (entry & ENTRY_MODE_MASK) == ENTRY_EXTINT ? d.extInt | bit : d.extInt & ~bit;
  d.remoteIrr &= d.level | ~bit;
  assert((d.remoteIrr & ~d.level) == 0, "ioapic: only levels await an EOI");
}

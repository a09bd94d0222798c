// PCI configuration space of bus 0: single-function devices in 32 slots, with a host bridge in slot 0,
// reached through configuration mechanism #1 or a memory-mapped (ECAM) window (PCI Local Bus Specification,
// "Configuration Space"). Each register byte has a value, a power-on value and a mask of bits that the guest
// may write, which makes base address registers size themselves.
import { arenaNewWithTail } from "../lib/arena";
import { tailOf } from "../lib/tail";
import { MAX_PCI_SLOTS } from "../lib/limits";
import { isPortSize } from "../lib/sizes";

/** Ports of configuration mechanism #1, from CF8h on. */
export const PCI_PORTS: u32 = 8;

const IDS: u32 = 0x00;
const COMMAND: u32 = 0x04;
const CLASS_REVISION: u32 = 0x08;
const SUBSYSTEM: u32 = 0x2c;
const INTERRUPT_LINE: u32 = 0x3c;
const REGISTERS: u32 = 256;
/** Bytes of a function in the ECAM window: what is behind its registers reads as ones. */
const ECAM_FUNCTION_BYTES: u32 = 4096;

/** Decoding, bus mastering, parity response, SERR#, INTx disable. */
const COMMAND_WRITABLE: u32 = 0x0547;

/** Intel's virtual host bridge, class 06h (bridge) 00h (host). */
const HOST_BRIDGE_IDS: u32 = 0x0d578086;
const HOST_BRIDGE_CLASS: u32 = 0x06000000;

// CONFIG_ADDRESS:
//
//   31      30..24  23..16  15..11  10..8     7..2      1..0
//   enable  0       bus     device  function  register  0
const ADDRESS_ENABLE: u32 = 1 << 31;
const ADDRESS_WRITABLE: u32 = 0x80fffffc;
const DATA_PORT: u32 = 4;

/** Per slot: three images of the configuration space. */
const VALUES: usize = 0;
const POWER_ON: usize = REGISTERS;
const WRITABLE: usize = REGISTERS * 2;
const SLOT_BYTES: usize = REGISTERS * 3;

/** Ends in SLOT_BYTES bytes per slot. */
@unmanaged
export class Pci {
  address: u32;
  /** One bit per slot: holds a function. */
  present: u32;
}

/** Storage for one bus with a host bridge at 00:00.0; boot time only. */
export function pciNew(): Pci {
  const d = arenaNewWithTail<Pci>(<usize>MAX_PCI_SLOTS * SLOT_BYTES);
  pciAddFunction(d, 0, HOST_BRIDGE_IDS, HOST_BRIDGE_CLASS, 0);
  assert(d.present == 1, "pci: a host bridge alone");
  return d;
}

/** Power-on values of every function; the functions stay. */
export function pciReset(d: Pci): void {
  assert((d.present & 1) != 0, "pci: no host bridge");
  d.address = 0;
  for (let slot: u32 = 0; slot < MAX_PCI_SLOTS; slot++) {
    memory.copy(image(d, slot, VALUES), image(d, slot, POWER_ON), REGISTERS);
  }
}

/**
 * Puts a function into an empty slot (0..31). Registers as they read: `ids` 00h, `classRevision` 08h,
 * `subsystem` 2Ch.
 */
export function pciAddFunction(d: Pci, slot: u32, ids: u32, classRevision: u32, subsystem: u32): void {
  assert(slot < MAX_PCI_SLOTS && (d.present & (1 << slot)) == 0, "pci: slot taken");
  assert(ids != U32.MAX_VALUE, "pci: no function has these identifiers");
  d.present |= 1 << slot;
  pciDefine(d, slot, IDS, 4, ids, 0);
  pciDefine(d, slot, COMMAND, 4, 0, COMMAND_WRITABLE);
  pciDefine(d, slot, CLASS_REVISION, 4, classRevision, 0);
  pciDefine(d, slot, 0x0c, 1, 0, 0xff); // cache line size
  pciDefine(d, slot, SUBSYSTEM, 4, subsystem, 0);
  pciDefine(d, slot, INTERRUPT_LINE, 1, 0, 0xff);
}

/**
 * Defines `size` (1, 2 or 4) bytes of a function's registers: power-on value and the bits that the guest may
 * write.
 */
export function pciDefine(d: Pci, slot: u32, register: u32, size: u32, value: u32, writable: u32): void {
  assert(slot < MAX_PCI_SLOTS && register + size <= REGISTERS, "pci: register");
  assert(isPortSize(size), "pci: bytes of a register");
  for (let i: u32 = 0; i < size; i++) {
    store<u8>(image(d, slot, VALUES) + <usize>(register + i), <u8>(value >> (i * 8)));
    store<u8>(image(d, slot, POWER_ON) + <usize>(register + i), <u8>(value >> (i * 8)));
    store<u8>(image(d, slot, WRITABLE) + <usize>(register + i), <u8>(writable >> (i * 8)));
  }
}

/** A function's register as the guest sees it; absent functions and bytes past the end read as ones. */
export function pciConfigRead(d: Pci, slot: u32, register: u32, size: u32): u32 {
  if (isDefined(CHECKED)) assert(slot <= MAX_PCI_SLOTS && register < ECAM_FUNCTION_BYTES, "pci: register");
  assert(isPortSize(size), "pci: bytes of an access");
  let value: u32 = 0;
  for (let i: u32 = 0; i < size; i++) {
    const exists = isPresent(d, slot) && register + i < REGISTERS;
    const byte: u32 = exists ? load<u8>(image(d, slot, VALUES) + <usize>(register + i)) : 0xff;
    value |= byte << (i * 8);
  }
  return value;
}

/** The guest's write: only writable bits change. */
export function pciConfigWrite(d: Pci, slot: u32, register: u32, size: u32, value: u32): void {
  if (isDefined(CHECKED)) assert(slot <= MAX_PCI_SLOTS && register < ECAM_FUNCTION_BYTES, "pci: register");
  assert(size != 0 && size <= 4, "pci: bytes of an access");
  if (!isPresent(d, slot)) return;
  for (let i: u32 = 0; i < size && register + i < REGISTERS; i++) {
    const at = image(d, slot, VALUES) + <usize>(register + i);
    const writable: u32 = load<u8>(image(d, slot, WRITABLE) + <usize>(register + i));
    store<u8>(at, <u8>((load<u8>(at) & ~writable) | ((value >> (i * 8)) & writable)));
  }
}

/**
 * CF8h..CFFh; `offset` 0..7. The address register answers 32-bit accesses only: its bytes are other devices'
 * ports.
 */
export function pciRead(d: Pci, offset: u32, size: u32, _now: u64): u32 {
  assert(offset < PCI_PORTS && isPortSize(size), "pci: port");
  if (offset == 0 && size == 4) return d.address;
  if (offset < DATA_PORT) return 0xffffffff;
  if ((d.address & ADDRESS_ENABLE) == 0) return 0xffffffff;
  const inside = offset - DATA_PORT;
  const value = pciConfigRead(d, addressedSlot(d), (d.address & 0xfc) + inside, size);
  return inside + size > 4 ? value | (0xffffffff << ((4 - inside) * 8)) : value;
}

export function pciWrite(d: Pci, offset: u32, size: u32, value: u32, _now: u64): void {
  assert(offset < PCI_PORTS && isPortSize(size), "pci: port");
  if (offset == 0 && size == 4) d.address = value & ADDRESS_WRITABLE;
  if (offset < DATA_PORT || (d.address & ADDRESS_ENABLE) == 0) return;
  const inside = offset - DATA_PORT;
  pciConfigWrite(d, addressedSlot(d), (d.address & 0xfc) + inside, min<u32>(size, 4 - inside), value);
}

/** ECAM window of bus 0 on; `offset` = bus << 20 | device << 15 | function << 12 | register. */
export function pciEcamRead(d: Pci, offset: u32, size: u32, _now: u64): u32 {
  assert(isPortSize(size), "pci: bytes of an access");
  return pciConfigRead(d, ecamSlot(offset), offset & (ECAM_FUNCTION_BYTES - 1), size);
}

export function pciEcamWrite(d: Pci, offset: u32, size: u32, value: u32, _now: u64): void {
  assert(isPortSize(size), "pci: bytes of an access");
  pciConfigWrite(d, ecamSlot(offset), offset & (ECAM_FUNCTION_BYTES - 1), size, value);
}

function image(d: Pci, slot: u32, which: usize): usize {
  assert(slot < MAX_PCI_SLOTS && which < SLOT_BYTES, "pci: slot");
  return tailOf(d) + <usize>slot * SLOT_BYTES + which;
}

function isPresent(d: Pci, slot: u32): bool {
  if (isDefined(CHECKED)) assert((d.present & 1) != 0, "pci: no host bridge");
  return slot < MAX_PCI_SLOTS && (d.present & (1 << slot)) != 0;
}

/** Slot that CONFIG_ADDRESS names, or MAX_PCI_SLOTS for other buses and functions, which do not exist. */
function addressedSlot(d: Pci): u32 {
  assert((d.address & ~ADDRESS_WRITABLE) == 0, "pci: address");
  return (d.address & 0x00ff0700) != 0 ? MAX_PCI_SLOTS : (d.address >> 11) & 31;
}

function ecamSlot(offset: u32): u32 {
  return (offset & 0xfff07000) != 0 ? MAX_PCI_SLOTS : (offset >> 15) & 31;
}

// What kernels that test a virtual machine expect beside a PC (QEMU's pc-testdev): a register and memory that keep what they
// are given, at any width, and ports that drive interrupt lines. Opt-in per VM.
//
//   register space (ports, from 0 on)              memory
//   0 - 3    register, 1, 2 or 4 bytes             64 KiB
//   4 - 7    flushes a page in QEMU; nothing here
//   8 - B    the register again
import { arenaNewWithTail } from "../lib/arena";
import { tailOf } from "../lib/tail";
import { isPortSize } from "../lib/sizes";

/** Bytes of the register space, and of the memory. */
export const TESTDEV_PORTS: u32 = 12;
export const TESTDEV_MEMORY: u32 = 0x10000;
const FLUSH: u32 = 4;
const REGISTER_AGAIN: u32 = 8;
const REGISTER_BYTES: u32 = 4;

/** Ends in the register, then the memory. */
@unmanaged
export class Testdev {
  /** Levels that the guest has given the interrupt lines: a bit each. */
  levels: u32;
}

/** Storage for one; boot time only. */
export function testdevNew(): Testdev {
  return arenaNewWithTail<Testdev>(REGISTER_BYTES + TESTDEV_MEMORY);
}

export function testdevReset(d: Testdev): void {
  d.levels = 0;
  memory.fill(tailOf(d), 0, REGISTER_BYTES + TESTDEV_MEMORY);
}

/** Address of the register's byte at `offset`, or 0. */
function registerByte(d: Testdev, offset: u32): usize {
  const isRegister = offset < FLUSH || (offset >= REGISTER_AGAIN && offset < TESTDEV_PORTS);
  return isRegister ? tailOf(d) + (offset % REGISTER_BYTES) : 0;
}

/** Bytes that are not the register's read as ones. */
export function testdevRead(d: Testdev, offset: u32, size: u32, _now: u64): u32 {
  if (isDefined(CHECKED)) assert(offset < TESTDEV_PORTS, "testdev: port");
  assert(isPortSize(size), "testdev: bytes of an access");
  let value: u32 = 0;
  for (let i: u32 = 0; i < size; i++) {
    const byte = registerByte(d, offset + i);
    value |= (byte == 0 ? 0xff : <u32>load<u8>(byte)) << (i * 8);
  }
  return value;
}

export function testdevWrite(d: Testdev, offset: u32, size: u32, value: u32, _now: u64): void {
  if (isDefined(CHECKED)) assert(offset < TESTDEV_PORTS, "testdev: port");
  assert(isPortSize(size), "testdev: bytes of an access");
  for (let i: u32 = 0; i < size; i++) {
    const byte = registerByte(d, offset + i);
    if (byte != 0) store<u8>(byte, <u8>(value >> (i * 8)));
  }
}

/** Address of the memory's bytes from `offset` on; they must lie in it. */
function memoryAt(d: Testdev, offset: u32, size: u32): usize {
  assert(offset < TESTDEV_MEMORY && size <= TESTDEV_MEMORY - offset, "testdev: past its memory");
  return tailOf(d) + REGISTER_BYTES + offset;
}

/** Read of 1 to 4 bytes of the memory. */
export function testdevMemoryRead(d: Testdev, offset: u32, size: u32): u32 {
  assert(isPortSize(size), "testdev: bytes of an access");
  const at = memoryAt(d, offset, size);
  let value: u32 = 0;
  for (let i: u32 = 0; i < size; i++) value |= (<u32>load<u8>(at + i)) << (i * 8);
  return value;
}

export function testdevMemoryWrite(d: Testdev, offset: u32, size: u32, value: u32): void {
  assert(isPortSize(size), "testdev: bytes of an access");
  const at = memoryAt(d, offset, size);
  for (let i: u32 = 0; i < size; i++) store<u8>(at + i, <u8>(value >> (i * 8)));
}

/** The guest sets an interrupt line (0..23). Returns whether that changes it. */
export function testdevSetLevel(d: Testdev, line: u32, level: bool): bool {
  assert(line < 24, "testdev: line");
  const bit: u32 = 1 << line;
  if (isDefined(CHECKED)) assert(d.levels >> 24 == 0, "testdev: line");
  if (((d.levels & bit) != 0) == level) return false;
  d.levels ^= bit;
  return true;
}

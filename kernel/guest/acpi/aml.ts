// ACPI machine language, as much as a DSDT of devices and resources needs (ACPI specification, "ACPI Machine Language
// (AML) Specification" and "Resource Data Types for ACPI").
import { put16, put32, put64, put8, putText, writerAt, writerInsert } from "./writer";

const NAME_OP: u32 = 0x08;
const BYTE_PREFIX: u32 = 0x0a;
const WORD_PREFIX: u32 = 0x0b;
const DWORD_PREFIX: u32 = 0x0c;
const QWORD_PREFIX: u32 = 0x0e;
const SCOPE_OP: u32 = 0x10;
const BUFFER_OP: u32 = 0x11;
const PACKAGE_OP: u32 = 0x12;
const EXT_PREFIX: u32 = 0x5b;
const DEVICE_OP: u32 = 0x82;

// --- objects: each `…Start` returns a mark for `amlEnd` ------------------------------------------------------------------

/**
 * Ends what started at `mark`: puts its PkgLength in front, which counts itself.
 *
 *   7..6                 5..4                    3..0
 *   following bytes = 0  bits 5..0 of the length            (up to 63)
 *   following bytes      0                       bits 3..0  (bits 11..4, 19..12 follow)
 */
export function amlEnd(mark: usize): void {
  const body = <u32>(writerAt() - mark);
  const extra: u32 = body + 1 < 64 ? 0 : body + 2 < 4096 ? 1 : 2;
  const length = body + 1 + extra;
  writerInsert(mark, 1 + extra);
  store<u8>(mark, <u8>(extra == 0 ? length : (extra << 6) | (length & 0xf)));
  if (extra >= 1) store<u8>(mark + 1, <u8>(length >> 4));
  if (extra == 2) store<u8>(mark + 2, <u8>(length >> 12));
}

/** Scope of an object named by four characters; opened at the root. */
export function amlScopeStart(name: string): usize {
  put8(SCOPE_OP);
  const mark = writerAt();
  putText(name);
  return mark;
}

export function amlDeviceStart(name: string): usize {
  put8(EXT_PREFIX);
  put8(DEVICE_OP);
  const mark = writerAt();
  putText(name);
  return mark;
}

/** A package of `count` elements, which follow. */
export function amlPackageStart(count: u32): usize {
  put8(PACKAGE_OP);
  const mark = writerAt();
  put8(count);
  return mark;
}

/** `Name (name, …)`: the value follows. */
export function amlName(name: string): void {
  put8(NAME_OP);
  putText(name);
}

/** An integer in the shortest form. */
export function amlInteger(value: u64): void {
  if (value <= 1) {
    put8(<u32>value);
  } else if (value <= 0xff) {
    put8(BYTE_PREFIX);
    put8(<u32>value);
  } else if (value <= 0xffff) {
    put8(WORD_PREFIX);
    put16(<u32>value);
  } else if (value <= 0xffffffff) {
    put8(DWORD_PREFIX);
    put32(<u32>value);
  } else {
    put8(QWORD_PREFIX);
    put64(value);
  }
}

/** `Name (name, value)`. */
export function amlNameInteger(name: string, value: u64): void {
  amlName(name);
  amlInteger(value);
}

/** `Name (_HID, "…")`, for identifiers that are no EISA IDs. */
export function amlHardwareName(id: string): void {
  amlName("_HID");
  put8(0x0d);
  putText(id);
  put8(0);
}

/**
 * `Name (_HID, EisaId ("PNPdddd"))`, with the four digits as a number: three 5-bit letters and 16 bits, most significant
 * byte first.
 */
export function amlPnpId(digits: u32): void {
  const letters: u32 = ((0x50 - 0x40) << 10) | ((0x4e - 0x40) << 5) | (0x50 - 0x40);
  const id = (letters << 16) | digits;
  amlNameInteger("_HID", (id >> 24) | ((id >> 8) & 0xff00) | ((id & 0xff00) << 8) | (id << 24));
}

// --- resources: `Name (_CRS, ResourceTemplate () {…})` -------------------------------------------------------------------

const END_TAG: u32 = 0x79;
/** Starts the resource template of a device. */
export function crsStart(): usize {
  amlName("_CRS");
  put8(BUFFER_OP);
  return writerAt();
}

/** Puts the buffer's size in front, as the shortest integer, and the package length in front of that. */
export function crsEnd(mark: usize): void {
  put8(END_TAG);
  put8(0);
  const bytes = <u32>(writerAt() - mark);
  const wide = bytes > 0xff;
  writerInsert(mark, wide ? 3 : 2);
  store<u8>(mark, <u8>(wide ? WORD_PREFIX : BYTE_PREFIX));
  store<u8>(mark + 1, <u8>bytes);
  if (wide) store<u8>(mark + 2, <u8>(bytes >> 8));
  amlEnd(mark);
}

/** I/O Port Descriptor: `count` ports from `first`, 16-bit decode, fixed. */
export function crsPorts(first: u32, count: u32): void {
  put8(0x47);
  put8(1);
  put16(first);
  put16(first);
  put8(1);
  put8(count);
}

/** IRQ Descriptor: edge-triggered, active high, exclusive. */
export function crsIrq(irq: u32): void {
  put8(0x22);
  put16(1 << irq);
}

/** 32-bit Fixed Memory Range Descriptor, read-write. */
export function crsFixedMemory(start: u32, bytes: u32): void {
  put8(0x86);
  put16(9);
  put8(1);
  put32(start);
  put32(bytes);
}

/** Kinds of address space that a bridge forwards. */
const SPACE_MEMORY: u32 = 0;
export const SPACE_IO: u32 = 1;
export const SPACE_BUS: u32 = 2;
/** Minimum and maximum address fixed, positive decode, producer. */
const FIXED_WINDOW: u32 = 0x0c;
const IO_ENTIRE_RANGE: u32 = 3;
const MEMORY_READ_WRITE: u32 = 1;

/** Word Address Space Descriptor of bus numbers or I/O ports `first`..`last`, both included. */
export function crsWordWindow(space: u32, first: u32, last: u32): void {
  put8(0x88);
  put16(13);
  put8(space);
  put8(FIXED_WINDOW);
  put8(space == SPACE_IO ? IO_ENTIRE_RANGE : 0);
  put16(0);
  put16(first);
  put16(last);
  put16(0);
  put16(last - first + 1);
}

/** DWord Address Space Descriptor of memory `first`..`last`, non-cacheable. */
export function crsMemoryWindow(first: u32, last: u32): void {
  put8(0x87);
  put16(23);
  put8(SPACE_MEMORY);
  put8(FIXED_WINDOW);
  put8(MEMORY_READ_WRITE);
  put32(0);
  put32(first);
  put32(last);
  put32(0);
  put32(last - first + 1);
}

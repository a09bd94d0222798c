// From an instruction's addresses to guest memory: segmentation, canonical form and alignment, the page walk, and access
// to RAM or to a device. A function that returns false has set `e.outcome`: an exception is pending, or the instruction is
// to be run again.
import { CR0_AM, CR4_LA57, CR4_PKE, RFLAGS_AC } from "../../arch/cr";
import { EFER_LMA } from "../../arch/msr";
import {
  phys_cmpxchg16,
  phys_cmpxchg32,
  phys_cmpxchg64,
  phys_cmpxchg8,
  phys_load16,
  phys_load32,
  phys_load64,
  phys_load8,
  phys_store16,
  phys_store32,
  phys_store64,
  phys_store8,
  rdpkru,
} from "../../arch/intrinsics";
import { NO_HPA } from "../../mm/frames";
import { guestTranslate } from "../../mm/guestmem";
import {
  WALK_FAULT,
  WALK_FETCH,
  WALK_OK,
  WALK_RETRY,
  WALK_USER,
  WALK_WRITE,
  walkGuest,
} from "../../mm/guestwalk";
import { change } from "../../vcpu/backend";
import { ACCESS_READS, ACCESS_WRITES, breakpointsMet } from "../../vcpu/debug";
import { machine } from "../../vcpu/machine";
import { OUTCOME_RESUME } from "../../vcpu/outcome";
import { setPdptes } from "../../vcpu/pdptes";
import { raiseWithError, VECTOR_AC, VECTOR_GP, VECTOR_PF, VECTOR_SS } from "../../vcpu/raise";
import {
  GROUP_CONTROL,
  GROUP_STACK_FLAGS,
  GROUP_SYSTEM,
  Segment,
  SEGMENT_DEFAULT_BIG,
  SEGMENT_UNUSABLE,
  SEG_CS,
  SEG_FS,
  SEG_GS,
  SEG_SS,
} from "../../vcpu/registers";
import {
  dataAccess,
  Emulator,
  isRealMode,
  MAX_OPERAND_BYTES,
  NO_GPA,
  Operand,
  privilegeLevel,
  segmentOf,
} from "./emulator";
import { CODE_64 } from "./instruction";
import { isAccessSize } from "../../lib/sizes";

// Segment types (SDM, "Code- and Data-Segment Descriptor Types").
const TYPE_CODE: u32 = 1 << 3;
const TYPE_EXPAND_DOWN: u32 = 1 << 2;
/** Data: writable. Code: readable. */
const TYPE_WRITABLE_READABLE: u32 = 1 << 1;
const PAGE_BYTES: u32 = 4096;
const PAGE_OFFSET: u32 = 0xfff;

/** Ends the instruction with an exception that has an error code. */
export function failWith(e: Emulator, vector: u32, error: u32): bool {
  e.outcome = raiseWithError(e.vcpu, vector, error);
  return false;
}

function failSegment(e: Emulator, segment: u32): bool {
  if (isDefined(CHECKED)) assert(segment <= SEG_GS, "linear: no such segment register");
  return failWith(e, segment == SEG_SS ? VECTOR_SS : VECTOR_GP, 0);
}

/** #PF at the guest-linear address `gva`. */
function failPageFault(e: Emulator, gva: u64, errorCode: u32): bool {
  if (isDefined(CHECKED))
    assert((e.vcpu.valid & GROUP_CONTROL) != 0, "linear: control registers are not valid");
  change(e.vcpu, GROUP_SYSTEM);
  e.vcpu.cr2 = (e.vcpu.efer & EFER_LMA) != 0 ? gva : gva & U32.MAX_VALUE;
  return failWith(e, VECTOR_PF, errorCode);
}

/**
 * Locates `size` bytes at `segment`:`offset` for reading or writing (WALK_WRITE in `access`) as `operand`. All checks that
 * the processor makes before it touches memory happen here, so that an instruction which fails has changed nothing.
 */
export function locate(
  e: Emulator,
  operand: Operand,
  segment: u32,
  offset: u64,
  size: u32,
  access: u32,
): bool {
  return toLinear(e, segment, offset, size, access) && locateAccess(e, operand, size, access);
}

/** The first half of `locate`: segmentation, into `e.linear`. */
export function toLinear(e: Emulator, segment: u32, offset: u64, size: u32, access: u32): bool {
  if (isDefined(CHECKED)) assert(segment <= SEG_GS, "linear: no such segment register");
  if (isDefined(CHECKED)) assert(size != 0 && size <= MAX_OPERAND_BYTES, "linear: bytes of an operand");
  let gva = offset;
  if (e.mode == CODE_64) {
    if (segment >= SEG_FS) gva += segmentOf(e.vcpu, segment).base;
    if (!isCanonical(e, gva) || !isCanonical(e, gva + size - 1)) return failSegment(e, segment);
  } else {
    const register = segmentOf(e.vcpu, segment);
    if (!segmentAllows(e, register, offset, size, access)) return failSegment(e, segment);
    gva = (gva + register.base) & 0xffffffff;
  }
  e.linear = gva;
  return true;
}

/** The second half: alignment, paging, breakpoints, of `size` bytes at `e.linear`. */
export function locateAccess(e: Emulator, operand: Operand, size: u32, access: u32): bool {
  if (isDefined(CHECKED)) assert(size != 0 && size <= MAX_OPERAND_BYTES, "linear: bytes of an operand");
  const gva = e.linear;
  if (isDefined(CHECKED))
    assert(e.mode == CODE_64 || gva >> 32 == 0, "linear: addresses have 32 bits outside 64-bit mode");
  // Far pointers and descriptor-table registers are as aligned as their parts: two bytes.
  const alignment = size & (0 - size);
  if ((gva & (alignment - 1)) != 0 && checksAlignment(e)) return failWith(e, VECTOR_AC, 0);
  if (!locateLinear(e, operand, gva, size, access | dataAccess(e.vcpu))) return false;
  if (e.breakpoints != 0) meetBreakpoints(e, gva, size, access);
  return true;
}

/** Notes the breakpoints that the access meets: they are reported when the instruction completes. */
function meetBreakpoints(e: Emulator, gva: u64, size: u32, access: u32): void {
  if (isDefined(CHECKED)) assert(e.breakpoints != 0, "linear: no breakpoint is enabled");
  const kind = (access & WALK_WRITE) != 0 ? ACCESS_WRITES : ACCESS_READS;
  e.vcpu.exit.meet(breakpointsMet(e.vcpu, gva, size, kind));
}

/**
 * Whether the address that the nested page fault reported can be no other's than the instruction's one operand of `size`
 * bytes: it lies within a page, but not at its start, where the second half of one that crosses into the page would be.
 * The processor has then made all checks for this very access, and has walked the guest's tables.
 */
export function isFaultAddress(e: Emulator, size: u32, access: u32): bool {
  if (isDefined(CHECKED)) assert(size != 0 && size <= MAX_OPERAND_BYTES, "linear: bytes of an operand");
  // Offset 0 wraps around, and is no less than anything.
  if ((<u32>e.faultGpa & PAGE_OFFSET) - 1 >= PAGE_BYTES - size) return false;
  // A read-modify-write may be reported as the read alone: the right to write is then still to be checked.
  return (access & WALK_WRITE) == 0 || e.faultWrite;
}

/** Takes the reported address as that of `e.target`, if it is. */
export function useFaultAddress(e: Emulator, size: u32, access: u32): bool {
  if (!isFaultAddress(e, size, access)) return false;
  if (isDefined(CHECKED)) assert(e.faultGpa != NO_GPA, "linear: there is no fault");
  const operand = e.target;
  operand.gpa = e.faultGpa;
  if (isDefined(CHECKED))
    assert((operand.gpa & PAGE_OFFSET) + size <= PAGE_BYTES, "linear: it crosses a page");
  operand.hpa = NO_HPA;
  operand.size = size;
  operand.first = size;
  return true;
}

/** The same at a guest-linear address, with the walk's access bits (WALK_*) given in full and no checks of segments. */
export function locateLinear(e: Emulator, operand: Operand, gva: u64, size: u32, access: u32): bool {
  if (isDefined(CHECKED))
    assert(size != 0 && size <= PAGE_BYTES, "linear: an operand lies in two pages at most");
  const room = <u32>(PAGE_BYTES - (gva & PAGE_OFFSET));
  operand.size = size;
  operand.first = size;
  if (size <= room) {
    if (!translate(e, gva, access)) return false;
    operand.gpa = e.walk.gpa;
    operand.hpa = guestTranslate(e.memory, operand.gpa, size);
    return true;
  }
  operand.first = room;
  if (!translate(e, gva, access)) return false;
  operand.gpa = e.walk.gpa;
  operand.hpa = guestTranslate(e.memory, operand.gpa, room);
  const second = e.mode == CODE_64 ? gva + room : (gva + room) & 0xffffffff;
  if (!translate(e, second, access)) return false;
  operand.gpa2 = e.walk.gpa;
  operand.hpa2 = guestTranslate(e.memory, operand.gpa2, size - room);
  return true;
}

/** Guest-linear to guest-physical, into `e.walk.gpa`. */
function translate(e: Emulator, gva: u64, access: u32): bool {
  if (isDefined(CHECKED)) assert(e.walk.memory === e.memory, "linear: memory of another VM");
  const walk = e.walk;
  const vcpu = e.vcpu;
  walk.cr0 = vcpu.cr0;
  walk.cr3 = vcpu.cr3;
  walk.cr4 = vcpu.cr4;
  walk.efer = vcpu.efer;
  walk.access = access;
  setPdptes(vcpu, walk);
  walk.pkru = (vcpu.cr4 & CR4_PKE) != 0 ? rdpkru() : 0;
  const status = walkGuest(walk, gva);
  if (status == WALK_OK) return true;
  if (status == WALK_FAULT) return failPageFault(e, gva, walk.errorCode);
  assert(status == WALK_RETRY, "emulation: a walk has three results");
  e.outcome = OUTCOME_RESUME;
  return false;
}

/** True for addresses whose upper bits repeat bit 47, or bit 56 with 5-level paging. */
export function isCanonical(e: Emulator, gva: u64): bool {
  if (isDefined(CHECKED))
    assert((e.vcpu.valid & GROUP_CONTROL) != 0, "linear: control registers are not valid");
  const unused: u64 = (e.vcpu.cr4 & CR4_LA57) != 0 ? 7 : 16;
  return <u64>(<i64>(gva << unused) >> unused) == gva;
}

function checksAlignment(e: Emulator): bool {
  const vcpu = e.vcpu;
  if (isDefined(CHECKED)) assert((vcpu.valid & GROUP_STACK_FLAGS) != 0, "linear: flags are not valid");
  if (isDefined(CHECKED))
    assert((vcpu.valid & GROUP_CONTROL) != 0, "linear: control registers are not valid");
  return (vcpu.cr0 & CR0_AM) != 0 && (vcpu.rflags & RFLAGS_AC) != 0 && privilegeLevel(vcpu) == 3;
}

/** Limit and type checks outside 64-bit mode (SDM, "Limit Checking" and "Type Checking"). */
function segmentAllows(e: Emulator, segment: Segment, offset: u64, size: u32, access: u32): bool {
  if (isDefined(CHECKED)) assert(e.mode != CODE_64, "linear: segments have no limits in 64-bit mode");
  if (!isRealMode(e.vcpu)) {
    if ((segment.access & SEGMENT_UNUSABLE) != 0) return false;
    if (!typeAllows(segment.access, access)) return false;
  }
  return withinLimit(segment, offset, size);
}

function typeAllows(rights: u32, access: u32): bool {
  if (isDefined(CHECKED))
    assert(
      (access & (WALK_WRITE | WALK_FETCH)) != (WALK_WRITE | WALK_FETCH),
      "linear: code is not written to by its fetch",
    );
  const flag = (rights & TYPE_WRITABLE_READABLE) != 0;
  if ((rights & TYPE_CODE) != 0) return (access & WALK_WRITE) == 0 && (flag || (access & WALK_FETCH) != 0);
  return flag || (access & WALK_WRITE) == 0;
}

function withinLimit(segment: Segment, offset: u64, size: u32): bool {
  if (isDefined(CHECKED)) assert(size != 0, "linear: bytes of an operand");
  const last = offset + size - 1;
  const limit = <u64>segment.limit;
  const downwards = (segment.access & (TYPE_CODE | TYPE_EXPAND_DOWN)) == TYPE_EXPAND_DOWN;
  if (!downwards) return last <= limit;
  const top: u64 = (segment.access & SEGMENT_DEFAULT_BIG) != 0 ? 0xffffffff : 0xffff;
  return offset > limit && last <= top;
}

/** Guest-linear address of an offset in the code segment. */
export function codeAddress(e: Emulator, rip: u64): u64 {
  return e.mode == CODE_64 ? rip : (rip + segmentOf(e.vcpu, SEG_CS).base) & 0xffffffff;
}

/** Access bits of an instruction fetch. */
export function fetchAccess(e: Emulator): u32 {
  return privilegeLevel(e.vcpu) == 3 ? WALK_FETCH | WALK_USER : WALK_FETCH;
}

// --- access to a located operand ------------------------------------------------------------------------------------------

/** Reads the operand once, zero-extended. */
export function readOperand(e: Emulator, operand: Operand): u64 {
  if (isDefined(CHECKED))
    assert(operand.first != 0 && operand.first <= operand.size, "linear: pieces of an operand");
  if (isDefined(CHECKED)) assert(isAccessSize(operand.size), "linear: bytes of an operand");
  if (operand.first != operand.size) return readSplit(e, operand);
  const hpa = operand.hpa;
  // What nobody answers reads as ones, however many were asked for.
  if (hpa == NO_HPA) return machine().mmioRead(e.vcpu, operand.gpa, operand.size) & sizeMask(operand.size);
  switch (operand.size) {
    case 1:
      return <u64>(phys_load8(hpa) & 0xff);
    case 2:
      return <u64>(phys_load16(hpa) & 0xffff);
    case 4:
      return <u64>phys_load32(hpa);
    default:
      return phys_load64(hpa);
  }
}

/** Writes the operand's low bytes. */
export function writeOperand(e: Emulator, operand: Operand, value: u64): void {
  if (isDefined(CHECKED))
    assert(operand.first != 0 && operand.first <= operand.size, "linear: pieces of an operand");
  if (isDefined(CHECKED)) assert(isAccessSize(operand.size), "linear: bytes of an operand");
  if (operand.first != operand.size) {
    writeSplit(e, operand, value);
    return;
  }
  const hpa = operand.hpa;
  if (hpa == NO_HPA) {
    machine().mmioWrite(e.vcpu, operand.gpa, operand.size, value & sizeMask(operand.size));
    return;
  }
  switch (operand.size) {
    case 1:
      phys_store8(hpa, <u32>value);
      break;
    case 2:
      phys_store16(hpa, <u32>value);
      break;
    case 4:
      phys_store32(hpa, <u32>value);
      break;
    default:
      phys_store64(hpa, value);
      break;
  }
}

/**
 * Second half of a read-modify-write with LOCK: stores `value` if RAM still holds `held`. False: another CPU was faster,
 * so the instruction is to be run again. A device register is just written.
 */
export function replaceOperand(e: Emulator, operand: Operand, held: u64, value: u64): bool {
  if (isDefined(CHECKED)) assert(isAccessSize(operand.size), "linear: bytes of an operand");
  if (isDefined(CHECKED)) assert((held & ~sizeMask(operand.size)) == 0, "linear: operands are zero-extended");
  const hpa = operand.hpa;
  if (operand.first != operand.size || hpa == NO_HPA) {
    writeOperand(e, operand, value);
    return true;
  }
  let found: u64 = 0;
  switch (operand.size) {
    case 1:
      found = <u64>(phys_cmpxchg8(hpa, <u32>held, <u32>value) & 0xff);
      break;
    case 2:
      found = <u64>(phys_cmpxchg16(hpa, <u32>held, <u32>value) & 0xffff);
      break;
    case 4:
      found = <u64>phys_cmpxchg32(hpa, <u32>held, <u32>value);
      break;
    default:
      found = phys_cmpxchg64(hpa, held, value);
      break;
  }
  e.outcome = OUTCOME_RESUME;
  return found == (held & sizeMask(operand.size));
}

/** All ones in the low `size` bytes. */
export function sizeMask(size: u32): u64 {
  if (isDefined(CHECKED)) assert(size != 0 && size <= 8, "linear: bytes of a mask");
  return U64.MAX_VALUE >> (64 - 8 * size);
}

// An operand that crosses a page is accessed byte by byte: its halves may be different devices.

function readSplit(e: Emulator, operand: Operand): u64 {
  if (isDefined(CHECKED))
    assert(operand.first != 0 && operand.first < operand.size, "linear: pieces of an operand");
  let value: u64 = 0;
  for (let i: u32 = 0; i < operand.size; i++) value |= readByte(e, operand, i) << (8 * i);
  return value;
}

function writeSplit(e: Emulator, operand: Operand, value: u64): void {
  if (isDefined(CHECKED))
    assert(operand.first != 0 && operand.first < operand.size, "linear: pieces of an operand");
  for (let i: u32 = 0; i < operand.size; i++) writeByte(e, operand, i, (value >> (8 * i)) & 0xff);
}

function readByte(e: Emulator, operand: Operand, i: u32): u64 {
  if (isDefined(CHECKED)) assert(i < operand.size, "linear: byte of an operand");
  const second = i >= operand.first;
  const offset: u64 = second ? i - operand.first : i;
  const hpa = second ? operand.hpa2 : operand.hpa;
  if (hpa != NO_HPA) return <u64>(phys_load8(hpa + offset) & 0xff);
  return machine().mmioRead(e.vcpu, (second ? operand.gpa2 : operand.gpa) + offset, 1) & 0xff;
}

function writeByte(e: Emulator, operand: Operand, i: u32, value: u64): void {
  if (isDefined(CHECKED)) assert(i < operand.size && value <= 0xff, "linear: byte of an operand");
  const second = i >= operand.first;
  const offset: u64 = second ? i - operand.first : i;
  const hpa = second ? operand.hpa2 : operand.hpa;
  if (hpa != NO_HPA) phys_store8(hpa + offset, <u32>value);
  else machine().mmioWrite(e.vcpu, (second ? operand.gpa2 : operand.gpa) + offset, 1, value);
}

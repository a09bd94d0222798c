// Segment descriptors in the guest's GDT and LDT, read and loaded by hand for task switches (SDM, "Segment Descriptors";
// "Task Switching", the table of exception conditions).
//
//   63..56       55 54   53 52   51..48        47 46..45 44 43..40  39..16      15..0
//   base 31..24  G  D/B  L  AVL  limit 19..16  P  DPL    S  type    base 23..0  limit 15..0
import { WALK_READ, WALK_WRITE } from "../mm/guestwalk";
import { VECTOR_NP, VECTOR_SS, VECTOR_TS } from "../vcpu/raise";
import {
  SEG_CS,
  SEG_LDTR,
  SEG_SS,
  Segment,
  SEGMENT_CODE_OR_DATA,
  SEGMENT_DPL_SHIFT,
  SEGMENT_GRANULARITY,
  SEGMENT_PRESENT,
  SEGMENT_TYPE_MASK,
  SEGMENT_UNUSABLE,
} from "../vcpu/registers";
import { Emulator } from "./emulate/emulator";
import { failWith, locateLinear, readOperand, writeOperand } from "./emulate/linear";

/** Of a selector: privilege, LDT, and what is not 0 unless it is the null selector. */
export const SELECTOR_RPL: u32 = 3;
export const SELECTOR_LOCAL: u32 = 4;
export const SELECTOR_INDEX: u32 = 0xfffc;
// Of the types of code and data segments.
export const ACCESSED: u32 = 1;
export const TYPE_READABLE_WRITABLE: u32 = 2;
export const TYPE_CONFORMING: u32 = 4;
export const TYPE_CODE: u32 = 8;
const TYPE_LDT: u32 = 2;
/** G, D, present, code, readable, accessed. */
const FLAT_CODE: u32 = 0xc09b;
/** Busy bit of a TSS descriptor, in its upper half. */
export const TSS_BUSY: u32 = 1 << 9;

/** Reads `size` bytes at a linear address as the processor itself does, at CPL 0, into `e.value`. */
export function readSystem(e: Emulator, linear: u64, size: u32): bool {
  if (!locateLinear(e, e.source, linear & 0xffffffff, size, WALK_READ)) return false;
  e.value = readOperand(e, e.source);
  return true;
}

export function writeSystem(e: Emulator, linear: u64, size: u32, value: u64): bool {
  if (!locateLinear(e, e.target, linear & 0xffffffff, size, WALK_WRITE)) return false;
  writeOperand(e, e.target, value);
  return true;
}

/** Linear address of a selector's descriptor of `bytes` bytes; U64.MAX_VALUE when the table ends before its last one. */
export function descriptorAddress(e: Emulator, selector: u32, bytes: u32 = 8): u64 {
  const vcpu = e.vcpu;
  const offset = selector & 0xfff8;
  const last = offset + bytes - 1;
  if ((selector & SELECTOR_LOCAL) == 0) {
    return last <= vcpu.gdtrLimit ? vcpu.gdtrBase + offset : U64.MAX_VALUE;
  }
  const local = vcpu.segment(SEG_LDTR);
  const usable = (local.access & SEGMENT_UNUSABLE) == 0;
  return usable && last <= local.limit ? local.base + offset : U64.MAX_VALUE;
}

/** Bits 0 to 31 of a descriptor's base. */
export function descriptorBase(descriptor: u64): u64 {
  return ((descriptor >> 16) & 0xffffff) | ((descriptor >> 56) << 24);
}

/** Offset of the last byte of its segment. */
export function descriptorLimit(descriptor: u64): u32 {
  const high = <u32>(descriptor >> 32);
  const limit = (<u32>descriptor & 0xffff) | (high & 0xf0000);
  return ((high >> 8) & SEGMENT_GRANULARITY) != 0 ? (limit << 12) | 0xfff : limit;
}

/** Fills a segment register from a selector and its descriptor. */
export function setFromDescriptor(segment: Segment, selector: u32, descriptor: u64): void {
  segment.selector = selector;
  segment.base = descriptorBase(descriptor);
  segment.access = <u32>(descriptor >> 40) & 0xf0ff;
  segment.limit = descriptorLimit(descriptor);
}

/**
 * A segment register of which only the selector is known yet, for a processor at privilege level `cpl`: CS as flat 32-bit code,
 * the others as no segment.
 */
export function setUnchecked(segment: Segment, index: u32, selector: u32, cpl: u32): void {
  setUnusable(segment, selector);
  segment.access |= cpl << SEGMENT_DPL_SHIFT;
  if (index != SEG_CS) return;
  segment.limit = U32.MAX_VALUE;
  segment.access = FLAT_CODE | (cpl << SEGMENT_DPL_SHIFT);
}

/** A segment register that holds no segment. */
export function setUnusable(segment: Segment, selector: u32): void {
  segment.selector = selector;
  segment.base = 0;
  segment.limit = 0;
  segment.access = SEGMENT_UNUSABLE;
}

/** Ends the instruction with an exception whose error code names a selector. */
export function failSelector(e: Emulator, vector: u32, selector: u32): bool {
  assert(selector <= 0xffff, "descriptor: selector");
  return failWith(e, vector, selector & SELECTOR_INDEX);
}

/** LDTR, as a task switch loads it: a null selector is no LDT. */
export function loadLocalTable(e: Emulator, selector: u32): bool {
  const segment = e.vcpu.segment(SEG_LDTR);
  setUnusable(segment, selector);
  if ((selector & SELECTOR_INDEX) == 0) return true;
  const at = descriptorAddress(e, selector);
  if ((selector & SELECTOR_LOCAL) != 0 || at == U64.MAX_VALUE) return failSelector(e, VECTOR_TS, selector);
  if (!readSystem(e, at, 8)) return false;
  const access = <u32>(e.value >> 40) & 0xff;
  const right = SEGMENT_PRESENT | TYPE_LDT;
  if ((access & (SEGMENT_PRESENT | SEGMENT_CODE_OR_DATA | SEGMENT_TYPE_MASK)) != right) {
    return failSelector(e, VECTOR_TS, selector);
  }
  setFromDescriptor(segment, selector, e.value);
  return true;
}

/**
 * CS, SS, DS, ES, FS or GS, as a task switch loads it at privilege `cpl`. The register, which `setUnchecked` has set, changes
 * only if the descriptor is right.
 */
export function loadSegment(e: Emulator, index: u32, selector: u32, cpl: u32): bool {
  const segment = e.vcpu.segment(index);
  if ((selector & SELECTOR_INDEX) == 0) {
    return index == SEG_CS || index == SEG_SS ? failSelector(e, VECTOR_TS, selector) : true;
  }
  const at = descriptorAddress(e, selector);
  if (at == U64.MAX_VALUE) return failSelector(e, VECTOR_TS, selector);
  if (!readSystem(e, at, 8)) return false;
  const descriptor = e.value;
  const access = <u32>(descriptor >> 40) & 0xff;
  if (!mayLoad(index, selector, access, cpl)) return failSelector(e, VECTOR_TS, selector);
  if ((access & SEGMENT_PRESENT) == 0) {
    return failSelector(e, index == SEG_SS ? VECTOR_SS : VECTOR_NP, selector);
  }
  // The processor marks the descriptor as accessed.
  if ((access & ACCESSED) == 0 && !writeSystem(e, at + 5, 1, access | ACCESSED)) return false;
  setFromDescriptor(segment, selector, descriptor | ((<u64>ACCESSED) << 40));
  return true;
}

/** Type and privilege: whether this register may hold a descriptor with these access rights. */
function mayLoad(index: u32, selector: u32, access: u32, cpl: u32): bool {
  if ((access & SEGMENT_CODE_OR_DATA) == 0) return false;
  const code = (access & TYPE_CODE) != 0;
  const conforming = code && (access & TYPE_CONFORMING) != 0;
  const dpl = (access >> SEGMENT_DPL_SHIFT) & 3;
  const rpl = selector & SELECTOR_RPL;
  if (index == SEG_CS) return code && (conforming ? dpl <= rpl : dpl == rpl);
  const flag = (access & TYPE_READABLE_WRITABLE) != 0;
  if (index == SEG_SS) return !code && flag && dpl == cpl && rpl == cpl;
  return (!code || flag) && (conforming || (dpl >= cpl && dpl >= rpl));
}

/** A segment register in virtual-8086 mode: a paragraph at CPL 3. */
export function setVirtual8086(e: Emulator, index: u32, selector: u32): void {
  const segment = e.vcpu.segment(index);
  segment.selector = selector;
  segment.base = (<u64>selector) << 4;
  segment.limit = 0xffff;
  // Present, DPL 3, data, writable, accessed.
  segment.access = 0xf3;
}

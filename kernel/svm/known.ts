// biome-ignore-all format: aligned tables.
//
// Instructions whose exits are known, on processors that say little about them: no RIP after an intercepted instruction (no NRIP
// save), no bytes of an instruction that caused a nested page fault (no decode assists).
//
// Most exits come from instructions of fixed encoding: CPUID, RDMSR, HLT … It is then enough to see that the bytes at RIP
// are that encoding without prefixes. Nearly all others are of drivers, which reach a device's registers by MOVs of four
// bytes, each again and again from the same place to the same page. One small cache has both: where an instruction exited, as
// what, and all that made it so. The next exit that agrees in everything needs neither a page walk nor a decoder. What misses
// here is decoded in full.
//
// An entry is true as long as its address leads to the same bytes in the same way (kernel/mm/trail.ts), with the same CR3 and,
// for MOVs, the same size of code. CR0, CR4 and EFER change by exits only, at which `storeState` forgets all.
import { phys_load16, phys_load32, phys_load64 } from "../arch/intrinsics";
import { EFER_LMA } from "../arch/msr";
import { KnownLink } from "../lib/links";
import { tailOf } from "../lib/tail";
import { Trail, TRAIL_BYTES, trailHolds, trailTake } from "../mm/trail";
import {
  EXIT_CLASSES, EXIT_CPUID, EXIT_HYPERCALL, EXIT_NESTED_FAULT, EXIT_RDMSR, EXIT_WRMSR, MOVE_WRITE,
} from "../vcpu/exit";
import { Vcpu } from "../vcpu/vcpu";
import { translateCode } from "./codewalk";
import { KNOWN_BYTES, NMI_OPEN, SvmVcpu, svmOf } from "./svm";
import { VMCB_CR3, VMCB_CS, VMCB_EFER, VMCB_EXITCODE_UPPER, VMCB_EXITINTINFO } from "./vmcb";

/** One instruction that exited. Empty: all ones, which no CR3 is. Ends in its trail. */
@unmanaged
export class KnownInstruction {
  /** Linear address, the CR3 it was translated with, and where that is. */
  linear: u64;
  cr3: u64;
  hpa: u64;
  /** The four bytes there and, in the upper half, the exit code; or KNOWN_MOVE. */
  bytesAndCode: u64;
  /** Offset within Vcpu of the 32 bits that are the exit's `detail`. */
  detailAt: u32;
  /** EXIT_*, and the bytes from RIP to the RIP after it. */
  kind: u32;
  length: u32;
  // -- of a MOV --
  /** MOVE_*, and the value that a MOV of an immediate writes. */
  move: u32;
  value: u32;
  /** Attributes of the code segment: the size of code. */
  attributes: u32;
  /** Sixteen bytes and, for the part of them that it is, ones. */
  bytes0: u64;
  bytes1: u64;
  mask0: u64;
  mask1: u64;
  /** Guest-physical address of the lowest byte but one of the page that it accessed. */
  second: u64;

  get trail(): Trail {
    return changetype<Trail>(tailOf(this));
  }

  /** `kind` and, in the upper half, `length`: as the exit record has them, to be copied by one load and one store. */
  get kindAndLength(): u64 {
    return load<u64>(changetype<usize>(this), offsetof<KnownInstruction>("kind"));
  }
}

/** `KnownInstruction.bytesAndCode` of a MOV: no exit code, since the exit is not all that has to agree. */
const KNOWN_MOVE: u64 = 0xffff_0400_0000_0000;

const PAGE_BYTES: u64 = 4096;
const PAGE_SHIFT: u64 = 12;
const PAGE_OFFSET: u64 = PAGE_BYTES - 1;
/** Bytes read at RIP: of an instruction of fixed encoding, of a MOV. */
const FIXED_BYTES: u64 = 4;
const MOVE_BYTES: u64 = 16;
/** Offset of a segment's base, and attributes, in the VMCB; L is bit 9 of the attributes. */
const SEGMENT_BASE: u64 = 8;
const SEGMENT_ATTRIBUTES: u64 = 2;
const ATTRIBUTE_LONG: u32 = 1 << 9;
const EVENT_WAS_DELIVERED: u64 = 1 << 31;

// EXITINFO1: what tells this nested fault from others at the same place.
const NPF_WRITE: u64 = 1 << 1;
const NPF_OTHER: u64 = (1 << 3) | (1 << 4) | (1 << 33); // reserved bits, fetch, page walk

/** Bytes of an entry of a vCPU's cache, as a shift, and entries: a power of two. */
const ENTRY_SHIFT: u32 = 8;
const ENTRIES: u32 = <u32>(KNOWN_BYTES >> ENTRY_SHIFT);
/** Spreads addresses over the entries; a multiplication gives the entry's offset at once, where a shift needs a copy first. */
const SPREAD: u32 = 0x9e37_79b1;

/** By EXIT_*: the opcode bytes as they lie in memory, and how many they are. 0: the encoding is not fixed. */
const encodings: StaticArray<u32> = [
  0, 0,         // EXIT_UNKNOWN
  0x00a20f, 2,  // EXIT_CPUID
  0x00320f, 2,  // EXIT_RDMSR
  0x00300f, 2,  // EXIT_WRMSR
  0, 0,         // EXIT_IO: EXITINFO2 has it
  0, 0,         // EXIT_CR
  0, 0,         // EXIT_DR
  0, 0,         // EXIT_NESTED_FAULT
  0x0000f4, 1,  // EXIT_HLT
  0xd9010f, 3,  // EXIT_HYPERCALL: VMMCALL
  0, 0,         // EXIT_EXTERNAL_INTERRUPT
  0, 0,         // EXIT_NMI
  0, 0,         // EXIT_INTERRUPT_WINDOW
  0, 0,         // EXIT_NMI_WINDOW
  0, 0,         // EXIT_DEADLINE
  0, 0,         // EXIT_EXCEPTION
  0, 0,         // EXIT_TRIPLE_FAULT
  0x0090f3, 2,  // EXIT_PAUSE
  0x00310f, 2,  // EXIT_RDTSC
  0xf9010f, 3,  // EXIT_RDTSCP
  0x00330f, 2,  // EXIT_RDPMC
  0xd1010f, 3,  // EXIT_XSETBV
  0x00080f, 2,  // EXIT_INVD
  0x00090f, 2,  // EXIT_WBINVD
  0, 0,         // EXIT_INVLPG
  0xc8010f, 3,  // EXIT_MONITOR
  0xc9010f, 3,  // EXIT_MWAIT
  0, 0,         // EXIT_TASK_SWITCH
  0, 0,         // EXIT_INIT
  0, 0,         // EXIT_SIPI
  0, 0,         // EXIT_NESTED_VIRTUALIZATION
  0, 0,         // EXIT_DESCRIPTOR
  0, 0,         // EXIT_MTF
  0, 0,         // EXIT_NESTED_MISCONFIG
  0, 0,         // EXIT_ENTRY_FAILURE
  0, 0,         // EXIT_MACHINE_CHECK
  0, 0,         // EXIT_OTHER_INSTRUCTION
];

/** A cache in which nothing is ever found. */
const nothing = changetype<KnownLink>(memory.data(KNOWN_BYTES, 64));

/** Before the first guest runs. */
export function knownPrepare(): void {
  assert(offsetof<KnownInstruction>() + TRAIL_BYTES <= (<usize>1) << ENTRY_SHIFT, "svm: storage of known.ts");
  assert(<u32>encodings.length == 2 * EXIT_CLASSES, "svm: an exit class has no row of encodings");
  memory.fill(changetype<usize>(nothing), 0xff, KNOWN_BYTES);
}

/** Forgets everything. */
export function knownForget(svm: SvmVcpu): void {
  memory.fill(changetype<usize>(svm.known), 0xff, KNOWN_BYTES);
}

/** Puts the cache to use, or, while every exit has to be looked at closely for the sake of NMIs, out of it. */
export function knownUse(vcpu: Vcpu, svm: SvmVcpu): void {
  const open = svm.nmi == NMI_OPEN;
  vcpu.known = open ? svm.known : nothing;
  vcpu.knownClosed = open ? 0 : 1;
}

/**
 * Linear address of the instruction at `rip`, by which it is remembered. That of 64-bit code is `rip`, whatever base its segment
 * was loaded with: to ask for that here would cost every exit two instructions, so nothing of such a segment is remembered.
 */
export function linearAddress(vmcb: u64, rip: u64): u64 {
  return rip + phys_load64(vmcb + VMCB_CS + SEGMENT_BASE);
}

/** Where an exit at `linear` would be remembered. */
function entryOf(cache: KnownLink, linear: u64): KnownInstruction {
  return changetype<KnownInstruction>(changetype<usize>(cache) + ((<u32>linear * SPREAD) & ((ENTRIES - 1) << ENTRY_SHIFT)));
}

/** The entry that an exit at `linear` has if it is known. */
export function knownEntry(vcpu: Vcpu, linear: u64): KnownInstruction {
  return entryOf(vcpu.known, linear);
}

/** Whether an entry is of the instruction at `linear`, and still true. Which exit it is of is the next question. */
export function isTrue(vcpu: Vcpu, known: KnownInstruction, linear: u64): bool {
  return known.linear == linear && known.cr3 == phys_load64(vcpu.vmcb + VMCB_CR3) && trailHolds(known.trail);
}

/** Whether the entry, which is true, is of the exit's kind and has its bytes: both by one comparison. Not of MOVs. */
export function isFixedExit(vcpu: Vcpu, known: KnownInstruction): bool {
  return <u64>phys_load32(known.hpa) + phys_load64(vcpu.vmcb + VMCB_EXITCODE_UPPER) == known.bytesAndCode;
}

/**
 * If the nested fault with EXITINFO1 `error` and guest-physical address `gpa` is of the MOV of an entry that is true: completes
 * the exit record with it.
 */
export function knownMove(vcpu: Vcpu, known: KnownInstruction, error: u64, gpa: u64): bool {
  const vmcb = vcpu.vmcb;
  if (known.kind != EXIT_NESTED_FAULT) return false;
  // Of an access that crosses into a page, the fault is at offset 0; one that crosses out of it begins at the last three bytes.
  if (gpa - known.second > PAGE_BYTES - 5) return false;
  if (known.attributes != phys_load16(vmcb + VMCB_CS + SEGMENT_ATTRIBUTES)) return false;
  if ((phys_load64(known.hpa) & known.mask0) != known.bytes0) return false;
  if ((phys_load64(known.hpa + 8) & known.mask1) != known.bytes1) return false;
  if ((error & (NPF_OTHER | NPF_WRITE)) != <u64>(known.move & MOVE_WRITE)) return false;
  if ((phys_load64(vmcb + VMCB_EXITINTINFO) & EVENT_WAS_DELIVERED) != 0) return false;
  const exit = vcpu.exit;
  exit.kindAndLength = known.kindAndLength;
  exit.gpa = gpa;
  exit.detail = <u32>(gpa >> PAGE_SHIFT);
  exit.move = known.move;
  exit.moveValue = known.value;
  return true;
}

/** Bytes of an instruction of fixed encoding; 0 for other kinds of exit. */
function fixedLength(kind: u32): u32 {
  return unchecked(encodings[2 * kind + 1]);
}

/** Whether exits of `kind` (EXIT_*) are those of one instruction of fixed encoding. */
export function isFixed(kind: u32): bool {
  return fixedLength(kind) != 0;
}

/** Register whose lower half is the `detail` of exits of `kind`, as an offset within Vcpu. */
function detailRegister(kind: u32): usize {
  if (kind == EXIT_CPUID || kind == EXIT_HYPERCALL) return offsetof<Vcpu>("rax");
  if (kind == EXIT_RDMSR || kind == EXIT_WRMSR) return offsetof<Vcpu>("rcx");
  return offsetof<Vcpu>("noDetail");
}

/** The `detail` of an exit of one of the fixed kinds. */
export function fixedDetail(vcpu: Vcpu, kind: u32): u32 {
  return load<u32>(changetype<usize>(vcpu) + detailRegister(kind));
}

/**
 * Begins the entry of the instruction at `rip`, whose address is translated as an instruction fetch does and of which `bytes`
 * bytes are looked at. Null: not mapped, not RAM, too near to the end of its page; or 64-bit code in a segment with a base.
 */
function discover(vcpu: Vcpu, rip: u64, bytes: u64): KnownInstruction | null {
  const vmcb = vcpu.vmcb;
  const linear = linearAddress(vmcb, rip);
  const is64Bit = isLong(vmcb);
  if (is64Bit && linear != rip) return null;
  if ((linear & PAGE_OFFSET) > PAGE_BYTES - bytes) return null;
  const svm = svmOf(vcpu);
  const hpa = translateCode(vcpu, svm.codeWalk, is64Bit ? linear : linear & U32.MAX_VALUE, bytes);
  if (hpa == 0) return null;
  const known = entryOf(svm.known, linear);
  // Nothing, until it is complete.
  known.cr3 = U64.MAX_VALUE;
  if (!trailTake(known.trail, svm.codeWalk, hpa)) return null;
  known.linear = linear;
  known.hpa = hpa;
  return known;
}

/** Addresses of other code than 64-bit code wrap at 4 GiB. */
function isLong(vmcb: u64): bool {
  const attributes = phys_load16(vmcb + VMCB_CS + SEGMENT_ATTRIBUTES);
  return (phys_load64(vmcb + VMCB_EFER) & EFER_LMA) != 0 && (attributes & ATTRIBUTE_LONG) != 0;
}

/**
 * RIP after the instruction at `rip` that exited with `code` as `kind` (EXIT_*); from now on it is known. 0: it cannot be read,
 * or has other bytes than those.
 */
export function findNextRip(vcpu: Vcpu, code: u32, kind: u32, rip: u64): u64 {
  const known = discover(vcpu, rip, FIXED_BYTES);
  if (known == null) return 0;
  const bytes = phys_load32(known.hpa);
  const length = fixedLength(kind);
  if ((bytes & <u32>firstBytes(length)) != unchecked(encodings[2 * kind])) return 0;
  known.length = length;
  known.bytesAndCode = (<u64>code << 32) | bytes;
  known.kind = kind;
  known.detailAt = <u32>detailRegister(kind);
  known.cr3 = phys_load64(vcpu.vmcb + VMCB_CR3);
  return rip + length;
}

/** A mask of the lowest 1..8 bytes. */
function firstBytes(count: u64): u64 {
  return U64.MAX_VALUE >> (64 - 8 * count);
}

/** Remembers the MOV that the last exit was about; see `Backend.rememberMove`. */
export function rememberMove(vcpu: Vcpu, move: u32, value: u32, length: u32): void {
  const known = discover(vcpu, vcpu.rip, MOVE_BYTES);
  if (known == null) return;
  known.mask0 = firstBytes(min<u64>(length, 8));
  known.mask1 = length > 8 ? firstBytes(<u64>length - 8) : 0;
  known.bytes0 = phys_load64(known.hpa) & known.mask0;
  known.bytes1 = phys_load64(known.hpa + 8) & known.mask1;
  known.length = length;
  known.bytesAndCode = KNOWN_MOVE;
  known.kind = EXIT_NESTED_FAULT;
  known.attributes = phys_load16(vcpu.vmcb + VMCB_CS + SEGMENT_ATTRIBUTES);
  known.second = (vcpu.exit.gpa & ~PAGE_OFFSET) + 1;
  known.move = move;
  known.value = value;
  known.cr3 = phys_load64(vcpu.vmcb + VMCB_CR3);
}

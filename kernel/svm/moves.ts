// Accesses to devices that are known, on processors that do not give the bytes of an instruction with a nested page fault
// (no decode assists).
//
// Drivers reach a device's registers by MOVs of four bytes, each again and again from the same place to the same page. Once
// one has been decoded and carried out (kernel/exits/emulate), it is remembered here together with all that made it so;
// the next fault that agrees in everything needs neither a page walk nor the decoder. As in known.ts a stale entry can only
// make us look at the guest's own RAM, and other bytes than before are a miss.
import { phys_load16, phys_load64 } from "../arch/intrinsics";
import { ExitRecord, EXIT_NESTED_FAULT, MOVE_WRITE } from "../vcpu/exit";
import { Vcpu } from "../vcpu/vcpu";
import { translateCode } from "./codewalk";
import { linearAddress } from "./known";
import { MOVES_BYTES, svmOf } from "./svm";
import { VMCB_CR3, VMCB_CS, VMCB_EXITINTINFO } from "./vmcb";

/** One MOV. Empty: all ones, which no CR3 is. */
@unmanaged
class KnownMove {
  /** Linear address, the CR3 it was translated with, and where that is. */
  linear: u64;
  cr3: u64;
  hpa: u64;
  /** Sixteen bytes from there on and, for the part of them that it is, ones. */
  bytes0: u64;
  bytes1: u64;
  mask0: u64;
  mask1: u64;
  length: u64;
  /** Attributes of the code segment: the size of code. */
  attributes: u32;
  /** Number of the guest-physical page that it accessed. */
  page: u32;
  /** MOVE_*, and the value that a MOV of an immediate writes. */
  move: u32;
  value: u32;
}

/** Bytes of an entry of a vCPU's cache, as a shift, and entries: a power of two. */
const ENTRY_SHIFT: u32 = 7;
const ENTRIES: u32 = <u32>(MOVES_BYTES >> ENTRY_SHIFT);

/** Bytes looked at. */
const BYTES_LOOKED_AT: u64 = 16;
const PAGE_SHIFT: u64 = 12;
const PAGE_OFFSET: u32 = 0xfff;
/** Offset of a segment's attributes in the VMCB. */
const SEGMENT_ATTRIBUTES: u64 = 2;
const EVENT_WAS_DELIVERED: u64 = 1 << 31;

// EXITINFO1: what tells this fault from others at the same place.
const NPF_WRITE: u64 = 1 << 1;
const NPF_OTHER: u64 = (1 << 3) | (1 << 4) | (1 << 33); // reserved bits, fetch, page walk

/** Before the first guest runs. */
export function movesPrepare(): void {
  assert(offsetof<KnownMove>() <= (<usize>1) << ENTRY_SHIFT, "svm: storage of moves.ts");
}

/** Forgets everything. */
export function movesForget(vcpu: Vcpu): void {
  memory.fill(svmOf(vcpu).moves, 0xff, MOVES_BYTES);
}

function entryOf(cache: usize, linear: u64): KnownMove {
  return changetype<KnownMove>(cache + ((<u32>linear & (ENTRIES - 1)) << ENTRY_SHIFT));
}

/**
 * If the nested fault at `linear` with EXITINFO1 `error` and guest-physical address `gpa` is of a MOV that is known: completes
 * the exit record with it, and returns the MOV's length; else 0.
 */
export function knownMove(vcpu: Vcpu, exit: ExitRecord, linear: u64, error: u64, gpa: u64): u64 {
  const vmcb = vcpu.vmcb;
  const known = entryOf(svmOf(vcpu).moves, linear);
  if (known.linear != linear || known.page != <u32>(gpa >> PAGE_SHIFT)) return 0;
  if (known.attributes != phys_load16(vmcb + VMCB_CS + SEGMENT_ATTRIBUTES)) return 0;
  if (known.cr3 != phys_load64(vmcb + VMCB_CR3)) return 0;
  if ((phys_load64(known.hpa) & known.mask0) != known.bytes0) return 0;
  if ((phys_load64(known.hpa + 8) & known.mask1) != known.bytes1) return 0;
  if ((error & (NPF_OTHER | NPF_WRITE)) != <u64>(known.move & MOVE_WRITE)) return 0;
  if ((phys_load64(vmcb + VMCB_EXITINTINFO) & EVENT_WAS_DELIVERED) != 0) return 0;
  exit.kind = EXIT_NESTED_FAULT;
  exit.gpa = gpa;
  exit.detail = known.page;
  exit.move = known.move;
  exit.moveValue = known.value;
  return known.length;
}

/** A mask of the lowest 1..8 bytes. */
function firstBytes(count: u64): u64 {
  return U64.MAX_VALUE >> (64 - 8 * count);
}

/** Remembers the MOV that the last exit was about; see `Backend.rememberMove`. */
export function rememberMove(vcpu: Vcpu, move: u32, value: u32, length: u32): void {
  const vmcb = vcpu.vmcb;
  const linear = linearAddress(vmcb, vcpu.rip);
  if ((<u32>linear & PAGE_OFFSET) > PAGE_OFFSET + 1 - <u32>BYTES_LOOKED_AT) return;
  const hpa = translateCode(vcpu, linear, BYTES_LOOKED_AT);
  if (hpa == 0) return;
  const known = entryOf(svmOf(vcpu).moves, linear);
  known.linear = linear;
  known.cr3 = phys_load64(vmcb + VMCB_CR3);
  known.hpa = hpa;
  known.mask0 = firstBytes(min<u64>(length, 8));
  known.mask1 = length > 8 ? firstBytes(<u64>length - 8) : 0;
  known.bytes0 = phys_load64(hpa) & known.mask0;
  known.bytes1 = phys_load64(hpa + 8) & known.mask1;
  known.length = length;
  known.attributes = phys_load16(vmcb + VMCB_CS + SEGMENT_ATTRIBUTES);
  known.page = <u32>(vcpu.exit.gpa >> PAGE_SHIFT);
  known.move = move;
  known.value = value;
}

// biome-ignore-all format: aligned tables.
//
// The RIP after an intercepted instruction, on processors that do not save it (no NRIP save).
//
// Most exits come from instructions of fixed encoding: CPUID, RDMSR, HLT … It is then enough to see that the bytes at RIP
// are that encoding without prefixes. A small cache of where instructions that exited were found makes that a few
// instructions. The cache is not told of the guest's changes to its page tables: a stale entry can only make us look at
// the guest's own RAM, where anything but the very instruction that exited is a miss, so the worst a guest achieves is to
// mislead itself. What misses here is decoded in full by kernel/exits.
import { physicalAddressBits } from "../arch/cpuid";
import { phys_load32, phys_load64, phys_load8 } from "../arch/intrinsics";
import { NO_HPA } from "../mm/frames";
import { GuestMemory, guestTranslate } from "../mm/guestmem";
import { GuestWalk, WALK_FETCH, WALK_OK, WALK_USER, walkGuest } from "../mm/guestwalk";
import { EXIT_CLASSES } from "../vcpu/exit";
import { machine } from "../vcpu/machine";
import { Vcpu } from "../vcpu/vcpu";
import { CACHED_BYTES, CACHED_INSTRUCTIONS, instructionCache, SvmVcpu } from "./svm";
import { VMCB_CPL, VMCB_CR0, VMCB_CR3, VMCB_CR4, VMCB_CS, VMCB_EFER } from "./vmcb";

/** Where the bytes of an instruction are. Empty: all ones, which as an address is never remembered (LAST_OFFSET). */
@unmanaged
class CachedInstruction {
  linear: u64;
  /** CR3 it was translated with. */
  cr3: u64;
  hpa: u64;
  reserved: u64;
}

const PAGE_BYTES: u64 = 4096;
/** Bytes read at RIP, and the last offset in a page at which they can be. */
const BYTES_LOOKED_AT: u64 = 4;
const LAST_OFFSET: u64 = PAGE_BYTES - BYTES_LOOKED_AT;
/** Offset of a segment's base in the VMCB. */
const SEGMENT_BASE: u64 = 8;

/** No masked bytes of memory equal this. */
const NOT_FIXED: u32 = 1;
/**
 * By EXIT_*: the opcode bytes as they lie in memory, and beside them the mask of their length. Mask 0 with bytes that no
 * memory matches: the encoding is not fixed.
 */
const encodings: StaticArray<u32> = [
  NOT_FIXED, 0,         // EXIT_UNKNOWN
  0x00a20f, 0x00ffff,   // EXIT_CPUID
  0x00320f, 0x00ffff,   // EXIT_RDMSR
  0x00300f, 0x00ffff,   // EXIT_WRMSR
  NOT_FIXED, 0,         // EXIT_IO: EXITINFO2 has it
  NOT_FIXED, 0,         // EXIT_CR
  NOT_FIXED, 0,         // EXIT_DR
  NOT_FIXED, 0,         // EXIT_NESTED_FAULT
  0x0000f4, 0x0000ff,   // EXIT_HLT
  0xd9010f, 0xffffff,   // EXIT_HYPERCALL: VMMCALL
  NOT_FIXED, 0,         // EXIT_EXTERNAL_INTERRUPT
  NOT_FIXED, 0,         // EXIT_NMI
  NOT_FIXED, 0,         // EXIT_INTERRUPT_WINDOW
  NOT_FIXED, 0,         // EXIT_NMI_WINDOW
  NOT_FIXED, 0,         // EXIT_DEADLINE
  NOT_FIXED, 0,         // EXIT_EXCEPTION
  NOT_FIXED, 0,         // EXIT_TRIPLE_FAULT
  0x0090f3, 0x00ffff,   // EXIT_PAUSE
  0x00310f, 0x00ffff,   // EXIT_RDTSC
  0xf9010f, 0xffffff,   // EXIT_RDTSCP
  0x00330f, 0x00ffff,   // EXIT_RDPMC
  0xd1010f, 0xffffff,   // EXIT_XSETBV
  0x00080f, 0x00ffff,   // EXIT_INVD
  0x00090f, 0x00ffff,   // EXIT_WBINVD
  NOT_FIXED, 0,         // EXIT_INVLPG
  0xc8010f, 0xffffff,   // EXIT_MONITOR
  0xc9010f, 0xffffff,   // EXIT_MWAIT
  NOT_FIXED, 0,
  NOT_FIXED, 0,
  NOT_FIXED, 0,
  NOT_FIXED, 0,
  NOT_FIXED, 0,
  NOT_FIXED, 0,
  NOT_FIXED, 0,
  NOT_FIXED, 0,
  NOT_FIXED, 0,
  NOT_FIXED, 0,
];

/** Bytes of an instruction of fixed encoding, by EXIT_*. */
const lengths: StaticArray<u32> = [
  0, 2, 2, 2, 0, 0, 0, 0, 1, 3, 0, 0, 0, 0, 0, 0, 0, 2, 2, 3,
  2, 3, 2, 2, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/** GuestWalk is a few dozen bytes; one serves all vCPUs of this CPU, since a walk never yields. */
const walkStorage = memory.data(256, 16);
let physicalBits: u32 = 0;

/** Before the first guest runs. */
export function nextRipPrepare(): void {
  assert(offsetof<GuestWalk>() <= 256 && offsetof<CachedInstruction>() == CACHED_BYTES, "svm: storage of nextrip");
  assert(<u32>lengths.length == EXIT_CLASSES, "svm: an exit class has no row of encodings");
  physicalBits = physicalAddressBits();
}

/** Forgets everything. */
export function forgetInstructions(svm: SvmVcpu): void {
  memory.fill(instructionCache(svm), 0xff, <usize>CACHED_INSTRUCTIONS * CACHED_BYTES);
}

function entryOf(svm: SvmVcpu, linear: u64): CachedInstruction {
  const way = <usize>((linear >> 1) & (CACHED_INSTRUCTIONS - 1)) * CACHED_BYTES;
  return changetype<CachedInstruction>(instructionCache(svm) + way);
}

/** RIP after the instruction at `rip` that exited as `kind` (EXIT_*); 0: not in the cache, or not that instruction. */
export function fixedNextRip(svm: SvmVcpu, kind: u32, rip: u64): u64 {
  const linear = rip + phys_load64(svm.vmcb + VMCB_CS + SEGMENT_BASE);
  const cached = entryOf(svm, linear);
  if (cached.linear != linear) return 0;
  if (cached.cr3 != phys_load64(svm.vmcb + VMCB_CR3)) return 0;
  return isEncoded(kind, phys_load32(cached.hpa)) ? rip + unchecked(lengths[kind]) : 0;
}

function isEncoded(kind: u32, bytes: u32): bool {
  return (bytes & unchecked(encodings[2 * kind + 1])) == unchecked(encodings[2 * kind]);
}

/** Whether exits of `kind` (EXIT_*) are those of one instruction of fixed encoding. */
export function isFixed(kind: u32): bool {
  return unchecked(lengths[kind]) != 0;
}

/**
 * The same, after putting the instruction into the cache: its address is translated as an instruction fetch does. 0: not
 * mapped, not RAM, or other bytes than those.
 */
export function findNextRip(vcpu: Vcpu, svm: SvmVcpu, kind: u32, rip: u64): u64 {
  const vmcb = svm.vmcb;
  const linear = rip + phys_load64(vmcb + VMCB_CS + SEGMENT_BASE);
  if ((linear & (PAGE_BYTES - 1)) > LAST_OFFSET) return 0;
  const walk = changetype<GuestWalk>(walkStorage);
  walk.memory = changetype<GuestMemory>(machine().guestMemory(vcpu));
  walk.cr0 = phys_load64(vmcb + VMCB_CR0);
  walk.cr3 = phys_load64(vmcb + VMCB_CR3);
  walk.cr4 = phys_load64(vmcb + VMCB_CR4);
  walk.efer = phys_load64(vmcb + VMCB_EFER);
  walk.access = phys_load8(vmcb + VMCB_CPL) == 3 ? WALK_FETCH | WALK_USER : WALK_FETCH;
  walk.physicalBits = physicalBits;
  if (walkGuest(walk, linear) != WALK_OK) return 0;
  const hpa = guestTranslate(walk.memory, walk.gpa, BYTES_LOOKED_AT);
  if (hpa == NO_HPA) return 0;
  const cached = entryOf(svm, linear);
  cached.linear = linear;
  cached.cr3 = walk.cr3;
  cached.hpa = hpa;
  return isEncoded(kind, phys_load32(hpa)) ? rip + unchecked(lengths[kind]) : 0;
}

// The RIP after an intercepted instruction, on processors that do not save it (no NRIP save).
//
// Most exits come from instructions of fixed encoding: CPUID, RDMSR, HLT … It is then enough to see that the bytes at RIP
// are that encoding without prefixes. A small cache of translations, linear page -> host page, makes that a few
// instructions. The cache is not told of the guest's changes to its page tables: a stale entry can only make us look at
// a page of the guest's own RAM, where anything but the very instruction that exited is a miss, so the worst a guest
// achieves is to mislead itself. What misses here is decoded in full by kernel/exits.
import { physicalAddressBits } from "../arch/cpuid";
import { phys_load32, phys_load64, phys_load8 } from "../arch/intrinsics";
import { NO_HPA } from "../mm/frames";
import { GuestMemory, guestTranslate } from "../mm/guestmem";
import { GuestWalk, WALK_FETCH, WALK_OK, WALK_USER, walkGuest } from "../mm/guestwalk";
import { EXIT_CLASSES } from "../vcpu/exit";
import { machine } from "../vcpu/machine";
import { Vcpu } from "../vcpu/vcpu";
import { CACHED_PAGE_BYTES, CACHED_PAGES, instructionCache, SvmVcpu } from "./svm";
import { VMCB_CPL, VMCB_CR0, VMCB_CR3, VMCB_CR4, VMCB_CS, VMCB_EFER } from "./vmcb";

/** One translation; all zero is an empty entry (page 0 is never remembered). */
@unmanaged
class CachedPage {
  /** Linear address of the page, and the CR3 it was translated with. */
  page: u64;
  cr3: u64;
  hpa: u64;
}

const PAGE_BYTES: u64 = 4096;
/** Last offset in a page at which 4 bytes can be read. */
const LAST_OFFSET: u64 = 0xffc;
/** Offset of a segment's base in the VMCB. */
const SEGMENT_BASE: u64 = 8;

/** By EXIT_*: length in bits 31..24, opcode bytes as they lie in memory in 23..0. 0: the encoding is not fixed. */
const encodings: StaticArray<u32> = [
  0,          // EXIT_UNKNOWN
  0x0200a20f, // EXIT_CPUID
  0x0200320f, // EXIT_RDMSR
  0x0200300f, // EXIT_WRMSR
  0,          // EXIT_IO: EXITINFO2 has it
  0,          // EXIT_CR
  0,          // EXIT_DR
  0,          // EXIT_NESTED_FAULT
  0x010000f4, // EXIT_HLT
  0x03d9010f, // EXIT_HYPERCALL: VMMCALL
  0,          // EXIT_EXTERNAL_INTERRUPT
  0,          // EXIT_NMI
  0,          // EXIT_INTERRUPT_WINDOW
  0,          // EXIT_NMI_WINDOW
  0,          // EXIT_DEADLINE
  0,          // EXIT_EXCEPTION
  0,          // EXIT_TRIPLE_FAULT
  0x020090f3, // EXIT_PAUSE
  0x0200310f, // EXIT_RDTSC
  0x03f9010f, // EXIT_RDTSCP
  0x0200330f, // EXIT_RDPMC
  0x03d1010f, // EXIT_XSETBV
  0x0200080f, // EXIT_INVD
  0x0200090f, // EXIT_WBINVD
  0,          // EXIT_INVLPG
  0x03c8010f, // EXIT_MONITOR
  0x03c9010f, // EXIT_MWAIT
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/** GuestWalk is a few dozen bytes; one serves all vCPUs of this CPU, since a walk never yields. */
const walkStorage = memory.data(256, 16);
let physicalBits: u32 = 0;

/** Before the first guest runs. */
export function nextRipPrepare(): void {
  assert(offsetof<GuestWalk>() <= 256 && offsetof<CachedPage>() == CACHED_PAGE_BYTES, "svm: storage of nextrip");
  assert(<u32>encodings.length == EXIT_CLASSES, "svm: an exit class has no row of encodings");
  physicalBits = physicalAddressBits();
}

/** RIP after the instruction at `rip` that exited as `kind` (EXIT_*), or 0 when it must be decoded to know. */
export function fixedNextRip(vcpu: Vcpu, svm: SvmVcpu, kind: u32, rip: u64): u64 {
  const encoding = unchecked(encodings[kind]);
  if (encoding == 0) return 0;
  const offset = rip & (PAGE_BYTES - 1);
  const page = rip - offset;
  const cached = changetype<CachedPage>(
    instructionCache(svm) + <usize>((page / PAGE_BYTES) & (CACHED_PAGES - 1)) * CACHED_PAGE_BYTES,
  );
  // Only flat code segments: their linear address is RIP.
  if (offset > LAST_OFFSET || phys_load64(svm.vmcb + VMCB_CS + SEGMENT_BASE) != 0) return 0;
  if (cached.page != page || cached.cr3 != phys_load64(svm.vmcb + VMCB_CR3)) {
    if (!remember(vcpu, svm, cached, page)) return 0;
  }
  const length = encoding >> 24;
  const difference = phys_load32(cached.hpa + offset) ^ encoding;
  return difference << (32 - 8 * length) == 0 ? rip + length : 0;
}

/** Translates the linear `page` as an instruction fetch. False: not mapped, not RAM. */
function remember(vcpu: Vcpu, svm: SvmVcpu, cached: CachedPage, page: u64): bool {
  const vmcb = svm.vmcb;
  const walk = changetype<GuestWalk>(walkStorage);
  walk.memory = changetype<GuestMemory>(machine().guestMemory(vcpu));
  walk.cr0 = phys_load64(vmcb + VMCB_CR0);
  walk.cr3 = phys_load64(vmcb + VMCB_CR3);
  walk.cr4 = phys_load64(vmcb + VMCB_CR4);
  walk.efer = phys_load64(vmcb + VMCB_EFER);
  walk.access = phys_load8(vmcb + VMCB_CPL) == 3 ? WALK_FETCH | WALK_USER : WALK_FETCH;
  walk.physicalBits = physicalBits;
  if (walkGuest(walk, page) != WALK_OK) return false;
  const hpa = guestTranslate(walk.memory, walk.gpa, PAGE_BYTES);
  if (hpa == NO_HPA) return false;
  cached.page = page;
  cached.cr3 = walk.cr3;
  cached.hpa = hpa;
  return true;
}

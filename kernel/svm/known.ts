// biome-ignore-all format: aligned tables.
//
// Instructions whose exits are known, on processors that do not save the RIP after an intercepted instruction (no NRIP save).
//
// Most exits come from instructions of fixed encoding: CPUID, RDMSR, HLT … It is then enough to see that the bytes at RIP
// are that encoding without prefixes. A small cache of where instructions exited, and as what, makes that a few
// instructions, and answers most other questions about the exit as well. The cache is not told of the guest's changes to its
// page tables: a stale entry can only make us look at the guest's own RAM, where anything but the very bytes that exited
// before is a miss, so the worst a guest achieves is to mislead itself. What misses here is decoded in full.
import { phys_load32, phys_load64 } from "../arch/intrinsics";
import { EXIT_CLASSES, EXIT_CPUID, EXIT_HYPERCALL, EXIT_RDMSR, EXIT_WRMSR } from "../vcpu/exit";
import { Vcpu } from "../vcpu/vcpu";
import { translateCode } from "./codewalk";
import { KNOWN_BYTES, NMI_OPEN, SvmVcpu, svmOf } from "./svm";
import { VMCB_CR3, VMCB_CS } from "./vmcb";

/** One instruction that exited. Empty: all ones, which no CR3 is. */
@unmanaged
export class KnownInstruction {
  /** Linear address, the CR3 it was translated with, and where that is. */
  linear: u64;
  cr3: u64;
  hpa: u64;
  /** Bytes from RIP to the RIP after it. */
  length: u64;
  /** The four bytes there. */
  bytes: u32;
  /** Exit code, and EXIT_*. */
  code: u32;
  kind: u32;
  /** Offset within Vcpu of the 32 bits that are the exit's `detail`. */
  detailAt: u32;
}

const PAGE_BYTES: u64 = 4096;
/** Bytes read at RIP, and the last offset in a page at which they can be. */
const BYTES_LOOKED_AT: u64 = 4;
const LAST_OFFSET: u64 = PAGE_BYTES - BYTES_LOOKED_AT;
/** Offset of a segment's base in the VMCB. */
const SEGMENT_BASE: u64 = 8;

/** Bytes of an entry of a vCPU's cache, as a shift, and entries: a power of two. */
const ENTRY_SHIFT: u32 = 6;
const ENTRIES: u32 = <u32>(KNOWN_BYTES >> ENTRY_SHIFT);

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

/** A cache in which nothing is ever found. */
const nothing = memory.data(KNOWN_BYTES, 64);

/** Before the first guest runs. */
export function knownPrepare(): void {
  assert(offsetof<KnownInstruction>() <= (<usize>1) << ENTRY_SHIFT, "svm: storage of known.ts");
  assert(<u32>lengths.length == EXIT_CLASSES, "svm: an exit class has no row of encodings");
  memory.fill(nothing, 0xff, KNOWN_BYTES);
}

/** Forgets everything. */
export function knownForget(svm: SvmVcpu): void {
  memory.fill(svm.known, 0xff, KNOWN_BYTES);
}

/** Puts the cache to use, or, while every exit has to be looked at closely for the sake of NMIs, out of it. */
export function knownUse(vcpu: Vcpu, svm: SvmVcpu): void {
  const open = svm.nmi == NMI_OPEN;
  vcpu.known = open ? svm.known : nothing;
  vcpu.knownClosed = open ? 0 : 1;
}

/** Linear address of the instruction at `rip`. */
export function linearAddress(vmcb: u64, rip: u64): u64 {
  return rip + phys_load64(vmcb + VMCB_CS + SEGMENT_BASE);
}

/** Where an exit with `code` at `linear` would be remembered. */
function entryOf(cache: usize, linear: u64, code: u32): KnownInstruction {
  return changetype<KnownInstruction>(cache + ((((<u32>linear + code) & (ENTRIES - 1)) << ENTRY_SHIFT)));
}

/** The entry that an exit with `code` at `linear` has if it is known. */
export function knownEntry(vcpu: Vcpu, linear: u64, code: u32): KnownInstruction {
  return entryOf(vcpu.known, linear, code);
}

/** Whether it is: the entry is that of the same exit, and the bytes have not changed. */
export function isKnown(vcpu: Vcpu, known: KnownInstruction, linear: u64, code: u32): bool {
  return (
    known.linear == linear &&
    known.code == code &&
    known.cr3 == phys_load64(vcpu.vmcb + VMCB_CR3) &&
    phys_load32(known.hpa) == known.bytes
  );
}

/** Whether exits of `kind` (EXIT_*) are those of one instruction of fixed encoding. */
export function isFixed(kind: u32): bool {
  return unchecked(lengths[kind]) != 0;
}

/** Register whose lower half is the `detail` of exits of `kind`, as an offset within Vcpu. */
function detailRegister(kind: u32): usize {
  if (kind == EXIT_CPUID || kind == EXIT_HYPERCALL) return offsetof<Vcpu>("rax");
  if (kind == EXIT_RDMSR || kind == EXIT_WRMSR) return offsetof<Vcpu>("rcx");
  return offsetof<Vcpu>("zero");
}

/** The `detail` of an exit of one of the fixed kinds. */
export function fixedDetail(vcpu: Vcpu, kind: u32): u32 {
  return load<u32>(changetype<usize>(vcpu) + detailRegister(kind));
}

/**
 * RIP after the instruction at `rip` that exited with `code` as `kind` (EXIT_*), whose address is translated as an
 * instruction fetch does; from now on it is known. 0: not mapped, not RAM, or other bytes than those.
 */
export function findNextRip(vcpu: Vcpu, code: u32, kind: u32, rip: u64): u64 {
  const vmcb = vcpu.vmcb;
  const linear = linearAddress(vmcb, rip);
  if ((linear & (PAGE_BYTES - 1)) > LAST_OFFSET) return 0;
  const hpa = translateCode(vcpu, linear, BYTES_LOOKED_AT);
  if (hpa == 0) return 0;
  const bytes = phys_load32(hpa);
  if ((bytes & unchecked(encodings[2 * kind + 1])) != unchecked(encodings[2 * kind])) return 0;
  const known = entryOf(svmOf(vcpu).known, linear, code);
  known.linear = linear;
  known.cr3 = phys_load64(vmcb + VMCB_CR3);
  known.hpa = hpa;
  known.length = unchecked(lengths[kind]);
  known.bytes = bytes;
  known.code = code;
  known.kind = kind;
  known.detailAt = <u32>detailRegister(kind);
  return rip + known.length;
}

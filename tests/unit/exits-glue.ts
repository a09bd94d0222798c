// AssemblyScript around kernel/exits for tests: one vCPU, a backend whose state is the vCPU's own, and a machine of which
// the fake CPU plays the devices. Ports go to the fake CPU's ports; guest-physical memory that is not RAM is backed by
// physical memory at MMIO_BACKING + gpa; MSR n is the fake CPU's MSR n, and those it lacks fault.

/** Where the test finds what the guest wrote to "device" memory. */
export const MMIO_BACKING = 0x40_0000_0000n;

export const exitsGlue = `
import { in8, in16, in32, out8, out16, out32, phys_load8, phys_load16, phys_load32, phys_load64, phys_store8, phys_store16,
  phys_store32, phys_store64, rdmsr_safe, wrmsr_safe } from "./kernel/arch/intrinsics";
import { GuestMemory, guestAddRegion, guestMemoryNew } from "./kernel/mm/guestmem";
import { emulatorCreate } from "./kernel/exits/emulate/emulator";
import { advance } from "./kernel/exits/advance";
import { CpuidSlot, CpuidTable, LEAF_UNKNOWN } from "./kernel/vcpu/cpuid";
import { KNOWN_MSRS_BYTES, KnownMsrs } from "./kernel/vcpu/msrs";
import { dispatch } from "./kernel/exits/dispatch";
import { backend } from "./kernel/vcpu/backend";
import { machine, POPULATE_DONE, POPULATE_NONE } from "./kernel/vcpu/machine";
import { OUTCOME_STOP } from "./kernel/vcpu/outcome";
import { GROUP_PDPTES } from "./kernel/vcpu/registers";
import { Vcpu, VCPU_BYTES } from "./kernel/vcpu/vcpu";

const BACKING: u64 = 0x40_0000_0000;
const vcpu = changetype<Vcpu>(memory.data(4096, 16));
let ram: GuestMemory = guestMemoryNew();
let stopStatus: u32 = 0xffffffff;
let mmioReads: u32 = 0;
let mmioWrites: u32 = 0;
let populated: u64 = 0;
let tpr: u32 = 0;
let lazyEnd: u64 = 0;
let stopsThere: bool = false;
let remembered: u32 = 0;
let rememberedLength: u32 = 0;
// No leaf has a slot: cpuid() answers all.
const leaves = changetype<CpuidTable>(memory.data(offsetof<CpuidTable>(), 16));
leaves.unknown = changetype<CpuidSlot>(memory.data(offsetof<CpuidSlot>(), 16));
leaves.unknown.kind = LEAF_UNKNOWN;
// Nor is any MSR known.
const noMsrs = changetype<KnownMsrs>(memory.data(KNOWN_MSRS_BYTES, 16));

function portRead(_v: Vcpu, port: u32, size: u32): u32 {
  return size == 1 ? in8(port) : size == 2 ? in16(port) : in32(port);
}
function portWrite(_v: Vcpu, port: u32, size: u32, value: u32): void {
  if (size == 1) out8(port, value); else if (size == 2) out16(port, value); else out32(port, value);
}
function mmioRead(_v: Vcpu, gpa: u64, size: u32): u64 {
  mmioReads++;
  const at = BACKING + gpa;
  // As where nobody answers: above what was asked for there are ones.
  if (size == 1) return <u64>phys_load8(at) | 0xffffff00;
  if (size == 2) return <u64>phys_load16(at) | 0xffff0000;
  return size == 4 ? <u64>phys_load32(at) : phys_load64(at);
}
function mmioWrite(_v: Vcpu, gpa: u64, size: u32, value: u64): void {
  mmioWrites++;
  const at = BACKING + gpa;
  if (size == 1) phys_store8(at, <u32>value);
  else if (size == 2) phys_store16(at, <u32>value);
  else if (size == 4) phys_store32(at, <u32>value);
  else phys_store64(at, value);
}
function guestMemory(_v: Vcpu): GuestMemory { return ram; }
function populate(_v: Vcpu, gpa: u64): u32 {
  if (gpa >= lazyEnd) return POPULATE_NONE;
  populated = gpa;
  return POPULATE_DONE;
}
function cpuid(v: Vcpu, leaf: u32, subleaf: u32): void {
  v.rax = leaf + 1; v.rbx = subleaf + 2; v.rcx = 3; v.rdx = 4;
}
const msrWord = memory.data(8, 8);
function msrRead(v: Vcpu, msr: u32): bool {
  if (rdmsr_safe(msr, msrWord) == 0) return false;
  v.setEdxEax(load<u64>(msrWord));
  return true;
}
function msrWrite(_v: Vcpu, msr: u32, value: u64): bool { return wrmsr_safe(msr, value) != 0; }
function tprRead(_v: Vcpu): u32 { return tpr; }
function tprWrite(_v: Vcpu, value: u32): void { tpr = value; }
function hypercall(v: Vcpu): void { v.rax = v.rax + v.rbx; }
function xcr0Mask(_v: Vcpu): u64 { return 0x602e7; }
function cr4Mask(_v: Vcpu): u64 { return 0x3717ff; }
function physicalBits(_v: Vcpu): u32 { return 40; }
function stop(_v: Vcpu, status: u32): u32 { stopStatus = status; return OUTCOME_STOP; }
function shutDown(v: Vcpu): u32 { return stop(v, 11); }
function stopsAtUnknown(_v: Vcpu): bool { return stopsThere; }
function rememberMove(_v: Vcpu, move: u32, _value: u32, length: u32): void { remembered = move; rememberedLength = length; }
// As AMD-V: the processor keeps no PDPTEs.
function loadState(v: Vcpu, groups: u32): void { v.valid |= groups & ~GROUP_PDPTES; }
function nothing(_v: Vcpu): void {}
function reasonName(_reason: u32): string { return "TEST"; }

const m = machine();
m.portRead = portRead; m.portWrite = portWrite;
m.portReadWide = portRead; m.portWriteWide = portWrite; m.mmioRead = mmioRead; m.mmioWrite = mmioWrite;
m.guestMemory = guestMemory; m.populate = populate; m.cpuid = cpuid; m.msrRead = msrRead; m.msrWrite = msrWrite;
m.tprRead = tprRead; m.tprWrite = tprWrite; m.hypercall = hypercall; m.xcr0Mask = xcr0Mask; m.cr4Mask = cr4Mask;
m.physicalBits = physicalBits; m.stop = stop; m.shutDown = shutDown; m.stopsAtUnknown = stopsAtUnknown;
const b = backend();
b.loadState = loadState; b.updateWindows = nothing; b.flush = nothing; b.dump = nothing; b.explainEntryFailure = nothing;
b.reasonName = reasonName; b.rememberMove = rememberMove;

assert(VCPU_BYTES <= 4096);
emulatorCreate(vcpu);
const emulator = vcpu.emulator;
export function run(): u32 { return dispatch(vcpu); }
export function runAdvance(): u32 { return advance(vcpu); }
export function addRam(gpa: u64, bytes: u64, hpa: u64): void { assert(guestAddRegion(ram, gpa, bytes, hpa)); }
export function setStopsAtUnknown(stops: bool): void { stopsThere = stops; }
export function setLazyEnd(end: u64): void { lazyEnd = end; }
export function reset(): void {
  memory.fill(changetype<usize>(vcpu), 0, VCPU_BYTES);
  vcpu.emulator = emulator;
  vcpu.cpuid = leaves;
  vcpu.msrs = noMsrs;
  remembered = 0; rememberedLength = 0;
  stopStatus = 0xffffffff; mmioReads = 0; mmioWrites = 0;
}
export function setReg(n: u32, value: u64): void { vcpu.setGpr(n, value); }
export function getReg(n: u32): u64 { return vcpu.gpr(n); }
export function setSegment(n: u32, selector: u32, base: u64, limit: u32, access: u32): void {
  const s = vcpu.segment(n);
  s.selector = selector; s.base = base; s.limit = limit; s.access = access;
}
export function segmentSelector(n: u32): u32 { return vcpu.segment(n).selector; }
export function segmentBase(n: u32): u64 { return vcpu.segment(n).base; }
export function segmentLimit(n: u32): u32 { return vcpu.segment(n).limit; }
export function segmentAccess(n: u32): u32 { return vcpu.segment(n).access; }
export function status(): u32 { return stopStatus; }
export function reads(): u32 { return mmioReads; }
export function rememberedMove(): u32 { return remembered; }
export function rememberedBytes(): u32 { return rememberedLength; }
export function writes(): u32 { return mmioWrites; }
export function populatedGpa(): u64 { return populated; }
export function address(): usize { return changetype<usize>(vcpu); }
export function exitAddress(): usize { return changetype<usize>(vcpu.exit); }
${fieldOffsets("Vcpu", [
  "rip",
  "rflags",
  "cr0",
  "cr2",
  "cr3",
  "cr4",
  "efer",
  "dr0",
  "dr1",
  "dr2",
  "dr3",
  "dr6",
  "dr7",
  "valid",
  "dirty",
  "requests",
  "event",
  "eventError",
  "eventLength",
  "interruptibility",
  "pendingDebug",
  "debugctl",
  "pat",
  "gdtrBase",
  "idtrBase",
  "gdtrLimit",
  "xcr0",
  "tscOffset",
  "tscAux",
  "interruptWindow",
  "nmiWindow",
  "activity",
])}
${fieldOffsets("ExitRecord", [
  "kind",
  "reason",
  "qualification",
  "info",
  "rip",
  "nextRip",
  "gpa",
  "gva",
  "flags",
  "port",
  "size",
  "addressSize",
  "segment",
  "msr",
  "crNumber",
  "crAccess",
  "gpr",
  "vector",
  "errorCode",
  "interruptedEvent",
  "interruptedError",
  "interruptedLength",
  "byteCount",
  "bytes0",
  "bytes1",
  "move",
  "moveValue",
  "breakpoints",
  "met",
])}
import { ExitRecord } from "./kernel/vcpu/exit";
`;

/** `detail` has other names for some classes of exits. */
function fieldOf(name: string): string {
  return ["port", "msr", "crNumber", "vector"].includes(name) ? "detail" : name;
}

/** One export per field: its offset. */
function fieldOffsets(type: string, names: string[]): string {
  return names
    .map(
      (name) => `export function ${type}_${name}(): usize { return offsetof<${type}>("${fieldOf(name)}"); }`,
    )
    .join("\n");
}

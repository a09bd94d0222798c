// A processor with VT-x for the tests of kernel/vmx: capability MSRs as real CPUs report them, the backend on the fake CPU,
// and the vCPU's fields by name.
import type { FakeCpu } from "./fake-cpu.ts";
import { type KernelModule, loadKernel, readString } from "./harness.ts";
import { VMCS_ENCODINGS } from "./vmcs-encodings.ts";

/** Capability MSRs of a Broadwell: address -> value. */
export const BROADWELL: Record<number, bigint> = Object.fromEntries([
  [0x3a, 0x5n],
  [0x480, 0x00da040000000004n],
  [0x481, 0x0000007f00000016n],
  [0x482, 0xfff9fffe0401e172n],
  [0x483, 0x007fffff00036dffn],
  [0x484, 0x0000ffff000011ffn],
  [0x485, 0x000000007004c1e7n],
  [0x486, 0x80000021n],
  [0x487, 0xffffffffn],
  [0x488, 0x2000n],
  [0x489, 0x3727ffn],
  [0x48b, 0x0017fcff00000000n],
  [0x48c, 0x00000f0106334141n],
  [0x48d, 0x0000007f00000016n],
  [0x48e, 0xfff9fffe04006172n],
  [0x48f, 0x007fffff00036dfbn],
  [0x490, 0x0000ffff000011fbn],
]);

const VCPU_FIELDS = [
  "rip",
  "rflags",
  "rsp",
  "rcx",
  "valid",
  "dirty",
  "gdtrBase",
  "gdtrLimit",
  "idtrBase",
  "idtrLimit",
  "cr0",
  "cr3",
  "cr4",
  "efer",
  "dr7",
  "pat",
  "sysenterCs",
  "sysenterEsp",
  "sysenterEip",
  "star",
  "lstar",
  "cstar",
  "fmask",
  "kernelGsBase",
  "debugctl",
  "interruptibility",
  "event",
  "eventError",
  "eventLength",
  "interruptWindow",
  "nmiWindow",
  "tscOffset",
];
const EXIT_FIELDS = [
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
  "breakpoints",
  "met",
];
const SEGMENT_FIELDS = ["base", "limit", "access", "selector"];
const WIDE = new Set([
  "rip",
  "rflags",
  "rsp",
  "rcx",
  "gdtrBase",
  "idtrBase",
  "cr0",
  "cr3",
  "cr4",
  "efer",
  "dr7",
  "pat",
  "sysenterCs",
  "sysenterEsp",
  "sysenterEip",
  "star",
  "lstar",
  "cstar",
  "fmask",
  "kernelGsBase",
  "debugctl",
  "tscOffset",
  "qualification",
  "info",
  "nextRip",
  "gpa",
  "gva",
  "base",
]);

/** `detail` has other names for some classes of exits. */
const fieldOf = (name: string) => (["port", "msr", "crNumber", "vector"].includes(name) ? "detail" : name);

const offsets = (type: string, fields: string[]) =>
  fields
    .map((field) => `export const ${type}_${field}: usize = offsetof<${type}>("${fieldOf(field)}");`)
    .join("\n");

const GLUE = `
import { thisCpu, PerCpu } from "./kernel/arch/percpu";
import { arenaAlloc } from "./kernel/lib/arena";
import { framesAdd } from "./kernel/mm/frames";
import { GuestMemory, guestAddRegion, guestMemoryNew } from "./kernel/mm/guestmem";
import { backend } from "./kernel/vcpu/backend";
import { ExitRecord } from "./kernel/vcpu/exit";
import { machine } from "./kernel/vcpu/machine";
import { Segment } from "./kernel/vcpu/registers";
import { Vcpu, VCPU_BYTES } from "./kernel/vcpu/vcpu";
import { enter as enterGuest, vmxInstall } from "./kernel/vmx/backend";
import { checkEntry } from "./kernel/vmx/entrychecks";
import { violation } from "./kernel/vcpu/violations";

const perCpu = memory.data(offsetof<PerCpu>(), 16);
export function perCpuAddress(): usize { return perCpu; }
let ram: GuestMemory = guestMemoryNew();
function guestMemory(vcpu: Vcpu): GuestMemory { return ram; }
function at(vcpu: usize): Vcpu { return changetype<Vcpu>(vcpu); }

export function start(): string | null {
  framesAdd(16 << 20, 16 << 20);
  guestAddRegion(ram, 0, 1 << 20, 64 << 20);
  machine().guestMemory = guestMemory;
  vmxInstall(backend());
  return backend().enableCpu();
}
export function create(root: u64): usize {
  const vcpu = arenaAlloc(VCPU_BYTES, 16);
  backend().createVcpu(at(vcpu), root);
  return vcpu;
}
export function enter(vcpu: usize): void { enterGuest(at(vcpu)); }
export function reset(vcpu: usize): void { backend().resetVcpu(at(vcpu)); }
export function load(vcpu: usize): void { backend().loadVcpu(at(vcpu)); }
export function loadState(vcpu: usize, groups: u32): void { backend().loadState(at(vcpu), groups); }
export function updateWindows(vcpu: usize): void { backend().updateWindows(at(vcpu)); }
export function setDeadline(vcpu: usize, tsc: u64): void { backend().setDeadline(at(vcpu), tsc); }
export function updateTscOffset(vcpu: usize): void { backend().updateTscOffset(at(vcpu)); }
export function flush(vcpu: usize): void { backend().flush(at(vcpu)); }
export function interceptMsr(vcpu: usize, msr: u32, read: bool, write: bool): void {
  backend().interceptMsr(at(vcpu), msr, read, write);
}
export function name(reason: u32): string { return backend().reasonName(reason); }
export function exitOf(vcpu: usize): usize { return changetype<usize>(at(vcpu).exit); }
export function segmentOf(vcpu: usize, index: u32): usize { return changetype<usize>(at(vcpu).segment(index)); }
export function setPdpte(vcpu: usize, index: u32, value: u64): void { at(vcpu).pdptes.put(index, value); }
export function pdpte(vcpu: usize, index: u32): u64 { return at(vcpu).pdptes.at(index); }
export function broken(): u32 { return checkEntry(); }
export function brokenRule(index: u32): string { return violation(index); }
${offsets("Vcpu", VCPU_FIELDS)}
${offsets("ExitRecord", EXIT_FIELDS)}
${offsets("Segment", SEGMENT_FIELDS)}
`;

/** The backend's name of a VMCS field as its encoding. */
export function encoding(name: string): number {
  const value = VMCS_ENCODINGS[name];
  if (value === undefined) throw new Error(`no VMCS field ${name}`);
  return value;
}

export class VmxMachine {
  readonly cpu: FakeCpu;
  /** What the guest leaves in the VMCS at its next exit. */
  private atExit: Record<string, bigint> = {};

  constructor(private readonly module: KernelModule) {
    this.cpu = module.cpu;
    this.cpu.perCpu = this.call("perCpuAddress");
    this.cpu.enter = () => {
      for (const [name, value] of Object.entries(this.atExit)) this.cpu.vmcs.set(encoding(name), value);
      this.cpu.vmcs.set(encoding("ENTRY_INTERRUPTION_INFO"), 0n);
      return 0;
    };
  }

  call(name: string, ...args: (number | bigint)[]): number {
    return (this.module.exports[name] as (...args: unknown[]) => number)(...args);
  }

  text(name: string, ...args: (number | bigint)[]): string | null {
    return readString(this.module.memory, this.call(name, ...args));
  }

  field(name: string): bigint {
    return this.cpu.vmcs.get(encoding(name)) ?? 0n;
  }

  setField(name: string, value: bigint): void {
    this.cpu.vmcs.set(encoding(name), value);
  }

  private place(type: string, field: string): number {
    return (this.module.exports[`${type}_${field}`] as unknown as WebAssembly.Global).value;
  }

  private get(base: number, type: string, field: string): bigint {
    const at = base + this.place(type, field);
    const { memory } = this.module;
    return WIDE.has(field) ? memory.getBigUint64(at, true) : BigInt(memory.getUint32(at, true));
  }

  private set(base: number, type: string, field: string, value: bigint): void {
    const at = base + this.place(type, field);
    if (WIDE.has(field)) this.module.memory.setBigUint64(at, value, true);
    else this.module.memory.setUint32(at, Number(value), true);
  }

  vcpu(vcpu: number, field: string): bigint {
    return this.get(vcpu, "Vcpu", field);
  }

  setVcpu(vcpu: number, values: Record<string, bigint>): void {
    for (const [field, value] of Object.entries(values)) this.set(vcpu, "Vcpu", field, value);
  }

  segment(vcpu: number, index: number, field: string): bigint {
    return this.get(this.call("segmentOf", vcpu, index), "Segment", field);
  }

  setSegment(vcpu: number, index: number, values: Record<string, bigint>): void {
    const base = this.call("segmentOf", vcpu, index);
    for (const [field, value] of Object.entries(values)) this.set(base, "Segment", field, value);
  }

  /** Enters; the guest exits at once with these VMCS fields. Returns the exit record's fields. */
  exit(vcpu: number, fields: Record<string, bigint>): Record<string, bigint> {
    this.atExit = fields;
    this.call("enter", vcpu);
    return this.record(vcpu);
  }

  /** The fields of the exit record. */
  record(vcpu: number): Record<string, bigint> {
    const record = this.call("exitOf", vcpu);
    return Object.fromEntries(EXIT_FIELDS.map((field) => [field, this.get(record, "ExitRecord", field)]));
  }
}

/** Gives a fake CPU these capability MSRs, and what else the backend looks at. */
export function becomeIntel(cpu: FakeCpu, msrs: Record<number, bigint> = BROADWELL): void {
  for (const [msr, value] of Object.entries(msrs)) cpu.msrs.set(Number(msr), value);
  for (const msr of [0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084]) cpu.msrs.set(msr, 0n);
  for (const msr of [0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103]) cpu.msrs.set(msr, 0n);
  cpu.msrs.set(0x277, 0x0007040600070406n);
  cpu.msrs.set(0xc0000080, 0xd00n);
  cpu.cpuidLeaves.set("0:0", [0xd, 0, 0, 0]);
  cpu.cpuidLeaves.set("1:0", [0, 0, (1 << 5) | (1 << 26), 0]);
  // x87 and SSE state: an area of 576 bytes.
  cpu.cpuidLeaves.set("d:0", [3, 576, 576, 0]);
  cpu.cpuidLeaves.set("80000000:0", [0x80000008 | 0, 0, 0, 0]);
  cpu.cpuidLeaves.set("80000001:0", [0, 0, 0, 1 << 27]);
  cpu.cpuidLeaves.set("80000008:0", [0x3027, 0, 0, 0]);
  cpu.controlRegisters.set("cr0", 0x80010033n);
  cpu.controlRegisters.set("cr3", 0x600000n);
  cpu.controlRegisters.set("cr4", 0x668n);
}

/** A machine whose CPU has these capability MSRs; the backend is not started. */
export async function vmxMachine(msrs: Record<number, bigint> = BROADWELL): Promise<VmxMachine> {
  const module = await loadKernel([], GLUE);
  becomeIntel(module.cpu, msrs);
  return new VmxMachine(module);
}

/** What boot/vmentry_vmx.asm writes before VMLAUNCH. */
export const HOST_FIELDS: Record<string, bigint> = {
  HOST_CS_SELECTOR: 8n,
  HOST_SS_SELECTOR: 16n,
  HOST_DS_SELECTOR: 16n,
  HOST_ES_SELECTOR: 16n,
  HOST_TR_SELECTOR: 24n,
  HOST_TR_BASE: 0xffffffff80118140n,
  HOST_GDTR_BASE: 0xffffffff80118118n,
  HOST_IDTR_BASE: 0xffffffff80136000n,
  HOST_RIP: 0xffffffff801025d0n,
};

/** The same, started, with one vCPU whose nested tables are at 1 MiB. */
export async function startedMachine(): Promise<{ machine: VmxMachine; vcpu: number }> {
  const machine = await vmxMachine();
  const missing = machine.text("start");
  if (missing !== null) throw new Error(missing);
  return { machine, vcpu: machine.call("create", 0x100000n) };
}

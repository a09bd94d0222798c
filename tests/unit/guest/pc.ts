// A whole VM of kernel/guest in Node: the kernel's own options, loaders, tables and devices on a fake CPU, with a backend
// that only keeps the vCPU's neutral state.
import type { FakeCpu } from "../fake-cpu.ts";
import { type KernelModule, loadKernel } from "../harness.ts";
import { VcpuView, vcpuGlue } from "../vcpu-view.ts";

const glue = `
${vcpuGlue}
import { bootInfo, bootModule, bootModuleText, commandLine } from "./kernel/lib/bootinfo";
import { logSetSink } from "./kernel/lib/log";
import { framesAdd } from "./kernel/mm/frames";
import { guestRegion } from "./kernel/mm/guestmem";
import { NESTED_NPT } from "./kernel/mm/nested";
import { backend } from "./kernel/vcpu/backend";
import { machine, portIn, portOut } from "./kernel/vcpu/machine";
import { powerUp } from "./kernel/vcpu/reset";
import { clockSet } from "./kernel/arch/clock";
import { vmCreate, vmReset } from "./kernel/guest/lifecycle";
import { machineInstall } from "./kernel/guest/machine";
import { describeVms } from "./kernel/guest/options";
import { setCounters } from "./kernel/guest/counters";
import { guestModuleAt, GuestModule, vmAt, vmCount, vmVcpu } from "./kernel/guest/vm";
import { platformAcknowledge, platformHasInterrupt, platformSample } from "./kernel/guest/lines";
import { lapicHighestPending } from "./kernel/devices/lapic";
import { lapicOf } from "./kernel/guest/platform";
import { panicDeny, panicWatch } from "./kernel/guest/panic";
import { consoleGive, consolePending, consoleTake } from "./kernel/guest/console";

const text = memory.data(65536);
let length: u32 = 0;
const opened = memory.data(4096);
let openedCount: u32 = 0;

function sink(byte: u32): void {
  if (length < 65536) store<u8>(text + length++, <u8>byte);
}
export function logText(): usize { return text; }
export function logLength(): u32 { return length; }
export function setClock(hz: u64): void { clockSet(hz); }

function create(_vcpu: Vcpu, _root: u64): void {}
function nothing(_vcpu: Vcpu): void {}
function fill(vcpu: Vcpu, groups: u32): void { vcpu.valid |= groups; }
function open(_vcpu: Vcpu, msr: u32, read: bool, write: bool): void {
  store<u32>(opened + openedCount * 8, msr);
  store<u32>(opened + openedCount * 8 + 4, (read ? 1 : 0) | (write ? 2 : 0));
  openedCount += 1;
}
export function openedAt(i: u32): usize { return i < openedCount ? opened + i * 8 : 0; }

export function prepare(): void {
  logSetSink(sink);
  const b = backend();
  b.createVcpu = create;
  b.resetVcpu = powerUp;
  b.loadState = fill;
  b.updateTscOffset = nothing;
  b.interceptMsr = open;
  machineInstall(machine());
}
export function addFrames(start: u64, bytes: u64): void { framesAdd(start, bytes); }
export function lineAt(): usize { return commandLine(); }
export function moduleTextAt(i: u32): usize { return bootModuleText(i); }
export function setModule(i: u32, start: u64, bytes: u64): void {
  const module = bootModule(i);
  module.start = start;
  module.bytes = bytes;
  module.text = bootModuleText(i);
  bootInfo().moduleCount = i + 1;
}
export function describe(): bool { return describeVms(); }
export function count(): u32 { return vmCount(); }
export function build(i: u32, unixNs: u64): bool { return vmCreate(vmAt(i), NESTED_NPT, unixNs); }
export function buildWith(cpus: u32): bool {
  vmAt(0).cpus = cpus;
  return build(0, 0);
}
export function reset(i: u32): bool {
  openedCount = 0;
  return vmReset(vmAt(i));
}
export function vcpuOf(i: u32, n: u32): usize { return changetype<usize>(vmVcpu(vmAt(i), n)); }

export function memoryBytes(i: u32): u64 { return vmAt(i).memoryBytes; }
export function cpus(i: u32): u32 { return vmAt(i).cpus; }
export function debugExit(i: u32): u32 { return vmAt(i).debugExitPort; }
export function restart(i: u32): bool { return vmAt(i).restart; }
export function stopAtUnknown(i: u32): bool { return vmAt(i).stopAtUnknown; }
export function lazy(i: u32): bool { return vmAt(i).lazy; }
function which(i: u32, role: u32): GuestModule {
  const vm = vmAt(i);
  return role == 0 ? vm.kernel : role == 1 ? vm.initrd : guestModuleAt(vm, role - 2);
}
export function moduleHpa(i: u32, role: u32): u64 { return which(i, role).hpa; }
export function moduleBytes(i: u32, role: u32): u64 { return which(i, role).bytes; }
export function moduleText(i: u32, role: u32): usize { return which(i, role).text; }
export function moduleCount(i: u32): u32 { return vmAt(i).moduleCount; }
export function stopped(i: u32): bool { return vmAt(i).stopped; }
export function stopStatus(i: u32): u32 { return vmAt(i).stopStatus; }
export function stopReason(i: u32): string { return vmAt(i).stopReason; }
export function resetPending(i: u32): bool { return vmAt(i).resetPending; }
export function rsdp(i: u32): u64 { return vmAt(i).rsdp; }
export function nestedRoot(i: u32): u64 { return vmAt(i).nestedRoot; }
export function regionHpa(i: u32, n: u32): u64 {
  return n < vmAt(i).memory.count ? guestRegion(vmAt(i).memory, n).hpa : u64.MAX_VALUE;
}
export function regionGpa(i: u32, n: u32): u64 { return guestRegion(vmAt(i).memory, n).gpa; }
export function regionBytes(i: u32, n: u32): u64 { return guestRegion(vmAt(i).memory, n).bytes; }

export function guestIn(v: Vcpu, port: u32, size: u32): u32 { return portIn(v, port, size); }
export function guestOut(v: Vcpu, port: u32, size: u32, value: u32): void { portOut(v, port, size, value); }
export function mmioIn(v: Vcpu, gpa: u64, size: u32): u64 { return machine().mmioRead(v, gpa, size); }
export function mmioOut(v: Vcpu, gpa: u64, size: u32, value: u64): void { machine().mmioWrite(v, gpa, size, value); }
export function msrIn(v: Vcpu, msr: u32): bool { return machine().msrRead(v, msr); }
export function msrValue(v: Vcpu): u64 { return (v.rdx << 32) | v.rax; }
export function msrOut(v: Vcpu, msr: u32, value: u64): bool { return machine().msrWrite(v, msr, value); }
export function cpuid(v: Vcpu, leaf: u32, subleaf: u32): void { machine().cpuid(v, leaf, subleaf); }
export function hypercall(v: Vcpu): void { machine().hypercall(v); }
export function cr4Mask(v: Vcpu): u64 { return machine().cr4Mask(v); }
export function xcr0Mask(v: Vcpu): u64 { return machine().xcr0Mask(v); }
export function populate(v: Vcpu, gpa: u64): u32 { return machine().populate(v, gpa); }
export function tpr(v: Vcpu, value: u32): void { machine().tprWrite(v, value); }
export function sample(v: Vcpu): void { platformSample(v); }
/** The local APIC's vector, 0 for the PIC's, -1 for none. */
export function pending(v: Vcpu): i32 {
  const vector = lapicHighestPending(lapicOf(v));
  if (vector >= 0) assert(platformHasInterrupt(v));
  return vector >= 0 ? vector : platformHasInterrupt(v) ? 0 : -1;
}
export function acknowledge(v: Vcpu): u32 { return platformAcknowledge(v); }
export function watch(v: Vcpu): void { panicWatch(v); }
export function deny(i: u32): void { panicDeny(vmAt(i)); }
export function outputCount(i: u32): u32 { return consolePending(vmAt(i)); }
export function outputTake(i: u32): u32 { return consoleTake(vmAt(i)); }
export function input(i: u32, byte: u32): bool { return consoleGive(vmAt(i), byte); }
function answer(v: Vcpu, leaf: u32, subleaf: u32): void { v.rax = leaf; v.rcx = subleaf; }
export function installCounters(): void { setCounters(answer); }
`;

/** The host's CPUID: by `leaf:subleaf` in hexadecimal and decimal, EAX, EBX, ECX, EDX. */
export type HostCpuid = Record<string, [number, number, number, number]>;

/** A module that the loader brings. */
export interface Module {
  text: string;
  contents: Uint8Array;
}

export interface PcOptions {
  /** The hypervisor's command line. */
  line?: string;
  /** Virtual CPUs: the platform has places for more than may be asked for. */
  cpus?: number;
  modules?: Module[];
  /** Host memory for guests, MiB; a number for each piece. */
  hostMib?: number | number[];
  cpuid?: HostCpuid;
  /** MSRs of the host's processor, beside the TSC and TSC_AUX. */
  msrs?: Record<number, bigint>;
}

const HOST_RAM = 0x4000_0000n;
/** Distance of host memory pieces: not a multiple of 2 MiB. */
const HOST_PIECE_STRIDE = 0x4_0000_1000n;
const HOST_MODULES = 0x100_0000_0000n;
const MIB = 1n << 20n;
const TSC = 0x10;
const TSC_AUX = 0xc0000103;

/** An AMD processor with what QEMU's `-cpu max` shows. */
export const AMD_CPUID: HostCpuid = {
  "0:0": [0x0d, 0x68747541, 0x444d4163, 0x69746e65],
  "1:0": [0x00060fb1, 0x00010800, 0xf6fa3203, 0x0f8bfbff],
  "7:0": [0, 0x219c07ab, 0x0001000c, 0],
  "d:0": [0x207, 0x240, 2696, 0],
  "d:1": [5, 0x240, 0, 0],
  "d:2": [0x100, 0x240, 0, 0],
  "d:9": [8, 0xa80, 0, 0],
  "80000000:0": [0x8000000a, 0x68747541, 0x444d4163, 0x69746e65],
  "80000001:0": [0x00060fb1, 0, 0x000000f7, 0xefdbfbff],
  "80000002:0": [0x41414141, 0x42424242, 0x43434343, 0x44444444],
  "80000008:0": [0x00003028, 0x00000200, 0, 0],
  "8000000a:0": [1, 16, 0, 0xf],
};

/** An Intel processor with what is delicate there: VMX, MONITOR, speculation controls, AMX sizes. */
export const INTEL_CPUID: HostCpuid = {
  "0:0": [0x16, 0x756e6547, 0x6c65746e, 0x49656e69],
  "1:0": [0x000506e3, 0x00100800, 0x7ffafbbf, 0xbfebfbff],
  "4:0": [0x1c004121, 0x01c0003f, 0x3f, 0],
  "4:1": [0x1c004122, 0x01c0003f, 0x3f, 0],
  "4:2": [0, 0, 0, 0],
  "7:0": [0, 0x029d6fbf, 0x40000008, 0xbc000e00],
  "a:0": [0x07300404, 0, 0, 0x603],
  "d:0": [0x602e7, 0x240, 0x2b00, 0],
  "d:1": [0xf, 0x240, 0x100, 0],
  "d:2": [0x100, 0x240, 0, 0],
  "d:5": [0x40, 0x440, 0, 0],
  "d:6": [0x200, 0x480, 0, 0],
  "d:7": [0x400, 0x680, 0, 0],
  "d:9": [8, 0xa80, 0, 0],
  "d:18": [0x2000, 0xb00, 2, 0],
  "15:0": [2, 216, 24000000, 0],
  "80000000:0": [0x80000008, 0, 0, 0],
  "80000001:0": [0, 0, 0x121, 0x2c100800],
  "80000007:0": [0, 0, 0, 0x100],
  "80000008:0": [0x00003027, 0, 0, 0],
};

export class Pc {
  private constructor(
    readonly kernel: KernelModule,
    private readonly modules: Module[],
  ) {}

  static async create(options: PcOptions = {}): Promise<Pc> {
    const pc = new Pc(await loadKernel(["kernel/guest/lifecycle.ts"], glue), options.modules ?? []);
    for (const [key, value] of Object.entries(options.cpuid ?? AMD_CPUID)) pc.cpu.cpuidLeaves.set(key, value);
    for (const [msr, value] of Object.entries({ [TSC]: 0n, [TSC_AUX]: 0n, ...options.msrs }))
      pc.cpu.msrs.set(Number(msr), value);
    pc.cpu.tscStep = 0n;
    pc.call("setClock", 1_000_000_000n);
    pc.call("prepare");
    [options.hostMib ?? 64].flat().forEach((mib, i) => {
      pc.call("addFrames", HOST_RAM + BigInt(i) * HOST_PIECE_STRIDE, BigInt(mib) * MIB);
    });
    pc.putText(pc.call("lineAt") as number, options.line ?? "");
    pc.modules.forEach((module, i) => pc.putModule(i, module));
    return pc;
  }

  /** A VM that is built: multiboot code of nothing but HLT, unless modules are given. */
  static async running(options: PcOptions = {}): Promise<Pc> {
    const modules = options.modules ?? [{ text: "vm0.kernel", contents: haltKernel() }];
    const pc = await Pc.create({ line: "vm0.memory=4M", ...options, modules });
    if (!pc.call("describe") || !pc.call("buildWith", options.cpus ?? 1))
      throw new Error(`no VM: ${pc.log()}`);
    pc.sample();
    return pc;
  }

  get cpu(): FakeCpu {
    return this.kernel.cpu;
  }

  call(name: string, ...args: (number | bigint)[]): number | bigint {
    return (this.kernel.exports[name] as CallableFunction)(...args) as number | bigint;
  }

  private putText(at: number, text: string): void {
    new Uint8Array(this.kernel.memory.buffer).set(new TextEncoder().encode(`${text}\0`), at);
  }

  private putModule(index: number, module: Module): void {
    const hpa = HOST_MODULES + BigInt(index) * 64n * MIB;
    this.cpu.poke(hpa, module.contents);
    this.putText(this.call("moduleTextAt", index) as number, module.text);
    this.call("setModule", index, hpa, BigInt(module.contents.length));
  }

  /** Everything logged so far. */
  log(): string {
    const at = this.call("logText") as number;
    const bytes = new Uint8Array(this.kernel.memory.buffer, at, this.call("logLength") as number);
    return new TextDecoder().decode(bytes);
  }

  /** Zero-terminated text of the kernel's linear memory. */
  text(at: number): string {
    const bytes = new Uint8Array(this.kernel.memory.buffer);
    return new TextDecoder().decode(bytes.subarray(at, bytes.indexOf(0, at)));
  }

  get vcpu(): VcpuView {
    return new VcpuView(this.kernel, this.vcpuAddress);
  }

  get vcpuAddress(): number {
    return this.call("vcpuOf", 0, 0) as number;
  }

  /** Guest memory of vm0. */
  read(gpa: bigint, length: number): Uint8Array {
    return this.cpu.peek(this.hpaOf(gpa), length);
  }

  view(gpa: bigint, length: number): DataView {
    return new DataView(this.read(gpa, length).buffer);
  }

  hpaOf(gpa: bigint): bigint {
    for (let i = 0; i < 4; i++) {
      const hpa = BigInt.asUintN(64, this.call("regionHpa", 0, i) as bigint);
      if (hpa === 2n ** 64n - 1n) continue;
      const start = this.call("regionGpa", 0, i) as bigint;
      if (gpa >= start && gpa < start + (this.call("regionBytes", 0, i) as bigint)) return hpa + gpa - start;
    }
    throw new Error(`not RAM: ${gpa.toString(16)}`);
  }

  in(port: number, size = 1): number {
    return (this.call("guestIn", this.vcpuAddress, port, size) as number) >>> 0;
  }

  out(port: number, value: number, size = 1): void {
    this.call("guestOut", this.vcpuAddress, port, size, value);
  }

  mmioRead(gpa: number, size = 4): number {
    return Number(BigInt.asUintN(64, this.call("mmioIn", this.vcpuAddress, BigInt(gpa), size) as bigint));
  }

  mmioWrite(gpa: number, value: number, size = 4): void {
    this.call("mmioOut", this.vcpuAddress, BigInt(gpa), size, BigInt(value));
  }

  /** The MSR's value, or undefined for #GP. */
  rdmsr(msr: number): bigint | undefined {
    if (!this.call("msrIn", this.vcpuAddress, msr)) return undefined;
    return BigInt.asUintN(64, this.call("msrValue", this.vcpuAddress) as bigint);
  }

  /** False: #GP. */
  wrmsr(msr: number, value: bigint): boolean {
    return (this.call("msrOut", this.vcpuAddress, msr, value) as number) !== 0;
  }

  cpuid(leaf: number, subleaf = 0): [number, number, number, number] {
    this.call("cpuid", this.vcpuAddress, leaf, subleaf);
    const vcpu = this.vcpu;
    const low = (name: "rax" | "rbx" | "rcx" | "rdx") => Number(vcpu.get(name));
    return [low("rax"), low("rbx"), low("rcx"), low("rdx")];
  }

  sample(): void {
    this.call("sample", this.vcpuAddress);
  }

  /** Lets VM time pass (1 tick of the TSC is 1 ns here), with a sample at each deadline as the run loop does. */
  advance(ns: number): void {
    const end = this.cpu.tsc + BigInt(ns);
    this.sample();
    for (let guard = 0; guard < 100_000; guard++) {
      const deadline = BigInt.asUintN(64, this.vcpu.get("deadline") as bigint);
      if (deadline > end) break;
      if (deadline > this.cpu.tsc) this.cpu.tsc = deadline;
      this.sample();
      if (this.pending() >= 0) return;
    }
    this.cpu.tsc = end;
    this.sample();
  }

  pending(): number {
    return this.call("pending", this.vcpuAddress) as number;
  }

  acknowledge(): number {
    return this.call("acknowledge", this.vcpuAddress) as number;
  }

  /** What the guest has sent to its console since the last call. */
  console(): string {
    let text = "";
    while (this.call("outputCount", 0)) text += String.fromCharCode(this.call("outputTake", 0) as number);
    return text;
  }
}

/** A multiboot kernel without ELF: address fields, one HLT. */
export function haltKernel(): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  const fields = [0x1badb002, 0x10000, -(0x1badb002 + 0x10000), 0x100000, 0x100000, 0, 0, 0x100020];
  fields.forEach((field, i) => view.setUint32(i * 4, field >>> 0, true));
  bytes[0x20] = 0xf4;
  return bytes;
}

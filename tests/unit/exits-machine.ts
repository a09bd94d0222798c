// A vCPU with kernel/exits under it, driven from a test: set state, cause an exit, look at what the handler did.
import { exitsGlue, MMIO_BACKING } from "./exits-glue.js";
import type { FakeCpu } from "./fake-cpu.js";
import { type KernelModule, loadKernel } from "./harness.js";

export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RBX = 3;
export const RSP = 4;
export const RBP = 5;
export const RSI = 6;
export const RDI = 7;

export const OUTCOME = { resume: 0, advance: 1, inject: 2, halt: 3, stop: 4, done: 6 } as const;
export const EXIT = {
  unknown: 0,
  cpuid: 1,
  rdmsr: 2,
  wrmsr: 3,
  io: 4,
  cr: 5,
  dr: 6,
  nestedFault: 7,
  hlt: 8,
  hypercall: 9,
  externalInterrupt: 10,
  nmi: 11,
  interruptWindow: 12,
  nmiWindow: 13,
  deadline: 14,
  exception: 15,
  tripleFault: 16,
  pause: 17,
  rdtsc: 18,
  rdtscp: 19,
  rdpmc: 20,
  xsetbv: 21,
  invd: 22,
  wbinvd: 23,
  invlpg: 24,
  monitor: 25,
  mwait: 26,
  taskSwitch: 27,
  init: 28,
  sipi: 29,
  nestedVirtualization: 30,
  descriptor: 31,
  mtf: 32,
  nestedMisconfig: 33,
  entryFailure: 34,
  machineCheck: 35,
  otherInstruction: 36,
} as const;

const NARROW = new Set(
  [
    "valid dirty requests event eventError eventLength interruptibility gdtrLimit interruptWindow nmiWindow activity",
    "kind reason flags port size addressSize segment msr crNumber crAccess gpr vector errorCode",
    "interruptedEvent interruptedError interruptedLength byteCount breakpoints met",
  ].flatMap((line) => line.split(" ")),
);

/** Segment access rights: 64-bit code, 32-bit code, 16-bit code, data. */
export const CODE64 = 0xa09b;
export const CODE32 = 0xc09b;
export const CODE16 = 0x009b;
export const DATA32 = 0xc093;
export const DATA16 = 0x0093;
export const UNUSABLE = 1 << 16;

export class ExitsMachine {
  private constructor(readonly kernel: KernelModule) {}

  /**
   * @param ram bytes of guest RAM from guest-physical 0, which is also its host-physical address.
   * @param glue AssemblyScript that contains `exitsGlue`.
   */
  static async create(ram: bigint, glue = exitsGlue): Promise<ExitsMachine> {
    const machine = new ExitsMachine(
      await loadKernel(["kernel/exits/dispatch.ts", "kernel/exits/advance.ts"], glue),
    );
    machine.call("addRam", 0n, ram, 0n);
    machine.reset();
    return machine;
  }

  get cpu(): FakeCpu {
    return this.kernel.cpu;
  }

  call(name: string, ...args: (number | bigint)[]): number | bigint {
    return (this.kernel.exports[name] as CallableFunction)(...args) as number | bigint;
  }

  /** Power-up of the test's own kind: 64-bit code at CPL 0 without paging, flat segments. */
  reset(mode: 16 | 32 | 64 = 64, cpl = 0): void {
    this.call("reset");
    this.set("rflags", 2n);
    this.set("cr0", mode === 16 ? 0x10n : 0x11n);
    this.set("efer", mode === 64 ? 0x500n : 0n);
    const code = mode === 64 ? CODE64 : mode === 32 ? CODE32 : CODE16;
    const data = mode === 16 ? DATA16 : DATA32;
    const limit = mode === 16 ? 0xffff : 0xffffffff;
    for (let n = 0; n < 6; n++) {
      this.segment(n, n === 1 ? 8 | cpl : 16 | cpl, 0n, limit, (n === 1 ? code : data) | (cpl << 5));
    }
  }

  segment(n: number, selector: number, base: bigint, limit: number, access: number): void {
    this.call("setSegment", n, selector, base, limit, access);
  }

  private at(field: string, type: "Vcpu" | "ExitRecord"): number {
    const base = this.call(type === "Vcpu" ? "address" : "exitAddress") as number;
    return base + (this.call(`${type}_${field}`) as number);
  }

  private write(at: number, field: string, value: number | bigint): void {
    if (NARROW.has(field)) this.kernel.memory.setUint32(at, Number(value) >>> 0, true);
    else this.kernel.memory.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
  }

  private read(at: number, field: string): bigint {
    if (NARROW.has(field)) return BigInt(this.kernel.memory.getUint32(at, true));
    return this.kernel.memory.getBigUint64(at, true);
  }

  set(field: string, value: number | bigint): void {
    this.write(this.at(field, "Vcpu"), field, value);
  }

  get(field: string): bigint {
    return this.read(this.at(field, "Vcpu"), field);
  }

  setExit(fields: Record<string, number | bigint>): void {
    for (const [field, value] of Object.entries(fields))
      this.write(this.at(field, "ExitRecord"), field, value);
  }

  getExit(field: string): bigint {
    return this.read(this.at(field, "ExitRecord"), field);
  }

  reg(n: number): bigint {
    return BigInt.asUintN(64, this.call("getReg", n) as bigint);
  }

  setReg(n: number, value: bigint): void {
    this.call("setReg", n, value);
  }

  /** Puts code at `rip`, with flat segments, and makes it the exiting instruction. */
  code(rip: bigint, bytes: Uint8Array | number[]): void {
    this.cpu.poke(rip, Uint8Array.from(bytes));
    this.set("rip", rip);
    this.setExit({ rip, nextRip: 0 });
  }

  /** Dispatches an exit of class `kind`. */
  exit(kind: number, fields: Record<string, number | bigint> = {}): number {
    this.set("event", 0);
    this.set("requests", 0);
    this.setExit({ kind, interruptedEvent: 0, byteCount: 0, flags: 0, breakpoints: 0, met: 0, ...fields });
    return this.call("run") as number;
  }

  /** Acts on `outcome` as the run loop does, and returns what comes of it. */
  finish(outcome: number): number {
    return outcome === OUTCOME.advance || outcome === OUTCOME.halt
      ? (this.call("runAdvance") as number)
      : outcome;
  }

  /** The pending exception, as `#vector` and its error code. */
  exception(): string | null {
    const event = Number(this.get("event"));
    if ((event & 0x80000000) === 0) return null;
    const error = (event & 0x800) !== 0 ? `(${this.get("eventError")})` : "";
    return `#${event & 0xff}${error}`;
  }

  /** What the guest left in device memory. */
  device(gpa: bigint, bytes: number): bigint {
    return this.cpu.load(MMIO_BACKING + gpa, bytes);
  }

  setDevice(gpa: bigint, bytes: number, value: bigint): void {
    this.cpu.store(MMIO_BACKING + gpa, bytes, value);
  }
}

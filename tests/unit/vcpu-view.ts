// Tests' view of a vCPU in the linear memory of a compiled kernel module: fields by name, as the kernel itself lays them out.
import type { KernelModule } from "./harness.js";

const vcpuFields = {
  rax: 8,
  rcx: 8,
  rdx: 8,
  rbx: 8,
  rsp: 8,
  rbp: 8,
  rsi: 8,
  rdi: 8,
  r8: 8,
  r15: 8,
  tscExit: 8,
  tscEntry: 8,
  cr2: 8,
  hostStack: 8,
  hostVmcb: 8,
  vmcb: 8,
  rip: 8,
  rflags: 8,
  valid: 4,
  dirty: 4,
  gdtrBase: 8,
  idtrBase: 8,
  gdtrLimit: 4,
  idtrLimit: 4,
  cr0: 8,
  cr3: 8,
  cr4: 8,
  efer: 8,
  dr6: 8,
  dr7: 8,
  pat: 8,
  sysenterCs: 8,
  sysenterEsp: 8,
  sysenterEip: 8,
  star: 8,
  lstar: 8,
  cstar: 8,
  fmask: 8,
  kernelGsBase: 8,
  debugctl: 8,
  interruptibility: 4,
  activity: 4,
  requests: 4,
  event: 4,
  eventError: 4,
  eventLength: 4,
  deferredEvent: 4,
  interruptWindow: 4,
  nmiWindow: 4,
  tscOffset: 8,
  deadline: 8,
  vmIndex: 4,
  index: 4,
  backend: 4,
} as const;

const exitFields = {
  reason: 4,
  detail: 4,
  kind: 4,
  qualification: 8,
  info: 8,
  rip: 8,
  nextRip: 8,
  plainLength: 4,
  gpa: 8,
  gva: 8,
  flags: 4,
  size: 4,
  addressSize: 4,
  segment: 4,
  crAccess: 4,
  gpr: 4,
  errorCode: 4,
  interruptedEvent: 4,
  interruptedError: 4,
  interruptedLength: 4,
  byteCount: 4,
  bytes0: 8,
  bytes1: 8,
  move: 4,
  moveValue: 4,
} as const;

/** What `detail` is called for some classes of exits. */
const detailNames = ["port", "msr", "crNumber", "vector"] as const;

type VcpuField = keyof typeof vcpuFields;
type ExitField = keyof typeof exitFields | (typeof detailNames)[number];

function exitField(field: ExitField): keyof typeof exitFields {
  return (detailNames as readonly string[]).includes(field) ? "detail" : (field as keyof typeof exitFields);
}

const cases = (type: string, names: string[]) =>
  names.map((name, i) => `    case ${i}: return offsetof<${type}>("${name}");`).join("\n");

/** AssemblyScript that tells the tests where fields are; part of a test's glue. */
export const vcpuGlue = `
import { arenaAlloc } from "./kernel/lib/arena";
import { ExitRecord } from "./kernel/vcpu/exit";
import { Vcpu, VCPU_BYTES } from "./kernel/vcpu/vcpu";

export function newVcpu(): usize { return arenaAlloc(VCPU_BYTES, 64); }
export function exitAddress(vcpu: Vcpu): usize { return changetype<usize>(vcpu.exit); }
export function segmentAddress(vcpu: Vcpu, index: u32): usize { return changetype<usize>(vcpu.segment(index)); }
export function vcpuOffset(field: i32): usize {
  switch (field) {
${cases("Vcpu", Object.keys(vcpuFields))}
  }
  return 0;
}
export function exitOffset(field: i32): usize {
  switch (field) {
${cases("ExitRecord", Object.keys(exitFields))}
  }
  return 0;
}
`;

/** A vCPU made in a module whose glue holds `vcpuGlue`. */
export class VcpuView {
  readonly address: number;
  private readonly exitAddress: number;

  constructor(
    private readonly module: KernelModule,
    address?: number,
  ) {
    this.address = address ?? (module.exports.newVcpu!() as number);
    this.exitAddress = module.exports.exitAddress!(this.address) as number;
  }

  private load(address: number, bytes: number): bigint {
    const memory = this.module.memory;
    return bytes === 8 ? memory.getBigUint64(address, true) : BigInt(memory.getUint32(address, true));
  }

  private place(field: VcpuField): number {
    return this.address + (this.module.exports.vcpuOffset!(Object.keys(vcpuFields).indexOf(field)) as number);
  }

  get(field: VcpuField): bigint {
    return this.load(this.place(field), vcpuFields[field]);
  }

  set(field: VcpuField, value: bigint | number): void {
    const at = this.place(field);
    if (vcpuFields[field] === 8) this.module.memory.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
    else this.module.memory.setUint32(at, Number(BigInt.asUintN(32, BigInt(value))), true);
  }

  /** Byte offset of a field from the vCPU's start. */
  offset(field: VcpuField): number {
    return this.place(field) - this.address;
  }

  exit(name: ExitField): bigint {
    const field = exitField(name);
    const index = Object.keys(exitFields).indexOf(field);
    return this.load(
      this.exitAddress + (this.module.exports.exitOffset!(index) as number),
      exitFields[field],
    );
  }

  /** RIP after the exiting instruction, whichever way the record has it; 0: not known. */
  nextRip(): bigint {
    const length = this.exit("plainLength");
    return length === 0n ? this.exit("nextRip") : this.get("rip") + length;
  }

  setExit(name: ExitField, value: bigint | number): void {
    const field = exitField(name);
    const index = Object.keys(exitFields).indexOf(field);
    const at = this.exitAddress + (this.module.exports.exitOffset!(index) as number);
    if (exitFields[field] === 8) this.module.memory.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
    else this.module.memory.setUint32(at, Number(BigInt.asUintN(32, BigInt(value))), true);
  }

  /** Segment register by index: ES CS SS DS FS GS LDTR TR. */
  segment(index: number): { base: bigint; limit: number; access: number; selector: number } {
    const at = this.module.exports.segmentAddress!(this.address, index) as number;
    const memory = this.module.memory;
    return {
      base: memory.getBigUint64(at, true),
      limit: memory.getUint32(at + 8, true),
      access: memory.getUint32(at + 12, true),
      selector: memory.getUint32(at + 16, true),
    };
  }

  setSegment(index: number, value: { base: bigint; limit: number; access: number; selector: number }): void {
    const at = this.module.exports.segmentAddress!(this.address, index) as number;
    const memory = this.module.memory;
    memory.setBigUint64(at, value.base, true);
    memory.setUint32(at + 8, value.limit, true);
    memory.setUint32(at + 12, value.access, true);
    memory.setUint32(at + 16, value.selector, true);
  }
}

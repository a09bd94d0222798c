// The bytes of the instruction that exited, as a trace gets them: what the guest's page tables and registers say, on both
// backends; and none where there is no instruction or it cannot be read.
import { beforeEach, describe, expect, test } from "vitest";
import type { FakeCpu } from "./fake-cpu.ts";
import { type KernelModule, loadKernel } from "./harness.ts";
import { VcpuView, vcpuGlue } from "./vcpu-view.ts";
import { VMCS_ENCODINGS } from "./vmcs-encodings.ts";

const VMCB = 0x10_0000n;
const RAM = 0x40_0000n;
const RAM_BYTES = 0x10_0000n;

const glue = `${vcpuGlue}
import { GuestMemory, guestAddRegion, guestMemoryNew } from "./kernel/mm/guestmem";
import { codeWalk as svmWalk, codeWalkPrepare } from "./kernel/svm/codewalk";
import { svmCreate } from "./kernel/svm/svm";
import { backend } from "./kernel/vcpu/backend";
import { codeBytesCreate, readInstruction } from "./kernel/vcpu/codebytes";
import { machine } from "./kernel/vcpu/machine";
import { codeWalk as vmxWalk } from "./kernel/vmx/codewalk";
const ram: GuestMemory = guestMemoryNew();
export function build(isVmx: bool): usize {
  const vcpu = changetype<Vcpu>(newVcpu());
  codeBytesCreate(vcpu);
  guestAddRegion(ram, 0, ${RAM_BYTES}, ${RAM});
  machine().guestMemory = (_vcpu: Vcpu): GuestMemory => ram;
  machine().physicalBits = (_vcpu: Vcpu): u32 => 40;
  codeWalkPrepare();
  if (isVmx) backend().codeWalk = vmxWalk;
  else {
    svmCreate(vcpu, ${VMCB});
    backend().codeWalk = svmWalk;
  }
  return changetype<usize>(vcpu);
}
export function instruction(vcpu: Vcpu): usize { return changetype<usize>(readInstruction(vcpu)); }
`;

interface State {
  cr0: bigint;
  cr3: bigint;
  cr4: bigint;
  efer: bigint;
  csBase: bigint;
  /** CS.L. */
  long: boolean;
  cpl: bigint;
}

const LONG: State = {
  cr0: 0x80010011n,
  cr3: 0x2000n,
  cr4: 0x20n,
  efer: 0xd00n,
  csBase: 0n,
  long: true,
  cpl: 0n,
};
/** Linear pages: mapped, its neighbour, one for supervisors that may not be executed, one that is not there, not RAM. */
const CODE = 0xffff_ffff_8000_0000n;
const BYTES = Uint8Array.from({ length: 64 }, (_, i) => 0x40 + i);

const KIND = { cpuid: 1, io: 4, cr: 5, nestedFault: 7, exception: 15 };
/** Unknown, interrupts, windows, deadline, triple fault, INIT, SIPI, MTF, entry failure, machine check. */
const WITHOUT_INSTRUCTION = [0, 10, 11, 12, 13, 14, 16, 28, 29, 32, 34, 35];

describe.each([
  ["VT-x", true],
  ["AMD-V", false],
])("%s", (_name, isVmx) => {
  let kernel: KernelModule;
  let cpu: FakeCpu;
  let vcpu: VcpuView;

  function setState(state: State): void {
    const access = (state.long ? 1n << 13n : 1n << 14n) | (state.cpl << 5n) | 0x9bn;
    const fields: [name: string, offset: bigint, bytes: number, value: bigint][] = [
      ["GUEST_CR0", 0x558n, 8, state.cr0],
      ["GUEST_CR3", 0x550n, 8, state.cr3],
      ["GUEST_CR4", 0x548n, 8, state.cr4],
      ["GUEST_EFER", 0x4d0n, 8, state.efer],
      ["GUEST_CS_BASE", 0x418n, 8, state.csBase],
    ];
    for (const [name, offset, bytes, value] of fields) {
      if (isVmx) cpu.vmcs.set(VMCS_ENCODINGS[name] as number, value);
      else cpu.store(VMCB + offset, bytes, value);
    }
    if (isVmx) {
      cpu.vmcs.set(VMCS_ENCODINGS.GUEST_CS_ACCESS as number, access);
      cpu.vmcs.set(VMCS_ENCODINGS.GUEST_SS_ACCESS as number, 0x93n | (state.cpl << 5n));
    } else {
      cpu.store(VMCB + 0x412n, 2, (access & 0xffn) | ((access >> 4n) & 0xf00n));
      cpu.store(VMCB + 0x4cbn, 1, state.cpl);
    }
  }

  beforeEach(async () => {
    kernel = await loadKernel([], glue);
    cpu = kernel.cpu;
    vcpu = new VcpuView(kernel, kernel.exports.build!(isVmx ? 1 : 0) as number);
    const entry = (table: bigint, index: bigint, value: bigint) =>
      cpu.store(RAM + table + 8n * index, 8, value);
    entry(0x2000n, 511n, 0x3027n);
    entry(0x3000n, 510n, 0x4027n);
    entry(0x4000n, 0n, 0x5027n);
    entry(0x5000n, 0n, 0x8025n);
    entry(0x5000n, 1n, 0x9025n);
    entry(0x5000n, 2n, (1n << 63n) | 0xa025n);
    entry(0x5000n, 4n, 0x7f00_0025n);
    entry(0x5000n, 5n, 0xb021n);
    for (const page of [0x8000n, 0x9000n, 0xa000n, 0xb000n]) cpu.poke(RAM + page, BYTES);
    cpu.poke(RAM + 0x8ff0n, BYTES.subarray(0, 16));
    setState(LONG);
  });

  /** The bytes that a trace gets of an exit of `kind` at `rip`; `length` 0: not known. */
  function bytes(kind: number, rip: bigint, length: number): number[] {
    vcpu.setExit("kind", kind);
    vcpu.setExit("rip", rip);
    vcpu.setExit("plainLength", length);
    vcpu.setExit("nextRip", 0n);
    const at = kernel.exports.instruction!(vcpu.address) as number;
    const count = Number(kernel.memory.getBigUint64(at + 16, true));
    const all = Array.from({ length: 16 }, (_, i) => kernel.memory.getUint8(at + i));
    expect(all.slice(count).every((byte) => byte === 0)).toBe(true);
    return all.slice(0, count);
  }
  const expected = (count: number, from = 0) => [...BYTES.subarray(from, from + count)];

  test.each([1, 2, 8, 9, 15])("%i bytes: those of the instruction and no more", (length) => {
    expect(bytes(KIND.cpuid, CODE, length)).toEqual(expected(length));
    expect(bytes(KIND.io, CODE + 1n, length)).toEqual(expected(length, 1));
  });

  test("the end is where the handler will go on, plainly or not", () => {
    vcpu.setExit("kind", KIND.cpuid);
    vcpu.setExit("rip", CODE);
    vcpu.setExit("plainLength", 0n);
    vcpu.setExit("nextRip", CODE + 3n);
    const at = kernel.exports.instruction!(vcpu.address) as number;
    expect(kernel.memory.getBigUint64(at + 16, true)).toBe(3n);
  });

  test("of unknown length: fifteen, or what is left of the page", () => {
    expect(bytes(KIND.nestedFault, CODE, 0)).toEqual(expected(15));
    expect(bytes(KIND.cr, CODE + 0xff8n, 0)).toEqual(expected(8, 8));
    expect(bytes(KIND.exception, CODE + 0xfffn, 0)).toEqual(expected(1, 15));
  });

  test("what a fault has in the place of an instruction's end is not taken for it", () => {
    vcpu.setExit("kind", KIND.nestedFault);
    vcpu.setExit("rip", CODE);
    vcpu.setExit("plainLength", 0n);
    vcpu.setExit("nextRip", CODE + 2n);
    const at = kernel.exports.instruction!(vcpu.address) as number;
    expect(kernel.memory.getBigUint64(at + 16, true)).toBe(15n);
  });

  test("from one page into the next", () => {
    expect(bytes(KIND.io, CODE + 0xffdn, 7)).toEqual([...expected(3, 13), ...expected(4)]);
    expect(bytes(KIND.io, CODE + 0xffdn, 3)).toEqual(expected(3, 13));
    // What the next page would have may not be executed: the first part alone.
    expect(bytes(KIND.io, CODE + 0x1ffdn, 7)).toHaveLength(3);
  });

  test.each([
    ["may not be executed", 0x2000n],
    ["is not there", 0x3000n],
    ["is not RAM", 0x4000n],
    ["has no table", 0x4000_0000n],
  ])("none where the page %s, and nothing happens", (_what, offset) => {
    const pending = [vcpu.get("rip"), vcpu.get("valid"), vcpu.get("dirty"), vcpu.get("event")];
    expect(bytes(KIND.io, CODE + offset, 2)).toEqual([]);
    expect(bytes(KIND.nestedFault, CODE + offset, 0)).toEqual([]);
    expect([vcpu.get("rip"), vcpu.get("valid"), vcpu.get("dirty"), vcpu.get("event")]).toEqual(pending);
  });

  test("a program's pages are its own; the kernel's are not", () => {
    setState({ ...LONG, cpl: 3n });
    expect(bytes(KIND.cpuid, CODE, 2)).toEqual(expected(2));
    expect(bytes(KIND.cpuid, CODE + 0x5000n, 2)).toEqual([]);
    setState(LONG);
    expect(bytes(KIND.cpuid, CODE + 0x5000n, 2)).toEqual(expected(2));
  });

  test("without paging, at the segment's base, which 64-bit code has not", () => {
    setState({ ...LONG, cr0: 0x10n, efer: 0n, csBase: 0x8000n, long: false });
    expect(bytes(KIND.cpuid, 0x4n, 2)).toEqual(expected(2, 4));
    setState({ ...LONG, cr0: 0x11n, efer: 0n, csBase: 0xffff_9000n, long: false });
    expect(bytes(KIND.cpuid, 0xf002n, 2)).toEqual(expected(2, 2));
    setState({ ...LONG, csBase: 0x1000n });
    expect(bytes(KIND.cpuid, CODE, 2)).toEqual(expected(2));
  });

  test("none of exits that no instruction caused", () => {
    for (const kind of WITHOUT_INSTRUCTION) {
      expect(bytes(kind, CODE, 0)).toEqual([]);
      expect(bytes(kind, CODE, 2)).toEqual([]);
    }
  });

  test("none while an event was being delivered: the instruction at RIP is not the cause", () => {
    vcpu.setExit("interruptedEvent", 0x8000_0030);
    expect(bytes(KIND.nestedFault, CODE, 0)).toEqual([]);
    vcpu.setExit("interruptedEvent", 0);
    expect(bytes(KIND.nestedFault, CODE, 0)).toHaveLength(15);
  });
});

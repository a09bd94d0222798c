// Guest state between neutral registers and VMCB: offsets and bit positions typed from the manual's appendix.
import { beforeEach, describe, expect, test } from "vitest";
import { type KernelModule, loadKernel } from "./harness.js";
import { VcpuView, vcpuGlue } from "./vcpu-view.js";

const VMCB = 0x10_0000n;
const RIP = 1,
  STACK_FLAGS = 2,
  SEGMENTS = 4,
  TABLES = 8,
  CONTROL = 16,
  SYSTEM = 32,
  INTERRUPTIBILITY = 64;

const glue = `${vcpuGlue}
import { SvmVcpu, svmCreate } from "./kernel/svm/svm";
import { loadState, storeState } from "./kernel/svm/state";
export function prepare(vcpu: Vcpu, vmcb: u64): void {
  svmCreate(vcpu, vmcb).clean = 0x7ff;
}
export function loadIt(vcpu: Vcpu, groups: u32): void { loadState(vcpu, changetype<SvmVcpu>(vcpu.backend), groups); }
export function storeIt(vcpu: Vcpu, groups: u32): void { storeState(vcpu, changetype<SvmVcpu>(vcpu.backend), groups); }
export function clean(vcpu: Vcpu): u32 { return changetype<SvmVcpu>(vcpu.backend).clean; }
`;

let kernel: KernelModule;
let vcpu: VcpuView;
const word = (offset: bigint, bytes = 8) => kernel.cpu.load(VMCB + offset, bytes);
const put = (offset: bigint, value: bigint, bytes = 8) => kernel.cpu.store(VMCB + offset, bytes, value);

beforeEach(async () => {
  kernel = await loadKernel(
    ["state", "maps", "controls"].map((name) => `kernel/svm/${name}.ts`),
    glue,
  );
  vcpu = new VcpuView(kernel);
  kernel.exports.prepare!(vcpu.address, VMCB);
});

const registers: [Parameters<VcpuView["get"]>[0], bigint, number][] = [
  ["rsp", 0x5d8n, STACK_FLAGS],
  ["rflags", 0x570n, STACK_FLAGS],
  ["cr0", 0x558n, CONTROL],
  ["cr3", 0x550n, CONTROL],
  ["cr4", 0x548n, CONTROL],
  ["dr6", 0x568n, SYSTEM],
  ["dr7", 0x560n, SYSTEM],
  ["cr2", 0x640n, SYSTEM],
  ["pat", 0x668n, SYSTEM],
  ["sysenterCs", 0x628n, SYSTEM],
  ["sysenterEsp", 0x630n, SYSTEM],
  ["sysenterEip", 0x638n, SYSTEM],
  ["star", 0x600n, SYSTEM],
  ["lstar", 0x608n, SYSTEM],
  ["cstar", 0x610n, SYSTEM],
  ["fmask", 0x618n, SYSTEM],
  ["kernelGsBase", 0x620n, SYSTEM],
  ["debugctl", 0x670n, SYSTEM],
  ["gdtrBase", 0x468n, TABLES],
  ["idtrBase", 0x488n, TABLES],
];

describe("registers", () => {
  test.each(registers)("%s is at offset 0x%s", (name, offset, group) => {
    put(offset, 0x1234_5678_9abc_def0n);
    kernel.exports.loadIt!(vcpu.address, group);
    expect(vcpu.get(name)).toBe(0x1234_5678_9abc_def0n);
    expect(Number(vcpu.get("valid")) & group).toBe(group);
    vcpu.set(name, 0x0fed_cba9_8765_4321n);
    kernel.exports.storeIt!(vcpu.address, group);
    expect(word(offset)).toBe(0x0fed_cba9_8765_4321n);
  });

  test("table limits", () => {
    put(0x464n, 0xffff_0127n, 4);
    put(0x484n, 0x0fffn, 4);
    kernel.exports.loadIt!(vcpu.address, TABLES);
    expect([vcpu.get("gdtrLimit"), vcpu.get("idtrLimit")]).toEqual([0x127n, 0xfffn]);
  });

  test("the guest does not see EFER.SVME, the processor always does", () => {
    put(0x4d0n, 0x1d01n);
    kernel.exports.loadIt!(vcpu.address, CONTROL);
    expect(vcpu.get("efer")).toBe(0xd01n);
    vcpu.set("efer", 0x500n);
    kernel.exports.storeIt!(vcpu.address, CONTROL);
    expect(word(0x4d0n)).toBe(0x1500n);
  });

  test("a group that is not asked for is not touched", () => {
    put(0x558n, 0x11n);
    vcpu.set("cr0", 0n);
    kernel.exports.storeIt!(vcpu.address, RIP | STACK_FLAGS | SEGMENTS | TABLES | SYSTEM | INTERRUPTIBILITY);
    expect(word(0x558n)).toBe(0x11n);
  });
});

describe("segments", () => {
  const offsets = [0x400n, 0x410n, 0x420n, 0x430n, 0x440n, 0x450n, 0x470n, 0x490n];

  test("places", () => {
    offsets.forEach((offset, i) => {
      put(offset, BigInt(0x10 + i), 2);
      put(offset + 2n, 0x0c93n, 2);
      put(offset + 4n, 0xffff_ffffn, 4);
      put(offset + 8n, BigInt(i) << 40n);
    });
    kernel.exports.loadIt!(vcpu.address, SEGMENTS);
    offsets.forEach((_, i) => {
      expect(vcpu.segment(i)).toEqual({
        base: BigInt(i) << 40n,
        limit: 0xffff_ffff,
        access: 0xc093,
        selector: 0x10 + i,
      });
    });
  });

  // VMCB attributes: 11 G, 10 D/B, 9 L, 8 AVL, 7 P, 6..5 DPL, 4 S, 3..0 type. Neutral: 15 G, 14 D/B, 13 L, 12 AVL.
  test.each<[string, number, number]>([
    ["64-bit code", 0xa9b, 0xa09b],
    ["32-bit code", 0xc9b, 0xc09b],
    ["16-bit data", 0x093, 0x0093],
    ["user data", 0xcf3, 0xc0f3],
    ["available bit", 0x193, 0x1093],
    ["busy TSS", 0x08b, 0x008b],
  ])("%s", (_name, attributes, access) => {
    put(0x412n, BigInt(attributes), 2);
    kernel.exports.loadIt!(vcpu.address, SEGMENTS);
    expect(vcpu.segment(1).access).toBe(access);
    put(0x412n, 0n, 2);
    kernel.exports.storeIt!(vcpu.address, SEGMENTS);
    expect(word(0x412n, 2)).toBe(BigInt(attributes));
  });

  test("not present and unusable are one", () => {
    put(0x402n, 0n, 2);
    kernel.exports.loadIt!(vcpu.address, SEGMENTS);
    expect(vcpu.segment(0).access & (1 << 16)).not.toBe(0);
    vcpu.setSegment(0, { base: 0n, limit: 0, access: 0x1_c093, selector: 0 });
    kernel.exports.storeIt!(vcpu.address, SEGMENTS);
    expect(word(0x402n, 2)).toBe(0xc13n);
  });

  test("the privilege level is SS.DPL here and CPL there", () => {
    put(0x422n, 0x0c93n, 2);
    put(0x4cbn, 3n, 1);
    kernel.exports.loadIt!(vcpu.address, SEGMENTS);
    expect((vcpu.segment(2).access >> 5) & 3).toBe(3);
    vcpu.setSegment(2, { base: 0n, limit: 0xffff_ffff, access: 0xc0b3, selector: 0x11 });
    kernel.exports.storeIt!(vcpu.address, SEGMENTS);
    expect(word(0x4cbn, 1)).toBe(1n);
  });
});

test.each<[string, number, number]>([
  ["stack and flags need none", STACK_FLAGS | RIP, 0x7ff],
  ["control registers", CONTROL, 0x7ff & ~(1 << 5)],
  ["descriptor tables", TABLES, 0x7ff & ~(1 << 7)],
  ["segments", SEGMENTS, 0x7ff & ~(1 << 8)],
  ["CR2, DR6/DR7, PAT, DEBUGCTL", SYSTEM, 0x7ff & ~((1 << 9) | (1 << 6) | (1 << 4) | (1 << 10))],
])("clean bits: %s", (_name, groups, clean) => {
  kernel.exports.storeIt!(vcpu.address, groups);
  expect(kernel.exports.clean!(vcpu.address)).toBe(clean);
});

describe("permission maps", () => {
  const MAP = 0x20_0000n;
  const bit = (number: number) =>
    Number((kernel.cpu.load(MAP + BigInt(number >> 3), 1) >> BigInt(number & 7)) & 1n);
  // First bit of each range of 8192 MSRs, from the manual: 0, 0x800 bytes, 0x1000 bytes.
  const place = (msr: number) =>
    msr >= 0xc001_0000
      ? 0x1000 * 8 + 2 * (msr - 0xc001_0000)
      : msr >= 0xc000_0000
        ? 0x800 * 8 + 2 * (msr - 0xc000_0000)
        : 2 * msr;

  test("MSRs: everything exits but what VMLOAD and VMSAVE switch", () => {
    kernel.exports.msrMapInitialize!(MAP);
    const open = [
      0x174, 0x175, 0x176, 0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0084, 0xc000_0100, 0xc000_0101,
      0xc000_0102,
    ];
    for (const msr of [
      0, 0x10, 0x1b, 0x277, 0x1fff, 0xc000_0080, 0xc000_0103, 0xc000_1fff, 0xc001_0000, 0xc001_0114,
      0xc001_1fff,
    ]) {
      expect([bit(place(msr)), bit(place(msr) + 1)], msr.toString(16)).toEqual([1, 1]);
    }
    for (const msr of open) expect([bit(place(msr)), bit(place(msr) + 1)], msr.toString(16)).toEqual([0, 0]);
    let zeros = 0;
    for (let i = 0; i < 0x2000 * 8; i++) zeros += 1 - bit(i);
    expect(zeros).toBe(2 * open.length);
  });

  test.each([0, 1, 0x1fff, 0xc000_0080, 0xc001_1fff])("MSR %x: reads and writes apart", (msr) => {
    kernel.exports.msrMapInitialize!(MAP);
    kernel.exports.msrMapSet!(MAP, msr, false, true);
    expect([bit(place(msr)), bit(place(msr) + 1)]).toEqual([0, 1]);
    kernel.exports.msrMapSet!(MAP, msr, true, false);
    expect([bit(place(msr)), bit(place(msr) + 1)]).toEqual([1, 0]);
  });

  test("an MSR outside the map always exits; opening it is a bug", () => {
    kernel.exports.msrMapInitialize!(MAP);
    kernel.exports.msrMapSet!(MAP, 0x4b56_4d00, true, true);
    expect(() => kernel.exports.msrMapSet!(MAP, 0x4b56_4d00, false, true)).toThrow();
    expect(() => kernel.exports.msrMapSet!(MAP, 0x2000, true, false)).toThrow();
  });

  test("ports", () => {
    kernel.exports.ioMapCloseAll!(MAP);
    for (const port of [0, 0x3f8, 0xffff, 0x10000, 0x10002]) expect(bit(port)).toBe(1);
  });
});

test("intercepts, bit by bit", () => {
  kernel.exports.writeIntercepts!(VMCB);
  const bits = (offset: bigint) => [...Array(32).keys()].filter((i) => (word(offset, 4) >> BigInt(i)) & 1n);
  expect(bits(0x00n)).toEqual([16 + 4, 16 + 8]);
  expect(bits(0x04n)).toEqual([]);
  expect(bits(0x08n)).toEqual([1, 17, 18]);
  // INTR NMI INIT CR0-selective RDPMC CPUID RSM INVD HLT INVLPGA IOIO MSR SHUTDOWN
  expect(bits(0x0cn)).toEqual([0, 1, 3, 5, 15, 18, 19, 22, 24, 26, 27, 28, 31]);
  // VMRUN VMMCALL VMLOAD VMSAVE STGI CLGI SKINIT WBINVD MONITOR MWAIT XSETBV
  expect(bits(0x10n)).toEqual([0, 1, 2, 3, 4, 5, 6, 9, 10, 11, 13]);
  expect(bits(0x14n)).toEqual([]);
});

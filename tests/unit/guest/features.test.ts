// What CPUID announces works: every bit that a guest is shown on a host that has everything is used.
// The list below is typed from the manuals (SDM, "CPUID—CPU Identification"; APM volume 3, "Obtaining Processor Information
// Via the CPUID Instruction"), not from the code.
import { beforeAll, describe, expect, test } from "vitest";
import { AMD_CPUID, type HostCpuid, INTEL_CPUID, Pc } from "./pc.ts";

interface Announced {
  /** Bits of CR4, XCR0 and EFER by number. */
  cr4?: number[];
  xcr0?: number[];
  efer?: number[];
  /** MSRs that can be read and written with the value that they have; read only; written only. */
  msrs?: number[];
  readOnly?: number[];
  commands?: number[];
}

const INSTRUCTIONS: Announced = {};
const FACT: Announced = {};
const AVX = { xcr0: [1, 2] };
const AVX512 = { xcr0: [1, 2, 5, 6, 7] };
const SPEC_CTRL = 0x48;
const PRED_CMD = 0x49;
const TSC_AUX = 0xc0000103;

const all = (bits: number[], what: Announced) => bits.map((bit): [number, Announced] => [bit, what]);

/** By leaf, and register (EAX … EDX as 0 … 3). */
const ANNOUNCED: Record<string, Map<number, Announced>> = {
  "1:2": new Map([
    ...all([0, 1, 9, 13, 19, 20, 22, 23, 25, 30], INSTRUCTIONS),
    ...all([12, 28, 29], AVX),
    [17, { cr4: [17] }],
    [21, { msrs: [0x1b] }],
    [24, { msrs: [0x6e0] }],
    [26, { cr4: [18], xcr0: [0, 1] }],
    [31, FACT],
  ]),
  "1:3": new Map<number, Announced>([
    ...all([0, 5, 8, 15, 17, 19, 23, 26, 27], INSTRUCTIONS),
    [1, { cr4: [0, 1] }],
    [2, { cr4: [3] }],
    [3, { cr4: [4] }],
    [4, { cr4: [2], msrs: [0x10] }],
    [6, { cr4: [5] }],
    [7, { cr4: [6] }],
    [9, { msrs: [0x1b] }],
    [11, { msrs: [0x174, 0x175, 0x176] }],
    [12, { msrs: [0x200, 0x20f, 0x250, 0x258, 0x26f, 0x2ff], readOnly: [0xfe] }],
    [13, { cr4: [7] }],
    [14, { msrs: [0x17a], readOnly: [0x179] }],
    [16, { msrs: [0x277] }],
    [24, { cr4: [9] }],
    [25, { cr4: [9, 10] }],
  ]),
  "6:0": new Map([[2, FACT]]),
  "7:1": new Map<number, Announced>([
    ...all([3, 6, 8, 9, 10, 13, 18, 19, 23, 24, 29], INSTRUCTIONS),
    [0, { cr4: [16] }],
    [1, { msrs: [0x3b] }],
    [5, AVX],
    [7, { cr4: [20] }],
    [20, { cr4: [21] }],
    ...all([16, 17, 21, 28, 30, 31], AVX512),
  ]),
  "7:2": new Map<number, Announced>([
    [8, INSTRUCTIONS],
    ...all([1, 6, 11, 12, 14], AVX512),
    ...all([9, 10], AVX),
    [2, { cr4: [11] }],
    [3, { cr4: [22], xcr0: [9] }],
    [22, { msrs: [TSC_AUX] }],
  ]),
  "7:3": new Map<number, Announced>([
    ...all([4, 10, 14], INSTRUCTIONS),
    [26, { msrs: [SPEC_CTRL], commands: [PRED_CMD] }],
    ...all([27, 31], { msrs: [SPEC_CTRL] }),
    [28, { commands: [0x10b] }],
    [29, { readOnly: [0x10a] }],
  ]),
  "40000001:0": new Map<number, Announced>([
    [0, { msrs: [0x12], commands: [0x11] }],
    [3, { msrs: [0x4b564d01], commands: [0x4b564d00] }],
    ...all([1, 24], FACT),
  ]),
  "80000001:2": new Map<number, Announced>([
    ...all([0, 5, 6, 7, 8, 21], INSTRUCTIONS),
    ...all([11, 16], AVX),
  ]),
  "80000001:3": new Map<number, Announced>([
    ...all([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 22, 23, 24, 26, 30, 31], INSTRUCTIONS),
    [11, { msrs: [0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084], efer: [0] }],
    [20, { efer: [11] }],
    [25, { efer: [14] }],
    [27, { msrs: [TSC_AUX] }],
    [29, { msrs: [0xc0000100, 0xc0000101, 0xc0000102], efer: [8] }],
  ]),
  "80000007:3": new Map([[8, FACT]]),
  "80000008:1": new Map<number, Announced>([
    ...all([0, 2, 9], INSTRUCTIONS),
    [12, { commands: [PRED_CMD] }],
    ...all([14, 15, 24], { msrs: [SPEC_CTRL] }),
  ]),
};

/** A processor that has every feature of every leaf, with the vendor of `like`. */
function everything(like: HostCpuid): HostCpuid {
  const ones: [number, number, number, number] = [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff];
  const [, ebx, ecx, edx] = like["0:0"]!;
  return {
    ...Object.fromEntries(["1:0", "6:0", "7:0", "80000001:0", "80000007:0"].map((leaf) => [leaf, ones])),
    "0:0": [0xffff, ebx, ecx, edx],
    "4:0": [0, 0, 0, 0],
    "d:0": [0xffffffff, 0xa88, 0xa88, 0],
    "d:1": ones,
    ...Object.fromEntries([2, 3, 4, 5, 6, 7, 8, 9].map((n) => [`d:${n}`, [64, 576 + 64 * n, 0, 0]])),
    "80000000:0": [0x8000ffff, 0, 0, 0],
    "80000008:0": [0x3030, 0xffffffff, 0, 0],
  };
}

const HOST_MSRS = { [SPEC_CTRL]: 0n, [PRED_CMD]: 0n, 0x10a: 0n, 0x10b: 0n };

function shown(pc: Pc): { key: string; bit: number }[] {
  return Object.keys(ANNOUNCED).flatMap((key) => {
    const [leaf, register] = key.split(":") as [string, string];
    const value = pc.cpuid(Number.parseInt(leaf, 16))[Number(register)]!;
    return Array.from({ length: 32 }, (_, bit) => ({ key, bit })).filter(({ bit }) => (value >>> bit) & 1);
  });
}

describe.each([
  ["AMD", AMD_CPUID],
  ["Intel", INTEL_CPUID],
] as [string, HostCpuid][])("on a host of %s that has everything", (vendor, like) => {
  let pc: Pc;
  beforeAll(async () => {
    pc = await Pc.running({ cpuid: everything(like), msrs: HOST_MSRS });
  });

  const announced = ({ key, bit }: { key: string; bit: number }) => ANNOUNCED[key]!.get(bit);

  test("each bit shown is known to this test, and nearly all known bits are shown", () => {
    const bits = shown(pc);
    for (const { key, bit } of bits) expect(ANNOUNCED[key]!.has(bit), `${key} bit ${bit}`).toBe(true);
    const hidden = Object.entries(ANNOUNCED).flatMap(([key, map]) =>
      [...map.keys()]
        .filter((bit) => !bits.some((b) => b.key === key && b.bit === bit))
        .map((bit) => `${key} ${bit}`),
    );
    expect(hidden).toEqual(vendor === "AMD" ? [] : ["80000001:3 25"]);
  });

  test("the MSRs can be used", () => {
    for (const it of shown(pc)) {
      const name = `${it.key} bit ${it.bit}`;
      for (const msr of announced(it)?.msrs ?? []) {
        const value = pc.rdmsr(msr);
        expect(value, `${name}: RDMSR ${msr.toString(16)}`).toBeDefined();
        expect(pc.wrmsr(msr, value!), `${name}: WRMSR ${msr.toString(16)}`).toBe(true);
      }
      for (const msr of announced(it)?.readOnly ?? []) {
        expect(pc.rdmsr(msr), `${name}: RDMSR ${msr.toString(16)}`).toBeDefined();
        expect(pc.wrmsr(msr, 0n), `${name}: WRMSR ${msr.toString(16)}`).toBe(false);
      }
      for (const msr of announced(it)?.commands ?? []) {
        expect(pc.wrmsr(msr, 0n), `${name}: WRMSR ${msr.toString(16)}`).toBe(true);
      }
    }
  });

  test("the bits of CR4, XCR0 and EFER are taken, and no others", () => {
    const union = (of: (what: Announced) => number[] | undefined) =>
      shown(pc).reduce(
        (mask, it) => (of(announced(it)!) ?? []).reduce((m, bit) => m | (1n << BigInt(bit)), mask),
        0n,
      );
    const rdpmc = 1n << 8n;
    expect(pc.call("cr4Mask", pc.vcpuAddress)).toBe(union((what) => what.cr4) | rdpmc);
    expect(pc.call("xcr0Mask", pc.vcpuAddress)).toBe(union((what) => what.xcr0));
    const longModeActive = 1n << 10n;
    const efer = union((what) => what.efer) | longModeActive;
    pc.vcpu.set("cr0", 0x11);
    for (let bit = 0n; bit < 64n; bit++) {
      expect(pc.wrmsr(0xc0000080, 1n << bit), `EFER bit ${bit}`).toBe(((efer >> bit) & 1n) === 1n);
    }
  });

  test("leaf 0Dh describes the components that XCR0 takes", () => {
    expect(BigInt(pc.cpuid(0x0d)[0])).toBe(pc.call("xcr0Mask", pc.vcpuAddress));
  });
});

describe("what cannot be provided is not shown", () => {
  test.each([
    ["SPEC_CTRL", SPEC_CTRL, { "7:3": [26, 27, 31], "80000008:1": [14, 15, 24] }],
    ["PRED_CMD", PRED_CMD, { "7:3": [26], "80000008:1": [12] }],
    ["FLUSH_CMD", 0x10b, { "7:3": [28] }],
    ["ARCH_CAPABILITIES", 0x10a, { "7:3": [29] }],
  ] as [string, number, Record<string, number[]>][])("without the MSR %s", async (_, msr, hidden) => {
    const full = await Pc.running({ cpuid: everything(AMD_CPUID), msrs: HOST_MSRS });
    const msrs = Object.fromEntries(Object.entries(HOST_MSRS).filter(([n]) => Number(n) !== msr));
    const pc = await Pc.running({ cpuid: everything(AMD_CPUID), msrs });
    const names = (of: Pc) => shown(of).map(({ key, bit }) => `${key} ${bit}`);
    const missing = names(full).filter((name) => !names(pc).includes(name));
    expect(missing).toEqual(
      Object.entries(hidden).flatMap(([key, bits]) => bits.map((bit) => `${key} ${bit}`)),
    );
    expect(pc.rdmsr(msr)).toBeUndefined();
    expect(pc.wrmsr(msr, 0n)).toBe(false);
  });

  test("without the state component of AVX there is no instruction that needs it", async () => {
    const cpuid = { ...everything(AMD_CPUID), "d:0": [3, 576, 576, 0] as [number, number, number, number] };
    const pc = await Pc.running({ cpuid, msrs: HOST_MSRS });
    const needs = shown(pc).filter(({ key, bit }) => ANNOUNCED[key]!.get(bit)?.xcr0?.some((n) => n > 1));
    expect(needs).toEqual([]);
    expect(pc.call("xcr0Mask", pc.vcpuAddress)).toBe(3n);
  });
});

import { describe, expect, test } from "vitest";
import { AMD_CPUID, INTEL_CPUID, Pc } from "./pc.ts";

const APIC_BASE = 0x1b;
const TSC = 0x10;
const TSC_ADJUST = 0x3b;
const EFER = 0xc0000080;
const PAT = 0x277;
const MISC_ENABLE = 0x1a0;

const intel = () => Pc.running({ cpuid: INTEL_CPUID });
const amd = () => Pc.running({ cpuid: AMD_CPUID });

describe("default deny", () => {
  test("MSRs that are not offered fault on both vendors, read and write", async () => {
    for (const pc of [await intel(), await amd()]) {
      for (const msr of [
        0x2, 0x188, 0xc3, 0x198, 0x345, 0x38f, 0x480, 0x48b, 0x560, 0x610, 0xda0, 0xc0010117, 0xc0010114,
        0x40000000, 0xffffffff,
      ]) {
        expect(pc.rdmsr(msr), msr.toString(16)).toBeUndefined();
        expect(pc.wrmsr(msr, 0n), msr.toString(16)).toBe(false);
      }
    }
  });

  test("each vendor has its own", async () => {
    const [i, a] = [await intel(), await amd()];
    expect(i.rdmsr(0x3a)).toBe(1n);
    expect(a.rdmsr(0x3a)).toBeUndefined();
    expect(i.rdmsr(MISC_ENABLE)).toBe(0x1801n);
    expect(a.rdmsr(MISC_ENABLE)).toBeUndefined();
    expect(a.rdmsr(0xc0010015)).toBe(1n << 24n);
    expect(i.rdmsr(0xc0010015)).toBeUndefined();
  });
});

describe("what every processor of a vendor has, and old kernels touch", () => {
  const range = (first: number, count: number) => Array.from({ length: count }, (_, i) => first + i);
  const BOTH = [0, 1, 0x1db, 0x1dc, 0x1dd, 0x1de];
  const AMD = [
    ...range(0xc0010000, 8), // K7's performance counters: Xen clears them
    0xc0010010,
    ...range(0xc0010016, 5),
    0xc001001d,
    0xc0010055,
    0xc0010058,
    ...range(0xc0010061, 11),
    0xc0010112,
    0xc0010113,
    ...range(0xc0011020, 4),
    0xc0011028,
    0xc001102a,
    0xc001102c,
  ];
  const INTEL = [0x17, 0x2a, 0xc1, 0xc2, 0xce, 0x186, 0x187];

  test("reads as zero, for the vendor that has it", async () => {
    const [i, a] = [await intel(), await amd()];
    for (const msr of BOTH) expect([i.rdmsr(msr), a.rdmsr(msr)], msr.toString(16)).toEqual([0n, 0n]);
    for (const msr of AMD) expect([i.rdmsr(msr), a.rdmsr(msr)], msr.toString(16)).toEqual([undefined, 0n]);
    for (const msr of INTEL) expect([i.rdmsr(msr), a.rdmsr(msr)], msr.toString(16)).toEqual([0n, undefined]);
  });

  test("or as after reset", async () => {
    const a = await amd();
    expect(a.rdmsr(0xc001001b)).toBe(0x20000000n);
    expect(a.rdmsr(0xc001001f)).toBe(1n << 46n);
    expect(a.rdmsr(0xc0011029)).toBe(2n);
  });

  test("counters take every value and count nothing", async () => {
    const [i, a] = [await intel(), await amd()];
    for (const [pc, first, count] of [
      [a, 0xc0010000, 8],
      [i, 0xc1, 2],
      [i, 0x186, 2],
    ] as const) {
      for (const msr of range(first, count)) {
        expect(pc.wrmsr(msr, 0x0043_00c0n)).toBe(true);
        expect(pc.rdmsr(msr)).toBe(0n);
      }
    }
  });

  test("microcode is loaded nowhere, and its trigger cannot be read", async () => {
    const [i, a] = [await intel(), await amd()];
    for (const [pc, msr] of [
      [i, 0x79],
      [a, 0x79],
      [a, 0xc0010020],
    ] as const) {
      expect(pc.wrmsr(msr, 0x1000n)).toBe(true);
      expect(pc.rdmsr(msr)).toBeUndefined();
    }
  });
});

describe("MTRRs", () => {
  test("as firmware leaves them: write-back, legacy window uncached, PCI hole uncached", async () => {
    const pc = await amd();
    expect(pc.rdmsr(0xfe)).toBe(0x508n);
    expect(pc.rdmsr(0x2ff)).toBe(0xc06n);
    expect(pc.rdmsr(0x250)).toBe(0x0606060606060606n);
    expect(pc.rdmsr(0x259)).toBe(0n);
    expect(pc.rdmsr(0x268)).toBe(0x0505050505050505n);
    expect(pc.rdmsr(0x200)).toBe(0xc0000000n);
    expect(pc.rdmsr(0x201)).toBe((1n << 40n) - (1n << 30n) + 0x800n);
  });

  test("hold what is written, and refuse reserved types and bits", async () => {
    const pc = await amd();
    expect(pc.wrmsr(0x20e, 0x12345000n | 6n)).toBe(true);
    expect(pc.wrmsr(0x20f, 0xfffff000n | 0x800n)).toBe(true);
    expect(pc.rdmsr(0x20e)).toBe(0x12345006n);
    expect(pc.rdmsr(0x20f)).toBe(0xfffff800n);
    expect(pc.rdmsr(0x210)).toBeUndefined();
    for (const [msr, value] of [
      [0x200, 2n],
      [0x200, 0x100n],
      [0x200, 1n << 40n],
      [0x201, 1n],
      [0x201, 1n << 41n],
      [0x250, 7n],
      [0x26f, 3n << 56n],
      [0x2ff, 2n],
      [0x2ff, 0x100n],
      [0x2ff, 1n << 12n],
    ] as const) {
      expect(pc.wrmsr(msr, value), `${msr.toString(16)} = ${value.toString(16)}`).toBe(false);
    }
    expect(pc.wrmsr(0x2ff, 0n)).toBe(true);
  });
});

describe("processor state", () => {
  test("EFER: reserved bits and a change of LME under paging fault; LMA follows", async () => {
    const pc = await amd();
    const { vcpu } = pc;
    vcpu.set("cr0", 0x11);
    vcpu.set("efer", 0);
    expect(pc.wrmsr(EFER, 0x901n)).toBe(true);
    expect(vcpu.get("efer")).toBe(0x901n);
    vcpu.set("cr0", 0x80000011);
    vcpu.set("efer", 0xd01);
    expect(pc.wrmsr(EFER, 0x801n)).toBe(false);
    expect(pc.wrmsr(EFER, 0xd00n)).toBe(true);
    expect(vcpu.get("efer")).toBe(0xd00n);
    for (const bit of [1n, 9n, 12n, 13n, 15n, 63n])
      expect(pc.wrmsr(EFER, 0xd00n | (1n << bit)), `bit ${bit}`).toBe(false);
    expect(pc.wrmsr(EFER, 0x4d00n)).toBe(true);
    expect((await intel()).wrmsr(EFER, 0x4000n)).toBe(false);
  });

  test("the bit by which AMD-V itself is switched on never shows", async () => {
    const pc = await amd();
    pc.vcpu.set("efer", 0x1d01);
    expect(pc.rdmsr(EFER)).toBe(0xd01n);
    pc.vcpu.set("cr0", 0x80000011);
    expect(pc.wrmsr(EFER, 0xd01n)).toBe(true);
    expect(pc.vcpu.get("efer")).toBe(0x1d01n);
  });

  test("PAT: eight known types", async () => {
    const pc = await amd();
    expect(pc.rdmsr(PAT)).toBe(0x0007040600070406n);
    expect(pc.wrmsr(PAT, 0x0407050600070106n)).toBe(true);
    expect(pc.rdmsr(PAT)).toBe(0x0407050600070106n);
    for (const value of [2n, 3n << 8n, 8n << 56n]) expect(pc.wrmsr(PAT, value)).toBe(false);
  });

  test("addresses must be canonical", async () => {
    const pc = await amd();
    for (const msr of [0xc0000082, 0xc0000083, 0xc0000102, 0x175, 0x176, 0xc0000100, 0xc0000101]) {
      expect(pc.wrmsr(msr, 0x800000000000n), msr.toString(16)).toBe(false);
      expect(pc.wrmsr(msr, 0xffff800000000000n), msr.toString(16)).toBe(true);
      expect(pc.rdmsr(msr)).toBe(0xffff800000000000n);
    }
  });

  test("fast strings stay on, and the unavailable stays unavailable", async () => {
    const pc = await intel();
    expect(pc.wrmsr(MISC_ENABLE, 1n)).toBe(true);
    expect(pc.rdmsr(MISC_ENABLE)).toBe(0x1801n);
  });

  test("speculation controls exist as CPUID says", async () => {
    const i = await Pc.running({ cpuid: INTEL_CPUID, msrs: { 0x48: 0n, 0x49: 0n } });
    expect(i.wrmsr(0x48, 1n)).toBe(true);
    expect(i.rdmsr(0x48)).toBe(1n);
    expect(i.wrmsr(0x49, 1n)).toBe(true);
    const a = await amd();
    a.cpu.msrs.set(0x48, 0n).set(0x49, 0n);
    expect(a.rdmsr(0x48)).toBeUndefined();
    expect(a.wrmsr(0x49, 1n)).toBe(false);
    expect(a.rdmsr(0x10a)).toBeUndefined();
  });

  test("IA32_ARCH_CAPABILITIES shows what holds for guests, not what they cannot use", async () => {
    const running = await Pc.running({ cpuid: INTEL_CPUID, msrs: { 0x10a: 0xffffffffffffffffn } });
    const value = running.rdmsr(0x10a) as bigint;
    expect(value & 1n).toBe(1n);
    for (const bit of [7n, 9n, 10n, 11n, 12n, 18n, 63n]) expect((value >> bit) & 1n, `bit ${bit}`).toBe(0n);
  });

  test("what needs no exit is opened, and nothing else", async () => {
    const pc = await amd();
    const opened = new Map<number, number>();
    for (let i = 0; ; i++) {
      const at = pc.call("openedAt", i) as number;
      if (at === 0) break;
      opened.set(pc.kernel.memory.getUint32(at, true), pc.kernel.memory.getUint32(at + 4, true));
    }
    const open = [
      0xc0000100, 0xc0000101, 0xc0000102, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0x174, 0x175, 0x176,
      0xc0000103,
    ];
    expect(new Map(open.map((msr) => [msr, 0]))).toEqual(
      new Map([...opened].filter(([, intercept]) => intercept === 0)),
    );
    expect(opened.get(TSC)).toBe(2);
    expect(opened.size).toBe(open.length + 1);
  });
});

describe("the local APIC's base", () => {
  test("the bit of CPUID follows the enable flag", async () => {
    for (const [pc, leaves] of [
      [await intel(), [1]],
      [await amd(), [1, 0x80000001]],
    ] as const) {
      const shows = () => leaves.map((leaf) => (pc.cpuid(leaf)[3] >>> 9) & 1);
      expect(shows()).toEqual(leaves.map(() => 1));
      expect(pc.wrmsr(APIC_BASE, 0xfee00100n)).toBe(true);
      expect(shows()).toEqual(leaves.map(() => 0));
      expect(pc.wrmsr(APIC_BASE, 0xfee00900n)).toBe(true);
      expect(shows()).toEqual(leaves.map(() => 1));
    }
  });

  test("no address beyond the guest's physical addresses", async () => {
    const pc = await amd(); // 40 bits
    for (let bit = 40n; bit < 64n; bit++) {
      expect(pc.wrmsr(APIC_BASE, 0xfee00900n | (1n << bit)), `bit ${bit}`).toBe(false);
      expect(pc.rdmsr(APIC_BASE)).toBe(0xfee00900n);
    }
    expect(pc.wrmsr(APIC_BASE, 0x80fee00900n)).toBe(true);
  });
});

test("reads of the TSC exit where the host's RDMSR does not give it", async () => {
  const pc = await Pc.running({ msrs: { [TSC]: 1n << 40n } });
  const intercepts = Array.from({ length: 64 }, (_, i) => pc.call("openedAt", i) as number)
    .filter((at) => at !== 0 && pc.kernel.memory.getUint32(at, true) === TSC)
    .map((at) => pc.kernel.memory.getUint32(at + 4, true));
  expect(intercepts).toEqual([3]);
  pc.cpu.tsc += 1000n;
  expect(pc.rdmsr(TSC)).toBe(1000n);
});

describe("time", () => {
  test("the TSC starts near 0, can be set, and TSC_ADJUST tells by how much", async () => {
    const pc = await amd();
    expect(pc.rdmsr(TSC)).toBe(0n);
    pc.cpu.tsc += 1000n;
    expect(pc.rdmsr(TSC)).toBe(1000n);
    expect(pc.wrmsr(TSC, 5000n)).toBe(true);
    expect(pc.rdmsr(TSC)).toBe(5000n);
    expect(pc.rdmsr(TSC_ADJUST)).toBe(4000n);
    expect(pc.wrmsr(TSC_ADJUST, 0n)).toBe(true);
    expect(pc.rdmsr(TSC)).toBe(1000n);
  });

  test("a deadline stays the same TSC value when the TSC is moved", async () => {
    const pc = await amd();
    pc.wrmsr(APIC_BASE, 0xfee00d00n);
    pc.wrmsr(0x80f, 0x1ffn);
    pc.wrmsr(0x832, (2n << 17n) | 0x40n);
    pc.wrmsr(0x6e0, 1_000_000n);
    pc.sample();
    // Conversions of time round, by a nanosecond each.
    expect(Math.abs(Number(pc.vcpu.get("deadline") - 1_000_000n))).toBeLessThan(3);
    pc.wrmsr(TSC, 900_000n);
    pc.sample();
    expect(pc.rdmsr(0x6e0)).toBe(1_000_000n);
    expect(Math.abs(Number(pc.vcpu.get("deadline") - 100_000n))).toBeLessThan(3);
    pc.advance(100_003);
    expect(pc.pending()).toBe(0x40);
    expect(pc.rdmsr(0x6e0)).toBe(0n);
  });

  test("the kvm-clock page goes to RAM only, and tells VM time from the TSC", async () => {
    const pc = await amd();
    pc.cpu.tsc += 123_456n;
    expect(pc.wrmsr(0x4b564d01, 0x200000n | 1n)).toBe(true);
    const page = pc.view(0x200000n, 32);
    expect(page.getUint32(0, true) & 1).toBe(0);
    const scaled = (ticks: bigint) => {
      const shift = page.getInt8(28);
      const shifted = shift >= 0 ? ticks << BigInt(shift) : ticks >> BigInt(-shift);
      return (shifted * BigInt(page.getUint32(24, true))) >> 32n;
    };
    expect(page.getBigUint64(8, true)).toBe(123_456n);
    const later = page.getBigUint64(16, true) + scaled(1_000_000_000n);
    expect(Math.abs(Number(later - 1_000_123_456n))).toBeLessThan(10);
    expect(pc.rdmsr(0x4b564d01)).toBe(0x200001n);
    expect(pc.wrmsr(0x4b564d01, 0xfee00001n)).toBe(false);
    expect(pc.wrmsr(0x4b564d00, 0xfffffffffffffff0n)).toBe(false);
  });

  test("the wall clock is the machine's", async () => {
    const pc = await Pc.create({
      line: "vm0.memory=4M",
      modules: [{ text: "vm0.kernel", contents: new Uint8Array(0) }],
    });
    expect(pc.call("describe")).toBe(0);
    const good = await Pc.running();
    expect(good.wrmsr(0x4b564d00, 0x200000n)).toBe(true);
    expect(good.view(0x200000n, 12).getUint32(4, true)).toBe(0);
  });
});

describe("x2APIC", () => {
  test("its registers are MSRs only once the mode is on, which cannot go straight back to xAPIC", async () => {
    const pc = await amd();
    expect(pc.rdmsr(APIC_BASE)).toBe(0xfee00900n);
    expect(pc.rdmsr(0x802)).toBeUndefined();
    expect(pc.wrmsr(APIC_BASE, 0xfee00d00n)).toBe(true);
    expect(pc.rdmsr(0x802)).toBe(0n);
    expect(pc.wrmsr(APIC_BASE, 0xfee00900n)).toBe(false);
    expect(pc.rdmsr(0x803)! & 0xffn).toBe(0x14n);
  });
});

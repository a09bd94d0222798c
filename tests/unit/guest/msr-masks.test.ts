// What WRMSR takes is what RDMSR gives, and what it refuses changes nothing: every MSR that can be written, with every bit
// and with random values, against masks from the manuals (SDM volume 4; APM volume 2, "MSR Cross-Reference"; Linux,
// "KVM-specific MSRs").
import { describe, expect, test } from "vitest";
import { randomNumbers } from "../devices/device.ts";
import { AMD_CPUID, INTEL_CPUID, Pc } from "./pc.ts";

const ALL = 2n ** 64n - 1n;
const PHYSICAL = { amd: 40n, intel: 39n };

interface Documented {
  /** Bits that are kept as written; the others read as `fixed`. */
  kept?: bigint;
  fixed?: bigint;
  /** Values that raise no #GP. */
  takes?: (value: bigint, vendor: "amd" | "intel") => boolean;
  only?: "amd" | "intel";
}

const canonical = (value: bigint) => BigInt.asUintN(64, BigInt.asIntN(48, value)) === value;
const low32 = (value: bigint) => value >> 32n === 0n;
const zero = (value: bigint) => value === 0n;
const bytes = (value: bigint) =>
  Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
const memoryTypes = (value: bigint) => bytes(value).every((type) => [0, 1, 4, 5, 6].includes(type));
const withPat = (value: bigint) => bytes(value).every((type) => [0, 1, 4, 5, 6, 7].includes(type));
const physical = (value: bigint, vendor: "amd" | "intel") => value >> PHYSICAL[vendor] === 0n;
const within = (mask: bigint) => (value: bigint) => (value & ~mask) === 0n;

/** IA32_MISC_ENABLE: bits that some processor defines. */
const MISC_BITS = [0, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 16, 18, 19, 20, 22, 23, 24, 34, 37, 38, 39];
const MISC = MISC_BITS.reduce((mask, bit) => mask | (1n << BigInt(bit)), 0n);

const DOCUMENTED: Record<number, Documented> = {
  0x10: { kept: ALL },
  0x3b: { kept: ALL },
  0x174: { kept: ALL, takes: low32 },
  0x175: { kept: ALL, takes: canonical },
  0x176: { kept: ALL, takes: canonical },
  0x17a: { takes: zero },
  0x1a0: { kept: 1n, fixed: 0x1800n, takes: within(MISC), only: "intel" },
  0x1d9: { kept: 3n, takes: within(3n) },
  0x277: { kept: ALL, takes: withPat },
  0x2ff: { kept: ALL, takes: (v) => within(0xcffn)(v) && memoryTypes(v & 0xffn) },
  ...Object.fromEntries(
    [0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f].map((msr) => [
      msr,
      { kept: ALL, takes: memoryTypes },
    ]),
  ),
  ...Object.fromEntries(
    Array.from({ length: 8 }, (_, i) => [
      [
        0x200 + 2 * i,
        {
          kept: ALL,
          takes: (v: bigint, w: "amd" | "intel") => physical(v, w) && !(v & 0xf00n) && memoryTypes(v & 0xffn),
        },
      ],
      [
        0x201 + 2 * i,
        { kept: ALL, takes: (v: bigint, w: "amd" | "intel") => physical(v, w) && !(v & 0x7ffn) },
      ],
    ]).flat(),
  ),
  0xc0000081: { kept: ALL },
  0xc0000082: { kept: ALL, takes: canonical },
  0xc0000083: { kept: ALL, takes: canonical },
  0xc0000084: { kept: ALL, takes: low32 },
  0xc0000100: { kept: ALL, takes: canonical },
  0xc0000101: { kept: ALL, takes: canonical },
  0xc0000102: { kept: ALL, takes: canonical },
  0xc0000103: { kept: ALL, takes: low32 },
  // The structure must be in the VM's 4 MiB of RAM below the extended BIOS data area or above 1 MiB.
  0x12: { kept: ALL, takes: (v) => !(v & 2n) && (!(v & 1n) || v < 0x3fffe0n) },
  0x4b564d01: { kept: ALL, takes: (v) => !(v & 2n) && (!(v & 1n) || v < 0x3fffe0n) },
};

const random = randomNumbers(0x1234);
const random64 = () =>
  (BigInt(random(0x7fffffff)) << 33n) ^ (BigInt(random(0x7fffffff)) << 16n) ^ BigInt(random(0x10000));

const VALUES = [
  0n,
  ALL,
  0x0006060606060606n,
  0x0007040600070406n,
  0xffff800000001000n,
  ...Array.from({ length: 64 }, (_, bit) => 1n << BigInt(bit)),
  ...Array.from({ length: 64 }, (_, bit) => ALL ^ (1n << BigInt(bit))),
  ...Array.from({ length: 40 }, random64),
  ...Array.from({ length: 40 }, () => random64() & 0xffffffffn),
];

describe.each([
  ["amd", AMD_CPUID],
  ["intel", INTEL_CPUID],
] as const)("%s", (vendor, cpuid) => {
  const rows = Object.entries(DOCUMENTED).filter(([, row]) => row.only === undefined || row.only === vendor);
  test.each(rows.map(([msr, row]) => [Number(msr).toString(16), Number(msr), row] as const))(
    "MSR %s",
    async (_, msr, row) => {
      const pc = await Pc.running({ cpuid });
      for (const value of VALUES) {
        const before = pc.rdmsr(msr);
        const taken = pc.wrmsr(msr, value);
        const wanted = row.takes?.(value, vendor) ?? true;
        expect(taken, `${value.toString(16)}`).toBe(wanted);
        const after = wanted ? (value & (row.kept ?? 0n)) | (row.fixed ?? 0n) : before;
        expect(pc.rdmsr(msr), `after ${value.toString(16)}`).toBe(after);
      }
    },
  );

  test("whatever else can be written reads as before", async () => {
    const pc = await Pc.running({ cpuid });
    const known = new Set([
      ...Object.keys(DOCUMENTED).map(Number),
      0x1b,
      0x6e0,
      0xc0000080,
      0x11,
      0x4b564d00,
    ]);
    const ranges = [0, 0x4b564d00, 0xc0000000, 0xc0010000, 0xc0011000];
    for (const msr of ranges.flatMap((first) => Array.from({ length: 0x800 }, (_, i) => first + i))) {
      if (known.has(msr)) continue;
      const before = pc.rdmsr(msr);
      for (const value of [0n, 1n, 0x10000n, 1n << 63n, ALL]) {
        pc.wrmsr(msr, value);
        expect(pc.rdmsr(msr), msr.toString(16)).toBe(before);
      }
    }
  });
});

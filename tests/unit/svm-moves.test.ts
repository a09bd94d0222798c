// Known accesses to devices on AMD-V without decode assists: what is remembered of a MOV, and that anything which differs
// from it the next time sends the fault back to the decoder. Offsets and bits are typed from the manual (APM volume 2).
import { beforeEach, describe, expect, test } from "vitest";
import { type KernelModule, loadKernel } from "./harness.js";
import { GUEST_RAM, instructionBytes, startPaging, svmGlue, VMCB } from "./svm-glue.js";
import { VcpuView } from "./vcpu-view.js";

const RIP = 0x1234n;
const APIC_EOI = 0xfee0_00b0n;
const WRITE = 2n;
const LONG_MODE_CODE = 0x29b;
const NESTED_FAULT = 7;
/** MOVE_KNOWN | MOVE_WRITE, register 6. */
const MOVE = 0b011 | (6 << 8);
/** MOV [RDI-0xA03000], ESI, as Linux writes to its local APIC. */
const BYTES = [0x89, 0xb7, 0x00, 0xd0, 0x5f, 0xff];

let kernel: KernelModule;
let vcpu: VcpuView;
const put = (offset: bigint, value: bigint, bytes = 8) => kernel.cpu.store(VMCB + offset, bytes, value);

function fault(error = WRITE, gpa = APIC_EOI, rip = RIP): bigint {
  put(0x70n, 0x400n);
  put(0x78n, 0x1_0000_0004n | error);
  put(0x80n, gpa);
  put(0x578n, rip);
  kernel.exports.decodeIt!(vcpu.address);
  return vcpu.exit("move");
}

beforeEach(async () => {
  kernel = await loadKernel(["kernel/svm/decode.ts"], svmGlue);
  kernel.cpu.cpuidLeaves.set("80000000:0", [0x8000001f, 0, 0, 0]);
  kernel.cpu.cpuidLeaves.set("80000008:0", [40, 0, 0, 0]);
  kernel.cpu.cpuidLeaves.set("8000000a:0", [1, 16, 0, 1]);
  vcpu = new VcpuView(kernel);
  kernel.exports.prepare!(vcpu.address, VMCB, GUEST_RAM);
  startPaging(kernel.cpu);
  put(0x412n, BigInt(LONG_MODE_CODE), 2);
  kernel.cpu.poke(GUEST_RAM + RIP, Uint8Array.from([...BYTES, 0x90, 0x90, 0x90, 0x90]));
  expect(fault()).toBe(0n);
  kernel.exports.remember!(vcpu.address, MOVE, 0, BYTES.length);
});

test("the same fault again comes decoded, with where to go on", () => {
  expect(fault()).toBe(BigInt(MOVE));
  expect([Number(vcpu.exit("kind")), vcpu.exit("gpa"), vcpu.exit("detail")]).toEqual([
    NESTED_FAULT,
    APIC_EOI,
    0xfee00n,
  ]);
  expect(vcpu.nextRip()).toBe(RIP + 6n);
});

test.each([0xfee0_0380n, 0xfee0_0001n, 0xfee0_0ffcn])(
  "another place within the page, %s, is the same MOV",
  (gpa) => {
    expect(fault(WRITE, gpa)).toBe(BigInt(MOVE));
    expect(vcpu.exit("gpa")).toBe(gpa);
    expect(vcpu.exit("detail")).toBe(0xfee00n);
  },
);

test.each([
  ["out of the page, at its last three bytes", 0xfee0_0ffdn],
  ["out of the page, at its last byte", 0xfee0_0fffn],
  ["into the page from the one below: the fault is at the border", 0xfee0_0000n],
])("an access that may go %s is not: only half of it is there", (_name, gpa) => {
  expect(fault(WRITE, gpa)).toBe(0n);
});

test("what follows the instruction does not count", () => {
  kernel.cpu.poke(GUEST_RAM + RIP + 6n, Uint8Array.of(0xcc, 0xcc));
  expect(fault()).toBe(BigInt(MOVE));
});

test("a trace has its direction, whatever an exit before left in the record", () => {
  vcpu.setExit("flags", 1);
  fault();
  kernel.exports.complete!(vcpu.address);
  expect(vcpu.exit("flags")).toBe(2n);
});

test("a trace has its bytes, and no more than those", () => {
  fault();
  kernel.exports.complete!(vcpu.address);
  expect(vcpu.exit("rip")).toBe(RIP);
  expect(instructionBytes(kernel, vcpu.address)).toEqual([0x89, 0xb7, 0x00, 0xd0, 0x5f, 0xff]);
});

test.each<[string, () => bigint]>([
  ["a read", () => fault(0n)],
  ["another page", () => fault(WRITE, 0xfec0_0000n)],
  ["another place", () => fault(WRITE, APIC_EOI, RIP + 32n)],
  ["an instruction fetch", () => fault(WRITE | 0x10n)],
  ["the guest's own page walk", () => fault(WRITE | (1n << 33n))],
  [
    "other bytes",
    () => {
      kernel.cpu.poke(GUEST_RAM + RIP, Uint8Array.of(0x66));
      return fault();
    },
  ],
  [
    "another address space",
    () => {
      put(0x550n, 0xc000n);
      return fault();
    },
  ],
  [
    "another size of code",
    () => {
      put(0x412n, 0xc9bn, 2);
      return fault();
    },
  ],
  [
    "the delivery of an event",
    () => {
      put(0x88n, 0x8000_0031n);
      return fault();
    },
  ],
])("%s is not", (_name, other) => {
  expect(other()).toBe(0n);
});

// What a guest does to its page tables does not exit. The page at 4 MiB - 4 KiB of the guest has the other bytes.
const OTHER_PAGE = 0xf_f000n;
const TABLES = { pml4: 0x8000n, pdpt: 0x9000n, pd: 0xa000n, pt: 0xb000n };
const entry = (gpa: bigint, value: bigint) => kernel.cpu.store(GUEST_RAM + gpa, 8, value);

/** Linear 0 to 2 MiB by a page table, which maps to the same place but for the page of the code. */
function usePageTable(codePage: bigint): void {
  for (let i = 0n; i < 512n; i++) entry(TABLES.pt + i * 8n, (i << 12n) | 3n);
  entry(TABLES.pt + (RIP >> 12n) * 8n, codePage | 3n);
  entry(TABLES.pd, TABLES.pt | 3n);
}

function learn(): void {
  fault();
  kernel.exports.remember!(vcpu.address, MOVE, 0, BYTES.length);
  expect(fault()).toBe(BigInt(MOVE));
}

describe("after the guest has mapped another page there, a MOV is known no more:", () => {
  beforeEach(() => {
    kernel.cpu.poke(GUEST_RAM + OTHER_PAGE + (RIP & 0xfffn), Uint8Array.of(0x89, 0x87, 0, 0xd0, 0x5f, 0xff));
  });

  test("the page table's entry", () => {
    usePageTable(RIP & ~0xfffn);
    learn();
    entry(TABLES.pt + (RIP >> 12n) * 8n, OTHER_PAGE | 3n);
    expect(fault()).toBe(0n);
  });

  test("a page table instead of a large page", () => {
    usePageTable(OTHER_PAGE);
    expect(fault()).toBe(0n);
  });

  test.each([
    ["the directory's", TABLES.pd],
    ["the pointer table's", TABLES.pdpt],
    ["the root's", TABLES.pml4],
  ])("%s entry", (_name, gpa) => {
    entry(gpa, 0x5_0003n);
    expect(fault()).toBe(0n);
  });

  test("an accessed flag that is cleared and set again costs nothing", () => {
    learn();
    const set = kernel.cpu.load(GUEST_RAM + TABLES.pd, 8);
    expect(set & 0x20n).toBe(0x20n);
    entry(TABLES.pd, set & ~0x20n);
    entry(TABLES.pd, set);
    expect(fault()).toBe(BigInt(MOVE));
  });

  test("a dirty flag that is set costs one walk", () => {
    entry(TABLES.pd, kernel.cpu.load(GUEST_RAM + TABLES.pd, 8) | 0x40n);
    expect(fault()).toBe(0n);
    learn();
    expect(fault()).toBe(BigInt(MOVE));
  });
});

test("a change of the paging mode forgets it, one of other bits does not", () => {
  kernel.exports.changeControl!(vcpu.address, 0n, 1n << 7n, 0n); // CR4.PGE
  expect(fault()).toBe(BigInt(MOVE));
  kernel.exports.changeControl!(vcpu.address, 0n, 1n << 5n, 0n); // CR4.PAE
  kernel.exports.changeControl!(vcpu.address, 0n, 1n << 5n, 0n);
  expect(fault()).toBe(0n);
});

test.each([
  ["32-bit paging", 0x8000_0011n, 0n, 0n],
  ["PAE paging", 0x8000_0011n, 0x20n, 0n],
  ["no paging", 0x11n, 0n, 0n],
])("with %s a MOV is known, and other bytes are not", (_name, cr0, cr4, efer) => {
  put(0x558n, cr0);
  put(0x548n, cr4);
  put(0x4d0n, efer | 0x1000n);
  put(0x412n, 0xc9bn, 2);
  if (cr4 !== 0n) {
    entry(TABLES.pml4, TABLES.pd | 1n);
    entry(TABLES.pd, 0x83n);
  } else if (cr0 !== 0x11n) {
    entry(TABLES.pml4, TABLES.pt | 3n);
    for (let i = 0n; i < 256n; i++) kernel.cpu.store(GUEST_RAM + TABLES.pt + i * 4n, 4, (i << 12n) | 3n);
  }
  learn();
  if (cr4 !== 0n) entry(TABLES.pml4, 0x5_0001n);
  else if (cr0 !== 0x11n) kernel.cpu.store(GUEST_RAM + TABLES.pt + (RIP >> 12n) * 4n, 4, OTHER_PAGE | 3n);
  else kernel.cpu.poke(GUEST_RAM + RIP, Uint8Array.of(0x66));
  expect(fault()).toBe(0n);
});

test("a trap flag or an interrupt shadow is left to the run loop", () => {
  put(0x570n, 0x102n);
  expect(fault()).toBe(BigInt(MOVE));
  expect([vcpu.exit("plainLength"), vcpu.exit("nextRip")]).toEqual([0n, RIP + 6n]);
});

test("at the end of a page nothing is remembered", () => {
  kernel.cpu.poke(GUEST_RAM + 0x1ff8n, Uint8Array.from(BYTES));
  expect(fault(WRITE, APIC_EOI, 0x1ff8n)).toBe(0n);
  kernel.exports.remember!(vcpu.address, MOVE, 0, BYTES.length);
  expect(fault(WRITE, APIC_EOI, 0x1ff8n)).toBe(0n);
});

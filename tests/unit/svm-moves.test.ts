// Known accesses to devices on AMD-V without decode assists: what is remembered of a MOV, and that anything which differs
// from it the next time sends the fault back to the decoder. Offsets and bits are typed from the manual (APM volume 2).
import { beforeEach, expect, test } from "vitest";
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

test("another register on the same page is the same MOV", () => {
  expect(fault(WRITE, 0xfee0_0380n)).toBe(BigInt(MOVE));
  expect(vcpu.exit("gpa")).toBe(0xfee0_0380n);
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

test("a trap flag or an interrupt shadow is left to the run loop", () => {
  put(0x570n, 0x102n);
  expect(fault()).toBe(BigInt(MOVE));
  expect([vcpu.exit("plainRip"), vcpu.exit("nextRip")]).toEqual([0n, RIP + 6n]);
});

test("at the end of a page nothing is remembered", () => {
  kernel.cpu.poke(GUEST_RAM + 0x1ff8n, Uint8Array.from(BYTES));
  expect(fault(WRITE, APIC_EOI, 0x1ff8n)).toBe(0n);
  kernel.exports.remember!(vcpu.address, MOVE, 0, BYTES.length);
  expect(fault(WRITE, APIC_EOI, 0x1ff8n)).toBe(0n);
});

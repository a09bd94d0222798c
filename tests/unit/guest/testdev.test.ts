// The opt-in test device on its VM's buses and interrupt lines.
import { expect, test } from "vitest";
import { Pc } from "./pc.ts";

const LAPIC_SVR = 0xfee000f0;
const LAPIC_EOI = 0xfee000b0;
const IOAPIC = 0xfec00000;
const NONE = -1;

/** The PIC with vectors from 20h on and IRQ 5 alone unmasked. */
const PIC_AT_32: [number, number][] = [
  [0x20, 0x11],
  [0x21, 0x20],
  [0x21, 4],
  [0x21, 1],
  [0x21, ~(1 << 5) & 0xff],
];

const TESTDEV = { line: "vm0.memory=4M vm0.testdev=1" };

test("is there only for those who ask", async () => {
  const plain = await Pc.running({ line: "vm0.memory=4M" });
  plain.out(0xe0, 0x12345678, 4);
  plain.mmioWrite(0xff000000, 1);
  expect([plain.in(0xe0, 4) >>> 0, plain.mmioRead(0xff000000)]).toEqual([0xffffffff, 0xffffffff]);
  const pc = await Pc.running(TESTDEV);
  pc.out(0xe0, 0x12345678, 4);
  expect([pc.in(0xe0, 4), pc.in(0xe9), pc.in(0xe2, 2)]).toEqual([0x12345678, 0x56, 0x1234]);
});

test("memory at FF000000, at every width, and 64 KiB of it", async () => {
  const pc = await Pc.running(TESTDEV);
  pc.mmioWrite(0xff00fffc, 0xcafebabe);
  expect(pc.mmioRead(0xff00fffc)).toBe(0xcafebabe);
  expect(pc.call("mmioIn", pc.vcpuAddress, 0xff00fffdn, 2)).toBe(0xfeban);
  pc.call("mmioOut", pc.vcpuAddress, 0xff000ffdn, 8, 0x8877665544332211n);
  expect(BigInt.asUintN(64, pc.call("mmioIn", pc.vcpuAddress, 0xff000ffdn, 8) as bigint)).toBe(
    0x8877665544332211n,
  );
  expect(pc.mmioRead(0xff010000)).toBe(0xffffffff);
});

test("a port for each interrupt line, on both interrupt controllers", async () => {
  const pc = await Pc.running(TESTDEV);
  pc.mmioWrite(LAPIC_SVR, 0x1ff);
  redirect(pc, 14, 0x55);
  pc.out(0x200e, 1);
  pc.sample();
  expect(pc.call("pending", pc.vcpuAddress)).toBe(0x55);
  expect(pc.call("acknowledge", pc.vcpuAddress)).toBe(0x55);
  pc.mmioWrite(LAPIC_EOI, 0);
  pc.out(0x200e, 1);
  pc.sample();
  expect(pc.call("pending", pc.vcpuAddress)).toBe(NONE);
  pc.out(0x200e, 0);
  redirect(pc, 14, 1 << 16);
  for (const [port, value] of PIC_AT_32) pc.out(port, value);
  pc.out(0x2005, 1);
  pc.sample();
  expect(pc.call("acknowledge", pc.vcpuAddress)).toBe(0x25);
  pc.out(0x20, 0x20);
  pc.out(0x2005, 1);
  pc.sample();
  expect(pc.call("pending", pc.vcpuAddress)).toBe(NONE);
  // A pulse that is over before the CPU could answer, by a write whose other bytes are other lines.
  pc.out(0x2005, 0);
  pc.out(0x2005, 1, 4);
  pc.out(0x2005, 0, 4);
  pc.sample();
  expect(pc.call("acknowledge", pc.vcpuAddress)).toBe(0x25);
  pc.out(0x20, 0x20);
  pc.sample();
  expect(pc.call("pending", pc.vcpuAddress)).toBe(NONE);
  // A level is gone when it falls.
  pc.out(0x4d0, 1 << 5);
  pc.out(0x2005, 1);
  pc.out(0x2005, 0);
  pc.sample();
  expect(pc.call("pending", pc.vcpuAddress)).toBe(NONE);
});

test("brings the debug-exit port along, unless another is asked for", async () => {
  const pc = await Pc.running(TESTDEV);
  pc.out(0xf4, 3, 4);
  expect(pc.call("stopped", 0)).toBe(1);
  const other = await Pc.running({ line: "vm0.memory=4M vm0.testdev=1 vm0.debug-exit=0x501" });
  other.out(0xf4, 3, 4);
  expect(other.call("stopped", 0)).toBe(0);
  other.out(0x501, 3, 4);
  expect(other.call("stopped", 0)).toBe(1);
});

/** Low half of a redirection entry of the I/O APIC, to CPU 0. */
function redirect(pc: Pc, pin: number, low: number): void {
  for (const [register, value] of [
    [0x11 + pin * 2, 0],
    [0x10 + pin * 2, low],
  ] as const) {
    pc.mmioWrite(IOAPIC, register);
    pc.mmioWrite(IOAPIC + 0x10, value);
  }
}

// Accesses wider than a device, or between two: each byte belongs to who owns its port or address. A wide access gives what
// accesses to its bytes, one after the other from the lowest, give together, from the same state.
import { beforeAll, describe, expect, test } from "vitest";
import { Pc } from "./pc.ts";

const DEBUG_EXIT = 0xf4;
const CONFIG_ADDRESS = 0xcf8;

/** Ports of every device, and the three below each, from which a wide access reaches it. */
const OWNED: [number, number][] = [
  [0x20, 2],
  [0x40, 4],
  [0x60, 2],
  [0x64, 1],
  [0x70, 2],
  [0x80, 1],
  [0x92, 1],
  [0xa0, 2],
  [0xe0, 12],
  [0xed, 1],
  [0xf0, 2],
  [0x3f8, 8],
  [0x4d0, 2],
  [0x505, 1],
  [0x600, 16],
  [0xcf8, 8],
  [0xfffc, 4],
];
const PORTS = [
  ...new Set(OWNED.flatMap(([first, count]) => Array.from({ length: count + 3 }, (_, i) => first - 3 + i))),
];

/** One device answers as a whole, and otherwise than its bytes would. */
const isException = (port: number, size: number) =>
  (port === CONFIG_ADDRESS && size === 4) || (port <= DEBUG_EXIT && port + size > DEBUG_EXIT);

let pc: Pc;

/** Power-up state with something in the registers that only data makes interesting. */
function start(): void {
  pc.call("reset", 0);
  pc.out(CONFIG_ADDRESS, 0x80000000, 4);
  pc.out(0x3fc, 0x0b);
  pc.call("input", 0, 0x41);
  pc.call("input", 0, 0x42);
  pc.sample();
}

/** What can be seen of all devices, without side effects on what is compared. */
function snapshot(): number[] {
  const flags = [pc.call("resetPending", 0), pc.call("stopped", 0)].map(Number);
  const address = pc.in(CONFIG_ADDRESS, 4);
  return [...flags, address, ...PORTS.filter((port) => port !== DEBUG_EXIT).map((port) => pc.in(port))];
}

const bytesOf = (port: number, size: number) => Array.from({ length: size }, (_, i) => port + i);
const cases = PORTS.flatMap((port) => [2, 4].map((size) => ({ port, size }))).filter(
  ({ port, size }) => !isException(port, size),
);

beforeAll(async () => {
  pc = await Pc.running({ line: `vm0.memory=4M vm0.testdev=1 vm0.debug-exit=${DEBUG_EXIT}` });
});

describe("ports", () => {
  test("reads", () => {
    for (const { port, size } of cases) {
      start();
      const wide = pc.in(port, size);
      start();
      const bytes = bytesOf(port, size).map((p) => (p > 0xffff ? 0xff : pc.in(p) & 0xff));
      const composed = bytes.reduce((value, byte, i) => value + byte * 256 ** i, 0);
      const mask = size === 4 ? 0xffffffff : 0xffff;
      expect((wide & mask) >>> 0, `${size} bytes at ${port.toString(16)}`).toBe(composed);
    }
  });

  // No value that stops the VM: pvpanic's bits are even ones, and none is SLP_EN with S5.
  test.each([0, 0xa2c4e688, 0x8010c0fe])("writes of %i", (value) => {
    for (const { port, size } of cases) {
      start();
      pc.out(port, size === 4 ? value >>> 0 : value & 0xffff, size);
      const wide = snapshot();
      start();
      bytesOf(port, size).forEach((p, i) => {
        if (p <= 0xffff) pc.out(p, (value >>> (8 * i)) & 0xff);
      });
      expect(wide, `${size} bytes at ${port.toString(16)}`).toEqual(snapshot());
    }
  });

  test("by hand: between two devices, and past the last port", () => {
    start();
    expect(pc.in(0x3f7, 2) & 0xffff).toBe(0x41ff); // nobody, then the UART's receiver
    start();
    expect((pc.in(0x60, 2) >>> 8) & 0xff).toBe(pc.in(0x61)); // the keyboard controller, then port B
    expect((pc.in(0xcfb, 2) >>> 8) & 0xff).toBe(0x86); // nobody, then CONFIG_DATA
    expect(pc.in(0xffff, 4)).toBe(0xffffffff);
    pc.out(0xcf8, 0x0600, 2); // nobody, then reset control
    expect(pc.call("resetPending", 0)).toBe(1);
  });

  test("CONFIG_ADDRESS takes 32-bit accesses only", () => {
    start();
    expect(pc.in(CONFIG_ADDRESS, 4)).toBe(0x80000000);
    for (const size of [1, 2]) {
      pc.out(CONFIG_ADDRESS, 0, size);
      expect(pc.in(CONFIG_ADDRESS, 4)).toBe(0x80000000);
    }
  });

  test("the debug-exit port takes its value as wide as it comes", async () => {
    const own = await Pc.running({ line: `vm0.memory=4M vm0.debug-exit=${DEBUG_EXIT}` });
    own.out(DEBUG_EXIT, 0x1234, 2);
    expect([own.call("stopped", 0), own.call("stopStatus", 0)]).toEqual([1, (0x1234 * 2 + 1) & 0xff]);
  });
});

describe("memory-mapped registers", () => {
  const EDGES = [0xfee00000, 0xfee01000, 0xfec00000, 0xfec01000, 0xe0000000, 0xe0001000, 0xe0100000];
  test.each(EDGES)("across the edge at %i", (edge) => {
    for (const size of [2, 4, 8]) {
      for (let before = 1; before < size; before++) {
        start();
        const wide = BigInt.asUintN(
          64,
          pc.call("mmioIn", pc.vcpuAddress, BigInt(edge - before), size) as bigint,
        );
        const bytes = Array.from({ length: size }, (_, i) =>
          BigInt(pc.mmioRead(edge - before + i, 1) & 0xff),
        );
        const composed = bytes.reduce((value, byte, i) => value | (byte << BigInt(8 * i)), 0n);
        const mask = (1n << BigInt(8 * size)) - 1n;
        // An 8-byte access is two of 4, of which one may be whole: a register then answers as a register.
        if (size < 8) expect(wide & mask, `${size} bytes, ${before} before`).toBe(composed);
        else expect(wide >= 0n).toBe(true);
      }
    }
  });

  test("a write across the edge of the I/O APIC reaches its index register and nothing else", () => {
    start();
    pc.mmioWrite(0xfec00000, 0x10);
    pc.mmioWrite(0xfebfffff, 0x2211, 2);
    expect(pc.mmioRead(0xfec00000)).toBe(0x22);
    pc.mmioWrite(0xfebffffe, 0x33, 2);
    expect(pc.mmioRead(0xfec00000)).toBe(0x22);
  });
});

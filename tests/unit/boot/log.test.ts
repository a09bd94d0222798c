import { beforeEach, describe, expect, test } from "vitest";
import { type KernelModule, loadKernel } from "../harness.ts";

const GLUE = `
import { out8 } from "./kernel/arch/intrinsics";
import { logSetSink } from "./kernel/lib/log";
function put(byte: u32): void { out8(0xe9, byte); }
export function attach(): void { logSetSink(put); }
`;

let kernel: KernelModule["exports"];
let text = "";

beforeEach(async () => {
  const module = await loadKernel(["kernel/lib/log.ts"], GLUE);
  text = "";
  module.cpu.portOut = (_port, _size, value) => void (text += String.fromCharCode(value));
  kernel = module.exports;
  kernel.attach!();
});

const printed = (name: string, ...args: (number | bigint)[]) => {
  text = "";
  kernel[name]!(...args);
  return text;
};

describe("the log", () => {
  test.each([0n, 9n, 10n, 99n, 1234567890n, 10n ** 19n, 2n ** 64n - 1n])("prints %i in decimal", (value) => {
    expect(printed("logDecimal", value)).toBe(value.toString());
  });

  test.each([0n, 15n, 16n, 0xdeadbeefn, 2n ** 64n - 1n, 1n << 60n])("prints %i in hexadecimal", (value) => {
    expect(printed("logHex", value)).toBe(`0x${value.toString(16)}`);
    expect(printed("logHexFixed", value, 16)).toBe(value.toString(16).padStart(16, "0"));
  });

  test("filters by level", () => {
    kernel.logSetLevel!(1);
    expect([0, 1, 2, 3].map((level) => kernel.logStart!(level))).toEqual([1, 1, 0, 0]);
    expect(text).toBe("typevisor: error: typevisor: warning: ");
  });

  test("shows foreign bytes only as far as they are printable", () => {
    const module = kernel.memory as unknown as WebAssembly.Memory;
    new Uint8Array(module.buffer).set([0x41, 0x1b, 0x7f, 0xff, 0x42, 0, 0x43], 70_000);
    expect(printed("logBytes", 70_000, 100)).toBe("A???B");
    expect(printed("logBytes", 70_000, 2)).toBe("A?");
  });
});

import { describe, expect, test } from "vitest";
import { loadKernel } from "../harness.ts";
import { bytesOf, installMultiboot } from "./firmware.ts";

const GLUE = `
import { bootInfo, bootModule, commandLine, memoryRange } from "./kernel/lib/bootinfo";
export { commandLine };
export function moduleCount(): u32 { return bootInfo().moduleCount; }
export function modulesDropped(): u32 { return bootInfo().modulesDropped; }
export function truncated(): u32 { return bootInfo().truncated; }
export function moduleStart(i: u32): u64 { return bootModule(i).start; }
export function moduleBytes(i: u32): u64 { return bootModule(i).bytes; }
export function moduleText(i: u32): usize { return bootModule(i).text; }
export function rangeCount(): u32 { return bootInfo().rangeCount; }
export function rangeStart(i: u32): u64 { return memoryRange(i).start; }
export function rangeKind(i: u32): u32 { return memoryRange(i).kind; }
`;

async function load() {
  const kernel = await loadKernel(["kernel/drivers/multiboot.ts"], GLUE);
  const textAt = (at: number) => {
    let end = at;
    while (kernel.memory.getUint8(end) !== 0) end++;
    return Buffer.from(kernel.memory.buffer.slice(at, end)).toString("latin1");
  };
  return { ...kernel, textAt };
}

describe("multiboot", () => {
  test("command line, modules and memory map arrive", async () => {
    const { exports, cpu, textAt } = await load();
    installMultiboot(cpu, 0x9000, {
      commandLine: "typevisor log=com2",
      modules: [
        { start: 0x200000, end: 0x200123, text: "vmlinuz vm0.kernel console=ttyS0" },
        { start: 0x300000, end: 0x2fffff, text: "" },
      ],
      map: [
        [0n, 0x9fc00n, 1],
        [0xf0000n, 0x10000n, 2],
        [0x100000n, 1n << 33n, 1],
        [0x7fe0000n, 0x20000n, 3],
      ],
    });
    exports.multibootRead!(0x9000n);
    expect(textAt(exports.commandLine!() as number)).toBe("typevisor log=com2");
    expect(exports.moduleCount!()).toBe(2);
    expect(exports.moduleStart!(0)).toBe(0x200000n);
    expect(exports.moduleBytes!(0)).toBe(0x123n);
    expect(textAt(exports.moduleText!(0) as number)).toBe("vmlinuz vm0.kernel console=ttyS0");
    expect(exports.moduleBytes!(1)).toBe(0n);
    expect([0, 1, 2, 3].map((i) => exports.rangeKind!(i))).toEqual([1, 2, 1, 3]);
    expect(exports.rangeStart!(3)).toBe(0x7fe0000n);
  });

  test("what exceeds the limits is dropped and counted", async () => {
    const { exports, cpu, textAt } = await load();
    const modules = Array.from({ length: 70 }, (_, i) => ({
      start: i << 20,
      end: (i + 1) << 20,
      text: `m${i}`,
    }));
    installMultiboot(cpu, 0x9000, { commandLine: "x".repeat(5000), modules, map: [] });
    exports.multibootRead!(0x9000n);
    expect(exports.moduleCount!()).toBe(64);
    expect(exports.modulesDropped!()).toBe(6);
    expect(exports.truncated!()).toBe(1);
    expect(textAt(exports.commandLine!() as number)).toBe("x".repeat(2047));
  });

  test("a damaged memory map ends the reading, not the hypervisor", async () => {
    const { exports, cpu } = await load();
    installMultiboot(cpu, 0x9000, {
      commandLine: "",
      modules: [],
      map: [
        [0n, 4096n, 1],
        [8192n, 4096n, 1],
      ],
    });
    const second = Number(cpu.load(0x9000n + 48n, 4)) + 24;
    cpu.poke(BigInt(second), Uint8Array.from(bytesOf(3, 4)));
    exports.multibootRead!(0x9000n);
    expect(exports.rangeCount!()).toBe(1);
  });
});

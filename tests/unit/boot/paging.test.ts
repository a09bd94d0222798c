import { describe, expect, test } from "vitest";
import type { FakeCpu } from "../fake-cpu.ts";
import { type KernelModule, loadKernel } from "../harness.ts";
import { installMultiboot } from "./firmware.ts";

const GLUE = `
export { multibootRead } from "./kernel/drivers/multiboot";
export { ramStart } from "./kernel/mm/ram";
export { pagingStart, mapDevice, mapFirmware } from "./kernel/mm/paging";
`;

const MIB = 1n << 20n;
const IMAGE = 0xffff_ffff_8000_0000n;
const DIRECT = 0xffff_8000_0000_0000n;
const LAYOUT = 0x108000n;
const STACK_TABLE = 0x109000n;
/** Words of the boot layout by byte offset (kernel/abi/layout.ts). */
const WORDS: [bigint, bigint][] = [
  [0x00n, MIB],
  [0x08n, 6n * MIB],
  [0x10n, IMAGE + 0x101000n],
  [0x18n, IMAGE + 0x105000n],
  [0x20n, IMAGE + 0x105000n],
  [0x28n, IMAGE + 0x107000n],
  [0x30n, IMAGE + 0x107000n],
  [0x38n, IMAGE + 0x10b000n],
  [0x40n, 2n * MIB],
  [0x48n, 4n * MIB],
  [0x88n, 0x10a000n],
];

const PRESENT = 1n;
const WRITE = 2n;
const CACHE_OFF = 0x18n;
const LARGE = 0x80n;
const NO_EXECUTE = 1n << 63n;

/** Translates through the tables in the fake memory: an independent walker. */
function walk(cpu: FakeCpu, address: bigint): { hpa: bigint; flags: bigint; bytes: bigint } | undefined {
  let table = cpu.controlRegisters.get("cr3") as bigint;
  for (const shift of [39n, 30n, 21n, 12n]) {
    const entry = cpu.load(table + ((address >> shift) & 511n) * 8n, 8);
    if (!(entry & PRESENT)) return undefined;
    const leaf = shift === 12n || (shift < 39n && entry & LARGE);
    const base = entry & 0xf_ffff_ffff_f000n;
    if (!leaf) {
      table = base;
      continue;
    }
    const bytes = 1n << shift;
    return { hpa: base + (address & (bytes - 1n)), flags: entry & (WRITE | CACHE_OFF | NO_EXECUTE), bytes };
  }
  return undefined;
}

async function start(hugePages: boolean): Promise<KernelModule> {
  const kernel = await loadKernel(["kernel/mm/paging.ts"], GLUE);
  const { cpu, exports } = kernel;
  cpu.bootLayout = LAYOUT;
  for (const [offset, value] of WORDS) cpu.store(LAYOUT + offset, 8, value);
  cpu.store(0x10a000n + 510n * 8n, 8, STACK_TABLE | 3n);
  cpu.cpuidLeaves.set("80000000:0", [0x80000008, 0, 0, 0]);
  cpu.cpuidLeaves.set("80000001:0", [0, 0, 0, hugePages ? 1 << 26 : 0]);
  installMultiboot(cpu, 0x9000, {
    commandLine: "",
    modules: [{ start: 0x800000, end: 0x900001, text: "" }],
    map: [
      [0n, 0x9fc00n, 1],
      [MIB, 127n * MIB, 1],
      [1n << 32n, 3n << 30n, 1],
      [128n * MIB, 0x10000n, 3],
      [0xf0000n, 0x10000n, 2],
    ],
  });
  exports.multibootRead!(0x9000n);
  exports.ramStart!();
  exports.pagingStart!();
  return kernel;
}

describe.each([false, true])("the hypervisor's own page tables (1 GiB pages: %s)", (hugePages) => {
  test("nothing is both writable and executable, and every part has its rights", async () => {
    const { cpu } = await start(hugePages);
    const at = (address: bigint) => walk(cpu, address);
    expect(at(IMAGE + 0x101000n)).toMatchObject({ hpa: 0x101000n, flags: 0n });
    expect(at(IMAGE + 0x106fffn)).toMatchObject({ hpa: 0x106fffn, flags: NO_EXECUTE });
    expect(at(IMAGE + 0x107000n)).toMatchObject({ hpa: 0x107000n, flags: WRITE | NO_EXECUTE });
    expect(at(IMAGE + 0x100000n)).toBeUndefined();
    expect(at(IMAGE + 0x10b000n)).toBeUndefined();
  });

  test("linear memory is whole, without its page 0 and with nothing behind it", async () => {
    const { cpu } = await start(hugePages);
    expect(walk(cpu, 0n)).toBeUndefined();
    expect(walk(cpu, 4095n)).toBeUndefined();
    expect(walk(cpu, 4096n)).toMatchObject({ hpa: 2n * MIB + 4096n, flags: WRITE | NO_EXECUTE });
    expect(walk(cpu, 4n * MIB - 1n)).toMatchObject({ hpa: 6n * MIB - 1n, bytes: 2n * MIB });
    for (const beyond of [4n * MIB, 1n << 30n, 1n << 32n, 40n << 30n])
      expect(walk(cpu, beyond)).toBeUndefined();
  });

  test("the direct map holds all RAM, never executable, and the image's constants read-only", async () => {
    const { cpu } = await start(hugePages);
    const writable = { flags: WRITE | NO_EXECUTE };
    for (const hpa of [
      0n,
      0x9f000n,
      0x107000n,
      7n * MIB,
      128n * MIB - 1n,
      128n * MIB,
      (1n << 32n) + 5n,
      (7n << 30n) - 1n,
    ]) {
      expect(walk(cpu, DIRECT + hpa), hpa.toString(16)).toMatchObject({ hpa, ...writable });
    }
    for (const hpa of [0x100000n, 0x101000n, 0x106fffn]) {
      expect(walk(cpu, DIRECT + hpa)).toMatchObject({ hpa, flags: NO_EXECUTE });
    }
    for (const hpa of [129n * MIB, 0xfee00000n, 7n << 30n]) expect(walk(cpu, DIRECT + hpa)).toBeUndefined();
    expect(walk(cpu, DIRECT + (5n << 30n))?.bytes).toBe(hugePages ? 1n << 30n : 2n * MIB);
  });

  test("devices come uncached and on demand, firmware tables read-only; RAM stays as it is", async () => {
    const { cpu, exports } = await start(hugePages);
    exports.mapDevice!(0xfee00010n, 16n);
    exports.mapFirmware!(0xe0000000n - 3n, 6n);
    exports.mapFirmware!(5n * MIB, 4096n);
    expect(walk(cpu, DIRECT + 0xfee00000n)).toMatchObject({
      hpa: 0xfee00000n,
      flags: WRITE | NO_EXECUTE | CACHE_OFF,
    });
    expect(walk(cpu, DIRECT + 0xfee01000n)).toBeUndefined();
    expect(walk(cpu, DIRECT + 0xdffff000n)).toMatchObject({ flags: NO_EXECUTE });
    expect(walk(cpu, DIRECT + 0xe0000000n)).toMatchObject({ flags: NO_EXECUTE });
    expect(walk(cpu, DIRECT + 5n * MIB)).toMatchObject({ flags: WRITE | NO_EXECUTE });
  });

  test("the stacks of the boot code are kept, and tables never lie on modules or the image", async () => {
    const { cpu } = await start(hugePages);
    const root = cpu.controlRegisters.get("cr3") as bigint;
    expect(cpu.load(root + 510n * 8n, 8)).toBe(STACK_TABLE | 3n);
    expect(root === 0n || (root >= 6n * MIB && root < 8n * MIB) || root > 9n * MIB).toBe(true);
  });
});

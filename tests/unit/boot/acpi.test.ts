import { describe, expect, test } from "vitest";
import { loadKernel } from "../harness.ts";
import { acpiTableBytes, bytesOf, installAcpi, madtBytes } from "./firmware.ts";

const GLUE = `
import { ioApic, isaRoute, madtRead } from "./kernel/drivers/madt";
import { fadtRead } from "./kernel/drivers/fadt";
export { acpiStart, acpiTable } from "./kernel/drivers/acpi";
export { madtRead, fadtRead };
export { madtCpusFound, madtIoApicCount } from "./kernel/drivers/madt";
export { pmTimerPort, acpiPowerOff } from "./kernel/drivers/fadt";
export function ioApicAddress(i: u32): u64 { return ioApic(i).address; }
export function isaGsi(line: u32): u32 { return isaRoute(line).gsi; }
export function isaLevel(line: u32): bool { return isaRoute(line).level; }
export function isaLow(line: u32): bool { return isaRoute(line).activeLow; }
`;

const load = () => loadKernel(["kernel/drivers/acpi.ts"], GLUE);
const MADT = 0x43495041;
const localApic = (id: number, enabled: number) => [0, 8, id, id, ...bytesOf(enabled, 4)];
const ioApicEntry = (address: number, base: number) => [
  1,
  12,
  0,
  0,
  ...bytesOf(address, 4),
  ...bytesOf(base, 4),
];
const override = (line: number, gsi: number, flags: number) => [
  2,
  10,
  0,
  line,
  ...bytesOf(gsi, 4),
  ...bytesOf(flags, 2),
];
const x2apic = (id: number) => [9, 16, 0, 0, ...bytesOf(id, 4), ...bytesOf(1, 4), ...bytesOf(0, 4)];

const PC = madtBytes([
  localApic(0, 1),
  localApic(1, 0),
  localApic(2, 1),
  x2apic(0x1234),
  ioApicEntry(0xfec00000, 0),
  override(0, 2, 0),
  override(9, 9, 0xf),
]);

describe("ACPI", () => {
  test.each([false, true])("finds the MADT (XSDT: %s)", async (xsdt) => {
    const { exports, cpu } = await load();
    const tables = new Map([[0xbff0000n, PC]]);
    installAcpi(cpu, { rsdp: 0xf1230n, root: 0xbfe0000n, tables, xsdt });
    expect(exports.acpiStart!()).toBe(1);
    expect(exports.madtRead!()).toBe(1);
    expect(exports.madtCpusFound!()).toBe(3);
    expect(exports.ioApicAddress!(0)).toBe(0xfec00000n);
    expect([0, 1, 9].map((line) => exports.isaGsi!(line))).toEqual([2, 1, 9]);
    expect([0, 9].map((line) => exports.isaLevel!(line))).toEqual([0, 1]);
    expect([0, 9].map((line) => exports.isaLow!(line))).toEqual([0, 1]);
  });

  test("finds an RSDP in the extended BIOS data area", async () => {
    const { exports, cpu } = await load();
    cpu.store(0x40en, 2, 0x9fc0n);
    installAcpi(cpu, { rsdp: 0x9fc40n, root: 0xbfe0000n, tables: new Map([[0xbff0000n, PC]]), xsdt: false });
    expect(exports.acpiStart!()).toBe(1);
  });

  test("a computer without tables is told from one with damaged ones", async () => {
    const { exports, cpu } = await load();
    expect(exports.acpiStart!()).toBe(0);
    const damaged = PC.map((byte, i) => (i === 40 ? byte ^ 1 : byte));
    installAcpi(cpu, {
      rsdp: 0xe0000n,
      root: 0xbfe0000n,
      tables: new Map([[0xbff0000n, damaged]]),
      xsdt: false,
    });
    expect(exports.acpiStart!()).toBe(1);
    expect(exports.acpiTable!(MADT)).toBe(0n);
    expect(exports.madtRead!()).toBe(0);
    expect(exports.isaGsi!(4)).toBe(4);
  });

  test("an entry that claims to be longer than its table ends the reading", async () => {
    const { exports, cpu } = await load();
    const table = madtBytes([localApic(0, 1), [0, 200, 0, 0, 0, 0, 0, 0], localApic(1, 1)]);
    installAcpi(cpu, {
      rsdp: 0xe0000n,
      root: 0xbfe0000n,
      tables: new Map([[0xbff0000n, table]]),
      xsdt: false,
    });
    exports.acpiStart!();
    exports.madtRead!();
    expect(exports.madtCpusFound!()).toBe(1);
  });

  test("switches off by the package \\_S5", async () => {
    const { exports, cpu } = await load();
    const s5 = [0x08, ...Buffer.from("_S5_"), 0x12, 0x08, 0x04, 0x0a, 0x05, 0x01, 0x00, 0x00];
    const dsdt = acpiTableBytes("DSDT", [0x5b, 0x80, ...s5, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]);
    cpu.poke(0xbfd0000n, Uint8Array.from(dsdt));
    const fadt = new Array<number>(80).fill(0);
    const word = (offset: number, value: number) => fadt.splice(offset - 36, 4, ...bytesOf(value, 4));
    word(40, 0xbfd0000);
    word(64, 0xb004);
    word(68, 0xb104);
    word(76, 0xb008);
    installAcpi(cpu, {
      rsdp: 0xe0000n,
      root: 0xbfe0000n,
      tables: new Map([[0xbff0000n, acpiTableBytes("FACP", fadt)]]),
      xsdt: true,
    });
    exports.acpiStart!();
    expect(exports.fadtRead!()).toBe(1);
    expect(exports.pmTimerPort!()).toBe(0xb008);
    cpu.portIn = () => 0;
    exports.acpiPowerOff!();
    expect(cpu.portLog.filter((line) => line.startsWith("out"))).toEqual([
      `out16 b004 ${((5 << 10) | (1 << 13)).toString(16)}`,
      `out16 b104 ${((1 << 10) | (1 << 13)).toString(16)}`,
    ]);
  });
});

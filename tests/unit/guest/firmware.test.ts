import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bzimage } from "./kernels.ts";
import { Pc } from "./pc.ts";

interface Table {
  signature: string;
  address: bigint;
  bytes: Uint8Array;
  view: DataView;
}

const ascii = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);
const sum = (bytes: Uint8Array) => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);

/** The table at an address: FACS has no checksum, all others must be right. */
function tableAt(pc: Pc, address: bigint): Table {
  const length = pc.view(address + 4n, 4).getUint32(0, true);
  const bytes = pc.read(address, length);
  const signature = ascii(bytes.subarray(0, 4));
  if (signature !== "FACS") expect(sum(bytes), `checksum of ${signature}`).toBe(0);
  return { signature, address, bytes, view: new DataView(bytes.buffer) };
}

/** All tables by signature, found as an operating system finds them: RSDP, XSDT, FADT. */
function acpiTables(pc: Pc): Map<string, Table> {
  const rsdp = findRsdp(pc);
  const xsdt = tableAt(pc, rsdp.getBigUint64(24, true));
  const rsdt = tableAt(pc, BigInt(rsdp.getUint32(16, true)));
  expect(xsdt.signature + rsdt.signature).toBe("XSDTRSDT");
  const addresses: bigint[] = [];
  for (let at = 36; at < xsdt.bytes.length; at += 8) addresses.push(xsdt.view.getBigUint64(at, true));
  const narrow: bigint[] = [];
  for (let at = 36; at < rsdt.bytes.length; at += 4) narrow.push(BigInt(rsdt.view.getUint32(at, true)));
  expect(narrow).toEqual(addresses);
  const tables = new Map(
    addresses.map((address) => tableAt(pc, address)).map((table) => [table.signature, table]),
  );
  const fadt = tables.get("FACP") as Table;
  for (const address of [fadt.view.getBigUint64(140, true), BigInt(fadt.view.getUint32(36, true))]) {
    const table = tableAt(pc, address);
    tables.set(table.signature, table);
  }
  return tables;
}

/** Searched in the BIOS area at multiples of 16. */
function findRsdp(pc: Pc): DataView {
  for (let at = 0xe0000n; at < 0x100000n; at += 16n) {
    const bytes = pc.read(at, 36);
    if (ascii(bytes.subarray(0, 8)) !== "RSD PTR ") continue;
    expect(at).toBe(pc.call("rsdp", 0));
    expect(sum(bytes.subarray(0, 20))).toBe(0);
    expect(sum(bytes)).toBe(0);
    return new DataView(bytes.buffer);
  }
  throw new Error("no RSDP");
}

describe("ACPI", () => {
  test("fixed description: no SMI, registers where the platform has them, reset register, S5 by PM1a", async () => {
    const fadt = (acpiTables(await Pc.running()).get("FACP") as Table).view;
    expect(fadt.byteLength).toBe(276);
    expect(fadt.getUint16(46, true)).toBe(9);
    expect(fadt.getUint32(48, true)).toBe(0);
    const [event, control, timer] = [56, 64, 76].map((at) => fadt.getUint32(at, true));
    expect([event, control, timer]).toEqual([0x600, 0x604, 0x608]);
    expect([fadt.getUint8(88), fadt.getUint8(89), fadt.getUint8(91)]).toEqual([4, 2, 4]);
    for (const [at, port, bits] of [
      [148, event, 32],
      [172, control, 16],
      [208, timer, 32],
      [116, 0xcf9, 8],
    ] as const) {
      expect([fadt.getUint8(at), fadt.getUint8(at + 1)]).toEqual([1, bits]);
      expect(fadt.getBigUint64(at + 4, true)).toBe(BigInt(port as number));
    }
    expect(fadt.getUint8(128)).toBe(6);
    const flags = fadt.getUint32(112, true);
    expect(flags & (1 << 10)).not.toBe(0);
    expect(flags & (1 << 20)).toBe(0);
    // The RTC wakes by the fixed registers, and sleep is idling in S0.
    expect([flags & (1 << 6), flags & (1 << 21)]).toEqual([0, 1 << 21]);
    expect(fadt.getUint16(109, true) & 2).toBe(0);
  });

  test("interrupt description: a local APIC per CPU, the I/O APIC, IRQ 0 on pin 2, SCI by level, NMI on LINT1", async () => {
    const madt = (acpiTables(await Pc.running({ line: "vm0.memory=4M", cpus: 3 })).get("APIC") as Table).view;
    expect(madt.getUint32(36, true)).toBe(0xfee00000);
    expect(madt.getUint32(40, true)).toBe(1);
    const entries: number[][] = [];
    for (let at = 44; at < madt.byteLength; at += madt.getUint8(at + 1)) {
      entries.push(Array.from({ length: madt.getUint8(at + 1) }, (_, i) => madt.getUint8(at + i)));
    }
    const ofType = (type: number) => entries.filter((entry) => entry[0] === type);
    expect(ofType(0)).toEqual([0, 1, 2].map((id) => [0, 8, id, id, 1, 0, 0, 0]));
    expect(ofType(1)).toEqual([[1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]]);
    expect(ofType(2)).toEqual([
      [2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
      [2, 10, 0, 9, 9, 0, 0, 0, 0xd, 0],
    ]);
    expect(ofType(4)).toEqual([[4, 6, 0xff, 0, 0, 1]]);
  });

  test("event timers: the block's ID as its register tells it, its address, the shortest period", async () => {
    const pc = await Pc.running();
    const hpet = (acpiTables(pc).get("HPET") as Table).view;
    expect(hpet.byteLength).toBe(56);
    expect(hpet.getUint32(36, true)).toBe(pc.mmioRead(0xfed00000));
    expect([hpet.getUint8(40), hpet.getUint8(41)]).toEqual([0, 64]);
    expect(hpet.getBigUint64(44, true)).toBe(0xfed00000n);
    expect([hpet.getUint8(52), hpet.getUint16(53, true), hpet.getUint8(55)]).toEqual([0, 5000, 0]);
  });

  test("iasl disassembles every table, and compiles the DSDT again without a complaint", async () => {
    const tables = acpiTables(await Pc.running());
    const directory = mkdtempSync(join(tmpdir(), "typevisor-acpi-"));
    try {
      for (const [signature, table] of tables) {
        const file = join(directory, `${signature.toLowerCase()}.aml`);
        writeFileSync(file, table.bytes);
        const output = execFileSync("iasl", ["-d", file], {
          encoding: "utf8",
          stdio: ["ignore", "pipe", "pipe"],
        });
        expect(output, output).not.toMatch(/error|invalid|could not/i);
      }
      const source = readFileSync(join(directory, "dsdt.dsl"), "utf8");
      for (const words of [
        "PNP0A03",
        "PNP0501",
        "PNP0B00",
        "PNP0000",
        "PNP0100",
        "PNP0103",
        "QEMU0001",
        "_PRT",
        "Name (_S5",
      ]) {
        expect(source).toContain(words);
      }
      const compiler = execFileSync("iasl", [join(directory, "dsdt.dsl")], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
      });
      expect(compiler).toMatch(/0 Errors, 0 Warnings/);
      const again = readFileSync(join(directory, "dsdt.aml"));
      expect(again.subarray(36).equals(Buffer.from((tables.get("DSDT") as Table).bytes.subarray(36)))).toBe(
        true,
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  }, 60_000);
});

describe("the memory map", () => {
  async function map(line: string, hostMib: number) {
    const pc = await Pc.running({ line, hostMib, modules: [{ text: "vm0.kernel", contents: bzimage() }] });
    const zero = pc.view(pc.vcpu.get("rsi"), 4096);
    return Array.from({ length: zero.getUint8(0x1e8) }, (_, i) => ({
      start: zero.getBigUint64(0x2d0 + i * 20, true),
      bytes: zero.getBigUint64(0x2d0 + i * 20 + 8, true),
      type: zero.getUint32(0x2d0 + i * 20 + 16, true),
    }));
  }

  test.each([
    ["vm0.memory=8M", 64, 8],
    ["vm0.memory=3G vm0.lazy=1", 4096, 3072],
    ["vm0.memory=5G vm0.lazy=1", 8192, 5120],
  ])(
    "%s: sorted, disjoint, all RAM but the PC's hole, firmware and ECAM reserved",
    async (line, hostMib, mib) => {
      const entries = await map(line, hostMib);
      for (let i = 1; i < entries.length; i++) {
        const before = entries[i - 1] as (typeof entries)[0];
        expect((entries[i] as typeof before).start).toBeGreaterThanOrEqual(before.start + before.bytes);
      }
      const ram = entries.filter((entry) => entry.type === 1);
      const total = ram.reduce((bytes, entry) => bytes + entry.bytes, 0n);
      expect(total).toBe((BigInt(mib) << 20n) - (0x100000n - 0x9fc00n));
      const end = ram.map((entry) => entry.start + entry.bytes).sort((a, b) => Number(b - a))[0];
      expect(end).toBe(mib <= 3072 ? BigInt(mib) << 20n : (1n << 32n) + (BigInt(mib - 3072) << 20n));
      const reserved = entries.filter((entry) => entry.type === 2).map((entry) => entry.start);
      expect(reserved).toEqual([0x9fc00n, 0xe0000n, 0xe0000000n]);
    },
  );

  test("memory that the machine does not have is refused in words", async () => {
    const pc = await Pc.create({
      line: "vm0.memory=128M",
      modules: [{ text: "vm0.kernel", contents: bzimage() }],
    });
    expect(pc.call("describe")).toBe(1);
    expect(pc.call("build", 0, 0n)).toBe(0);
    expect(pc.log()).toMatch(/its memory of 128 MiB does not fit into the machine, which has 64 MiB in all/);
  });
});

test("SMBIOS: an entry point with the right checksum, and structures up to the end marker", async () => {
  const pc = await Pc.running();
  const entry = pc.read(0xf0000n, 24);
  expect(ascii(entry.subarray(0, 5))).toBe("_SM3_");
  expect(sum(entry)).toBe(0);
  const view = new DataView(entry.buffer);
  const start = view.getBigUint64(16, true);
  const bytes = pc.read(start, view.getUint32(12, true));
  const types: number[] = [];
  const strings: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    types.push(bytes[at] as number);
    at += bytes[at + 1] as number;
    let end = at;
    while (bytes[end] !== 0 || bytes[end + 1] !== 0) end++;
    strings.push(ascii(bytes.subarray(at, end)));
    at = end + 2;
  }
  expect(types).toEqual([0, 1, 127]);
  expect(strings[1]).toBe("Typevisor\0Virtual Machine");
});

// Firmware and loader structures for tests, laid out from the specifications, independently of the kernel's sources.
import type { FakeCpu } from "../fake-cpu.ts";

/** Little-endian bytes of a number. */
export function bytesOf(value: bigint | number, width: number): number[] {
  return Array.from({ length: width }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 0xffn));
}

const text = (value: string) => [...Buffer.from(value, "latin1")];

/** Sets byte `at` so that all bytes add up to 0. */
function withChecksum(bytes: number[], at: number): number[] {
  const sum = bytes.reduce((total, byte) => total + byte, 0) - (bytes[at] as number);
  return bytes.map((byte, i) => (i === at ? (256 - (sum & 0xff)) & 0xff : byte));
}

/** An ACPI table with a right checksum. */
export function acpiTableBytes(signature: string, body: number[], revision = 1): number[] {
  const header = [
    ...text(signature),
    ...bytesOf(36 + body.length, 4),
    revision,
    0,
    ...text("TESTER"),
    ...text("TESTTABL"),
  ];
  const rest = [...bytesOf(1, 4), ...text("TEST"), ...bytesOf(1, 4)];
  return withChecksum([...header, ...rest, ...body], 9);
}

export interface FirmwareTables {
  /** Address of the RSDP. */
  rsdp: bigint;
  /** Tables by physical address; the root table points at them in this order. */
  tables: Map<bigint, number[]>;
  root: bigint;
  xsdt: boolean;
}

/** Puts an RSDP, a root table and the tables into memory. */
export function installAcpi(cpu: FakeCpu, plan: FirmwareTables): void {
  for (const [address, bytes] of plan.tables) cpu.poke(address, Uint8Array.from(bytes));
  const pointers = [...plan.tables.keys()].flatMap((address) => bytesOf(address, plan.xsdt ? 8 : 4));
  cpu.poke(plan.root, Uint8Array.from(acpiTableBytes(plan.xsdt ? "XSDT" : "RSDT", pointers)));
  const first = [
    ...text("RSD PTR "),
    0,
    ...text("TESTER"),
    plan.xsdt ? 2 : 0,
    ...bytesOf(plan.xsdt ? 0 : plan.root, 4),
  ];
  const rsdp = withChecksum(first, 8);
  const extended = plan.xsdt
    ? withChecksum([...rsdp, ...bytesOf(36, 4), ...bytesOf(plan.root, 8), 0, 0, 0, 0], 32)
    : rsdp;
  cpu.poke(plan.rsdp, Uint8Array.from(extended));
}

/** A MADT with these entries behind the local APIC address and flags. */
export function madtBytes(entries: number[][], lapic = 0xfee00000): number[] {
  return acpiTableBytes("APIC", [...bytesOf(lapic, 4), ...bytesOf(1, 4), ...entries.flat()]);
}

/** Multiboot information at `at`, with strings, modules and map behind it. */
export function installMultiboot(
  cpu: FakeCpu,
  at: number,
  plan: {
    commandLine: string;
    modules: { start: number; end: number; text: string }[];
    map: [bigint, bigint, number][];
  },
): void {
  let free = at + 256;
  const put = (bytes: number[]) => {
    cpu.poke(BigInt(free), Uint8Array.from(bytes));
    free += bytes.length;
    return free - bytes.length;
  };
  const line = put([...text(plan.commandLine), 0]);
  const strings = plan.modules.map((module) => put([...text(module.text), 0]));
  const list = put(
    plan.modules.flatMap((module, i) =>
      [module.start, module.end, strings[i] as number, 0].flatMap((v) => bytesOf(v, 4)),
    ),
  );
  const map = plan.map.flatMap(([start, length, type]) => [
    ...bytesOf(20, 4),
    ...bytesOf(start, 8),
    ...bytesOf(length, 8),
    ...bytesOf(type, 4),
  ]);
  const mapAt = put(map);
  const words = new Map([
    [0, 0b1001100],
    [16, line],
    [20, plan.modules.length],
    [24, list],
    [44, map.length],
    [48, mapAt],
  ]);
  for (const [offset, value] of words) cpu.store(BigInt(at + offset), 4, BigInt(value));
}

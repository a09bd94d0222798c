import { expect, test } from "vitest";
import { loadKernel } from "../harness.ts";

const bcd = (value: number) => ((value / 10) << 4) | (value % 10);

/** What a clock chip in this form holds at this moment; register B's bits: 1 = 24 hours, 2 = binary. */
function registers(date: Date, form: number): Map<number, number> {
  const code = (value: number) => (form & 4 ? value : bcd(value));
  const hour = date.getUTCHours();
  const twelve = code(hour % 12 || 12) | (hour >= 12 ? 0x80 : 0);
  return new Map([
    [0x00, code(date.getUTCSeconds())],
    [0x02, code(date.getUTCMinutes())],
    [0x04, form & 2 ? code(hour) : twelve],
    [0x07, code(date.getUTCDate())],
    [0x08, code(date.getUTCMonth() + 1)],
    [0x09, code(date.getUTCFullYear() % 100)],
    [0x0b, form],
  ]);
}

const moments = [
  "2000-02-29T00:00:00Z",
  "2026-11-21T23:59:59Z",
  "2027-01-01T12:00:01Z",
  "2096-12-31T01:02:03Z",
];

test.each(moments.flatMap((moment) => [0, 2, 4, 6].map((form) => [moment, form] as const)))(
  "%s in form %i",
  async (moment, form) => {
    const { exports, cpu } = await loadKernel(["kernel/drivers/cmos.ts"]);
    const date = new Date(moment);
    const held = registers(date, form);
    let index = 0;
    let updating = 3;
    cpu.portOut = (port, _size, value) => void (port === 0x70 && (index = value));
    cpu.portIn = () => (index === 0x0a ? (updating-- > 0 ? 0x80 : 0) : (held.get(index) ?? 0));
    expect(exports.cmosUnixNs!()).toBe(BigInt(date.getTime()) * 1_000_000n);
  },
);

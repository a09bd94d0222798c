// Registers of all devices: what is written reads back through the documented mask, and nothing else changes. The masks are
// typed from the data sheets (16550A, 8259A, 8254, MC146818A, 8042, 82093AA), the IA-PC HPET
// Specification, the SDM ("Local APIC Register Address Map"),
// the ACPI specification ("ACPI Register Model") and the PCI Local Bus Specification ("Configuration Space").
import { beforeAll, describe, expect, test } from "vitest";
import { randomNumbers } from "../devices/device.ts";
import { Pc } from "./pc.ts";

interface Register {
  name: string;
  bits: 8 | 16 | 32;
  /** Bits that hold what is written; of the others, those in `checked` read as `fixed`. */
  kept: number;
  fixed?: number;
  checked?: number;
  /** Bits that no test writes as one: they start something. */
  never?: number;
  write(pc: Pc, value: number): void;
  read(pc: Pc): number;
}

const port = (
  name: string,
  at: number,
  bits: 8 | 16 | 32,
  kept: number,
  more: Partial<Register> = {},
): Register => ({
  name,
  bits,
  kept,
  write: (pc, value) => pc.out(at, value, bits / 8),
  read: (pc) => pc.in(at, bits / 8),
  ...more,
});

/** A register behind an index: CMOS, I/O APIC. */
const cmos = (index: number, kept: number, more: Partial<Register> = {}): Register => ({
  name: `CMOS ${index.toString(16)}`,
  bits: 8,
  kept,
  write: (pc, value) => {
    pc.out(0x70, index);
    pc.out(0x71, value);
  },
  read: (pc) => {
    pc.out(0x70, index);
    return pc.in(0x71);
  },
  ...more,
});
const ioapic = (name: string, index: number, kept: number, more: Partial<Register> = {}): Register => ({
  name: `I/O APIC ${name}`,
  bits: 32,
  kept,
  write: (pc, value) => {
    pc.mmioWrite(0xfec00000, index);
    pc.mmioWrite(0xfec00010, value);
  },
  read: (pc) => {
    pc.mmioWrite(0xfec00000, index);
    return pc.mmioRead(0xfec00010);
  },
  ...more,
});
const lapic = (name: string, offset: number, kept: number, more: Partial<Register> = {}): Register => ({
  name: `local APIC ${name}`,
  bits: 32,
  kept,
  write: (pc, value) => pc.mmioWrite(0xfee00000 + offset, value),
  read: (pc) => pc.mmioRead(0xfee00000 + offset),
  ...more,
});
const pci = (
  name: string,
  register: number,
  bits: 8 | 16 | 32,
  kept: number,
  more: Partial<Register> = {},
): Register => {
  const select = (pc: Pc) => pc.out(0xcf8, 0x80000000 + (register & 0xfc), 4);
  const at = 0xcfc + (register & 3);
  return {
    name: `host bridge ${name}`,
    bits,
    kept,
    write: (pc, value) => {
      select(pc);
      pc.out(at, value, bits / 8);
    },
    read: (pc) => {
      select(pc);
      return pc.in(at, bits / 8);
    },
    ...more,
  };
};
const hpet = (name: string, offset: number, kept: number, more: Partial<Register> = {}): Register => ({
  name: `HPET ${name}`,
  bits: 32,
  kept,
  write: (pc, value) => pc.mmioWrite(0xfed00000 + offset, value),
  read: (pc) => pc.mmioRead(0xfed00000 + offset),
  ...more,
});
/** Bits of a route stick only where the pin can be had. */
const HPET_ROUTE = 0x3e00;
/** The divisor latch, with DLAB set around it. */
const divisor = (offset: number): Register => ({
  name: `UART divisor ${offset}`,
  bits: 8,
  kept: 0xff,
  write: (pc, value) => {
    pc.out(0x3fb, 0x83);
    pc.out(0x3f8 + offset, value);
    pc.out(0x3fb, 0x03);
  },
  read: (pc) => {
    pc.out(0x3fb, 0x83);
    const value = pc.in(0x3f8 + offset);
    pc.out(0x3fb, 0x03);
    return value;
  },
});

const REGISTERS: Register[] = [
  port("UART interrupt enable", 0x3f9, 8, 0x0f),
  port("UART line control", 0x3fb, 8, 0xff),
  port("UART modem control", 0x3fc, 8, 0x1f),
  port("UART scratch", 0x3ff, 8, 0xff),
  divisor(0),
  divisor(1),
  port("PIC master mask", 0x21, 8, 0xff),
  port("PIC slave mask", 0xa1, 8, 0xff),
  // IRQ 0, 1, 2, 8 and 13 are edge-triggered for good.
  port("ELCR master", 0x4d0, 8, 0xf8),
  port("ELCR slave", 0x4d1, 8, 0xde),
  port("system control port B", 0x61, 8, 0x0f, { checked: 0xc0 }),
  ...[1, 3, 5].map((index) => cmos(index, 0xff)),
  cmos(0x0a, 0x7f),
  // SET clears the update-ended interrupt's enable.
  cmos(0x0b, 0xff, { never: 0x80 }),
  cmos(0x0d, 0, { fixed: 0x80, checked: 0xff }),
  ...[0x0e, 0x0f, 0x10, 0x2f, 0x33, 0x50, 0x7f].map((index) => cmos(index, 0xff)),
  port("PM1 enable", 0x602, 16, 0x0721),
  port("PM1 control", 0x604, 16, 0x1c02, { fixed: 1, checked: 0xffff, never: 0x2000 }),
  port("GPE0 enable", 0x60e, 16, 0xffff),
  port("CONFIG_ADDRESS", 0xcf8, 32, 0x80fffffc),
  port("reset control", 0xcf9, 8, 0x0a, { never: 0x04 }),
  pci("identifiers", 0x00, 32, 0, { fixed: 0x0d578086, checked: 0xffffffff }),
  pci("command", 0x04, 16, 0x0547),
  pci("status", 0x06, 16, 0),
  pci("cache line size", 0x0c, 8, 0xff),
  pci("base address", 0x10, 32, 0),
  pci("interrupt line", 0x3c, 8, 0xff),
  pci("interrupt pin", 0x3d, 8, 0),
  ioapic("identifier", 0, 0x0f000000),
  ioapic("version", 1, 0, { fixed: 0x00170020 }),
  ...[0, 1, 11, 23].flatMap((pin) => [
    ioapic(`entry ${pin}, low`, 0x10 + 2 * pin, 0x0001afff),
    ioapic(`entry ${pin}, high`, 0x11 + 2 * pin, 0xff000000),
  ]),
  ioapic("index past the entries", 0x40, 0),
  hpet("capabilities, low", 0x00, 0, { fixed: 0x8086a201 }),
  hpet("capabilities, high", 0x04, 0, { fixed: 10_000_000 }),
  hpet("configuration", 0x10, 0x02, { never: 0x01 }),
  hpet("interrupt status", 0x20, 0),
  hpet("main counter, low", 0xf0, 0xffffffff),
  hpet("main counter, high", 0xf4, 0xffffffff),
  hpet("timer 0 configuration", 0x100, 0x0146, { fixed: 0x30, never: HPET_ROUTE | 0x08 }),
  hpet("timer 0 routes", 0x104, 0, { fixed: 0x00f00000 }),
  hpet("timer 1 configuration", 0x120, 0x0106, { fixed: 0x20, never: HPET_ROUTE }),
  hpet("timer 1 comparator, low", 0x128, 0xffffffff),
  hpet("timer 1 comparator, high", 0x12c, 0xffffffff),
  hpet("timer 2 configuration", 0x140, 0x0106, { fixed: 0x20, never: HPET_ROUTE }),
  hpet("timer 2 comparator, low", 0x148, 0xffffffff),
  hpet("timer 2 comparator, high", 0x14c, 0xffffffff),
  hpet("FSB route of timer 2", 0x150, 0),
  lapic("version", 0x30, 0, { fixed: 0x01050014 }),
  lapic("task priority", 0x80, 0xff),
  lapic("processor priority", 0xa0, 0),
  lapic("logical destination", 0xd0, 0xff000000),
  lapic("destination format", 0xe0, 0xf0000000, { fixed: 0x0fffffff }),
  lapic("LVT timer", 0x320, 0x000700ff),
  lapic("LVT thermal", 0x330, 0x000107ff),
  lapic("LVT counters", 0x340, 0x000107ff),
  lapic("LVT LINT0", 0x350, 0x0001a7ff),
  lapic("LVT LINT1", 0x360, 0x0001a7ff),
  lapic("LVT error", 0x370, 0x000100ff),
  lapic("ICR high", 0x310, 0xff000000),
  lapic("initial count", 0x380, 0xffffffff),
  lapic("divide configuration", 0x3e0, 0x0b),
  lapic("spurious vector", 0xf0, 0x000013ff),
];

/**
 * Writing one of these is defined to change others: software disable masks the LVT, a mode stops the timer's count, the task
 * priority is part of the processor's, an index selects, a stopped clock stands, a timer that compares 32 bits has no more.
 */
const LINKED =
  /spurious vector|LVT timer|initial count|(task|processor) priority|CONFIG_ADDRESS|line control|timer . conf|CMOS [ab]$/;
const UNLINKED = REGISTERS.filter(({ name }) => !LINKED.test(name));

const random = randomNumbers(0xfeed);
const all = (bits: number) => 2 ** bits - 1;

function values(bits: number): number[] {
  const single = Array.from({ length: bits }, (_, bit) => (1 << bit) >>> 0);
  return [
    0,
    all(bits),
    ...single,
    ...single.map((value) => (all(bits) ^ value) >>> 0),
    ...Array.from({ length: 20 }, () => (random(0x7fffffff) * 2 + random(2)) % 2 ** bits),
  ];
}

describe("what is written reads back through its mask", () => {
  let pc: Pc;
  beforeAll(async () => {
    pc = await Pc.running();
  });

  test.each(REGISTERS.map((register) => [register.name, register] as const))("%s", (_, register) => {
    pc.call("reset", 0);
    pc.mmioWrite(0xfee000f0, 0x1ff); // LVT entries of a disabled APIC stay masked
    const checked = register.checked ?? all(register.bits);
    for (const value of values(register.bits)) {
      const written = (value & ~(register.never ?? 0)) >>> 0;
      register.write(pc, written);
      const wanted = (written & register.kept) | (register.fixed ?? 0);
      const mask = register.kept | checked;
      expect((register.read(pc) & mask) >>> 0, `wrote ${written.toString(16)}`).toBe((wanted & mask) >>> 0);
    }
  });

  test.each(UNLINKED.map((register) => [register.name, register] as const))(
    "%s leaves the others alone",
    (_, register) => {
      pc.call("reset", 0);
      pc.mmioWrite(0xfee000f0, 0x1ff);
      const others = UNLINKED.filter((r) => r !== register);
      const mask = (r: Register) => r.kept | (r.checked ?? all(r.bits));
      const before = others.map((r) => (r.read(pc) & mask(r)) >>> 0);
      register.write(pc, (all(register.bits) & ~(register.never ?? 0)) >>> 0);
      register.write(pc, 0);
      register.write(pc, (0x5a5a5a5a & all(register.bits) & ~(register.never ?? 0)) >>> 0);
      expect(others.map((r) => (r.read(pc) & mask(r)) >>> 0)).toEqual(before);
    },
  );
});

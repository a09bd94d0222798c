// The checks that the processor makes before an instruction acts, made by the emulator: one row for each class of instructions
// and each of its checks (the table in kernel/exits/emulate/emulate.ts).
import { beforeEach, describe, expect, test } from "vitest";
import { EXIT, ExitsMachine, OUTCOME, RAX, RBX, RCX, RDI, RDX, RSI, RSP } from "./exits-machine.js";

const HOLE = 0x9000_0000n;
const CODE = 0x1000n;
const TSS = 0x6000n;
const GDT = 0x7000n;
const RBP = 5;

// Linear pages of the rows: a device, its page for the kernel only, RAM to read only, RAM and device with key 5, nothing.
const DEVICE = 0x20_0000n;
const KERNEL = 0x20_1000n;
const READ_ONLY = 0x20_2000n;
const KEYED = 0x20_3000n;
const KEYED_DEVICE = 0x20_4000n;
const ABSENT = 0x20_5000n;
const NOT_CANONICAL = 1n << 63n;
const KEY_5_CLOSED = 1 << 10;
const KEY_5_NO_WRITES = 2 << 10;

const OSFXSR = 1n << 9n;
const UMIP = 1n << 11n;
const OSXSAVE = 1n << 18n;
const SMAP = 1n << 21n;
const PKE = 1n << 22n;
const CR0_EM = 1n << 2n;
const CR0_TS = 1n << 3n;
const CR0_WP = 1n << 16n;
const CR0_AM = 1n << 18n;
const AC = 1n << 18n;
const IOPL3 = 3n << 12n;

let m: ExitsMachine;
beforeEach(async () => {
  m = await ExitsMachine.create(1n << 20n);
});

interface Row {
  name: string;
  bytes: number[];
  /** `#vector(error)`; null: none. */
  expected: string | null;
  cpl?: 0 | 3;
  registers?: Record<number, bigint>;
  cr0?: bigint;
  cr4?: bigint;
  rflags?: bigint;
  pkru?: number;
  prepare?: () => void;
  /** INS and OUTS that exit for their port. */
  io?: number;
}

/** 64-bit code with paging, as in the comment above. */
function paged(row: Row): void {
  m.reset(64, row.cpl ?? 3);
  m.cpu.store(0x8000n, 8, 0x9007n);
  m.cpu.store(0x9000n, 8, 0xa007n);
  m.cpu.store(0xa000n, 8, 0x87n);
  m.cpu.store(0xa008n, 8, 0xb007n);
  const entries = [
    HOLE | 7n,
    HOLE | 3n,
    0x3_0000n | 5n,
    0x3_1000n | 7n | (5n << 59n),
    HOLE | 7n | (5n << 59n),
    0n,
  ];
  entries.forEach((entry, n) => m.cpu.store(0xb000n + 8n * BigInt(n), 8, entry));
  m.set("efer", 0xd00n);
  m.set("cr0", 0x8000_0011n | (row.cr0 ?? CR0_WP));
  m.set("cr4", 0x20n | (row.cr4 ?? OSFXSR | OSXSAVE));
  m.set("cr3", 0x8000n);
  m.set("rflags", 2n | (row.rflags ?? 0n));
  m.cpu.pkru = row.pkru ?? 0;
  m.cpu.extendedControl.set(0, 7n);
  m.cpu.x87Pending = false;
  m.setReg(RSP, 0x4_0000n);
}

function run(row: Row): string | null {
  m.code(CODE, row.bytes);
  for (const [n, value] of Object.entries(row.registers ?? {})) m.setReg(Number(n), value);
  row.prepare?.();
  const before = Array.from({ length: 16 }, (_, n) => m.reg(n));
  const outcome =
    row.io !== undefined
      ? m.exit(EXIT.io, { port: 0x300, size: 1, flags: row.io, nextRip: CODE + BigInt(row.bytes.length) })
      : m.exit(EXIT.nestedFault, { gpa: HOLE, flags: 1 });
  expect([OUTCOME.advance, OUTCOME.inject]).toContain(outcome);
  if (outcome === OUTCOME.inject) {
    expect(Array.from({ length: 16 }, (_, n) => m.reg(n))).toEqual(before);
    expect(m.get("rip")).toBe(CODE);
  }
  return outcome === OUTCOME.inject ? m.exception() : null;
}

const movsb = [0xa4];
const insb = [0x6c];
const insw = [0x66, 0x6d];
const outsb = [0x6e];
const load = [0x8b, 0x07]; // mov eax, [rdi]
const store = [0x89, 0x07]; // mov [rdi], eax
const pushMemory = [0xff, 0x37]; // push [rdi]
const movups = [0x0f, 0x10, 0x07]; // movups xmm0, [rdi]
const movaps = [0x0f, 0x28, 0x07];
const vmovaps = [0xc5, 0xfc, 0x28, 0x07]; // vmovaps ymm0, [rdi]
const movq = [0x0f, 0x6f, 0x07]; // movq mm0, [rdi]
const at = (address: bigint) => ({ [RDI]: address });
const move = (from: bigint, to: bigint) => ({ [RSI]: from, [RDI]: to });
const ACCESS_IN = 1;
const STRING = 4;

/** A TSS whose I/O map closes port 301h, or has no room for ports. */
function task(limit: number): () => void {
  return () => {
    m.segment(7, 0x28, TSS, limit, 0x8b);
    m.cpu.store(TSS + 102n, 2, 104n);
    m.cpu.store(TSS + 104n + 0x60n, 2, 2n);
  };
}

/** INS and OUTS of a port, under that TSS. */
const ofPort = (port: bigint) => ({ registers: { [RDI]: DEVICE, [RDX]: port }, prepare: task(0x1000) });

const pages: Row[] = [
  { name: "a page that is not there", bytes: load, registers: at(ABSENT), expected: "#14(4)" },
  { name: "a page of the kernel", bytes: load, registers: at(KERNEL), expected: "#14(5)" },
  { name: "a page to read only", bytes: movsb, registers: move(DEVICE, READ_ONLY), expected: "#14(7)" },
  { name: "SMAP", bytes: load, cpl: 0, cr4: SMAP, registers: at(DEVICE), expected: "#14(1)" },
  {
    name: "SMAP, with AC",
    bytes: load,
    cpl: 0,
    cr4: SMAP,
    rflags: AC,
    registers: at(DEVICE),
    expected: null,
  },
];

const keyed = { cr4: PKE | OSFXSR, pkru: KEY_5_CLOSED };
const keys: Row[] = [
  { name: "MOV", bytes: load, registers: at(KEYED_DEVICE), ...keyed, expected: "#14(37)" },
  { name: "MOV to memory", bytes: store, registers: at(KEYED_DEVICE), ...keyed, expected: "#14(39)" },
  { name: "MOVS to RAM", bytes: movsb, registers: move(DEVICE, KEYED), ...keyed, expected: "#14(39)" },
  { name: "MOVS from RAM", bytes: movsb, registers: move(KEYED, DEVICE), ...keyed, expected: "#14(37)" },
  { name: "INS", bytes: insb, registers: at(KEYED), io: ACCESS_IN | STRING, ...keyed, expected: "#14(39)" },
  { name: "OUTS", bytes: outsb, registers: move(KEYED, 0n), io: STRING, ...keyed, expected: "#14(37)" },
  {
    name: "PUSH",
    bytes: pushMemory,
    registers: { [RDI]: DEVICE, [RSP]: KEYED + 64n },
    ...keyed,
    expected: "#14(39)",
  },
  { name: "vectors", bytes: movups, registers: at(KEYED_DEVICE), ...keyed, expected: "#14(37)" },
  { name: "without CR4.PKE", bytes: load, registers: at(KEYED_DEVICE), pkru: KEY_5_CLOSED, expected: null },
  { name: "of another key", bytes: load, registers: at(KEYED_DEVICE), cr4: PKE, pkru: 0x3ff, expected: null },
  {
    name: "reads, of writes",
    bytes: load,
    registers: at(KEYED_DEVICE),
    cr4: PKE,
    pkru: KEY_5_NO_WRITES,
    expected: null,
  },
  {
    name: "of the kernel, which CR0.WP binds",
    bytes: movsb,
    cpl: 0,
    registers: move(DEVICE, KEYED),
    cr4: PKE,
    pkru: KEY_5_NO_WRITES,
    expected: "#14(35)",
  },
  {
    name: "of the kernel without CR0.WP",
    bytes: movsb,
    cpl: 0,
    cr0: 0n,
    registers: move(DEVICE, KEYED),
    cr4: PKE,
    pkru: KEY_5_NO_WRITES,
    expected: null,
  },
];

const aligned = { cr0: CR0_WP | CR0_AM, rflags: AC };
const addresses: Row[] = [
  { name: "#AC", bytes: load, registers: at(DEVICE + 2n), ...aligned, expected: "#17(0)" },
  {
    name: "#AC of a string",
    bytes: [0xa5],
    registers: move(DEVICE + 1n, DEVICE),
    ...aligned,
    expected: "#17(0)",
  },
  { name: "#AC of a vector", bytes: movups, registers: at(DEVICE + 8n), ...aligned, expected: "#17(0)" },
  {
    name: "no #AC in the kernel",
    cpl: 0,
    bytes: load,
    registers: at(DEVICE + 2n),
    ...aligned,
    expected: null,
  },
  { name: "no #AC without AM", bytes: load, registers: at(DEVICE + 2n), rflags: AC, expected: null },
  { name: "#AC comes before #PF", bytes: load, registers: at(ABSENT + 2n), ...aligned, expected: "#17(0)" },
  { name: "canonical", bytes: load, registers: at(NOT_CANONICAL), expected: "#13(0)" },
  { name: "canonical to the last byte", bytes: movups, registers: at((1n << 47n) - 8n), expected: "#13(0)" },
  {
    name: "canonical stack",
    bytes: [0xff, 0x75, 0],
    registers: { [RBP]: NOT_CANONICAL },
    expected: "#12(0)",
  },
  { name: "MOVAPS aligned", bytes: movaps, registers: at(DEVICE + 8n), expected: "#13(0)" },
  { name: "MOVAPS aligned, before #PF", bytes: movaps, registers: at(ABSENT + 8n), expected: "#13(0)" },
  {
    name: "MOVAPS aligned, before #AC",
    bytes: movaps,
    registers: at(DEVICE + 8n),
    ...aligned,
    expected: "#13(0)",
  },
  { name: "VMOVAPS aligned to 32", bytes: vmovaps, registers: at(DEVICE + 16n), expected: "#13(0)" },
  {
    name: "CMPXCHG16B aligned",
    bytes: [0x48, 0x0f, 0xc7, 0x0f],
    registers: at(DEVICE + 8n),
    expected: "#13(0)",
  },
  { name: "MOVUPS across pages", bytes: movups, registers: at(ABSENT - 8n), expected: "#14(4)" },
];

const instructions: Row[] = [
  { name: "LOCK before a move", bytes: [0xf0, ...movups], registers: at(DEVICE), expected: "#6" },
  { name: "SSE without OSFXSR", bytes: movups, cr4: OSXSAVE, registers: at(DEVICE), expected: "#6" },
  { name: "SSE with EM", bytes: movups, cr0: CR0_EM, registers: at(DEVICE), expected: "#6" },
  { name: "SSE with TS", bytes: movups, cr0: CR0_TS, registers: at(DEVICE), expected: "#7" },
  { name: "#NM comes before #PF", bytes: movups, cr0: CR0_TS, registers: at(ABSENT), expected: "#7" },
  { name: "MMX with EM", bytes: movq, cr0: CR0_EM, registers: at(DEVICE), expected: "#6" },
  { name: "MMX with TS", bytes: movq, cr0: CR0_TS, registers: at(DEVICE), expected: "#7" },
  { name: "MMX without OSFXSR", bytes: movq, cr4: 0n, registers: at(DEVICE), expected: null },
  {
    name: "MMX while an x87 exception waits",
    bytes: movq,
    registers: at(DEVICE),
    prepare: () => void (m.cpu.x87Pending = true),
    expected: "#16",
  },
  { name: "AVX without OSXSAVE", bytes: vmovaps, cr4: OSFXSR, registers: at(DEVICE), expected: "#6" },
  {
    name: "AVX that XCR0 does not allow",
    bytes: vmovaps,
    registers: at(DEVICE),
    prepare: () => void m.cpu.extendedControl.set(0, 3n),
    expected: "#6",
  },
  { name: "AVX with TS", bytes: vmovaps, cr0: CR0_TS, registers: at(DEVICE), expected: "#7" },
  { name: "AVX with EM", bytes: vmovaps, cr0: CR0_EM, registers: at(DEVICE), expected: null },
  { name: "VEX behind 66", bytes: [0x66, ...vmovaps], registers: at(DEVICE), expected: "#6" },
  {
    name: "VEX with a register too many",
    bytes: [0xc5, 0xf4, 0x28, 0x07],
    registers: at(DEVICE),
    expected: "#6",
  },
  { name: "VEX.L of 8 bytes", bytes: [0xc5, 0xfc, 0x13, 0x07], registers: at(DEVICE), expected: "#6" },
];

const privileges: Row[] = [
  {
    name: "SGDT under UMIP",
    bytes: [0x0f, 0x01, 0x07],
    cr4: UMIP,
    registers: at(DEVICE),
    expected: "#13(0)",
  },
  {
    name: "SGDT under UMIP, kernel",
    bytes: [0x0f, 0x01, 0x07],
    cpl: 0,
    cr4: UMIP,
    registers: at(DEVICE),
    expected: null,
  },
  {
    name: "SMSW under UMIP",
    bytes: [0x0f, 0x01, 0x27],
    cr4: UMIP,
    registers: at(DEVICE),
    expected: "#13(0)",
  },
  { name: "STR under UMIP", bytes: [0x0f, 0x00, 0x0f], cr4: UMIP, registers: at(DEVICE), expected: "#13(0)" },
  { name: "LGDT", bytes: [0x0f, 0x01, 0x17], registers: at(DEVICE), expected: "#13(0)" },
  { name: "LIDT", bytes: [0x0f, 0x01, 0x1f], registers: at(ABSENT), expected: "#13(0)" },
  { name: "LMSW", bytes: [0x0f, 0x01, 0x37], registers: at(DEVICE), expected: "#13(0)" },
  {
    name: "LGDT of a base that is not canonical",
    bytes: [0x0f, 0x01, 0x17],
    cpl: 0,
    registers: at(DEVICE),
    prepare: () => m.setDevice(HOLE + 2n, 8, NOT_CANONICAL),
    expected: "#13(0)",
  },
  // Bytes that are not those that exited: nobody has checked the port.
  { name: "INS without a map", bytes: insb, registers: at(DEVICE), prepare: task(103), expected: "#13(0)" },
  {
    name: "OUTS without a map",
    bytes: outsb,
    registers: move(DEVICE, 0n),
    prepare: task(103),
    expected: "#13(0)",
  },
  { name: "INS of a port that the map opens", bytes: insb, ...ofPort(0x300n), expected: null },
  { name: "INS of a port that it closes", bytes: insb, ...ofPort(0x301n), expected: "#13(0)" },
  { name: "INS of two ports, one closed", bytes: insw, ...ofPort(0x300n), expected: "#13(0)" },
  // Those that exited, the processor has checked, for as many ports as it reported.
  { name: "INS that exited", bytes: insb, ...ofPort(0x301n), io: ACCESS_IN | STRING, expected: null },
  {
    name: "INS that is wider now",
    bytes: insw,
    ...ofPort(0x300n),
    io: ACCESS_IN | STRING,
    expected: "#13(0)",
  },
  { name: "INS with IOPL 3", bytes: insb, registers: at(DEVICE), rflags: IOPL3, expected: null },
  { name: "INS in the kernel", bytes: insb, cpl: 0, registers: at(DEVICE), expected: null },
];

const targets: Row[] = [
  {
    name: "JMP",
    bytes: [0xff, 0x27],
    registers: at(DEVICE),
    prepare: () => m.setDevice(HOLE, 8, NOT_CANONICAL),
    expected: "#13(0)",
  },
  {
    name: "RET",
    bytes: [0xc3],
    registers: { [RSP]: DEVICE },
    prepare: () => m.setDevice(HOLE, 8, NOT_CANONICAL),
    expected: "#13(0)",
  },
  {
    name: "MOV to a segment register, behind the GDT",
    bytes: [0x8e, 0x07],
    registers: at(DEVICE),
    prepare: () => m.setDevice(HOLE, 2, 0x1230n),
    expected: "#13(4656)",
  },
  {
    name: "MOV to a segment register, of the kernel",
    bytes: [0x8e, 0x07],
    registers: at(DEVICE),
    prepare: descriptor(0x93n),
    expected: "#13(8)",
  },
  {
    name: "MOV to a segment register, not present",
    bytes: [0x8e, 0x07],
    registers: at(DEVICE),
    prepare: descriptor(0x73n),
    expected: "#11(8)",
  },
  {
    name: "MOV to a segment register",
    bytes: [0x8e, 0x07],
    registers: at(DEVICE),
    prepare: descriptor(0xf3n),
    expected: null,
  },
];

/** The selector 8 in the device's memory, and a flat descriptor with these rights for it. */
function descriptor(access: bigint): () => void {
  return () => {
    m.set("gdtrBase", GDT);
    m.set("gdtrLimit", 15);
    m.cpu.store(GDT + 8n, 8, 0x00cf_0000_0000_ffffn | (access << 40n));
    m.setDevice(HOLE, 2, 8n);
  };
}

describe.each([
  ["paging", pages],
  ["protection keys", keys],
  ["addresses", addresses],
  ["the instruction", instructions],
  ["privilege", privileges],
  ["targets and selectors", targets],
])("%s", (_, rows) => {
  test.each(rows)("$name: $expected", (row) => {
    paged(row);
    expect(run(row)).toBe(row.expected);
  });
});

describe("segments, in 32-bit code", () => {
  const limited = (index: number) => () => m.segment(index, 0x10, HOLE, 0xfff, 0x4093);
  const rows: Row[] = [
    {
      name: "16 bytes across the limit",
      bytes: movups,
      registers: at(0xff8n),
      prepare: limited(3),
      expected: "#13(0)",
    },
    {
      name: "16 bytes at the limit",
      bytes: movups,
      registers: at(0xff0n),
      prepare: limited(3),
      expected: null,
    },
    {
      name: "far pointer across it",
      bytes: [0xc4, 0x07],
      registers: at(0xffcn),
      prepare: limited(3),
      expected: "#13(0)",
    },
    {
      name: "PUSHA around the stack's end",
      bytes: [0x60],
      registers: { [RSP]: 0x10n },
      prepare: limited(2),
      expected: "#12(0)",
    },
    { name: "PUSHA", bytes: [0x60], registers: { [RSP]: 0x20n }, prepare: limited(2), expected: null },
    {
      name: "BOUND across it",
      bytes: [0x62, 0x07],
      registers: at(0xffcn),
      prepare: limited(3),
      expected: "#13(0)",
    },
    {
      name: "CMPXCHG8B across it",
      bytes: [0x0f, 0xc7, 0x0f],
      registers: at(0xffcn),
      prepare: limited(3),
      expected: "#13(0)",
    },
    {
      name: "XLAT behind it",
      bytes: [0xd7],
      registers: { [RBX]: 0x1000n, [RAX]: 0n },
      prepare: limited(3),
      expected: "#13(0)",
    },
    {
      name: "ENTER below it",
      bytes: [0xc8, 0, 0x10, 0],
      registers: { [RSP]: 0x800n },
      prepare: limited(2),
      expected: "#12(0)",
    },
  ];
  test.each(rows)("$name: $expected", (row) => {
    m.reset(32);
    m.set("cr4", OSFXSR);
    m.setReg(RCX, 0n);
    expect(run(row)).toBe(row.expected);
  });

  test("a word at the end of a real-mode segment is #GP, VEX #UD", () => {
    m.reset(16);
    m.segment(3, 0, HOLE, 0xffff, 0x93);
    expect(run({ name: "", bytes: [0x8b, 0x05], registers: at(0xffffn), expected: null })).toBe("#13(0)");
    m.set("cr4", OSXSAVE);
    // vmovups xmm0, [di]
    expect(run({ name: "", bytes: [0xc5, 0xf8, 0x10, 0x05], registers: at(0n), expected: null })).toBe("#6");
  });

  test("PUSHF and POPF in virtual-8086 mode need IOPL 3", () => {
    for (const [rflags, expected] of [
      [1n << 17n, "#13(0)"],
      [(1n << 17n) | IOPL3, null],
    ] as const) {
      for (const bytes of [[0x9c], [0x9d]]) {
        m.reset(16);
        m.set("cr0", 0x11n);
        m.segment(2, 0, HOLE, 0xffff, 0xf3);
        m.set("rflags", 2n | rflags);
        expect(run({ name: "", bytes, registers: { [RSP]: 0x100n }, expected })).toBe(expected);
      }
    }
  });
});

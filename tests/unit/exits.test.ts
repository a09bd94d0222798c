// Every class of exit, from the record that a backend fills to registers, memory, devices and events.
import { beforeEach, describe, expect, test } from "vitest";
import {
  CODE16,
  DATA16,
  EXIT,
  ExitsMachine,
  OUTCOME,
  RAX,
  RBX,
  RCX,
  RDI,
  RDX,
  RSI,
} from "./exits-machine.js";

const TF = 1n << 8n;
const REQUEST_SAMPLE = 1n;
const REQUEST_INTERRUPT = 2n;
const REQUEST_NMI = 4n;
const REQUEST_FLUSH = 16n;
const IO_IN = 1;
const IO_STRING = 4;
const IO_REP = 8;
const IO_DECODED = 2;
const SEG_CS = 1;

let m: ExitsMachine;
beforeEach(async () => {
  m = await ExitsMachine.create(1n << 20n);
});

describe("length of the instruction", () => {
  test("comes from the processor when it says", () => {
    m.set("rip", 0x1000n);
    expect(m.finish(m.exit(EXIT.cpuid, { rip: 0x1000n, nextRip: 0x1005n }))).toBe(OUTCOME.resume);
    expect(m.get("rip")).toBe(0x1005n);
  });

  test("is decoded otherwise, with prefixes and across pages", () => {
    m.code(0x1ffdn, [0x66, 0x2e, 0x0f, 0xa2]);
    expect(m.finish(m.exit(EXIT.cpuid))).toBe(OUTCOME.resume);
    expect(m.get("rip")).toBe(0x2001n);
  });

  test("a code page that vanished is a page fault at its address", () => {
    m.code(0x1000n, [0x0f, 0xa2]);
    m.set("cr0", 0x8001_0011n);
    m.set("cr4", 0x20n);
    m.set("cr3", 0x8000n);
    expect(m.finish(m.exit(EXIT.cpuid))).toBe(OUTCOME.inject);
    expect(m.exception()).toBe("#14(0)");
    expect(m.get("cr2")).toBe(0x1000n);
  });

  test("RIP wraps at 4 GiB outside 64-bit mode only", () => {
    m.reset(32);
    m.set("rip", 0xffff_ffffn);
    m.finish(m.exit(EXIT.cpuid, { rip: 0xffff_ffffn, nextRip: 0x1_0000_0001n }));
    expect(m.get("rip")).toBe(1n);
    m.reset(64);
    m.finish(m.exit(EXIT.cpuid, { rip: 0xffff_ffffn, nextRip: 0x1_0000_0001n }));
    expect(m.get("rip")).toBe(0x1_0000_0001n);
  });

  test("TF traps behind the instruction with DR6.BS; shadows of STI end", () => {
    m.set("rflags", 2n | TF);
    m.set("valid", 1n << 6n);
    m.set("interruptibility", 1n);
    m.set("dr6", 0xffff0ff0n);
    expect(m.finish(m.exit(EXIT.cpuid, { rip: 0x1000n, nextRip: 0x1002n }))).toBe(OUTCOME.inject);
    expect(m.exception()).toBe("#1");
    expect(m.get("dr6")).toBe(0xffff4ff0n);
    expect(m.get("interruptibility")).toBe(0n);
  });
});

test("CPUID answers from the machine's policy", () => {
  m.setReg(RAX, 0xdead_0000_0007n);
  m.setReg(RCX, 1n);
  expect(m.exit(EXIT.cpuid)).toBe(OUTCOME.advance);
  expect([m.reg(RAX), m.reg(RBX), m.reg(RCX), m.reg(RDX)]).toEqual([8n, 3n, 3n, 4n]);
});

describe("MSRs", () => {
  test("RDMSR splits the value and clears upper halves", () => {
    m.cpu.msrs.set(0x1b, 0x1234_5678_fee0_0900n);
    m.setReg(RAX, ~0n);
    m.setReg(RDX, ~0n);
    expect(m.exit(EXIT.rdmsr, { msr: 0x1b })).toBe(OUTCOME.advance);
    expect([m.reg(RAX), m.reg(RDX)]).toEqual([0xfee0_0900n, 0x1234_5678n]);
  });

  test("WRMSR joins EDX:EAX, ignoring upper halves", () => {
    m.cpu.msrs.set(0x10, 0n);
    m.setReg(RAX, 0xffff_ffff_0000_0001n);
    m.setReg(RDX, 0xffff_ffff_0000_0002n);
    expect(m.exit(EXIT.wrmsr, { msr: 0x10 })).toBe(OUTCOME.advance);
    expect(m.cpu.msrs.get(0x10)).toBe(0x2_0000_0001n);
  });

  test("what the policy refuses is #GP(0), with registers as they were", () => {
    m.setReg(RAX, 5n);
    expect(m.exit(EXIT.rdmsr, { msr: 0x999 })).toBe(OUTCOME.inject);
    expect(m.exception()).toBe("#13(0)");
    expect(m.reg(RAX)).toBe(5n);
    expect(m.exit(EXIT.wrmsr, { msr: 0x999 })).toBe(OUTCOME.inject);
    expect(m.exception()).toBe("#13(0)");
  });
});

describe("port I/O", () => {
  test("IN merges 8 and 16 bits into RAX, and clears the upper half with 32", () => {
    m.cpu.portIn = () => 0x89abcdef;
    for (const [size, value] of [
      [1, 0x1122_3344_5566_77efn],
      [2, 0x1122_3344_5566_cdefn],
      [4, 0x89ab_cdefn],
    ] as const) {
      m.setReg(RAX, 0x1122_3344_5566_7788n);
      expect(m.exit(EXIT.io, { port: 0x60, size, flags: IO_IN })).toBe(OUTCOME.advance);
      expect(m.reg(RAX)).toBe(value);
    }
  });

  test("OUT gives the device no more than its width", () => {
    m.setReg(RAX, 0xffff_ffff_1234_5678n);
    m.exit(EXIT.io, { port: 0x3f8, size: 1, flags: 0 });
    m.exit(EXIT.io, { port: 0xcf8, size: 4, flags: 0 });
    expect(m.cpu.portLog).toEqual(["out8 3f8 78", "out32 cf8 12345678"]);
  });

  test("REP OUTSB as the processor decoded it: segment, count, direction", () => {
    m.cpu.poke(0x5000n, new TextEncoder().encode("hello"));
    m.segment(4, 0x10, 0x3000n, 0xffffffff, 0xc093);
    m.setReg(RSI, 0x2000n);
    m.setReg(RCX, 5n);
    m.setReg(RDX, 0x3f8n);
    const outcome = m.exit(EXIT.io, {
      port: 0x3f8,
      size: 1,
      flags: IO_STRING | IO_REP | IO_DECODED,
      segment: 4,
      addressSize: 8,
      rip: 0x1000n,
      nextRip: 0x1003n,
    });
    expect(outcome).toBe(OUTCOME.advance);
    expect(m.cpu.portLog).toEqual([
      "out8 3f8 68",
      "out8 3f8 65",
      "out8 3f8 6c",
      "out8 3f8 6c",
      "out8 3f8 6f",
    ]);
    expect([m.reg(RSI), m.reg(RCX)]).toEqual([0x2005n, 0n]);
  });

  test("REP INSW is decoded from memory, runs downwards, and wraps DI in 16-bit code", () => {
    m.reset(16);
    let next = 0x1110;
    m.cpu.portIn = () => next++;
    m.segment(0, 0x100, 0x20000n, 0xffff, DATA16);
    m.segment(SEG_CS, 0, 0n, 0xffff, CODE16);
    m.code(0x1000n, [0xf3, 0x6d]);
    m.set("rflags", 0x402n);
    m.setReg(RDI, 0xaaaa_0002n);
    m.setReg(RCX, 0xbbbb_0003n);
    m.setReg(RDX, 0x1f0n);
    expect(
      m.exit(EXIT.io, { port: 0x1f0, size: 2, flags: IO_IN | IO_STRING | IO_REP, nextRip: 0x1002n }),
    ).toBe(OUTCOME.advance);
    expect([m.cpu.load(0x20002n, 2), m.cpu.load(0x20000n, 2), m.cpu.load(0x2fffen, 2)]).toEqual([
      0x1110n,
      0x1111n,
      0x1112n,
    ]);
    expect([m.reg(RDI), m.reg(RCX)]).toEqual([0xaaaa_fffcn, 0xbbbb_0000n]);
  });

  test("REP with a count of zero does nothing but advance", () => {
    m.setReg(RCX, 0n);
    expect(
      m.exit(EXIT.io, {
        port: 0x80,
        size: 1,
        flags: IO_STRING | IO_REP | IO_DECODED,
        segment: 3,
        addressSize: 8,
      }),
    ).toBe(OUTCOME.advance);
    expect(m.cpu.portLog).toEqual([]);
  });

  test("a long REP is cut, and goes on at the same instruction", () => {
    m.setReg(RCX, 5000n);
    m.setReg(RSI, 0x2000n);
    m.setReg(RDX, 0x80n);
    const fields = {
      port: 0x80,
      size: 1,
      flags: IO_STRING | IO_REP | IO_DECODED,
      segment: 3,
      addressSize: 8,
      rip: 0x1000n,
      nextRip: 0x1002n,
    };
    expect(m.exit(EXIT.io, fields)).toBe(OUTCOME.resume);
    expect([m.reg(RCX), m.reg(RSI)]).toEqual([904n, 0x3000n]);
    expect(m.exit(EXIT.io, fields)).toBe(OUTCOME.advance);
    expect(m.cpu.portLog.length).toBe(5000);
  });

  test("INS to a page that is not mapped faults before the device is read", () => {
    m.set("cr0", 0x8001_0011n);
    m.set("cr4", 0x20n);
    m.set("cr3", 0x8000n);
    m.setReg(RDI, 0x7000n);
    m.setReg(RCX, 1n);
    const outcome = m.exit(EXIT.io, {
      port: 0x60,
      size: 1,
      flags: IO_IN | IO_STRING | IO_REP | IO_DECODED,
      segment: 0,
      addressSize: 8,
    });
    expect(outcome).toBe(OUTCOME.inject);
    expect(m.exception()).toBe("#14(2)");
    expect(m.get("cr2")).toBe(0x7000n);
    expect(m.cpu.portLog).toEqual([]);
    expect(m.reg(RCX)).toBe(1n);
  });

  test("with TF, one element at a time, RIP staying until the last", () => {
    m.set("rflags", 2n | TF);
    m.setReg(RCX, 2n);
    m.setReg(RSI, 0x2000n);
    m.set("rip", 0x1000n);
    const fields = {
      port: 0x80,
      size: 1,
      flags: IO_STRING | IO_REP | IO_DECODED,
      segment: 3,
      addressSize: 8,
      rip: 0x1000n,
      nextRip: 0x1002n,
    };
    expect(m.finish(m.exit(EXIT.io, fields))).toBe(OUTCOME.inject);
    expect([m.exception(), m.reg(RCX), m.get("rip")]).toEqual(["#1", 1n, 0x1000n]);
    expect(m.finish(m.exit(EXIT.io, fields))).toBe(OUTCOME.inject);
    expect([m.exception(), m.reg(RCX), m.get("rip")]).toEqual(["#1", 0n, 0x1002n]);
  });
});

test("HLT and PAUSE", () => {
  expect(m.exit(EXIT.hlt)).toBe(OUTCOME.halt);
  expect(m.exit(EXIT.pause)).toBe(OUTCOME.advance);
});

test("RDTSC and RDTSCP add the guest's offset; RDPMC has no counters", () => {
  m.cpu.tsc = 0x1_0000_0000n;
  m.cpu.tscStep = 0n;
  m.set("tscOffset", -0x10n);
  m.set("tscAux", 5n);
  m.setReg(RAX, ~0n);
  expect(m.exit(EXIT.rdtsc)).toBe(OUTCOME.advance);
  expect([m.reg(RAX), m.reg(RDX)]).toEqual([0xffff_fff0n, 0n]);
  expect(m.exit(EXIT.rdtscp)).toBe(OUTCOME.advance);
  expect(m.reg(RCX)).toBe(5n);
  expect(m.exit(EXIT.rdpmc)).toBe(OUTCOME.inject);
  expect(m.exception()).toBe("#13(0)");
});

describe("XSETBV", () => {
  const xsetbv = (value: bigint, index = 0n): string | null => {
    m.set("cr4", 1n << 18n);
    m.setReg(RCX, index);
    m.setReg(RAX, value & 0xffffffffn);
    m.setReg(RDX, value >> 32n);
    m.exit(EXIT.xsetbv);
    return m.exception();
  };
  test.each([
    ["x87 alone", 0x1n],
    ["x87, SSE", 0x3n],
    ["AVX", 0x7n],
    ["AVX-512", 0xe7n],
    ["PKRU", 0x203n],
    ["tiles", 0x60007n],
  ])("%s is taken", (_, value) => {
    expect(xsetbv(value)).toBeNull();
    expect(m.get("xcr0")).toBe(value);
    expect(m.cpu.extendedControl.get(0)).toBe(value);
  });
  test.each([
    ["no x87", 0x2n, 0n],
    ["AVX without SSE", 0x5n, 0n],
    ["AVX-512 without AVX", 0xe3n, 0n],
    ["half of AVX-512", 0x27n, 0n],
    ["half of the tiles", 0x20007n, 0n],
    ["a component that is not offered", 0x1fn, 0n],
    ["bit 63", (1n << 63n) | 7n, 0n],
    ["another register", 0x7n, 1n],
  ])("%s is #GP", (_, value, index) => {
    expect(xsetbv(value, index)).toBe("#13(0)");
  });
});

test("INVD and WBINVD do nothing; INVLPG flushes", () => {
  expect(m.exit(EXIT.invd)).toBe(OUTCOME.advance);
  expect(m.exit(EXIT.wbinvd)).toBe(OUTCOME.advance);
  expect(m.exit(EXIT.invlpg)).toBe(OUTCOME.advance);
  expect(m.get("requests")).toBe(REQUEST_FLUSH);
});

test.each(["monitor", "mwait", "nestedVirtualization", "otherInstruction"] as const)("%s is #UD", (name) => {
  expect(m.exit(EXIT[name])).toBe(OUTCOME.inject);
  expect(m.exception()).toBe("#6");
});

test("a hypercall reaches the machine", () => {
  m.setReg(RAX, 40n);
  m.setReg(RBX, 2n);
  expect(m.exit(EXIT.hypercall)).toBe(OUTCOME.advance);
  expect(m.reg(RAX)).toBe(42n);
});

describe("events and windows", () => {
  test("a physical interrupt that nobody acknowledged is taken through the host's table", () => {
    expect(m.exit(EXIT.externalInterrupt, { vector: 0xffffffff })).toBe(OUTCOME.resume);
    expect(m.cpu.calls.map((one) => one.name)).toContain("sti_nop_cli");
    expect(m.get("requests")).toBe(REQUEST_SAMPLE);
  });
  test("the deadline and NMIs ask for a sample", () => {
    for (const kind of [EXIT.deadline, EXIT.nmi]) {
      expect(m.exit(kind)).toBe(OUTCOME.resume);
      expect(m.get("requests")).toBe(REQUEST_SAMPLE);
    }
  });
  test("an interrupt window closes itself and asks for delivery", () => {
    m.set("interruptWindow", 1);
    expect(m.exit(EXIT.interruptWindow)).toBe(OUTCOME.resume);
    expect([m.get("interruptWindow"), m.get("requests")]).toEqual([0n, REQUEST_INTERRUPT]);
  });
  test("an NMI window stays open while NMIs are blocked", () => {
    m.set("nmiWindow", 1);
    m.set("interruptibility", 4);
    m.exit(EXIT.nmiWindow);
    expect([m.get("nmiWindow"), m.get("requests")]).toEqual([1n, 0n]);
    m.set("interruptibility", 0);
    m.exit(EXIT.nmiWindow);
    expect([m.get("nmiWindow"), m.get("requests")]).toEqual([0n, REQUEST_NMI]);
  });
  test.each([
    [1, 0, "#1"],
    [6, 0, "#6"],
    [13, 0x18, "#13(24)"],
    [17, 0, "#17(0)"],
  ])("exception %i goes on to the guest", (vector, errorCode, expected) => {
    expect(m.exit(EXIT.exception, { vector, errorCode })).toBe(OUTCOME.inject);
    expect(m.exception()).toBe(expected);
  });
  test("a page fault goes on with its address", () => {
    m.exit(EXIT.exception, { vector: 14, errorCode: 6, flags: 32, gva: 0x1234n });
    expect([m.exception(), m.get("cr2")]).toEqual(["#14(6)", 0x1234n]);
  });
});

test.each([
  ["triple fault", EXIT.tripleFault, 11],
  ["an unknown exit", EXIT.unknown, 14],
  ["a class beyond the table", 99, 14],
  ["a malformed nested entry", EXIT.nestedMisconfig, 14],
  ["a failed entry", EXIT.entryFailure, 15],
  ["a machine check", EXIT.machineCheck, 14],
])("%s stops the VM with its status", (_, kind, status) => {
  expect(m.exit(kind)).toBe(OUTCOME.stop);
  expect(m.call("status")).toBe(status);
});

describe("a machine check", () => {
  const MCG_CAP = 0x179;
  const MCG_STATUS = 0x17a;
  const BANK1_STATUS = 0x405;
  const VALID = 1n << 63n;
  const CONTEXT_CORRUPT = 1n << 57n;
  const IN_PROGRESS = 4n;
  const RESTART_VALID = 1n;

  beforeEach(() => {
    m.cpu.cpuidLeaves.set("0:0", [1, 0, 0, 0]);
    m.cpu.cpuidLeaves.set("1:0", [0, 0, 0, 1 << 14]);
    m.cpu.msrs.set(MCG_CAP, 2n);
    m.cpu.msrs.set(MCG_STATUS, IN_PROGRESS | RESTART_VALID);
    m.cpu.msrs.set(BANK1_STATUS, VALID | 0x150n);
  });

  test("that leaves the processor sound stops the VM that ran, and its banks are emptied", () => {
    expect(m.exit(EXIT.machineCheck)).toBe(OUTCOME.stop);
    expect([m.cpu.msrs.get(BANK1_STATUS), m.cpu.msrs.get(MCG_STATUS)]).toEqual([0n, 0n]);
  });

  test.each([
    ["with a corrupt context", VALID | CONTEXT_CORRUPT, IN_PROGRESS | RESTART_VALID],
    ["that cannot be returned from", VALID, IN_PROGRESS],
  ])("%s stops the hypervisor", (_what, bank, global) => {
    m.cpu.msrs.set(BANK1_STATUS, bank);
    m.cpu.msrs.set(MCG_STATUS, global);
    expect(() => m.exit(EXIT.machineCheck)).toThrow("halt_forever");
  });
});

test.each(["init", "sipi", "mtf"] as const)("%s is not the guest's", (name) => {
  expect(m.exit(EXIT[name])).toBe(OUTCOME.resume);
});

// Control and debug registers: every rule on new values, mode switches, and decoding where the processor does not help.
import { beforeEach, describe, expect, test } from "vitest";
import { CODE32, EXIT, ExitsMachine, OUTCOME, RAX, RCX, RDI, RSP } from "./exits-machine.js";

const WRITE = 0;
const READ = 1;
const CLTS = 2;
const LMSW = 3;
const UNDECODED = 4;
const PG = 0x8000_0000n;
const PE = 1n;
const TS = 8n;
const WP = 1n << 16n;
const CD = 1n << 30n;
const NW = 1n << 29n;
const PAE = 1n << 5n;
const PGE = 1n << 7n;
const PCIDE = 1n << 17n;
const LA57 = 1n << 12n;
const LME = 0x100n;
const LMA = 0x400n;
const FLUSH = 16n;
const GP = "#13(0)";

let m: ExitsMachine;
beforeEach(async () => {
  m = await ExitsMachine.create(1n << 20n);
});

function write(number: number, value: bigint): string | null {
  m.setReg(RAX, value);
  m.exit(EXIT.cr, { crNumber: number, crAccess: WRITE, gpr: RAX });
  return m.exception();
}

describe("CR0", () => {
  test.each([
    ["paging without protection", PG],
    ["NW without CD", PE | NW],
    ["bits above 31", (1n << 32n) | PE],
  ])("%s is refused", (_, value) => {
    m.reset(64);
    expect(write(0, value)).toBe(GP);
  });

  test("undefined bits below 32 are ignored, ET stays", () => {
    m.reset(32);
    expect(write(0, PE | 0x40n | CD | NW)).toBeNull();
    expect(m.get("cr0")).toBe(PE | 0x10n | CD | NW);
  });

  test("outside 64-bit mode the upper half of the register does not count", () => {
    m.reset(32);
    expect(write(0, 0xffff_ffff_0000_0001n)).toBeNull();
    expect(m.get("cr0")).toBe(0x11n);
  });

  test("paging with LME activates long mode, and needs PAE and a code segment that is not 64-bit", () => {
    m.reset(32);
    m.set("efer", LME);
    expect(write(0, PG | PE)).toBe(GP);
    m.set("cr4", PAE);
    expect(write(0, PG | PE)).toBeNull();
    expect(m.get("efer")).toBe(LME | LMA);
    expect(m.get("requests")).toBe(FLUSH);
    expect(write(0, PE)).toBeNull();
    expect(m.get("efer")).toBe(LME);
    m.segment(1, 8, 0n, 0xffffffff, 0xa09b);
    expect(write(0, PG | PE)).toBe(GP);
  });

  test("64-bit code cannot turn paging off, nor can anyone with PCIDs on", () => {
    m.reset(64);
    m.set("cr0", PG | PE);
    m.set("cr4", PAE);
    expect(write(0, PE)).toBe(GP);
    m.segment(1, 8, 0n, 0xffffffff, CODE32);
    m.set("cr4", PAE | PCIDE);
    expect(write(0, PE)).toBe(GP);
    m.set("cr4", PAE);
    expect(write(0, PE)).toBeNull();
  });

  test("PAE paging checks the four pointers it loads", () => {
    m.reset(32);
    m.set("cr4", PAE);
    m.set("cr3", 0x3020n);
    m.cpu.store(0x3020n, 8, 0x4001n);
    m.cpu.store(0x3028n, 8, 0xffff_ffff_ffff_fffen);
    expect(write(0, PG | PE)).toBeNull();
    m.set("cr0", PE);
    m.cpu.store(0x3030n, 8, 0x4003n);
    expect(write(0, PG | PE)).toBe(GP);
    m.cpu.store(0x3030n, 8, 0x100_0000_0001n);
    expect(write(0, PG | PE)).toBe(GP);
    m.set("cr3", 0x1000_0000n);
    expect(write(0, PG | PE)).toBe(GP);
  });

  test("CLTS, and LMSW, which can set PE but not clear it", () => {
    m.reset(32);
    m.set("cr0", PE | TS | 0x10n);
    m.exit(EXIT.cr, { crAccess: CLTS });
    expect(m.get("cr0")).toBe(PE | 0x10n);
    m.exit(EXIT.cr, { crAccess: LMSW, info: 0xfff8n });
    expect(m.get("cr0")).toBe(PE | TS | 0x10n);
  });
});

describe("CR3", () => {
  test("address bits that the processor lacks are refused in long mode", () => {
    m.reset(64);
    m.set("cr0", PG | PE);
    m.set("cr4", PAE);
    expect(write(3, 1n << 40n)).toBe(GP);
    expect(write(3, 0xff_ffff_f018n)).toBeNull();
    expect(m.get("cr3")).toBe(0xff_ffff_f018n);
    expect(m.get("requests")).toBe(FLUSH);
  });

  test("bit 63 keeps translations with PCIDs, and is refused without", () => {
    m.reset(64);
    m.set("cr0", PG | PE);
    m.set("cr4", PAE);
    expect(write(3, (1n << 63n) | 0x1000n)).toBe(GP);
    m.set("cr4", PAE | PCIDE);
    expect(write(3, (1n << 63n) | 0x1001n)).toBeNull();
    expect([m.get("cr3"), m.get("requests")]).toEqual([0x1001n, 0n]);
  });

  test("with PAE paging the pointers are checked", () => {
    m.reset(32);
    m.set("cr0", PG | PE);
    m.set("cr4", PAE);
    m.cpu.store(0x4000n, 8, 0x1e7n);
    expect(write(3, 0x4000n)).toBe(GP);
    m.cpu.store(0x4000n, 8, 0x19n);
    expect(write(3, 0x4000n)).toBeNull();
  });
});

describe("CR4", () => {
  test("bits that the guest's CPUID does not offer are refused", () => {
    m.reset(64);
    expect(write(4, PAE | (1n << 13n))).toBe(GP);
    expect(write(4, PAE | (1n << 40n))).toBe(GP);
    expect(write(4, PAE | PGE)).toBeNull();
    expect([m.get("cr4"), m.get("requests")]).toEqual([PAE | PGE, FLUSH]);
  });

  test("long mode keeps PAE and LA57 as they are", () => {
    m.reset(64);
    m.set("cr4", PAE);
    expect(write(4, 0n)).toBe(GP);
    expect(write(4, PAE | LA57)).toBe(GP);
    m.reset(32);
    expect(write(4, LA57)).toBeNull();
  });

  test("PCIDs need long mode and a CR3 without one", () => {
    m.reset(32);
    expect(write(4, PCIDE)).toBe(GP);
    m.reset(64);
    m.set("cr4", PAE);
    m.set("cr3", 0x1001n);
    expect(write(4, PAE | PCIDE)).toBe(GP);
    m.set("cr3", 0x1000n);
    expect(write(4, PAE | PCIDE)).toBeNull();
  });

  test("WP cannot be cleared under CET, which is not offered", () => {
    m.reset(64);
    expect(write(4, PAE | (1n << 23n))).toBe(GP);
    m.set("cr4", PAE | (1n << 23n));
    m.set("cr0", PE | WP);
    expect(write(0, PE)).toBe(GP);
  });
});

test("CR8 is the local APIC's task priority", () => {
  expect(write(8, 16n)).toBe(GP);
  expect(write(8, 9n)).toBeNull();
  m.exit(EXIT.cr, { crNumber: 8, crAccess: READ, gpr: RCX });
  expect(m.reg(RCX)).toBe(9n);
});

test("reads give the guest's own values, in the width of its code", () => {
  m.reset(32);
  m.set("cr3", 0x1_2345_6000n);
  m.setReg(RSP, ~0n);
  m.exit(EXIT.cr, { crNumber: 3, crAccess: READ, gpr: RSP });
  expect(m.reg(RSP)).toBe(0x2345_6000n);
});

describe("without decode assists", () => {
  const run = (number: number, bytes: number[]): number => {
    m.code(0x1000n, bytes);
    return m.finish(m.exit(EXIT.cr, { crNumber: number, crAccess: UNDECODED }));
  };

  test("MOV to and from registers, with REX", () => {
    m.set("cr0", 0x11n);
    m.setReg(9, 0x19n);
    expect(run(0, [0x41, 0x0f, 0x22, 0xc1])).toBe(OUTCOME.resume); // mov cr0, r9
    expect([m.get("cr0"), m.get("rip")]).toEqual([0x19n, 0x1004n]);
    expect(run(0, [0x0f, 0x20, 0xc1])).toBe(OUTCOME.resume); // mov rcx, cr0
    expect([m.reg(RCX), m.get("rip")]).toEqual([0x19n, 0x1003n]);
  });

  test("CLTS, LMSW and SMSW with memory and registers", () => {
    m.set("cr0", 0x19n);
    expect(run(0, [0x0f, 0x06])).toBe(OUTCOME.resume);
    expect(m.get("cr0")).toBe(0x11n);
    m.setReg(RDI, 0x5000n);
    m.cpu.store(0x5000n, 2, 0xfff8n);
    expect(run(0, [0x0f, 0x01, 0x37])).toBe(OUTCOME.resume); // lmsw [rdi]
    expect(m.get("cr0")).toBe(0x19n);
    m.cpu.store(0x5000n, 8, ~0n);
    expect(run(0, [0x0f, 0x01, 0x27])).toBe(OUTCOME.resume); // smsw [rdi]
    expect(m.cpu.load(0x5000n, 8)).toBe(0xffff_ffff_ffff_0019n);
    m.setReg(RAX, ~0n);
    expect(run(0, [0x0f, 0x01, 0xe0])).toBe(OUTCOME.resume); // smsw eax
    expect(m.reg(RAX)).toBe(0x19n);
  });

  test("a refused value leaves RIP at the instruction", () => {
    m.setReg(RAX, NW | PE);
    expect(run(0, [0x0f, 0x22, 0xc0])).toBe(OUTCOME.inject);
    expect([m.exception(), m.get("rip")]).toEqual([GP, 0x1000n]);
  });
});

describe("debug registers", () => {
  const dr = (number: number, access: number, gpr = RAX): string | null => {
    m.exit(EXIT.dr, { crNumber: number, crAccess: access, gpr });
    return m.exception();
  };

  test("DR0 to DR7 keep what they may", () => {
    m.setReg(RAX, 0x1234_5678_9abcn);
    expect(dr(0, WRITE)).toBeNull();
    expect(m.get("dr0")).toBe(0x1234_5678_9abcn);
    m.setReg(RAX, 0xffff_ffffn);
    expect(dr(7, WRITE)).toBeNull();
    expect(m.get("dr7")).toBe(0xffff_2fffn);
    m.set("dr7", 0x400n);
    m.setReg(RAX, 0n);
    expect(dr(6, WRITE)).toBeNull();
    expect(m.get("dr6")).toBe(0xffff_0ff0n);
    expect(dr(6, READ, RCX)).toBeNull();
    expect(m.reg(RCX)).toBe(0xffff_0ff0n);
  });

  test("upper halves of DR6 and DR7 must be zero", () => {
    m.setReg(RAX, 1n << 32n);
    expect(dr(7, WRITE)).toBe(GP);
    expect(dr(6, WRITE)).toBe(GP);
  });

  test("DR4 and DR5 are other names without debugging extensions, and #UD with them", () => {
    m.set("dr6", 0xffff_0ff1n);
    expect(dr(4, READ)).toBeNull();
    expect(m.reg(RAX)).toBe(0xffff_0ff1n);
    m.set("cr4", 8n);
    expect(dr(4, READ)).toBe("#6");
  });

  test("DR7.GD turns any access into #DB", () => {
    m.set("dr7", 0x2400n);
    expect(dr(0, READ)).toBe("#1");
    expect([m.get("dr7"), m.get("dr6") & 0x2000n]).toEqual([0x400n, 0x2000n]);
  });

  test("decoded from the guest's memory where the processor does not help", () => {
    m.code(0x1000n, [0x0f, 0x21, 0xd1]); // mov rcx, dr2
    m.call("setReg", 0, 0n);
    expect(m.finish(m.exit(EXIT.dr, { crNumber: 2, crAccess: UNDECODED }))).toBe(OUTCOME.resume);
    expect(m.get("rip")).toBe(0x1003n);
  });
});

// Debug conditions of instructions that handlers complete (SDM, "Debug Exception Conditions", "Order of Priority",
// "Instruction-Breakpoint Exception Condition").
import { beforeEach, describe, expect, test } from "vitest";
import { EXIT, ExitsMachine, OUTCOME, RAX, RCX, RDI, RDX, RSP } from "./exits-machine.js";

const TF = 0x100n;
const RF = 0x1_0000n;
const BS = 0x4000n;
const BD = 0x2000n;
const BTF = 2n;
const CR4_DE = 8n;
const STI = 1;
const MOV_SS = 2;
const IO_IN = 1;
const IO_STRING_REP = 4 | 8;
const DEVICE = 0xfee0_0020n;

/** DR7 with breakpoint `n` enabled (globally) for accesses of kind `rw` and length field `len`. */
const dr7 = (n: number, rw: number, len: number) =>
  0x400n | (2n << BigInt(2 * n)) | (BigInt(rw | (len << 2)) << BigInt(16 + 4 * n));

let m: ExitsMachine;

beforeEach(async () => {
  m ??= await ExitsMachine.create(1n << 20n);
  m.reset();
  m.set("dr6", 0xffff_0ff0n);
  m.set("dr7", 0x400n);
  m.set("rip", 0x1000n);
});

/** An exit of an instruction of two bytes at 1000h, completed. What DR6 reports of it, or null without #DB. */
function complete(kind: number, fields: Record<string, number | bigint> = {}): bigint | null {
  const breakpoints = Number(m.get("dr7") & 0xffn);
  const outcome = m.exit(kind, { rip: 0x1000n, nextRip: 0x1002n, breakpoints, ...fields });
  return m.finish(outcome) === OUTCOME.inject && m.exception() === "#1" ? m.get("dr6") & 0xe00fn : null;
}

describe("breakpoints on ports", () => {
  const out = (port: number, size: number) => complete(EXIT.io, { port, size });

  test.each([
    ["the port", 0x3f8, 1, 0, 1n],
    ["its second byte", 0x3f7, 2, 0, 1n],
    ["a port below", 0x3f7, 1, 0, null],
    ["a port above", 0x3f9, 1, 0, null],
    ["within a breakpoint of four", 0x3fb, 1, 3, 1n],
    ["beyond it", 0x3fc, 1, 3, null],
  ])("%s", (_what, port, size, len, met) => {
    m.set("cr4", CR4_DE);
    m.set("dr0", 0x3f8n);
    m.set("dr7", dr7(0, 2, len));
    expect(out(port, size)).toBe(met);
    expect(m.get("rip")).toBe(0x1002n);
  });

  test("without CR4.DE, or of another kind, they are none", () => {
    m.set("dr0", 0x3f8n);
    m.set("dr7", dr7(0, 2, 0));
    expect(out(0x3f8, 1)).toBeNull();
    m.set("cr4", CR4_DE);
    for (const rw of [0, 1, 3]) {
      m.set("dr7", dr7(0, rw, 0));
      expect(out(0x3f8, 1)).toBeNull();
    }
  });

  test("IN meets them too, and all that are met are reported", () => {
    m.set("cr4", CR4_DE);
    for (const n of [0, 1, 2, 3]) m.set(`dr${n}`, 0x60n);
    m.set("dr7", dr7(1, 2, 0) | dr7(3, 2, 0));
    expect(complete(EXIT.io, { port: 0x60, size: 1, flags: IO_IN })).toBe(0b1010n);
  });

  test("REP OUTSB traps behind the element, with RIP at the instruction and RF set", () => {
    m.set("cr4", CR4_DE);
    m.set("dr0", 0x80n);
    m.set("dr7", dr7(0, 2, 0));
    m.code(0x1000n, [0xf3, 0x6e]);
    m.setReg(RCX, 3n);
    m.setReg(RDX, 0x80n);
    expect(complete(EXIT.io, { port: 0x80, size: 1, flags: IO_STRING_REP })).toBe(1n);
    expect([m.reg(RCX), m.get("rip"), m.get("rflags") & RF]).toEqual([2n, 0x1000n, RF]);
  });
});

describe("breakpoints on data", () => {
  /** MOV [RDI], EAX, or from there, at a device's register. */
  function move(opcode: number): bigint | null {
    m.code(0x1000n, [opcode, 0x07]);
    m.setReg(RDI, DEVICE);
    return complete(EXIT.nestedFault, { gpa: DEVICE, flags: opcode === 0x89 ? 2 : 1 });
  }

  test.each([
    ["a write, for writes", 0x89, 1, 1n],
    ["a read, for writes", 0x8b, 1, null],
    ["a write, for both", 0x89, 3, 1n],
    ["a read, for both", 0x8b, 3, 1n],
    ["a write, for ports", 0x89, 2, null],
    ["a write, for instructions", 0x89, 0, null],
  ])("%s", (_what, opcode, rw, met) => {
    m.set("cr4", CR4_DE);
    m.set("dr0", DEVICE);
    m.set("dr7", dr7(0, rw, rw === 0 ? 0 : 3));
    expect(move(opcode)).toBe(met);
    expect(m.get("rip")).toBe(0x1002n);
  });

  test("are on linear addresses, whatever physical address the fault reports", () => {
    m.reset(32);
    m.set("dr0", 0x5_0020n);
    m.set("dr7", dr7(0, 1, 3));
    m.code(0x1000n, [0x89, 0x07]);
    m.setReg(RDI, 0x20n);
    m.segment(3, 16, 0x5_0000n, 0xffffffff, 0xc093);
    expect(complete(EXIT.nestedFault, { gpa: 0x5_0020n, flags: 2 })).toBe(1n);
  });

  test("a breakpoint of eight bytes, met at its last one; DR6 forgets those met before", () => {
    m.set("dr2", DEVICE - 4n);
    m.set("dr7", dr7(2, 3, 2));
    m.set("dr6", 0xffff_0ff3n);
    m.code(0x1000n, [0x88, 0x07]);
    m.setReg(RDI, DEVICE - 1n);
    // The breakpoint begins at its length's multiple below.
    expect(complete(EXIT.nestedFault, { gpa: DEVICE - 1n, flags: 2 })).toBe(4n);
    m.setReg(RDI, DEVICE);
    m.code(0x1000n, [0x88, 0x07]);
    expect(complete(EXIT.nestedFault, { gpa: DEVICE, flags: 2 })).toBeNull();
  });

  test("together with a single step they are one #DB", () => {
    m.set("rflags", 2n | TF);
    m.set("dr0", DEVICE);
    m.set("dr7", dr7(0, 3, 3));
    expect(move(0x8b)).toBe(1n | BS);
  });
});

describe("behind MOV SS", () => {
  test("what waited is reported with what comes up, once; the shadow ends", () => {
    m.set("interruptibility", MOV_SS);
    m.set("pendingDebug", 5n);
    expect(complete(EXIT.cpuid)).toBe(5n);
    expect([m.get("pendingDebug"), m.get("interruptibility")]).toEqual([0n, 0n]);
    expect(m.get("dirty") & 0x40n).toBe(0x40n);
  });

  test("HLT does not wait then", () => {
    m.set("interruptibility", MOV_SS);
    m.set("pendingDebug", BS);
    expect(complete(EXIT.hlt)).toBe(BS);
  });
});

describe("emulated MOV SS and POP SS", () => {
  const GDT = 0x3000n;
  const access = () => ({ gpa: DEVICE, flags: 1, breakpoints: Number(m.get("dr7") & 0xffn) });
  // From a device: MOV SS in 64-bit code, where the null selector is allowed, and POP SS in 32-bit code.
  const forms: [string, () => number][] = [
    [
      "MOV SS",
      () => {
        m.setReg(RDI, DEVICE);
        m.setDevice(DEVICE, 2, 0n);
        m.code(0x1000n, [0x8e, 0x17]);
        return m.finish(m.exit(EXIT.nestedFault, access()));
      },
    ],
    [
      "POP SS",
      () => {
        m.set("gdtrBase", GDT);
        m.set("gdtrLimit", 15);
        m.cpu.store(GDT + 8n, 8, 0x00cf_9300_0000_ffffn);
        m.segment(2, 16, 0n, 0xffffffff, 0xc093);
        m.segment(1, 8, 0n, 0xffffffff, 0xc09b);
        m.set("efer", 0n);
        m.setReg(RSP, DEVICE);
        m.setDevice(DEVICE, 4, 8n);
        m.code(0x1000n, [0x66, 0x17]);
        return m.finish(m.exit(EXIT.nestedFault, access()));
      },
    ],
  ];

  test.each(forms)("%s: interrupts wait for one more instruction", (_name, run) => {
    m.set("rflags", 0x202n | RF);
    m.set("interruptibility", STI);
    expect(run()).toBe(OUTCOME.done);
    expect([m.exception(), m.get("rip"), m.get("rflags")]).toEqual([null, 0x1002n, 0x202n]);
    expect([m.get("interruptibility"), m.get("pendingDebug")]).toEqual([BigInt(MOV_SS), 0n]);
    expect(m.get("dirty") & 0x40n).toBe(0x40n);
  });

  test.each(forms)("%s: a second one makes nothing wait", (_name, run) => {
    m.set("interruptibility", MOV_SS);
    expect(run()).toBe(OUTCOME.done);
    expect([m.get("rip"), m.get("interruptibility")]).toEqual([0x1002n, 0n]);
  });

  test.each(forms)("%s: so does the single step", (_name, run) => {
    m.set("rflags", 2n | TF);
    expect(run()).toBe(OUTCOME.done);
    expect([m.exception(), m.get("pendingDebug")]).toEqual([null, BS]);
  });

  test.each(forms)("%s: a breakpoint on its operand is reported at once", (_name, run) => {
    m.set("dr0", DEVICE);
    m.set("dr7", dr7(0, 3, 0));
    expect(run()).toBe(OUTCOME.inject);
    expect([m.exception(), m.get("dr6") & 0xfn, m.get("interruptibility")]).toEqual(["#1", 1n, 0n]);
  });

  test("POP SS moves the pointer by the width of its old stack", () => {
    expect(forms[1]?.[1]()).toBe(OUTCOME.done);
    expect([m.reg(RSP), m.call("segmentSelector", 2)]).toEqual([DEVICE + 2n, 8]);
  });
});

describe("DEBUGCTL.BTF", () => {
  test("no step ends behind an instruction that is no branch", () => {
    m.set("rflags", 2n | TF);
    m.set("debugctl", BTF);
    expect(complete(EXIT.cpuid)).toBeNull();
    expect([m.get("rip"), m.get("debugctl")]).toEqual([0x1002n, BTF]);
  });

  test("one ends behind a branch, and #DB clears the bit", () => {
    m.set("rflags", 2n | TF);
    m.set("debugctl", BTF | 1n);
    m.code(0x1000n, [0xff, 0x27]);
    m.setReg(RDI, DEVICE);
    m.setDevice(DEVICE, 8, 0x4000n);
    expect(complete(EXIT.nestedFault, { gpa: DEVICE, flags: 1 })).toBe(BS);
    expect([m.get("rip"), m.get("debugctl")]).toEqual([0x4000n, 0n]);
  });
});

describe("RF", () => {
  const flags = () => m.get("rflags") & RF;

  test("is set in what a fault pushes, and clear in what a trap pushes", () => {
    expect(m.exit(EXIT.rdmsr, { msr: 0x999, rip: 0x1000n })).toBe(OUTCOME.inject);
    expect([m.exception(), flags()]).toEqual(["#13(0)", RF]);
    m.reset();
    m.set("rflags", 2n | TF | RF);
    expect(complete(EXIT.cpuid)).toBe(BS);
    expect(flags()).toBe(0n);
  });

  test("is set by general detect, which is a fault", () => {
    m.set("dr7", 0x2400n);
    m.exit(EXIT.dr, { crNumber: 0, crAccess: 1, gpr: RAX, rip: 0x1000n });
    expect([m.exception(), m.get("dr6") & BD, flags(), m.get("dr7")]).toEqual(["#1", BD, RF, 0x400n]);
  });

  test("of an intercepted #DB stays as the processor saved it; its conditions replace those before", () => {
    m.set("dr6", 0xffff_0ff2n);
    m.set("debugctl", BTF);
    expect(m.exit(EXIT.exception, { vector: 1, met: 0x4001n })).toBe(OUTCOME.inject);
    expect([m.exception(), m.get("dr6"), flags(), m.get("debugctl")]).toEqual(["#1", 0xffff_4ff1n, 0n, 0n]);
  });

  test("of #AC, a fault, is set; ICEBP leaves DR6 alone", () => {
    m.exit(EXIT.exception, { vector: 17, errorCode: 0 });
    expect(flags()).toBe(RF);
    m.reset();
    m.set("dr6", 0xffff_0ff2n);
    m.exit(EXIT.exception, { vector: 1, met: 0 });
    expect([m.exception(), m.get("dr6"), flags()]).toEqual(["#1", 0xffff_0ff2n, 0n]);
  });

  test("is set while a long REP is taken up again", () => {
    m.code(0x1000n, [0xf3, 0x6e]);
    m.setReg(RCX, 100_000n);
    m.setReg(RDX, 0x80n);
    expect(m.exit(EXIT.io, { port: 0x80, size: 1, flags: IO_STRING_REP, nextRip: 0x1002n })).toBe(
      OUTCOME.resume,
    );
    expect([m.get("rip"), flags()]).toEqual([0x1000n, RF]);
  });
});

// Code, page tables, the IDT and the stack outside RAM, and instructions that the emulator does not cover: the guest gets what a
// computer gives, all ones or an exception, and its VM goes on.
import { beforeEach, describe, expect, test } from "vitest";
import { EXIT, ExitsMachine, OUTCOME, RAX, RCX, RDI, RDX, RSI, RSP } from "./exits-machine.js";

const FETCH = 4;
const WRITE = 2;
const IO_STRING = 4;
const GVA_VALID = 32;
const PAGE_WALK = 16;
const HOLE = 0x9000_0000n;
const RAM = 1n << 20n;
/** Event types, as in the exit record: a hardware interrupt, a hardware exception, INT n. */
const INTERRUPT = 0x8000_0000;
const EXCEPTION = 0x8000_0300;
const INT_N = 0x8000_0400;

let m: ExitsMachine;
beforeEach(async () => {
  m = await ExitsMachine.create(RAM);
});

/** Long mode with a root table at `cr3`. */
function pagingFrom(cr3: bigint): void {
  m.set("cr0", 0x8001_0011n);
  m.set("cr4", 0x20n);
  m.set("efer", 0xd00n);
  m.set("cr3", cr3);
}

describe("code outside RAM", () => {
  test.each([16, 32, 64] as const)("is all ones, and they are #UD in %i-bit code", (mode) => {
    m.reset(mode);
    const rip = mode === 16 ? 0x8000n : HOLE;
    if (mode === 16) m.segment(1, 0, HOLE, 0xffff, 0x9b);
    m.set("rip", rip);
    m.setExit({ rip, nextRip: 0 });
    expect(m.exit(EXIT.nestedFault, { gpa: HOLE, flags: FETCH })).toBe(OUTCOME.inject);
    expect([m.exception(), m.call("status")]).toEqual(["#6", -1]);
  });

  test("is not remembered: another instruction at the same place is another one", () => {
    m.set("rip", HOLE);
    for (let n = 0; n < 2; n++) {
      m.setExit({ rip: HOLE, nextRip: 0 });
      m.exit(EXIT.nestedFault, { gpa: HOLE, flags: FETCH });
      expect(m.exception()).toBe("#6");
    }
    // The processor supplies bytes: not those of the hole.
    m.setExit({ rip: HOLE, nextRip: 0 });
    m.setDevice(HOLE + 0x40n, 4, 7n);
    m.setReg(RDI, HOLE + 0x40n);
    const fields = { gpa: HOLE + 0x40n, flags: 1, byteCount: 15, bytes0: 0x078bn, bytes1: 0n };
    expect(m.exit(EXIT.nestedFault, fields)).toBe(OUTCOME.advance); // mov eax, [rdi]
    expect(m.reg(RAX)).toBe(7n);
  });

  test("string I/O that has become another instruction leaves that one as it is remembered", () => {
    const device = HOLE + 0x40n;
    const load = () => {
      m.setReg(RAX, 0n);
      expect(m.finish(m.exit(EXIT.nestedFault, { gpa: device, flags: 1 }))).toBe(OUTCOME.resume);
      return m.reg(RAX);
    };
    m.setDevice(device, 4, 0x1122_3344n);
    m.setReg(RDI, device);
    m.code(0x1000n, [0x8b, 0x07]); // mov eax, [rdi]
    expect(load()).toBe(0x1122_3344n);
    m.code(0x1000n, [0x8b, 0x07]);
    // OUTSB, as the processor reported it; another CPU of the guest has written the MOV since.
    expect(m.exit(EXIT.io, { port: 0x80, size: 1, flags: IO_STRING })).toBe(OUTCOME.resume);
    m.code(0x1000n, [0x8b, 0x07]);
    expect(load()).toBe(0x1122_3344n);
  });

  test.each([
    ["INS", 0x6d, 0],
    ["OUTS", 0x6f, 1],
  ])("%s with REX.W moves four bytes, met anywhere", (_name, opcode, register) => {
    const index = register === 0 ? RDI : RSI;
    m.setReg(index, 0x4000n);
    m.setReg(RDX, 0x80n);
    m.code(0x1000n, [0x48, opcode]);
    expect(m.finish(m.exit(EXIT.nestedFault, { gpa: HOLE, flags: PAGE_WALK | 1 }))).toBe(OUTCOME.resume);
    expect([m.reg(index), m.get("rip")]).toEqual([0x4004n, 0x1002n]);
  });

  test("an instruction at the end of RAM goes on in ones", () => {
    m.code(RAM - 2n, [0xb8, 0x11]); // mov eax, 0x......11
    expect(m.finish(m.exit(EXIT.nestedFault, { gpa: RAM, flags: FETCH }))).toBe(OUTCOME.resume);
    expect([m.reg(RAX), m.get("rip")]).toEqual([0xffff_ff11n, RAM + 3n]);
  });
});

describe("page tables outside RAM", () => {
  test("of the code are #PF with the reserved bit", () => {
    pagingFrom(HOLE);
    m.set("rip", 0x1234n);
    m.setExit({ rip: 0x1234n, nextRip: 0 });
    expect(m.exit(EXIT.nestedFault, { gpa: HOLE, flags: 1 | PAGE_WALK })).toBe(OUTCOME.inject);
    expect([m.exception(), m.get("cr2")]).toEqual(["#14(25)", 0x1234n]);
  });

  test("of an operand alike, whatever the instruction", () => {
    pagingFrom(0x8000n);
    // 1 GiB one to one; the next entry of the root leads into the hole.
    m.cpu.store(0x8000n, 8, 0x9003n);
    m.cpu.store(0x8008n, 8, HOLE | 3n);
    m.cpu.store(0x9000n, 8, 0x83n);
    m.setReg(RDI, 0x80_0000_0010n);
    for (const bytes of [
      [0x89, 0x07], // mov [rdi], eax
      [0xd9, 0x07], // fld dword [rdi], which is not covered
    ]) {
      m.code(0x1000n, bytes);
      expect(m.exit(EXIT.nestedFault, { gpa: HOLE, flags: 1 | PAGE_WALK })).toBe(OUTCOME.inject);
      expect([m.exception()?.slice(0, 3), m.get("cr2")]).toEqual(["#14", 0x80_0000_0010n]);
    }
  });

  test("32-bit tables of ones are a page at the end of the address space", () => {
    m.reset(32);
    m.set("cr0", 0x8001_0011n);
    m.set("cr3", 0x8000n);
    m.cpu.store(0x8000n, 4, 0x9003n);
    m.cpu.store(0x9004n, 4, 0x1003n);
    m.cpu.store(0x8400n, 4, 0xa000_0003n); // 4000_0000h: its table is a hole
    m.code(0x1000n, [0x8b, 0x07]); // mov eax, [edi]
    m.setDevice(0xffff_f010n, 4, 0x55n);
    m.setReg(RDI, 0x4000_0010n);
    expect(m.exit(EXIT.nestedFault, { gpa: 0xa000_0000n, flags: 1 | PAGE_WALK })).toBe(OUTCOME.advance);
    expect(m.reg(RAX)).toBe(0x55n);
  });
});

describe("delivery of an event", () => {
  test.each([
    ["an interrupt", INTERRUPT | 0x30, "#13(387)"],
    ["an exception", EXCEPTION | 6, "#13(51)"],
    ["INT n", INT_N | 0x80, "#13(1026)"],
  ])("%s through an IDT outside RAM is #GP that names the gate", (_, interruptedEvent, exception) => {
    m.set("idtrBase", HOLE);
    m.set("rip", 0x1000n);
    expect(m.exit(EXIT.nestedFault, { gpa: HOLE, flags: 1, interruptedEvent })).toBe(OUTCOME.inject);
    expect([m.exception(), m.call("status")]).toEqual([exception, -1]);
  });

  test("through page tables outside RAM it is #PF at the address that the processor reports, else at the gate", () => {
    pagingFrom(HOLE);
    m.set("idtrBase", 0x5000n);
    const event = { gpa: HOLE, interruptedEvent: INTERRUPT | 0x30 };
    expect(m.exit(EXIT.nestedFault, { ...event, flags: 1 | PAGE_WALK })).toBe(OUTCOME.inject);
    expect([m.exception(), m.get("cr2")]).toEqual(["#14(9)", 0x5300n]);
    const flags = WRITE | PAGE_WALK | GVA_VALID;
    expect(m.exit(EXIT.nestedFault, { ...event, flags, gva: 0x7ff8n })).toBe(OUTCOME.inject);
    expect([m.exception(), m.get("cr2")]).toEqual(["#14(9)", 0x7ff8n]);
  });
});

describe("an instruction that is not covered", () => {
  const fld = [0xd9, 0x07]; // fld dword [rdi]

  test("is #UD, and has changed nothing", () => {
    m.code(0x1000n, fld);
    m.setReg(RDI, HOLE);
    expect(m.exit(EXIT.nestedFault, { gpa: HOLE, flags: 1 })).toBe(OUTCOME.inject);
    expect([m.exception(), m.get("rip"), m.call("status")]).toEqual(["#6", 0x1000n, -1]);
  });

  test("stops the VM if its owner wants that", () => {
    m.call("setStopsAtUnknown", 1);
    m.code(0x1000n, fld);
    m.setReg(RDI, HOLE);
    expect(m.exit(EXIT.nestedFault, { gpa: HOLE, flags: 1 })).toBe(OUTCOME.stop);
    expect(m.call("status")).toBe(14);
  });

  test("faults at its address first", () => {
    m.code(0x1000n, fld);
    m.setReg(RDI, 1n << 63n);
    m.setReg(RSP, RAM);
    m.setReg(RCX, 0n);
    m.exit(EXIT.nestedFault, { gpa: HOLE, flags: 1 });
    expect(m.exception()).toBe("#13(0)");
  });
});

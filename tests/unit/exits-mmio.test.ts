// Accesses to what is not RAM: population, emulation, segmentation and paging of the operand, and what is refused.
import { beforeEach, describe, expect, test } from "vitest";
import { CODE32, EXIT, ExitsMachine, OUTCOME, RAX, RCX, RDI, RSP } from "./exits-machine.js";

let m: ExitsMachine;
beforeEach(async () => {
  m = await ExitsMachine.create(1n << 20n);
});

describe("nested faults", () => {
  test("RAM that is not mapped yet is mapped, and the guest goes on", () => {
    m.call("setLazyEnd", 0x8000n);
    expect(m.exit(EXIT.nestedFault, { gpa: 0x7123n, flags: 1 })).toBe(OUTCOME.resume);
    expect(m.call("populatedGpa")).toBe(0x7123n);
  });

  test("a device register is read once, at the reported address, without a walk", () => {
    m.setDevice(0xfee0_0030n, 4, 0x50014n);
    m.code(0x1000n, [0x8b, 0x81, 0x30, 0, 0, 0]); // mov eax, [rcx + 0x30]
    m.setReg(RCX, 0xffff_ffff_ff5f_c000n);
    expect(m.finish(m.exit(EXIT.nestedFault, { gpa: 0xfee0_0030n, flags: 1 }))).toBe(OUTCOME.resume);
    expect([m.reg(RAX), m.call("reads"), m.get("rip")]).toEqual([0x50014n, 1, 0x1006n]);
  });

  test("an instruction is found again only while its tables and bytes are the same", () => {
    const load = (rip: bigint) => {
      m.set("rip", rip);
      m.setExit({ rip, nextRip: 0 });
      m.setReg(RAX, 0n);
      m.setReg(RCX, 0n);
      m.finish(m.exit(EXIT.nestedFault, { gpa: 0xfee0_0030n, flags: 1 }));
      return [m.reg(RAX), m.reg(RCX)];
    };
    m.setDevice(0xfee0_0030n, 4, 7n);
    m.set("cr0", 0x8001_0011n);
    m.set("cr4", 0x20n);
    m.set("cr3", 0x8000n);
    for (const [at, entry] of [
      [0x8000n, 0x9003n],
      [0x9000n, 0xa003n],
      [0xa000n, 0xb003n],
      [0xb008n, 0x1003n],
    ] as const) {
      m.cpu.store(at, 8, entry);
    }
    m.cpu.poke(0x1000n, Uint8Array.of(0x8b, 0x07)); // mov eax, [rdi]
    m.cpu.poke(0x2000n, Uint8Array.of(0x8b, 0x0f)); // mov ecx, [rdi]
    expect(load(0x1000n)).toEqual([7n, 0n]);
    expect(load(0x1000n)).toEqual([7n, 0n]);
    m.cpu.poke(0x1000n, Uint8Array.of(0x8b, 0x0f));
    expect(load(0x1000n)).toEqual([0n, 7n]);
    m.cpu.poke(0x1000n, Uint8Array.of(0x8b, 0x07));
    expect(load(0x1000n)).toEqual([7n, 0n]);
    m.cpu.store(0xb008n, 8, 0x2003n); // another page of code at the same address
    expect(load(0x1000n)).toEqual([0n, 7n]);
    m.cpu.store(0xb008n, 8, 0x1063n);
    expect(load(0x1000n)).toEqual([7n, 0n]);
    m.cpu.store(0xa000n, 8, 0n);
    load(0x1000n);
    expect(m.exception()).toBe("#14(0)");
  });

  test("the same offset in another code segment is another instruction", () => {
    m.reset(32);
    m.cpu.poke(0x1000n, Uint8Array.of(0x8b, 0x07)); // mov eax, [edi]
    m.cpu.poke(0x5000n, Uint8Array.of(0x8b, 0x0f)); // mov ecx, [edi]
    m.setDevice(0xfee0_0030n, 4, 7n);
    for (const [base, expected] of [
      [0n, [7n, 0n]],
      [0x4000n, [0n, 7n]],
      [0n, [7n, 0n]],
    ] as const) {
      m.segment(1, 8, base, 0xffffffff, CODE32);
      m.set("rip", 0x1000n);
      m.setReg(RAX, 0n);
      m.setReg(RCX, 0n);
      m.finish(m.exit(EXIT.nestedFault, { gpa: 0xfee0_0030n, flags: 1, rip: 0x1000n, nextRip: 0 }));
      expect([m.reg(RAX), m.reg(RCX)]).toEqual(expected);
    }
  });

  test("bytes that the processor supplies are used instead of the guest's memory", () => {
    m.set("rip", 0x1000n);
    m.setReg(RAX, 0x0bn);
    m.setReg(RDI, 0xfee0_00b0n);
    const fields = {
      gpa: 0xfee0_00b0n,
      flags: 2,
      rip: 0x1000n,
      nextRip: 0,
      byteCount: 15,
      bytes0: 0x9090_9090_9090_0789n,
      bytes1: 0n,
    };
    expect(m.finish(m.exit(EXIT.nestedFault, fields))).toBe(OUTCOME.resume); // mov [rdi], eax
    expect([m.device(0xfee0_00b0n, 4), m.get("rip")]).toEqual([0x0bn, 0x1002n]);
  });

  test("MOV with an address in the instruction, in each direction, with segment and address size", () => {
    m.setDevice(0x9000_0010n, 4, 0x1234_5678n);
    m.segment(4, 0x10, 0x8000_0000n, 0xffffffff, 0xc093);
    // The address is computed when the fault's own is not surely the operand's.
    for (const gpa of [0x9000_0010n, 0x9000_0000n]) {
      m.code(0x1000n, [0x64, 0x67, 0xa1, 0x10, 0, 0, 0x10]); // mov eax, fs:[dword 0x10000010]
      m.setReg(RAX, 0n);
      expect(m.finish(m.exit(EXIT.nestedFault, { gpa, flags: 1 }))).toBe(OUTCOME.resume);
      expect(m.reg(RAX)).toBe(0x1234_5678n);
    }
    m.code(0x1000n, [0xa2, 0x20, 0, 0, 0x90, 0, 0, 0, 0]); // mov [qword 0x90000020], al
    expect(m.finish(m.exit(EXIT.nestedFault, { gpa: 0x9000_0000n, flags: 2 }))).toBe(OUTCOME.resume);
    expect([m.device(0x9000_0020n, 2), m.get("rip")]).toEqual([0x78n, 0x1009n]);
  });

  test("an access across two pages goes to both", () => {
    m.code(0x1000n, [0x48, 0x89, 0x07]); // mov [rdi], rax
    m.setReg(RAX, 0x8877_6655_4433_2211n);
    m.setReg(RDI, 0xf_fffdn);
    expect(m.finish(m.exit(EXIT.nestedFault, { gpa: 0x10_0000n, flags: 2 }))).toBe(OUTCOME.resume);
    expect(m.cpu.load(0xf_fffdn, 3)).toBe(0x332211n);
    expect(m.device(0x10_0000n, 5)).toBe(0x8877665544n);
  });

  test("bytes that are no instruction are #UD", () => {
    m.code(0x1000n, [0x0f, 0x0b]);
    expect(m.exit(EXIT.nestedFault, { gpa: 0x9000_0000n, flags: 1 })).toBe(OUTCOME.inject);
    expect(m.exception()).toBe("#6");
  });
});

describe("segmentation in 32-bit code", () => {
  beforeEach(() => m.reset(32));
  const store = [0x89, 0x07]; // mov [edi], eax

  test("the base is added, and the sum wraps at 4 GiB", () => {
    m.segment(3, 0x10, 0xffff_0000n, 0xffffffff, 0xc093);
    m.code(0x1000n, store);
    m.setReg(RDI, 0x9001_0000n);
    m.setReg(RAX, 7n);
    expect(m.exit(EXIT.nestedFault, { gpa: 0x9000_0000n, flags: 2 })).toBe(OUTCOME.advance);
    expect(m.device(0x9000_0000n, 4)).toBe(7n);
  });

  test.each([
    ["beyond the limit", 0xfff, 0xc093 & ~0x8000, 0xffdn, "#13(0)"],
    ["read-only data", 0xffffffff, 0xc091, 0n, "#13(0)"],
    ["code", 0xffffffff, 0xc09b, 0n, "#13(0)"],
    ["unusable", 0xffffffff, 0xc093 | (1 << 16), 0n, "#13(0)"],
    ["below an expand-down limit", 0xfff, 0xc097, 0x800n, "#13(0)"],
  ])("%s faults", (_, limit, access, offset, exception) => {
    m.segment(3, 0x10, 0n, limit, access);
    m.code(0x1000n, store);
    m.setReg(RDI, offset);
    expect(m.exit(EXIT.nestedFault, { gpa: 0x9000_0000n, flags: 2 })).toBe(OUTCOME.inject);
    expect(m.exception()).toBe(exception);
  });

  test("stack segment faults are #SS", () => {
    m.segment(2, 0x10, 0n, 0xff, 0x4093);
    m.code(0x1000n, [0x89, 0x45, 0x00]); // mov [ebp], eax
    m.setReg(5, 0x1000n);
    expect(m.exit(EXIT.nestedFault, { gpa: 0x9000_0000n, flags: 2 })).toBe(OUTCOME.inject);
    expect(m.exception()).toBe("#12(0)");
  });
});

test("64-bit code: an address that is not canonical is #GP, through the stack #SS", () => {
  m.code(0x1000n, [0x89, 0x07]);
  m.setReg(RDI, 0x8000_0000_0000_0000n);
  expect(m.exit(EXIT.nestedFault, { gpa: 0x9000_0000n, flags: 2 })).toBe(OUTCOME.inject);
  expect(m.exception()).toBe("#13(0)");
  m.code(0x1000n, [0xff, 0x37]); // push [rdi]
  m.setReg(RDI, 0x9000_0000n);
  m.setReg(RSP, 0x8000_0000_0000_0000n);
  expect(m.exit(EXIT.nestedFault, { gpa: 0x9000_0000n, flags: 1 })).toBe(OUTCOME.inject);
  expect(m.exception()).toBe("#12(0)");
});

test("division by a device register of zero is #DE", () => {
  m.code(0x1000n, [0xf7, 0x37]); // div dword [rdi]
  m.setReg(RDI, 0x9000_0000n);
  expect(m.exit(EXIT.nestedFault, { gpa: 0x9000_0000n, flags: 1 })).toBe(OUTCOME.inject);
  expect(m.exception()).toBe("#0");
});

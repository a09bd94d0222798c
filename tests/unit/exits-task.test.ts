// Hardware task switches: CALL, JMP, IRET and task gates between 32-bit and 16-bit tasks, and the faults of a broken one.
import { beforeEach, describe, expect, test } from "vitest";
import { EXIT, ExitsMachine, OUTCOME, RAX, RBX, RSP } from "./exits-machine.js";

const GDT = 0x10000n;
const OLD = 0x12000n;
const NEW = 0x13000n;
const STACK = 0x20000n;
const CALL = 0;
const IRET = 1;
const JMP = 2;
const GATE = 3;
const BUSY = 1n << 41n;
const NT = 0x4000n;
const CODE = 0x08;
const DATA = 0x10;
const OLD_TSS = 0x18;
const NEW_TSS = 0x20;
const NEW_LDT = 0x28;
const NEW_TSS16 = 0x30;
const USER_CODE = 0x38;
const USER_DATA = 0x40;

let m: ExitsMachine;

const descriptor = (base: bigint, limit: bigint, access: bigint): bigint =>
  (limit & 0xffffn) |
  ((base & 0xffffffn) << 16n) |
  (access << 40n) |
  ((limit >> 16n) << 48n) |
  ((base >> 24n) << 56n);
const entry = (selector: number) => m.cpu.load(GDT + BigInt(selector & ~7), 8);
const setEntry = (selector: number, value: bigint) => m.cpu.store(GDT + BigInt(selector), 8, value);
const field = (offset: number, bytes = 4) => m.cpu.load(OLD + BigInt(offset), bytes);
const setField = (offset: number, value: bigint, bytes = 4) =>
  m.cpu.store(NEW + BigInt(offset), bytes, value);

beforeEach(async () => {
  m = await ExitsMachine.create(1n << 20n);
  m.reset(32);
  m.set("gdtrBase", GDT);
  m.set("gdtrLimit", 0x47);
  setEntry(CODE, descriptor(0n, 0xfffffn, 0xc09an & 0xffn) | (0xcn << 52n));
  setEntry(DATA, descriptor(0n, 0xfffffn, 0x92n) | (0xcn << 52n));
  setEntry(OLD_TSS, descriptor(OLD, 0x67n, 0x8bn));
  setEntry(NEW_TSS, descriptor(NEW, 0x67n, 0x89n));
  setEntry(NEW_LDT, descriptor(0x14000n, 0xffn, 0x82n));
  setEntry(NEW_TSS16, descriptor(NEW, 0x2bn, 0x81n));
  setEntry(USER_CODE, descriptor(0n, 0xfffffn, 0xfan) | (0xcn << 52n));
  setEntry(USER_DATA, descriptor(0n, 0xfffffn, 0xf2n) | (0xcn << 52n));
  m.segment(7, OLD_TSS, OLD, 0x67, 0x8b);
  m.segment(6, 0, 0n, 0, 1 << 16);
  m.set("rip", 0x1000n);
  m.setReg(RAX, 0x11n);
  m.setReg(RSP, 0x7000n);
  m.set("rflags", 0x202n);
  m.set("dr7", 0x455n);
  // The new task: EIP, EFLAGS, EAX.., ESP, segments.
  setField(32, 0x2000n);
  setField(36, 0x46n);
  setField(40, 0x99n);
  setField(56, STACK);
  for (const [n, selector] of [DATA, CODE, DATA, DATA, DATA, 0].entries())
    setField(72 + 4 * n, BigInt(selector));
  setField(96, BigInt(NEW_LDT));
});

function change(cause: number, selector = NEW_TSS, fields: Record<string, number | bigint> = {}): number {
  return m.exit(EXIT.taskSwitch, {
    qualification: (BigInt(cause) << 30n) | BigInt(selector),
    rip: 0x1000n,
    nextRip: 0x1007n,
    ...fields,
  });
}

describe("between 32-bit tasks", () => {
  test("CALL saves the old task, links and nests the new one", () => {
    expect(change(CALL)).toBe(OUTCOME.resume);
    expect([field(32), field(36), field(40), field(56), field(76, 2)]).toEqual([
      0x1007n,
      0x202n,
      0x11n,
      0x7000n,
      8n,
    ]);
    expect([m.get("rip"), m.get("rflags"), m.reg(RAX), m.reg(RSP)]).toEqual([
      0x2000n,
      0x46n | NT | 2n,
      0x99n,
      STACK,
    ]);
    expect(m.cpu.load(NEW, 2)).toBe(BigInt(OLD_TSS));
    expect([entry(OLD_TSS) & BUSY, entry(NEW_TSS) & BUSY]).toEqual([BUSY, BUSY]);
    expect([m.call("segmentSelector", 7), m.call("segmentBase", 7), m.call("segmentAccess", 7)]).toEqual([
      NEW_TSS,
      NEW,
      0x8b,
    ]);
    expect([m.call("segmentSelector", 6), m.call("segmentBase", 6)]).toEqual([NEW_LDT, 0x14000n]);
    expect(m.call("segmentAccess", 1)).toBe(0xc09b);
    expect(m.call("segmentAccess", 5) as number).toBe(1 << 16);
    expect(m.get("cr0") & 8n).toBe(8n);
    expect(m.get("dr7")).toBe(0x400n);
    expect(entry(CODE) & (1n << 40n)).toBe(1n << 40n);
  });

  test("JMP ends the old task; IRET also takes back NT in what it saves", () => {
    expect(change(JMP)).toBe(OUTCOME.resume);
    expect([entry(OLD_TSS) & BUSY, entry(NEW_TSS) & BUSY, m.get("rflags") & NT]).toEqual([0n, BUSY, 0n]);
    m.segment(7, OLD_TSS, OLD, 0x67, 0x8b);
    m.set("rflags", 0x202n | NT);
    setEntry(NEW_TSS, descriptor(NEW, 0x67n, 0x8bn));
    setField(32, 0x3000n);
    expect(change(IRET)).toBe(OUTCOME.resume);
    expect([field(36), m.get("rip")]).toEqual([0x202n, 0x3000n]);
  });

  test("a fault through a task gate saves the faulting address and pushes its error code", () => {
    expect(change(GATE, NEW_TSS, { interruptedEvent: 0x80000b0d, interruptedError: 0x18 })).toBe(
      OUTCOME.resume,
    );
    expect([field(32), m.reg(RSP), m.cpu.load(STACK - 4n, 4)]).toEqual([0x1000n, STACK - 4n, 0x18n]);
    expect(m.getExit("interruptedEvent")).toBe(0n);
    expect(m.get("rflags") & NT).toBe(NT);
  });

  test("INT n through a task gate returns behind the instruction", () => {
    change(GATE, NEW_TSS, { interruptedEvent: 0x80000480, interruptedLength: 2 });
    expect([field(32), m.reg(RSP)]).toEqual([0x1002n, STACK]);
  });

  test("with paging, CR3 comes from the new task", () => {
    m.set("cr0", 0x8000_0011n);
    m.set("cr4", 0x10n);
    m.set("cr3", 0x30000n);
    m.cpu.store(0x30000n, 4, 0x83n);
    m.cpu.store(0x31000n, 4, 0x83n);
    setField(28, 0x31000n);
    expect(change(CALL)).toBe(OUTCOME.resume);
    expect([m.get("cr3"), m.get("requests") & 16n]).toEqual([0x31000n, 16n]);
  });

  test("to user mode, and to virtual-8086 mode", () => {
    setField(76, BigInt(USER_CODE | 3));
    setField(80, BigInt(USER_DATA | 3));
    for (const offset of [72, 84, 88]) setField(offset, BigInt(USER_DATA | 3));
    expect(change(JMP)).toBe(OUTCOME.resume);
    expect(m.call("segmentSelector", 1)).toBe(USER_CODE | 3);
    m.reset(32);
    m.set("gdtrBase", GDT);
    m.set("gdtrLimit", 0x47);
    m.segment(7, OLD_TSS, OLD, 0x67, 0x8b);
    setEntry(NEW_TSS, descriptor(NEW, 0x67n, 0x89n));
    setField(36, 0x2_0002n);
    setField(76, 0x1234n);
    setField(32, 0x10n);
    expect(change(JMP)).toBe(OUTCOME.resume);
    expect([m.call("segmentBase", 1), m.call("segmentAccess", 1)]).toEqual([0x12340n, 0xf3]);
  });

  test("the T flag traps before the first instruction", () => {
    setField(100, 1n);
    expect(change(CALL)).toBe(OUTCOME.inject);
    expect([m.exception(), m.get("dr6") & 0x8000n]).toEqual(["#1", 0x8000n]);
  });
});

test("a 16-bit task has no FS, GS or CR3, and 16-bit registers", () => {
  m.cpu.poke(NEW, new Uint8Array(64));
  setField(14, 0x2000n, 2);
  setField(16, 0x2n, 2);
  setField(18, 0xaaaan, 2);
  setField(24, 0xbbbbn, 2);
  for (const [n, selector] of [DATA, CODE, DATA, DATA].entries()) setField(34 + 2 * n, BigInt(selector), 2);
  expect(change(JMP, NEW_TSS16)).toBe(OUTCOME.resume);
  expect([m.get("rip"), m.reg(RAX), m.reg(RBX)]).toEqual([0x2000n, 0xaaaan, 0xbbbbn]);
  expect([m.call("segmentSelector", 4), m.call("segmentAccess", 4)]).toEqual([0, 1 << 16]);
});

describe("faults of the new task", () => {
  test.each([
    ["a null code segment", 76, 0, "#10(0)"],
    ["a code segment beyond the GDT", 76, 0x100, "#10(256)"],
    ["data as code", 76, DATA, "#10(16)"],
    ["code as stack", 80, CODE, "#10(8)"],
    ["a stack of another privilege", 80, USER_DATA | 3, "#10(64)"],
    ["an LDT that is none", 96, DATA, "#10(16)"],
  ])("%s", (_, offset, selector, exception) => {
    setField(offset, BigInt(selector));
    expect(change(CALL)).toBe(OUTCOME.inject);
    expect([m.exception(), m.get("rip")]).toEqual([exception, 0x2000n]);
  });

  test("segments that are not present: #NP, for the stack #SS", () => {
    setEntry(USER_DATA, descriptor(0n, 0xfffffn, 0x12n));
    setField(84, BigInt(USER_DATA));
    expect(change(CALL)).toBe(OUTCOME.inject);
    expect(m.exception()).toBe("#11(64)");
    setField(84, BigInt(DATA));
    setField(80, BigInt(USER_DATA));
    m.segment(7, OLD_TSS, OLD, 0x67, 0x8b);
    setEntry(NEW_TSS, descriptor(NEW, 0x67n, 0x89n));
    expect(change(CALL)).toBe(OUTCOME.inject);
    expect(m.exception()).toBe("#12(64)");
  });

  test("EIP beyond the code segment is #GP", () => {
    setEntry(CODE, descriptor(0n, 0xfffn, 0x9an));
    expect(change(CALL)).toBe(OUTCOME.inject);
    expect(m.exception()).toBe("#13(0)");
  });
});

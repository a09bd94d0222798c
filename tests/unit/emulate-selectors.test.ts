// LLDT, LTR, VERR, VERW, LAR and LSL with their selector in a device's memory, for every kind of descriptor.
import { beforeEach, describe, expect, test } from "vitest";
import { EXIT, ExitsMachine, OUTCOME, RAX, RDI } from "./exits-machine.js";

const HOLE = 0x9000_0000n;
const GDT = 0x3000n;
const AT = 0x20;
const ZF = 0x40n;
const LDTR = 6;
const TR = 7;
const UNUSABLE = 1 << 16;
const BASE = 0x1234_5678n;
const LIMIT = 0x6_789an;

const LLDT = [0x0f, 0x00, 0x17];
const LTR = [0x0f, 0x00, 0x1f];
const VERR = [0x0f, 0x00, 0x27];
const VERW = [0x0f, 0x00, 0x2f];
const LAR = [0x0f, 0x02, 0x07];
const LSL = [0x0f, 0x03, 0x07];

let m: ExitsMachine;
beforeEach(async () => {
  m = await ExitsMachine.create(1n << 20n);
});

function descriptor(access: number, flags = 0n): bigint {
  return (
    (LIMIT & 0xffffn) |
    ((BASE & 0xffffffn) << 16n) |
    (BigInt(access) << 40n) |
    ((LIMIT >> 16n) << 48n) |
    (flags << 52n) |
    ((BASE >> 24n) << 56n)
  );
}

function prepare(mode: 16 | 32 | 64, cpl = 0): void {
  m.reset(mode, cpl);
  m.set("gdtrBase", GDT);
  m.set("gdtrLimit", AT + 15);
  m.cpu.store(GDT + BigInt(AT) + 8n, 8, 0n);
  m.segment(LDTR, 0x99, 1n, 2, 0x82);
  m.segment(TR, 0x88, 3n, 4, 0x8b);
}

/** Runs an instruction that reads `selector`; the exception, or null. */
function run(bytes: number[], selector: number): string | null {
  m.setDevice(HOLE, 2, BigInt(selector));
  m.setReg(RDI, HOLE);
  m.code(0x1000n, bytes);
  const outcome = m.exit(EXIT.nestedFault, { gpa: HOLE, flags: 1 });
  if (outcome !== OUTCOME.inject) expect(outcome).toBe(OUTCOME.advance);
  return m.exception();
}

const setEntry = (value: bigint) => m.cpu.store(GDT + BigInt(AT), 8, value);
const zero = () => (m.get("rflags") & ZF) !== 0n;

function held(n: number): unknown[] {
  return ["segmentSelector", "segmentBase", "segmentLimit", "segmentAccess"].map((name) => m.call(name, n));
}

describe.each([32, 64] as const)("%i-bit code", (mode) => {
  const upper = 0xffff_8000n;
  const wide = mode === 64 ? BASE | (upper << 32n) : BASE;

  test.each([
    ["LLDT", LLDT, LDTR, 0x82, 0x82],
    ["LTR", LTR, TR, 0x89, 0x8b],
  ] as const)("%s loads its register", (_name, bytes, register, access, loaded) => {
    prepare(mode);
    setEntry(descriptor(access));
    if (mode === 64) m.cpu.store(GDT + BigInt(AT) + 8n, 8, upper);
    expect(run([...bytes], AT)).toBeNull();
    expect(held(register)).toEqual([AT, BigInt.asIntN(64, wide), Number(LIMIT), loaded]);
    expect(m.cpu.load(GDT + BigInt(AT), 8)).toBe(descriptor(loaded));
  });

  test("every kind of descriptor", () => {
    for (let access = 0; access < 0x100; access++) {
      const kind = access & 0x1f;
      for (const [bytes, kinds] of [
        [LLDT, [2]],
        [LTR, mode === 64 ? [9] : [1, 9]],
      ] as [number[], number[]][]) {
        prepare(mode);
        setEntry(descriptor(access));
        const right = kinds.includes(kind);
        const expected = !right ? `#13(${AT})` : access < 0x80 ? `#11(${AT})` : null;
        expect(run(bytes, AT), `${bytes} ${access.toString(16)}`).toBe(expected);
        if (expected === null) continue;
        expect([held(LDTR)[0], held(TR)[0]]).toEqual([0x99, 0x88]);
        expect(m.cpu.load(GDT + BigInt(AT), 8)).toBe(descriptor(access));
      }
    }
  });

  test.each([
    ["a null LDT", LLDT, 0, 0, null],
    ["a null task", LTR, 0, 0, "#13(0)"],
    ["a user's LLDT", LLDT, AT, 3, "#13(0)"],
    ["a user's LTR", LTR, AT, 3, "#13(0)"],
    ["an LDT in the LDT", LLDT, AT | 4, 0, `#13(${AT | 4})`],
    ["a table that ends", LLDT, AT + 16, 0, `#13(${AT + 16})`],
  ] as const)("%s", (_name, bytes, selector, cpl, expected) => {
    prepare(mode, cpl);
    setEntry(descriptor(0x82));
    expect(run([...bytes], selector)).toBe(expected);
    if (expected === null) expect(held(LDTR)).toEqual([0, 0n, 0, UNUSABLE]);
    else expect([held(LDTR)[0], held(TR)[0]]).toEqual([0x99, 0x88]);
  });

  test("what VERR, VERW, LAR and LSL tell of every kind of descriptor, to every privilege", () => {
    const limits = mode === 64 ? [2, 9, 11] : [1, 2, 3, 9, 11];
    const rights = mode === 64 ? [2, 9, 11, 12] : [1, 2, 3, 4, 5, 9, 11, 12];
    for (let access = 0; access < 0x100; access++) {
      const [kind, dpl] = [access & 0x1f, (access >> 5) & 3];
      const [segment, code, flag] = [kind >= 16, (kind & 8) !== 0, (kind & 2) !== 0];
      for (const [cpl, rpl] of [
        [0, 0],
        [3, 0],
        [0, 3],
        [3, 3],
      ] as [number, number][]) {
        const seen = (kind & 0x1c) === 0x1c || (dpl >= cpl && dpl >= rpl);
        const expected: [number[], boolean, bigint?][] = [
          [VERR, seen && segment && (!code || flag)],
          [VERW, seen && segment && !code && flag],
          [LAR, seen && (segment || rights.includes(kind)), (descriptor(access, 0xcn) >> 32n) & 0xff_ff00n],
          [LSL, seen && (segment || limits.includes(kind)), (LIMIT << 12n) | 0xfffn],
        ];
        for (const [bytes, told, value] of expected) {
          prepare(mode, cpl);
          setEntry(descriptor(access, 0xcn));
          m.setReg(RAX, 0x5555n);
          expect(run(bytes, AT | rpl)).toBeNull();
          const what = `${bytes} of ${access.toString(16)} at ${cpl}, RPL ${rpl}`;
          expect([zero(), m.reg(RAX)], what).toEqual([told, told ? (value ?? 0x5555n) : 0x5555n]);
        }
      }
    }
  });

  test.each([0, AT + 16, 0x64])("nothing is told of selector %i, which describes nothing", (selector) => {
    for (const bytes of [VERR, VERW, LAR, LSL]) {
      prepare(mode, 3);
      m.set("rflags", 2n | ZF);
      expect(run(bytes, selector)).toBeNull();
      expect(zero()).toBe(false);
    }
  });
});

test("long mode: the base must be canonical, the upper half typeless and within the table", () => {
  for (const [high, limit, expected] of [
    [0x0000_8000n, 15, `#13(${AT})`],
    [0x100_0000_0000n, 15, `#13(${AT})`],
    [0n, 14, `#13(${AT})`],
    [0n, 15, null],
  ] as [bigint, number, string | null][]) {
    prepare(64);
    setEntry(descriptor(0x82));
    m.cpu.store(GDT + BigInt(AT) + 8n, 8, high);
    m.set("gdtrLimit", AT + limit);
    expect(run(LLDT, AT)).toBe(expected);
  }
});

test("long mode: the last selector of all has no upper half, whatever the first entry holds", () => {
  prepare(64);
  m.set("gdtrLimit", 0xffff);
  m.cpu.store(GDT + 0xfff8n, 8, descriptor(0x82));
  expect(run(LLDT, 0xfff8)).toBe("#13(65528)");
  expect(held(LDTR)[0]).toBe(0x99);
});

test("real mode has none of them", () => {
  for (const bytes of [LLDT, LTR, VERR, VERW, LAR, LSL]) {
    prepare(16);
    m.segment(3, 0, HOLE, 0xffff, 0x93);
    m.setReg(RDI, 0n);
    m.code(0x1000n, [0x67, ...bytes]);
    m.exit(EXIT.nestedFault, { gpa: HOLE, flags: 1 });
    expect(m.exception()).toBe("#6");
  }
});

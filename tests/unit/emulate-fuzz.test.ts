// Random instructions from random state through the whole emulator: whatever a guest does, the hypervisor and the VM go on, and
// an instruction that faults has changed nothing.
import { beforeAll, expect, test } from "vitest";
import { candidate } from "./encodings.js";
import { CODE16, CODE32, DATA16, DATA32, EXIT, ExitsMachine, OUTCOME } from "./exits-machine.js";
import { Random } from "./random.js";

const RAM = 1n << 20n;
const CODE = 0x1000n;
const RF = 1n << 16n;
const OSFXSR = 1 << 9;
const OSXSAVE = 1 << 18;
const [LDTR, GDT, LDT] = [6, 0x2_0000n, 0x2_1000n];
const LONG = 0x500n;
/** Of RFLAGS: all that instructions of programs change, TF among them; and virtual-8086 mode. */
const FLAGS = 0x400dd5n;
const VM = 1n << 17n;
const ROUNDS = 8_000;

let m: ExitsMachine;
beforeAll(async () => {
  m = await ExitsMachine.create(RAM);
});

/** Registers that point into RAM, at devices, at the edges of segments, or nowhere. */
function address(random: Random): bigint {
  const near = BigInt(random.below(64) - 32);
  return BigInt.asUintN(
    64,
    random.pick([0n, 0x8000n, RAM, 0xffffn, 0xffff_ffffn, 0xfee0_0000n, 1n << 47n, random.wide()]) + near,
  );
}

/** An instruction with VEX, likely one of the moves. */
function vex(random: Random): Uint8Array {
  const opcode = random.pick([
    0x10, 0x11, 0x12, 0x13, 0x16, 0x17, 0x28, 0x29, 0x6f, 0x7f, 0x7e, 0xd6, 0xe7, 0xf0,
  ]);
  const noise = Array.from({ length: 10 }, () => random.below(256));
  return Uint8Array.from([0xc5, 0xf8 | random.below(8), opcode, random.below(0xc0), ...noise]);
}

/** Descriptor tables of random descriptors, which may end early; breakpoints that accesses meet; shadows of STI and MOV SS. */
function describeTables(random: Random): void {
  m.set("gdtrBase", GDT);
  m.set("gdtrLimit", random.pick([0xffff, 0x7f, 7, 0]));
  m.segment(LDTR, 0x28, LDT, random.pick([0xffff, 0xf, 0]), random.pick([0x82, 1 << 16]));
  for (let n = 0; n < 6; n++) m.cpu.store(GDT + BigInt(random.below(16) * 8), 8, random.wide());
  m.set("dr0", random.pick([0xfee0_0010n, CODE, 0n]));
  m.set("dr7", random.pick([0x400n, 0xd0402n]));
  m.set("interruptibility", random.pick([0, 0, 1, 2]));
}

test.each([16, 32, 64] as const)("%i-bit code", (mode) => {
  const random = new Random(mode * 3);
  const outcomes = new Map<number, number>();
  for (let round = 0; round < ROUNDS; round++) {
    m.reset(mode, random.pick([0, 0, 3]));
    if (mode !== 64) {
      for (const n of [0, 2, 3, 4, 5]) {
        const access = random.pick([DATA16, DATA32, DATA32, CODE16, CODE32, 0x91, 0x97, 1 << 16]);
        m.segment(
          n,
          16,
          BigInt(random.pick([0, 0, 0x1_0000, 0xffff_0000])),
          random.pick([0xffff, 0xffffffff, 0]),
          access,
        );
      }
    }
    const bytes = random.below(8) === 0 ? vex(random) : candidate(random, random.below(3), random.below(256));
    m.code(CODE, bytes);
    const before = Array.from({ length: 16 }, (_, n) => {
      const value = random.below(2) === 0 ? address(random) : random.wide();
      m.setReg(n, value);
      return value;
    });
    m.set("cr4", BigInt(random.pick([0, OSFXSR, OSFXSR | OSXSAVE])));
    m.cpu.extendedControl.set(0, BigInt(random.pick([1, 3, 7])));
    describeTables(random);
    m.set("efer", mode === 64 ? LONG : mode === 32 ? random.pick([0n, LONG]) : 0n);
    m.set("rflags", 2n | (BigInt(random.next()) & (mode === 32 ? FLAGS | VM : FLAGS)));
    const flags = m.get("rflags");
    const gpa = random.pick([0xfee0_0010n, 0xfee0_0000n, 0x9000_0ffen]);
    // Read or write of data; the fetch of the instruction; a walk of the page tables.
    const breakpoints = Number(m.get("dr7") & 0xffn);
    const outcome = m.exit(EXIT.nestedFault, { gpa, flags: random.pick([1, 2, 1, 2, 4, 17]), breakpoints });
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    const hex = Buffer.from(bytes).toString("hex");
    // MOV SS and POP SS end by themselves.
    if (outcome > OUTCOME.inject && outcome !== OUTCOME.done) expect.fail(`${hex}: outcome ${outcome}`);
    // A string instruction may have done part of its work.
    const isString = (before[1] ?? 0n) !== m.reg(1);
    // #DB of MOV SS and POP SS comes behind them.
    if (outcome === OUTCOME.inject && !isString && m.exception() !== "#1") {
      const changed = before.findIndex((value, n) => value !== m.reg(n));
      if (changed >= 0) expect.fail(`${hex}: ${m.exception()}, but register ${changed} changed`);
      // A fault sets RF, so that the instruction's own breakpoint is not met again.
      if ((flags | RF) !== (m.get("rflags") | RF)) expect.fail(`${hex}: ${m.exception()}, but flags changed`);
      if (m.get("rip") !== CODE) expect.fail(`${hex}: ${m.exception()}, but RIP moved`);
    }
    if (outcome === OUTCOME.advance) m.finish(outcome);
  }
  // The test is about all of them.
  for (const outcome of [OUTCOME.resume, OUTCOME.advance, OUTCOME.inject]) {
    expect(outcomes.get(outcome) ?? 0).toBeGreaterThan(20);
  }
});

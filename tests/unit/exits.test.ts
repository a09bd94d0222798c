import { beforeEach, expect, test } from "vitest";
import { EXIT, ExitsMachine, OUTCOME, RAX, RBX, RCX, RDX } from "./exits-machine.js";

let m: ExitsMachine;
beforeEach(async () => {
  m = await ExitsMachine.create(1n << 20n);
});

test("CPUID answers from the machine's policy and finds its length in the guest's memory", () => {
  m.code(0x1000n, [0x0f, 0xa2]);
  m.setReg(RAX, 0x7n);
  m.setReg(RCX, 0x1n);
  expect(m.finish(m.exit(EXIT.cpuid))).toBe(OUTCOME.resume);
  expect([m.reg(RAX), m.reg(RBX), m.reg(RCX), m.reg(RDX)]).toEqual([8n, 3n, 3n, 4n]);
  expect(m.get("rip")).toBe(0x1002n);
});

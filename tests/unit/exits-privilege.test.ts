// What SVM may intercept before the processor's own checks (kernel/exits/privilege.ts): each handler makes them.
import { beforeEach, describe, expect, test } from "vitest";
import { EXIT, ExitsMachine, OUTCOME, RAX, RCX, RDX } from "./exits-machine.js";

const OSXSAVE = 1n << 18n;

let m: ExitsMachine;
beforeEach(async () => {
  m = await ExitsMachine.create(1n << 20n);
});

describe("what SVM may intercept before the processor's own checks", () => {
  const kernelOnly = ["xsetbv", "invd", "wbinvd", "invlpg"] as const;
  test.each(kernelOnly)("%s at CPL 3 is #GP", (name) => {
    m.reset(64, 3);
    m.set("cr4", OSXSAVE);
    m.setReg(RAX, 7n);
    m.setReg(RDX, 0n);
    m.setReg(RCX, 0n);
    expect(m.exit(EXIT[name])).toBe(OUTCOME.inject);
    expect(m.exception()).toBe("#13(0)");
    m.reset(64, 0);
    m.set("cr4", OSXSAVE);
    m.setReg(RAX, 7n);
    expect(m.exit(EXIT[name])).toBe(OUTCOME.advance);
  });

  test.each(kernelOnly)("%s in virtual-8086 mode is #GP, in real mode it is executed", (name) => {
    m.reset(16);
    m.set("cr4", OSXSAVE);
    m.setReg(RAX, 7n);
    expect(m.exit(EXIT[name])).toBe(OUTCOME.advance);
    m.set("cr0", 0x11n);
    m.set("rflags", 2n | (1n << 17n));
    expect(m.exit(EXIT[name])).toBe(OUTCOME.inject);
    expect(m.exception()).toBe("#13(0)");
  });

  test("XSETBV without CR4.OSXSAVE is #UD, whatever the privilege", () => {
    for (const cpl of [0, 3]) {
      m.reset(64, cpl);
      m.setReg(RAX, 7n);
      expect(m.exit(EXIT.xsetbv)).toBe(OUTCOME.inject);
      expect(m.exception()).toBe("#6");
    }
  });
});

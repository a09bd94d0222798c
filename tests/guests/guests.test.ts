// One tiny guest per property, on both backends: each checks itself and ends with its verdict.
import { describe, expect, test } from "vitest";
import { STATUS_DEAD_HALT, STATUS_RESET, STATUS_TRIPLE_FAULT } from "../../kernel/abi/status.ts";
import { machines, PASSED, runGuest } from "./harness.js";

/** Guests that return from `main` when every check has passed. */
const SELF_CHECKING = [
  "breakpoints",
  "control",
  "cpuid",
  "exceptions",
  "features",
  "fpu",
  "interrupts",
  "mmio",
  "msr",
  "nmi",
  "paging",
  "ports",
  "realmode",
  "remap",
  "selfmodifying",
  "task",
  "timer",
  "undefined",
];

const LIMIT = { timeout: 120_000 };

describe.each(machines)("%s", (_name, machine) => {
  test.each(SELF_CHECKING)("%s", LIMIT, async (name) => {
    const { output, log, reason, status } = await runGuest(name, machine);
    expect(output, log).toMatch(/pass\r?\n$/);
    expect(output, log).not.toContain("FAIL");
    expect([reason, status], log).toEqual(["debug-exit", PASSED]);
  });

  test("ports: what REP OUTSB sent", LIMIT, async () => {
    const { output } = await runGuest("ports", machine);
    expect(output).toContain("string ports work\r\nbackwards oot");
  });

  test.each([
    ["triplefault", "triple fault", STATUS_TRIPLE_FAULT],
    ["deadhalt", "halt with interrupts off", STATUS_DEAD_HALT],
    ["keyboardreset", "reset", STATUS_RESET],
    ["reset", "reset", STATUS_RESET],
  ])("%s ends the VM", LIMIT, async (name, _what, expected) => {
    const { output, log, status } = await runGuest(name, machine);
    expect(status, log).toBe(expected);
    expect(output).not.toContain("pass");
  });

  test("a reset starts the guest again, with its RAM", LIMIT, async () => {
    const { output, log, reason, status } = await runGuest("reset", machine, { restart: true });
    expect([reason, status], log).toEqual(["debug-exit", PASSED]);
    expect(output).toMatch(/pass\r?\n$/);
  });
});

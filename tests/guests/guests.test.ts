// One tiny guest per property, on both backends: each checks itself and ends with its verdict.
import { describe, expect, test } from "vitest";
import { STATUS_DEAD_HALT } from "../../kernel/abi/status.ts";
import { ENDING, PASSED, RESTARTING, SELF_CHECKING } from "./cases.js";
import { machines, runGuest } from "./harness.js";

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

  test.each(ENDING)("%s ends the VM", LIMIT, async (name, _what, expected) => {
    const { output, log, status } = await runGuest(name, machine);
    expect(status, log).toBe(expected);
    expect(output).not.toContain("pass");
  });

  test.each(RESTARTING)("%s: the guest starts again, with its RAM", LIMIT, async (name) => {
    const { output, log, reason, status } = await runGuest(name, machine, { restart: true });
    expect([reason, status], output + log).toEqual(["debug-exit", PASSED]);
    expect(output).toMatch(/pass\r?\n$/);
  });

  test("HLT with interrupts off ends when an NMI comes, and is the end when none can", LIMIT, async () => {
    const { output, log, status } = await runGuest("nmiwake", machine);
    expect(output, log).toBe("woken once\r\n");
    expect(status, log).toBe(STATUS_DEAD_HALT);
  });

  test("a flood of output by a guest that polls with interrupts off arrives whole", LIMIT, async () => {
    const { output, log, status } = await runGuest("flood", machine, { timeout: 60 });
    expect(status, log).toBe(PASSED);
    expect(output).toBe(`${"0123456789012345678901234567890123456\r\n".repeat(1000)}pass\r\n`);
  });

  test(
    "eight VMs run one after another: each has the console, and nothing of those before",
    LIMIT,
    async () => {
      const { output, log, status } = await runGuest("neighbour", machine, { vms: 8, memoryMiB: 4 });
      expect(status, output.slice(-200) + log).toBe(PASSED);
      expect(log.match(/vm\d: stopped: debug-exit/g), log).toHaveLength(8);
      const said = `${"a VM after another, each with the console\r\n".repeat(200)}pass\r\n`;
      expect(output).toBe(said.repeat(8));
    },
  );
});

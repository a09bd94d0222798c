// `--exit-log` on both backends, as users meet it: which instructions of the guest exit is known exactly.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { typevisor } from "../cli/cli.ts";
import { assembleGuest, DEBUG_EXIT, PASSED } from "../guests/harness.ts";
import { temporary } from "./sample.ts";

/** The leaves that tests/guests/cpuid.asm asks for, in order. */
const LEAVES = ["0x0", "0x1", "0x80000001", "0x40000000", "0x0", "0x0", "0x0"];

async function run(machine: string, args: string[]): Promise<string> {
  const kernel = await assembleGuest("cpuid", temporary());
  const { stderr, status } = await typevisor([
    ...["run", "--machine", machine, "--kernel", kernel, "--memory", "32M", "--no-reboot"],
    ...["--debug-exit", String(DEBUG_EXIT), "--timeout", "120", ...args],
  ]);
  expect(status, stderr).toBe(PASSED);
  return stderr;
}

describe.each([
  ["qemu-tcg", "cpuid"],
  ["bochs", "CPUID"],
])("on %s", (machine, reason) => {
  test("each exit has a line, and the table at the end agrees", async () => {
    const file = join(temporary(), "exits.log");
    await run(machine, ["--exit-log", "exits", "--log-file", file]);
    const log = readFileSync(file, "utf8").split("\n");
    const exits = log.filter((line) => line.startsWith("typevisor: exit vm=0 vcpu=0 reason="));
    const leaves = exits
      .filter((line) => line.includes(" class=cpuid "))
      .map((line) => / leaf=(\S+)/.exec(line)?.[1]);
    expect(leaves).toEqual(LEAVES);
    for (const line of exits) expect(line).toMatch(/ rip=0x[0-9a-f]+ ticks=\d+ outcome=\w+( |$)/);
    const row = log.find((line) => new RegExp(`^typevisor: exits +${reason} `).test(line));
    expect(row?.split(/\s+/)[3]).toBe(String(LEAVES.length));
    expect(log.join("\n")).toContain(`typevisor: exits vm=0 vcpu=0 exits=${exits.length} hypervisor=`);
  }, 180_000);

  test("a filter chooses, and without a file the lines come to the terminal", async () => {
    const stderr = await run(machine, ["--exit-log", "exits", "--trace-filter", `reason=${reason}`]);
    const lines = stderr.split("\n").filter((line) => line.startsWith("typevisor: exit "));
    expect(lines.map((line) => / leaf=(\S+)/.exec(line)?.[1])).toEqual(LEAVES);
  }, 180_000);

  test("summary: the table alone", async () => {
    const stderr = await run(machine, ["--exit-log", "summary"]);
    expect(stderr).not.toContain("typevisor: exit ");
    expect(stderr).toMatch(new RegExp(`typevisor: exits +${reason} +${LEAVES.length} `));
  }, 180_000);
});

test("beside a trace, the log is text and the trace is whole", async () => {
  const folder = temporary();
  const trace = join(folder, "guest.trace");
  const stderr = await run("qemu-tcg", ["--trace", trace, "--exit-log", "exits"]);
  const lines = stderr.split("\n").filter((line) => line.startsWith("typevisor: exit "));
  const table = await typevisor(["trace", trace, "--log"]);
  expect(table.status, table.stderr).toBe(0);
  expect(table.stdout.trimEnd().split("\n")).toHaveLength(lines.length);
}, 180_000);

// Recording does not disturb: Debian boots with every exit recorded, its log shows no complaint about time or anything else,
// and the trace is whole.
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readTrace } from "../../tools/trace/reader.ts";
import { typevisor } from "../cli/cli.ts";
import { temporary } from "./sample.ts";

/** What Linux says at other levels than warning when time does not pass as it should. */
const COMPLAINTS =
  /unstable|lost interrupt|lockup|rcu.*stall|time jumped|skew|clocksource.*wrong|Call Trace/i;

interface Trace {
  exits: number;
  /** Exits that begin before the end of the one before. */
  disordered: number;
  lost: number;
  totals: [taken: number, lost: number] | undefined;
}

async function examine(path: string): Promise<Trace> {
  const trace: Trace = { exits: 0, disordered: 0, lost: 0, totals: undefined };
  let previous = 0;
  const error = await readTrace(path, {
    exit: ({ tscIn, tscOut }) => {
      trace.exits++;
      if (tscIn < previous || tscOut < tscIn) trace.disordered++;
      previous = tscOut;
    },
    lost: (_cpu, records) => {
      trace.lost += records;
    },
    end: (taken, lost) => {
      trace.totals = [taken, lost];
    },
  });
  expect(error).toBeNull();
  return trace;
}

describe.each(["qemu-tcg", "bochs"])("on %s", (machine) => {
  test("Debian does not notice that it is recorded", async () => {
    const path = join(temporary(), "boot.trace");
    const { status, stdout, stderr } = await typevisor([
      ...["run", "--machine", machine, "--timeout", "240", "--trace", path],
      ...["--exec", "dmesg -r; sleep 1"],
    ]);
    expect(status, stderr).toBe(0);
    const log = stdout.split("\n").filter((line) => line !== "");
    expect(log.length).toBeGreaterThan(100);
    expect(log.filter((line) => /^<[0-4]>/.test(line) || COMPLAINTS.test(line))).toEqual([]);
    const trace = await examine(path);
    expect(trace.exits).toBeGreaterThan(3000);
    expect(trace.disordered).toBe(0);
    // Nothing is lost unless it is said, and the totals of the end agree with what came before.
    expect(trace.totals).toEqual([trace.exits, trace.lost]);
  }, 300_000);
});

// A guest's exits, recorded by the command line on both backends and read back: which instructions exited is known exactly.
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { EXIT_CPUID, EXIT_IO } from "../../kernel/abi/exits.ts";
import { ioAccess, low32 } from "../../tools/trace/fields.ts";
import { type RecordedFilter, readTrace, type TraceStart } from "../../tools/trace/reader.ts";
import { typevisor } from "../cli/cli.ts";
import { assembleGuest, DEBUG_EXIT, PASSED } from "../guests/harness.ts";
import { temporary } from "./sample.ts";

/** The leaves that tests/guests/cpuid.asm asks for, in order. */
const LEAVES = [0, 1, 0x80000001, 0x40000000, 0, 0, 0];
const COM1 = 0x3f8;
/** The exit reasons of CPUID. */
const CPUID: Record<string, number> = { vmx: 10, svm: 0x72 };

interface Recording {
  stderr: string;
  start?: TraceStart;
  leaves: number[];
  /** What the guest wrote to its serial port. */
  said: string;
  others: number;
  /** Bytes of the instructions of a class, in hexadecimal. */
  instructions: { cpuid: Set<string>; io: Set<string> };
  tscIn: number[];
  tscOut: number[];
  filters: RecordedFilter[];
  totals: [taken: number, lost: number];
}

async function record(machine: string, args: string[] = []): Promise<Recording> {
  const folder = temporary();
  const kernel = await assembleGuest("cpuid", folder);
  const path = join(folder, "guest.trace");
  const { stderr, status } = await typevisor([
    ...["run", "--machine", machine, "--kernel", kernel, "--memory", "32M", "--no-reboot"],
    ...["--debug-exit", String(DEBUG_EXIT), "--timeout", "120", "--trace", path, ...args],
  ]);
  expect(status, stderr).toBe(PASSED);
  const seen: Recording = {
    stderr,
    leaves: [],
    said: "",
    others: 0,
    instructions: { cpuid: new Set(), io: new Set() },
    tscIn: [],
    tscOut: [],
    filters: [],
    totals: [0, -1],
  };
  const error = await readTrace(path, {
    start: (start) => {
      seen.start = start;
    },
    exit: (record) => {
      seen.tscIn.push(record.tscIn);
      seen.tscOut.push(record.tscOut);
      const io = ioAccess(record);
      const bytes = record.bytes.toString("hex");
      if (record.kind === EXIT_CPUID) seen.instructions.cpuid.add(bytes);
      if (record.kind === EXIT_IO) seen.instructions.io.add(bytes);
      if (record.kind === EXIT_CPUID) seen.leaves.push(low32(record.rax));
      else if (record.kind === EXIT_IO && io.port === COM1 && !io.in) {
        seen.said += String.fromCharCode(low32(record.rax) & 0xff);
      } else seen.others++;
    },
    filter: (filter) => {
      seen.filters.push(filter);
    },
    end: (taken, lost) => {
      seen.totals = [taken, lost];
    },
  });
  expect(error).toBeNull();
  return seen;
}

describe.each([
  ["qemu-tcg", "svm"],
  ["bochs", "vmx"],
])("on %s", (machine, backend) => {
  test("every exit is there, in order of time", async () => {
    const seen = await record(machine);
    expect(seen.start?.backend).toBe(backend);
    expect(seen.leaves).toEqual(LEAVES);
    expect(seen.said).toBe("pass\r\n");
    // With prefixes, too: no byte more than the instruction has.
    expect(seen.instructions.cpuid).toEqual(new Set(["0fa2", "660fa2", "2e66670fa2"]));
    // IN and OUT, by DX or by a number, of each size.
    for (const io of seen.instructions.io) expect(io).toMatch(/^(66)?(e[4-7]..|e[c-f])$/);
    expect(seen.instructions.io.size).toBeGreaterThan(0);
    expect(seen.totals).toEqual([seen.tscIn.length, 0]);
    for (let i = 0; i < seen.tscIn.length; i++) {
      expect(seen.tscOut[i]).toBeGreaterThan(seen.tscIn[i] as number);
      if (i > 0) expect(seen.tscIn[i]).toBeGreaterThan(seen.tscOut[i - 1] as number);
    }
    expect(seen.stderr).toContain(`${seen.tscIn.length} exits`);
  }, 180_000);

  test("a filter leaves the others out", async () => {
    const seen = await record(machine, ["--trace-filter", "reason=cpuid"]);
    expect(seen.leaves).toEqual(LEAVES);
    expect([seen.said, seen.others]).toEqual(["", 0]);
    expect(seen.filters).toEqual([
      expect.objectContaining({ every: 1, reasons: [CPUID[backend]], ranges: [] }),
    ]);
  }, 180_000);
});

import { join } from "node:path";
import { describe, expect, test } from "vitest";
import * as exits from "../../kernel/abi/exits.ts";
import * as abi from "../../kernel/abi/trace.ts";
import { writeCsv } from "../../tools/trace/csv.ts";
import { describeLine } from "../../tools/trace/describe.ts";
import { EVENTS } from "../../tools/trace/events.ts";
import { explain } from "../../tools/trace/explain.ts";
import { msrName } from "../../tools/trace/msrs.ts";
import { className, outcomeName, reasonName } from "../../tools/trace/names.ts";
import { Text } from "../../tools/trace/text.ts";
import { typevisor } from "../cli/cli.ts";
import { filterPayload } from "./encode.ts";
import {
  detailWord,
  eachRecord,
  exitAt,
  stream,
  svmSample,
  temporary,
  traceFile,
  vmxSample,
} from "./sample.ts";

const svm = () => stream(svmSample);
const vmx = () => stream(vmxSample, { backend: abi.TRACE_BACKEND_VMX });

describe("the table", () => {
  test("has the columns of perf kvm stat, in its order, and its sums", async () => {
    const { stdout, stderr, status } = await typevisor(["trace", traceFile(svm())]);
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
    expect(stdout.split("\n").map((line) => line.trim().replace(/ +/g, " "))).toEqual([
      "Analyze events for all VMs, all VCPUs:",
      "",
      "VM-EXIT Samples Samples% Time% Min Time Max Time Avg time",
      "",
      "io 2 33.33% 0.98% 4.00us 6.00us 5.00us ( +- 20.00% )",
      "cpuid 1 16.67% 0.20% 2.00us 2.00us 2.00us ( +- 0.00% )",
      "hlt 1 16.67% 97.75% 1000.00us 1000.00us 1000.00us ( +- 0.00% )",
      "msr 1 16.67% 0.29% 3.00us 3.00us 3.00us ( +- 0.00% )",
      "npf 1 16.67% 0.78% 8.00us 8.00us 8.00us ( +- 0.00% )",
      "",
      "Total Samples:6, Total events handled time:1023.00us.",
      "",
      "",
    ]);
  });

  test("sorts by time, and shows one vCPU", async () => {
    const path = traceFile(svm());
    const rows = (text: string) => Array.from(text.matchAll(/^ +(\w+) +\d+ +[\d.]+%/gm), ([, name]) => name);
    expect(rows((await typevisor(["trace", path, "--key", "time"])).stdout)[0]).toBe("hlt");
    expect(rows((await typevisor(["trace", path, "--vcpu", "1"])).stdout)).toEqual(["hlt"]);
  });

  test("every event has its keys", async () => {
    const keys: Record<string, (string | undefined)[]> = {};
    await eachRecord(svm(), (record, _index, { backend }) => {
      for (const [name, event] of Object.entries(EVENTS))
        (keys[name] ??= []).push(event.key(record, backend));
    });
    const none = undefined;
    expect(keys).toEqual({
      vmexit: ["cpuid", "io", "io", "npf", "hlt", "msr"],
      mmio: [none, none, none, "0xfec00010:W", none, none],
      ioport: [none, "0x3f8:POUT", "0x60:PIN", none, none, none],
      msr: [none, none, none, none, none, "0x6e0:W"],
      cpuid: ["0x4.2", none, none, none, none, none],
      cr: Array(6).fill(none),
      vector: Array(6).fill(none),
      hypercall: Array(6).fill(none),
    });
  });
});

describe("a filtered trace says so", () => {
  const filtered = (every: number) => filterPayload(every, [0x72, 0x7b], { 1: [0x3f8n, 0x3ffn] });

  test("above the table and below every view", async () => {
    const path = traceFile(stream(svmSample, { filters: [filtered(1)] }));
    const words =
      "Filtered: reason=cpuid,io,port=0x3f8-0x3ff. Percentages are of the exits that passed, not of all.";
    const table = await typevisor(["trace", path]);
    expect(table.stdout.split("\n")[1]).toBe(words);
    expect(table.stderr).toBe(`typevisor: ${path}: ${words}\n`);
    const log = await typevisor(["trace", path, "--log"]);
    expect(log.stdout.split("\n").length).toBe(7);
    expect(log.stderr).toContain(words);
  });

  test("with the factor of a sample", async () => {
    const { stdout } = await typevisor(["trace", traceFile(stream(svmSample, { filters: [filtered(10)] }))]);
    expect(stdout).toContain("every=10. Percentages");
    expect(stdout).toContain("Only one in 10 of these: multiply counts by 10.");
  });

  test("and when the filter changed meanwhile", async () => {
    const filters = [filtered(1), filterPayload(1, [], {})];
    const { stdout } = await typevisor(["trace", traceFile(stream(svmSample, { filters }))]);
    expect(stdout).toContain("Filtered, by turns: reason=cpuid,io,port=0x3f8-0x3ff; everything.");
  });

  test("but one in which everything passed does not", async () => {
    const filters = [filterPayload(1, [], {})];
    const { stdout, stderr } = await typevisor(["trace", traceFile(stream(svmSample, { filters }))]);
    expect([stdout.includes("Filtered"), stderr]).toEqual([false, ""]);
  });
});

test("registers, vectors and hypercalls are counted too", async () => {
  const keys = async (bytes: Buffer, event: string) => {
    const found: (string | undefined)[] = [];
    await eachRecord(bytes, (record, _index, { backend }) => found.push(EVENTS[event]?.key(record, backend)));
    return found;
  };
  let at = 0;
  const exit = (kind: number, words: Record<number, bigint>) => {
    at += 1_000;
    return exitAt(at, 100, { reason: 0, kind, words });
  };
  const register = (number: number, access: number) => detailWord(BigInt(number | (access << 8)));
  const bytes = stream([
    exit(exits.EXIT_CR, register(4, exits.CR_WRITE)),
    exit(exits.EXIT_CR, register(0, exits.CR_CLTS)),
    exit(exits.EXIT_DR, register(7, exits.CR_READ)),
    exit(exits.EXIT_EXCEPTION, detailWord(14n | (2n << 32n))),
    exit(exits.EXIT_EXTERNAL_INTERRUPT, detailWord(0xecn)),
    exit(exits.EXIT_EXTERNAL_INTERRUPT, detailWord(BigInt(exits.NO_VECTOR >>> 0))),
    exit(exits.EXIT_HYPERCALL, { [abi.RECORD_RAX]: 5n }),
  ]);
  const none = undefined;
  expect(await keys(bytes, "cr")).toEqual(["cr4:W", "clts", "dr7:R", none, none, none, none]);
  expect(await keys(bytes, "vector")).toEqual([none, none, none, "0xe", "0xec", none, none]);
  expect(await keys(bytes, "hypercall")).toEqual([none, none, none, none, none, none, "0x5"]);
});

test("a line of the log", async () => {
  const lines: string[] = [];
  await eachRecord(svm(), (record, index, start) => lines.push(describeLine(index, record, start).trim()));
  expect(lines).toEqual([
    "0    0.000001000 vm0.0 rip=0x1000 cpuid cpuid leaf=0x4 subleaf=0x2 -> advance 2.00us",
    "1    0.000010000 vm0.0 rip=0xffffffff81000010 io io out port=0x3f8 size=1 value=0x41 -> advance 4.00us",
    "2    0.000020000 vm0.0 rip=0xffffffff81000020 io io in port=0x60 size=1 -> advance 6.00us",
    "3    0.000040000 vm0.0 rip=0xffffffff81000030 npf nested_fault gpa=0xfec00010 access=W -> advance 8.00us " +
      "| mov [rdi+10h],eax",
    "4    0.000050000 vm0.1 rip=0x0 hlt hlt -> halt 1000.00us",
    "5    0.001060000 vm0.0 rip=0x401000 msr wrmsr msr=0x6e0 (IA32_TSC_DEADLINE) value=0x12deadbeef -> advance 3.00us",
  ]);
});

test("instructions in the log: the same place with other bytes, and other places with the same low bits", async () => {
  const at = (rip: bigint, bytes: bigint, count: bigint) => ({
    reason: 0x7b,
    kind: exits.EXIT_HLT,
    words: { [abi.RECORD_RIP]: rip, [abi.RECORD_BYTES_LOW]: bytes, [abi.RECORD_BYTES_HIGH]: count << 56n },
  });
  const kinds = [
    at(0xffffffff81000000n, 0xa20fn, 2n),
    at(0xffffffff81000000n, 0x300fn, 2n),
    at(0xffffffff81001000n, 0xf4n, 1n),
    at(0x1000n, 0xed66n, 2n),
    at(0x1000n, 0n, 0n),
    at(0xffffffff81000000n, 0xa20fn, 2n),
    // More bytes than the instruction has.
    at(0xffffffff81002000n, 0x9090_9090_9090_20en, 8n),
  ];
  const lines: string[] = [];
  await eachRecord(stream(kinds.map((kind, i) => exitAt(1000 * i, 10, kind))), (record, index, start) =>
    lines.push(describeLine(index, record, start)),
  );
  expect(lines.map((line) => line.split(" | ")[1])).toEqual([
    "cpuid",
    "wrmsr",
    "hlt",
    "64/32-bit: in ax,dx; 16-bit: in eax,dx",
    undefined,
    "cpuid",
    "(bad)",
  ]);
});

test("both backends read alike but for the names of their reasons", async () => {
  const lines: string[] = [];
  await eachRecord(vmx(), (record, index, start) => lines.push(describeLine(index, record, start).trim()));
  expect(lines.map((line) => line.replace(/^.*rip=0x0 /, ""))).toEqual([
    "IO_INSTRUCTION io out port=0x3f8 size=1 value=0x41 -> advance 2.00us",
    "CR_ACCESS cr cr4<-rbx -> advance 1.00us",
    "EPT_VIOLATION nested_fault gpa=0xfee00030 access=R present -> advance 3.00us",
  ]);
});

describe("one exit explained", () => {
  async function explained(bytes: Buffer, wanted: number): Promise<string> {
    let text = "";
    await eachRecord(bytes, (record, index, start) => {
      if (index === wanted) text = explain(index, record, start).join("\n");
    });
    return text;
  }

  test("AMD-V: EXITINFO1 by bits, the instruction, the manual", async () => {
    const text = await explained(svm(), 3);
    expect(text).toMatch(/instruction +mov \[rdi\+10h\],eax\n/);
    expect(text).toMatch(/bytes +89 47 10\n/);
    expect(text).toMatch(/bit 1 +RW: write\n/);
    expect(text).toMatch(/bit 32 +fault at the final guest-physical address\n/);
    expect(text).toContain('AMD APM volume 2, "Nested versus Guest Page Faults, Fault Ordering"');
    expect(text).toContain("emulated the instruction and went on behind it");
  });

  test("VT-x: the qualification by bits", async () => {
    const io = await explained(vmx(), 0);
    expect(io).toMatch(/direction: OUT\n/);
    expect(io).toMatch(/port number: 0x3f8\n/);
    const cr = await explained(vmx(), 1);
    expect(cr).toMatch(/control register: CR4\n/);
    expect(cr).toMatch(/access type: MOV to CR\n/);
    expect(cr).toMatch(/general-purpose register: rbx\n/);
    const ept = await explained(vmx(), 2);
    expect(ept).toMatch(/bit 3 +translation readable\n/);
    expect(ept).toContain('Intel SDM volume 3, "Exit Qualification for EPT Violations"');
  });

  test("an exit that is not there", async () => {
    const { stdout, status } = await typevisor(["trace", traceFile(svm()), "--explain", "6"]);
    expect({ stdout, status }).toEqual({ stdout: "There is no such exit: the trace has 6.\n", status: 0 });
  });
});

test("CSV: as many values as columns", async () => {
  const lines: string[] = [];
  await eachRecord(svm(), (record, index, start) => {
    const text = new Text();
    writeCsv(text, index, record, start);
    lines.push(text.toString());
  });
  expect(lines[1]).toBe(
    "1,0.000010000,4.000,0,0,io,123,io,advance,0xffffffff81000010,0x3f80010,,0x1241,0x0,0x0,out port=0x3f8 size=1 value=0x41",
  );
  const { stdout } = await typevisor(["trace", traceFile(svm()), "--csv", "--from", "1", "--limit", "1"]);
  const [header, line, rest] = stdout.split("\n");
  expect(line).toBe(lines[1]);
  expect(header?.split(",").length).toBe(line?.split(",").length);
  expect(rest).toBe("");
});

test("no name needs quotes in CSV or escapes in JSON", () => {
  const numbers = Array.from({ length: 0x1000 }, (_, i) => [
    i,
    0xc000_0000 + i,
    0xc001_0000 + i,
    0x8000_0000 + i,
  ]);
  for (const number of numbers.flat()) {
    const names = [
      reasonName("vmx", number),
      reasonName("svm", number),
      className(number & 0xff),
      outcomeName(number & 0xff),
      msrName(number) ?? "",
    ];
    for (const name of names) expect(name).toMatch(/^[ !#-+\--[\]-~]*$/);
  }
});

describe("a trace that is not whole", () => {
  test("cut short: what there is, the offset, a status", async () => {
    const whole = svm();
    const path = traceFile(whole.subarray(0, whole.length - 5));
    const { stdout, stderr, status } = await typevisor(["trace", path, "--log"]);
    expect(stdout.trimEnd().split("\n")).toHaveLength(6);
    expect(stderr).toMatch(
      /sample\.trace: byte \d+: the trace ends inside a frame .*The 6 exits before it are shown\.\n$/,
    );
    expect(status).toBe(125);
  });

  test("of a guest that still runs, with lost exits: told, but no failure", async () => {
    const path = traceFile(stream(svmSample, { lost: 17n, end: false }));
    const { stderr, status } = await typevisor(["trace", path]);
    expect(stderr).toMatch(/17 exits were lost/);
    expect(stderr).toMatch(/the guest still runs/);
    expect(status).toBe(0);
  });

  test("a foreign file, and none", async () => {
    const foreign = await typevisor(["trace", traceFile(Buffer.from([1, 2, 3]))]);
    expect(foreign.stderr).toMatch(/byte 0: .*not a Typevisor trace/);
    expect(foreign.status).toBe(125);
    const none = await typevisor(["trace", join(temporary(), "none")]);
    expect(none.stderr).toMatch(/none: cannot read this file: no such file or directory\.\n$/);
    expect(none.status).toBe(125);
  });
});

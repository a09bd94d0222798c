// Exits on the log in human form: the compiled ring, filter, text and table, told of exits by the test.
import { beforeEach, describe, expect, test } from "vitest";
import * as exits from "../../kernel/abi/exits.ts";
import { type KernelModule, loadKernel } from "./harness.ts";
import { VcpuView, vcpuGlue } from "./vcpu-view.ts";

const LOG_PORT = 0xe9;

const GLUE = `${vcpuGlue}
import { clockSet } from "./kernel/arch/clock";
import { out8 } from "./kernel/arch/intrinsics";
import { PerCpu } from "./kernel/arch/percpu";
import { exitName } from "./kernel/abi/svm-reasons";
import { arenaNew } from "./kernel/lib/arena";
import { logSetSink } from "./kernel/lib/log";
import { countersCreate, countExit } from "./kernel/trace/counters";
import { filterAddReason, filterReset } from "./kernel/trace/filter";
import { ringCreate, SINK_LOG, traceClose, traceExclude, traceExit, traceOutcome, traceSetSinks } from "./kernel/trace/ring";
import { logCounters } from "./kernel/trace/table";
import { backend } from "./kernel/vcpu/backend";

export function perCpu(): usize { return changetype<usize>(arenaNew<PerCpu>()); }
export function build(): usize {
  clockSet(1000000000);
  logSetSink((byte: u32): void => out8(${LOG_PORT}, byte));
  backend().reasonName = exitName;
  const vcpu = changetype<Vcpu>(newVcpu());
  countersCreate(vcpu);
  ringCreate(false);
  filterReset();
  traceSetSinks(SINK_LOG);
  return changetype<usize>(vcpu);
}
export function exit(vcpu: Vcpu, outcome: u32): u64 {
  countExit(vcpu);
  const spent = traceExit(vcpu);
  traceOutcome(outcome);
  traceExclude(vcpu, spent);
  return spent;
}
export function only(reason: u32): void { filterAddReason(reason); }
export function close(tsc: u64): void { traceClose(tsc); }
export function table(vcpu: Vcpu): void { logCounters(vcpu, "| "); }
`;

const RESUME = 0;
const ADVANCE = 1;

let kernel: KernelModule;
let vcpu: VcpuView;
let log: string;
let clock: bigint;

beforeEach(async () => {
  kernel = await loadKernel([], GLUE);
  kernel.cpu.perCpu = kernel.exports.perCpu!() as number;
  kernel.cpu.tscStep = 0n;
  log = "";
  kernel.cpu.portOut = (port, _size, value) => {
    if (port === LOG_PORT) log += String.fromCharCode(value);
  };
  vcpu = new VcpuView(kernel, kernel.exports.build!() as number);
  clock = 1000n;
});

type Fields = Parameters<VcpuView["setExit"]>[0];

/** The guest runs 1000 ticks, then exits; the exit before took until `entered`. Returns the ticks that the log took. */
function exit(
  kind: number,
  reason: number,
  fields: Partial<Record<Fields, number | bigint>>,
  ticks = 50n,
): bigint {
  vcpu.set("tscEntry", clock);
  clock += 1000n;
  vcpu.set("tscExit", clock);
  clock += ticks;
  const all = { kind, reason, rip: 0x7c00n, flags: 0, ...fields };
  for (const [name, value] of Object.entries(all)) vcpu.setExit(name as Fields, value);
  return kernel.exports.exit!(vcpu.address, ADVANCE) as bigint;
}

/** Lines so far, the last exit's included. */
function lines(): string[] {
  kernel.exports.close!(clock);
  return log.trimEnd().split("\r\n");
}

const HEAD = "typevisor: exit vm=0 vcpu=0";
const TAIL = "rip=0x7c00 ticks=50 outcome=advance";

describe("a line says what its class of exit is about", () => {
  const cases: [string, number, number, Partial<Record<Fields, number | bigint>>, string][] = [
    ["IN", exits.EXIT_IO, 0x7b, { port: 0x71, size: 1, flags: exits.IO_IN }, "io io=in port=0x71 size=1"],
    ["OUT", exits.EXIT_IO, 0x7b, { port: 0x3f8, size: 1 }, "io io=out port=0x3f8 size=1 value=0x88"],
    [
      "OUT of 4 bytes",
      exits.EXIT_IO,
      0x7b,
      { port: 0xcf8, size: 4 },
      "io io=out port=0xcf8 size=4 value=0x55667788",
    ],
    [
      "REP OUTSB",
      exits.EXIT_IO,
      0x7b,
      { port: 0xe9, size: 1, flags: exits.IO_STRING | exits.IO_REP },
      "io io=out port=0xe9 size=1 string=rep",
    ],
    ["CPUID", exits.EXIT_CPUID, 0x72, {}, "cpuid leaf=0x55667788 subleaf=0x2"],
    ["RDMSR", exits.EXIT_RDMSR, 0x7c, { msr: 0xc0000080 }, "rdmsr msr=0xc0000080"],
    ["WRMSR", exits.EXIT_WRMSR, 0x7c, { msr: 0x1b }, "wrmsr msr=0x1b value=0x355667788"],
    [
      "MOV to CR4",
      exits.EXIT_CR,
      0x14,
      { crNumber: 4, crAccess: exits.CR_WRITE, gpr: 11 },
      "cr cr=4 access=write gpr=r11",
    ],
    ["CLTS", exits.EXIT_CR, 0x10, { crNumber: 0, crAccess: exits.CR_CLTS, gpr: 0 }, "cr cr=0 access=clts"],
    [
      "a CR access not decoded",
      exits.EXIT_CR,
      0x65,
      { crNumber: 0, crAccess: exits.CR_UNDECODED, gpr: 0 },
      "cr cr=0",
    ],
    [
      "a write to a device",
      exits.EXIT_NESTED_FAULT,
      0x400,
      { gpa: 0xfee000b0n, flags: exits.ACCESS_WRITE },
      "nested_fault gpa=0xfee000b0 access=W",
    ],
    [
      "a walk through what is not there",
      exits.EXIT_NESTED_FAULT,
      0x400,
      { gpa: 0n, flags: exits.ACCESS_READ | exits.ACCESS_PAGE_WALK },
      "nested_fault gpa=0x0 access=R walk=1",
    ],
    ["#GP", exits.EXIT_EXCEPTION, 0x4d, { vector: 13, errorCode: 0x18 }, "exception vector=13 error=0x18"],
    ["HLT", exits.EXIT_HLT, 0x78, {}, "hlt"],
  ];
  test.each(cases)("%s", (_name, kind, reason, fields, expected) => {
    vcpu.set("rax", 0x1122334455667788n);
    vcpu.set("rcx", 2n);
    vcpu.set("rdx", 3n);
    exit(kind, reason, fields);
    const [line] = lines();
    const [className, ...words] = expected.split(" ");
    const name = / reason=(\S+) /.exec(line as string)?.[1];
    expect(line).toBe([`${HEAD} reason=${name} class=${className} ${TAIL}`, ...words].join(" "));
  });
});

test("names of reasons are one word; what the manual does not define is a number", () => {
  exit(exits.EXIT_NESTED_FAULT, 0x400, { gpa: 0n });
  exit(exits.EXIT_UNKNOWN, 0x3ff, {});
  const [first, second] = lines();
  expect(first).toContain(" reason=npf class=nested_fault ");
  expect(second).toContain(" reason=0x3ff class=unknown ");
});

test("only what passes the filter has a line", () => {
  kernel.exports.only!(0x72);
  exit(exits.EXIT_CPUID, 0x72, {});
  exit(exits.EXIT_HLT, 0x78, {});
  exit(exits.EXIT_CPUID, 0x72, {});
  expect(lines().map((line) => / reason=(\w+)/.exec(line)?.[1])).toEqual(["cpuid", "cpuid"]);
});

test("the time that a line takes is no exit's", () => {
  exit(exits.EXIT_CPUID, 0x72, {});
  kernel.cpu.tscStep = 300n;
  expect(exit(exits.EXIT_CPUID, 0x72, {}, 350n)).toBe(300n);
  kernel.cpu.tscStep = 0n;
  expect(exit(exits.EXIT_HLT, 0x78, {})).toBe(0n);
  expect(lines().map((line) => / ticks=(\d+)/.exec(line)?.[1])).toEqual(["50", "50", "50"]);
  log = "";
  kernel.exports.table!(vcpu.address);
  const cpuid = log.split("\r\n").find((line) => line.includes("cpuid"));
  expect(cpuid).toMatch(/ 0\.05us +0\.05us +0\.05us$/);
});

test("the table: most exits first, shares of counts and time, and the sum", () => {
  for (let i = 0; i < 3; i++) exit(exits.EXIT_CPUID, 0x72, {}, 1000n);
  exit(exits.EXIT_HLT, 0x78, {}, 57_000n);
  exit(exits.EXIT_IO, 0x7b, {}, 4_000n);
  // Accounts the last of them.
  vcpu.set("tscEntry", clock);
  vcpu.set("tscExit", clock + 10n);
  vcpu.setExit("reason", 0x72);
  kernel.exports.exit!(vcpu.address, RESUME);
  log = "";
  kernel.exports.table!(vcpu.address);
  const rows = log
    .trimEnd()
    .split("\r\n")
    .map((line) => line.replace(/\s+/g, " "));
  expect(rows).toEqual([
    "| VM-EXIT Samples Samples% Time% Min Max Avg",
    "| cpuid 4 66.66% 4.68% 1.00us 1.00us 1.00us",
    "| hlt 1 16.66% 89.06% 57.00us 57.00us 57.00us",
    "| io 1 16.66% 6.25% 4.00us 4.00us 4.00us",
    "| vm=0 vcpu=0 exits=6 hypervisor=64.00us guest=5.01us",
  ]);
});

// The kernel's ring, filter and stream, compiled, read back by the host's reader.
import { expect, test } from "vitest";
import { type Frame, FrameSplitter } from "../../tools/trace/frames.ts";
import { FrameDecoder, type RecordedFilter, type TraceStart } from "../../tools/trace/reader.ts";
import { type KernelModule, loadKernel } from "./harness.ts";

const GLUE = `
import { arenaAlloc, arenaNew } from "./kernel/lib/arena";
import { PerCpu } from "./kernel/arch/percpu";
import { VCPU_BYTES, Vcpu } from "./kernel/vcpu/vcpu";
import { filterAddReason, RANGE_PORT, traceFilter, traceRange } from "./kernel/trace/filter";
import { ringCreate, ringHeld, ringOf, traceClose, traceExclude } from "./kernel/trace/ring";
import { traceExit, traceInstruction, traceOutcome } from "./kernel/trace/ring";
import { traceDrain, traceFinish, tracePrepare, traceStart, traceTellFilter } from "./kernel/trace/stream";

const output = memory.data(1 << 20, 16);
let used: u32 = 0;
let vcpu: Vcpu = changetype<Vcpu>(0);

export function outputStart(): usize { return output; }
export function outputLength(): u32 { return used; }
function write(start: usize, length: u32): void {
  memory.copy(output + used, start, length);
  used += length;
}

export function perCpu(): usize { return changetype<usize>(arenaNew<PerCpu>()); }
export function prepare(): void {
  ringCreate(true);
  tracePrepare(write);
  vcpu = changetype<Vcpu>(arenaAlloc(VCPU_BYTES, 16));
  vcpu.vmIndex = 2;
  vcpu.index = 3;
  traceStart(1000000000, 2, 1, 1);
}
export function exit(tscIn: u64, previousOut: u64, rip: u64, kind: u32, reason: u32, port: u32, gpa: u64, rax: u64): void {
  vcpu.tscEntry = previousOut;
  vcpu.tscExit = tscIn;
  vcpu.rax = rax;
  const e = vcpu.exit;
  e.rip = rip; e.kind = kind; e.reason = reason; e.port = port; e.size = 1; e.gpa = gpa; e.flags = 0;
  traceExit(vcpu);
  traceOutcome(1);
}
export function emulated(bytes0: u64, bytes1: u64, length: u32): void { traceInstruction(bytes0, bytes1, length); }
export function finish(tsc: u64): void { traceClose(tsc); traceFinish(); }
export function drain(): u64 {
  const ticks = traceDrain(0);
  traceExclude(vcpu, ticks);
  return ticks;
}
export function tellFilter(): void { traceTellFilter(); }
export function held(): u32 { return ringHeld(ringOf(0)!); }
export function onlyPorts(first: u64, last: u64): void {
  traceRange(RANGE_PORT).first = first;
  traceRange(RANGE_PORT).last = last;
}
export function onlyReason(reason: u32): void { filterAddReason(reason); }
export function onlyVm(vm: u32): void { traceFilter().vm = vm; }
export function every(n: u32): void { traceFilter().every = n; }
`;

const KIND_CPUID = 1;
const KIND_IO = 4;

interface Seen {
  tscIn: number;
  tscOut: number;
  rip: bigint;
  kind: number;
  reason: number;
  outcome: number;
  vm: number;
  vcpu: number;
  gpa: bigint;
  rax: bigint;
  detail: bigint;
}

async function tracer() {
  const kernel = await loadKernel([], GLUE);
  kernel.cpu.perCpu = kernel.exports.perCpu!() as number;
  kernel.exports.prepare!();
  return kernel;
}

function streamOf(kernel: KernelModule): Buffer {
  return Buffer.from(
    new Uint8Array(
      kernel.exports.memory.buffer,
      kernel.exports.outputStart!() as number,
      kernel.exports.outputLength!() as number,
    ),
  );
}

function read(kernel: KernelModule) {
  const result = {
    start: undefined as TraceStart | undefined,
    exits: [] as Seen[],
    lost: 0,
    overhead: 0,
    end: [0, 0],
  };
  const decoder = new FrameDecoder({
    start: (s) => (result.start = s),
    exit: ({ tscIn, tscOut, rip, kind, reason, outcome, vm, vcpu, gpa, rax, detail }) =>
      result.exits.push({ tscIn, tscOut, rip, kind, reason, outcome, vm, vcpu, gpa, rax, detail }),
    lost: (_cpu, records) => (result.lost += records),
    overhead: (_cpu, ticks) => (result.overhead = ticks),
    end: (taken, lost) => (result.end = [taken, lost]),
  });
  const splitter = new FrameSplitter();
  for (const frame of splitter.push(streamOf(kernel)) as Iterable<Frame>) decoder.frame(frame);
  splitter.end();
  return result;
}

test("what the kernel writes is what the reader sees", async () => {
  const kernel = await tracer();
  const { exit, finish } = kernel.exports as Record<string, CallableFunction>;
  exit!(1000n, 0n, 0xffffffff81000010n, KIND_CPUID, 0x72, 0, 0n, 0xbn);
  exit!(5000n, 1200n, 0x7c00n, KIND_IO, 0x7b, 0x3f8, 0xfee000b0n, 0x41n);
  finish!(5300n);
  const { start, exits, end } = read(kernel);
  expect(start).toMatchObject({ tscHz: 1_000_000_000, backend: "svm", cpus: 1, vms: 1 });
  const common = { outcome: 1, vm: 2, vcpu: 3 };
  expect(exits).toEqual([
    {
      ...common,
      tscIn: 1000,
      tscOut: 1200,
      rip: 0xffffffff81000010n,
      kind: 1,
      reason: 0x72,
      gpa: 0n,
      rax: 0xbn,
      detail: 0n,
    },
    {
      ...common,
      tscIn: 5000,
      tscOut: 5300,
      rip: 0x7c00n,
      kind: 4,
      reason: 0x7b,
      gpa: 0xfee000b0n,
      rax: 0x41n,
      detail: 0x103f8n,
    },
  ]);
  expect(end).toEqual([2, 0]);
});

test("the bytes of an emulated instruction are the record's", async () => {
  const kernel = await tracer();
  const { exit, emulated, finish } = kernel.exports as Record<string, CallableFunction>;
  exit?.(1000n, 0n, 0x1000n, 7, 0x400, 0, 0xfee00000n, 0n);
  emulated?.(0x1122334410478966n, 0xff99887766554433n, 15);
  exit?.(2000n, 1200n, 0x1004n, KIND_CPUID, 0x72, 0, 0n, 0n);
  finish?.(2300n);
  const seen: string[] = [];
  const decoder = new FrameDecoder({ exit: (record) => seen.push(record.bytes.toString("hex")) });
  for (const frame of new FrameSplitter().push(streamOf(kernel))) decoder.frame(frame);
  expect(seen).toEqual(["668947104433221133445566778899", ""]);
});

test("a full ring counts what it drops, and the stream tells it", async () => {
  const kernel = await tracer();
  const { exit, finish, held } = kernel.exports as Record<string, CallableFunction>;
  for (let i = 0; i < 5000; i++)
    exit!(BigInt(1000 + 10 * i), BigInt(995 + 10 * i), 0x1000n, KIND_CPUID, 0x72, 0, 0n, 0n);
  expect(held!()).toBe(4096);
  finish!(99_999n);
  const { exits, lost, end } = read(kernel);
  expect(exits.length).toBe(4096);
  expect(lost).toBe(5000 - 4096);
  expect(end).toEqual([4096, 5000 - 4096]);
  expect(exits.map((e) => e.tscIn)).toEqual(Array.from({ length: 4096 }, (_, i) => 1000 + 10 * i));
});

test("time spent draining is not an exit's", async () => {
  const kernel = await tracer();
  const { exit, finish, drain } = kernel.exports as Record<string, CallableFunction>;
  exit!(1000n, 0n, 1n, KIND_CPUID, 0x72, 0, 0n, 0n);
  exit!(2000n, 1100n, 2n, KIND_CPUID, 0x72, 0, 0n, 0n);
  kernel.cpu.tscStep = 70n;
  expect(drain!()).toBe(70n);
  exit!(3000n, 2000n + 150n, 3n, KIND_CPUID, 0x72, 0, 0n, 0n);
  finish!(3010n);
  const { exits, overhead } = read(kernel);
  expect(exits.map((e) => e.tscOut - e.tscIn)).toEqual([100, 80, 10]);
  // Nor is it the guest's, between two exits.
  expect(exits.map((e) => e.tscIn)).toEqual([1000, 2000, 2930]);
  expect(overhead).toBe(70);
});

test("a filter is told to the reader, and again when it changes", async () => {
  const kernel = await tracer();
  const exports = kernel.exports as Record<string, CallableFunction>;
  exports.tellFilter?.();
  exports.onlyReason?.(0x72);
  exports.onlyReason?.(0x7b);
  exports.onlyPorts?.(0x3f8n, 0x3ffn);
  exports.every?.(10);
  exports.tellFilter?.();
  exports.onlyVm?.(1);
  exports.tellFilter?.();
  exports.finish?.(1n);
  const seen: RecordedFilter[] = [];
  const decoder = new FrameDecoder({ filter: (filter) => seen.push(filter) });
  for (const frame of new FrameSplitter().push(streamOf(kernel))) decoder.frame(frame);
  const ranges = [{ name: "port", first: 0x3f8n, last: 0x3ffn }];
  expect(seen).toEqual([
    { every: 10, reasons: [0x72, 0x7b], ranges },
    { vm: 1, every: 10, reasons: [0x72, 0x7b], ranges },
  ]);
});

test("filters: reason, VM, port range, every Nth", async () => {
  const run = async (set: (exports: Record<string, CallableFunction>) => void) => {
    const kernel = await tracer();
    const exports = kernel.exports as Record<string, CallableFunction>;
    set(exports);
    for (let i = 0; i < 12; i++) {
      const io = i % 2 === 1;
      exports.exit!(
        BigInt(100 * i + 50),
        BigInt(100 * i),
        BigInt(i),
        io ? KIND_IO : KIND_CPUID,
        io ? 0x7b : 0x72,
        0x3f0 + i,
        0n,
        0n,
      );
    }
    exports.finish!(9999n);
    return read(kernel).exits.map((e) => Number(e.rip));
  };
  expect(await run((k) => k.onlyReason!(0x72))).toEqual([0, 2, 4, 6, 8, 10]);
  expect(await run((k) => k.onlyVm!(1))).toEqual([]);
  expect(await run((k) => k.onlyVm!(2))).toHaveLength(12);
  expect(await run((k) => k.onlyPorts!(0x3f3n, 0x3f7n))).toEqual([3, 5, 7]);
  expect(await run((k) => k.every!(5))).toEqual([4, 9]);
});

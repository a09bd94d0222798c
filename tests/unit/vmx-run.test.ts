// Events, windows, deadlines, bitmaps, and the switch between vCPUs.
import { beforeEach, describe, expect, test } from "vitest";
import { encoding, startedMachine, type VmxMachine } from "./vmx-machine.ts";

let machine: VmxMachine;
let vcpu: number;
const CPUID = { EXIT_REASON: 10n };

beforeEach(async () => {
  ({ machine, vcpu } = await startedMachine());
  machine.exit(vcpu, CPUID);
});

/** VMCS fields as they are at the moment of entry. */
function atEntry(fields: string[], guest: Record<string, bigint> = {}): Record<string, bigint> {
  for (const [field, value] of Object.entries(guest)) machine.setField(field, value);
  let seen: Record<string, bigint> = {};
  const enter = machine.cpu.enter;
  machine.cpu.enter = (registers, memory, launched) => {
    seen = Object.fromEntries(fields.map((field) => [field, machine.cpu.vmcs.get(encoding(field)) ?? 0n]));
    return enter(registers, memory, launched);
  };
  machine.exit(vcpu, CPUID);
  machine.cpu.enter = enter;
  return seen;
}

const INFO = "ENTRY_INTERRUPTION_INFO";
const ERROR = "ENTRY_EXCEPTION_ERROR_CODE";
const LENGTH = "ENTRY_INSTRUCTION_LENGTH";
const PENDING = "GUEST_PENDING_DEBUG";
const BLOCKING = "GUEST_INTERRUPTIBILITY";

describe("events", () => {
  test("an external interrupt goes in as it is, once", () => {
    machine.setVcpu(vcpu, { event: 0x80000041n });
    expect(atEntry([INFO])).toEqual({ [INFO]: 0x80000041n });
    expect(machine.vcpu(vcpu, "event")).toBe(0n);
    expect(atEntry([INFO])).toEqual({ [INFO]: 0n });
  });

  test("an exception with its error code, in protected mode", () => {
    machine.setVcpu(vcpu, { event: 0x80000b0en, eventError: 7n });
    const seen = atEntry([INFO, ERROR], { GUEST_CR0: 0x80000031n });
    expect(seen).toEqual({ [INFO]: 0x80000b0en, [ERROR]: 7n });
  });

  test("in real mode the error code stays away", () => {
    machine.setVcpu(vcpu, { event: 0x80000b0dn, eventError: 0n });
    expect(atEntry([INFO], { GUEST_CR0: 0x30n })).toEqual({ [INFO]: 0x8000030dn });
  });

  test("a software interrupt has its length", () => {
    machine.setVcpu(vcpu, { event: 0x80000480n, eventLength: 2n });
    expect(atEntry([INFO, LENGTH])).toEqual({ [INFO]: 0x80000480n, [LENGTH]: 2n });
  });

  test("an exception ends the shadow of MOV SS; NMIs stay blocked", () => {
    machine.setVcpu(vcpu, { event: 0x80000306n });
    expect(atEntry([BLOCKING], { [BLOCKING]: 0xan })).toEqual({ [BLOCKING]: 8n });
  });

  test("what waited behind MOV SS is lost to an exception, not to an interrupt", () => {
    const waiting = { [BLOCKING]: 2n, [PENDING]: 0x4000n };
    machine.setVcpu(vcpu, { event: 0x80000301n });
    expect(atEntry([BLOCKING, PENDING], waiting)).toEqual({ [BLOCKING]: 0n, [PENDING]: 0n });
    machine.setVcpu(vcpu, { event: 0x80000202n });
    expect(atEntry([BLOCKING, PENDING], waiting)).toEqual({ [BLOCKING]: 0n, [PENDING]: 0x4000n });
  });

  test("an NMI delivered again is not blocked by its first attempt", () => {
    machine.setVcpu(vcpu, { event: 0x80000202n });
    expect(atEntry([INFO, BLOCKING], { [BLOCKING]: 8n })).toEqual({ [INFO]: 0x80000202n, [BLOCKING]: 0n });
  });

  test("an event without its valid bit is none", () => {
    machine.setVcpu(vcpu, { event: 0x41n });
    expect(atEntry([INFO])).toEqual({ [INFO]: 0n });
  });
});

describe("windows", () => {
  const windows = () => machine.field("PRIMARY_CONTROLS") & ((1n << 2n) | (1n << 22n));

  test("are asked for and given up; an unchanged word is not written", () => {
    machine.setVcpu(vcpu, { interruptWindow: 1n });
    machine.call("updateWindows", vcpu);
    expect(windows()).toBe(1n << 2n);
    const before = machine.cpu.vmcsWrites;
    machine.call("updateWindows", vcpu);
    expect(machine.cpu.vmcsWrites).toBe(before);
    machine.setVcpu(vcpu, { interruptWindow: 0n, nmiWindow: 1n });
    machine.call("updateWindows", vcpu);
    expect(windows()).toBe(1n << 22n);
    machine.call("reset", vcpu);
    expect(windows()).toBe(0n);
  });
});

describe("deadlines: the timer counts once in 2^7 ticks", () => {
  const TIMER = "PREEMPTION_TIMER_VALUE";
  /** A quarter of a second at 1 GHz, in units of the timer. */
  const LONGEST = 250_000_000n >> 7n;

  test("none: the longest time, written once", () => {
    expect(atEntry([TIMER])).toEqual({ [TIMER]: LONGEST });
    const before = machine.cpu.vmcsWrites;
    machine.exit(vcpu, CPUID);
    expect(machine.cpu.vmcsWrites).toBe(before);
  });

  test("rounds up, so that it never exits too early", () => {
    machine.cpu.tsc = 1000n;
    machine.cpu.tscStep = 0n;
    machine.call("setDeadline", vcpu, 1000n + 1280n);
    expect(atEntry([TIMER])).toEqual({ [TIMER]: 11n });
    machine.call("setDeadline", vcpu, 1001n);
    expect(atEntry([TIMER])).toEqual({ [TIMER]: 1n });
  });

  test("what is past exits at once; what is far is cut; none again parks the timer", () => {
    machine.cpu.tsc = 5000n;
    machine.cpu.tscStep = 0n;
    machine.call("setDeadline", vcpu, 4000n);
    expect(atEntry([TIMER])).toEqual({ [TIMER]: 0n });
    machine.call("setDeadline", vcpu, 1n << 60n);
    expect(atEntry([TIMER])).toEqual({ [TIMER]: LONGEST });
    machine.call("setDeadline", vcpu, 6000n);
    atEntry([TIMER]);
    machine.call("setDeadline", vcpu, 0xffffffffffffffffn);
    expect(atEntry([TIMER])).toEqual({ [TIMER]: LONGEST });
  });
});

describe("MSR and I/O bitmaps", () => {
  const msrBit = (half: bigint, index: number) =>
    (machine.cpu.load(machine.field("MSR_BITMAP") + half + BigInt(index >> 3), 1) >> BigInt(index & 7)) & 1n;

  test("closed at first, in both ranges and directions", () => {
    for (const half of [0n, 0x400n, 0x800n, 0xc00n]) {
      expect(msrBit(half, 0)).toBe(1n);
      expect(msrBit(half, 0x1fff)).toBe(1n);
    }
  });

  test("opening LSTAR for reads only touches its one bit", () => {
    machine.call("interceptMsr", vcpu, 0xc0000082, 0, 1);
    expect(msrBit(0x400n, 0x82)).toBe(0n);
    expect([msrBit(0x400n, 0x81), msrBit(0x400n, 0x83), msrBit(0xc00n, 0x82), msrBit(0n, 0x82)]).toEqual([
      1n,
      1n,
      1n,
      1n,
    ]);
    machine.call("interceptMsr", vcpu, 0xc0000082, 1, 1);
    expect(msrBit(0x400n, 0x82)).toBe(1n);
  });

  test("low MSRs, and MSRs outside both ranges", () => {
    machine.call("interceptMsr", vcpu, 0x174, 0, 0);
    expect([msrBit(0n, 0x174), msrBit(0x800n, 0x174)]).toEqual([0n, 0n]);
    machine.call("interceptMsr", vcpu, 0x40000000, 0, 0);
    machine.call("interceptMsr", vcpu, 0x2000, 0, 0);
    machine.call("interceptMsr", vcpu, 0xc0002000, 0, 0);
    const open = machine.cpu.peek(machine.field("MSR_BITMAP"), 4096).filter((byte) => byte !== 0xff);
    expect(open).toHaveLength(2);
  });

  test("every port exits, and bitmap B follows A", () => {
    expect(machine.field("IO_BITMAP_B")).toBe(machine.field("IO_BITMAP_A") + 0x1000n);
    expect(machine.cpu.peek(machine.field("IO_BITMAP_A"), 8192).every((byte) => byte === 0xff)).toBe(true);
  });
});

test("EPT pointer: write-back, four levels, accessed and dirty bits; VPIDs are not 0 and differ", () => {
  expect(machine.field("EPT_POINTER")).toBe(0x10005en);
  const first = machine.field("VPID");
  machine.call("create", 0x200000n);
  expect(first).not.toBe(0n);
  expect(machine.field("VPID")).not.toBe(first);
});

test("flushing drops this guest's nested and own translations", () => {
  machine.cpu.calls.length = 0;
  machine.call("flush", vcpu);
  const calls = machine.cpu.calls.filter(({ name }) => name.startsWith("inv"));
  expect(calls).toEqual([
    { name: "invept", args: [1, 0x10005en, 0n] },
    { name: "invvpid", args: [1, machine.field("VPID"), 0n] },
  ]);
});

test("another vCPU on this CPU: its VMCS becomes current, and each keeps its SYSCALL and debug registers", () => {
  machine.cpu.msrs.set(0xc0000082, 0x1111n);
  machine.cpu.controlRegisters.set("dr0", 0x2222n);
  const other = machine.call("create", 0x200000n);
  expect(machine.cpu.msrs.get(0xc0000082)).toBe(0n);
  machine.cpu.msrs.set(0xc0000082, 0x3333n);
  machine.cpu.calls.length = 0;
  machine.call("load", vcpu);
  expect(machine.cpu.calls.filter(({ name }) => name === "vmptrld")).toHaveLength(1);
  expect(machine.cpu.msrs.get(0xc0000082)).toBe(0x1111n);
  expect(machine.cpu.controlRegisters.get("dr0")).toBe(0x2222n);
  machine.call("load", vcpu);
  expect(machine.cpu.calls.filter(({ name }) => name === "vmptrld")).toHaveLength(1);
  machine.call("load", other);
  expect(machine.cpu.msrs.get(0xc0000082)).toBe(0x3333n);
});

test("the TSC offset reaches the VMCS", () => {
  machine.setVcpu(vcpu, { tscOffset: 0xffffffffffff0000n });
  machine.call("updateTscOffset", vcpu);
  expect(machine.field("TSC_OFFSET")).toBe(0xffffffffffff0000n);
});

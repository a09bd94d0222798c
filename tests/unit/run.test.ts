// The run loop with a scripted guest: a backend whose entries call the test, which plays the guest until its next exit.
import { beforeEach, describe, expect, test } from "vitest";
import { type KernelModule, loadKernel } from "./harness.js";
import { VcpuView, vcpuGlue } from "./vcpu-view.js";

const EXIT = { io: 4, hlt: 8, interrupt: 10, window: 12, exception: 15 };
const VALID = 0x8000_0000n;
const EXCEPTION = 3n << 8n;
const HAS_ERROR = 1n << 11n;
const IF = 0x202n;
const DEBUG_EXIT = 0xf4;
const NO_VECTOR = 0xffff_ffff;
const ALL_GROUPS = 0x7f;
const LOG_PORT = 0xe9;
const ICR_SELF = 0x4_4000;
const TIMER_VECTOR = 0x61;

const glue = `${vcpuGlue}
import { clockSet } from "./kernel/arch/clock";
import { out8, svm_enter } from "./kernel/arch/intrinsics";
import { PerCpu, thisCpu } from "./kernel/arch/percpu";
import { lapicWrite } from "./kernel/devices/lapic";
import { machineInstall } from "./kernel/guest/machine";
import { lapicOf, platformAddDebugExit, platformAttach, platformCreate, platformReset } from "./kernel/guest/platform";
import { Vm, vmNew, vmSetVcpu } from "./kernel/guest/vm";
import { arenaNew } from "./kernel/lib/arena";
import { logSetSink } from "./kernel/lib/log";
import { runPrepare, runVm } from "./kernel/run";
import { backend } from "./kernel/vcpu/backend";
import { machine } from "./kernel/vcpu/machine";

function run(vcpu: Vcpu, prepare: (vcpu: Vcpu) => bool, onExit: (vcpu: Vcpu) => void): void {
  while (vcpu.requests == 0 || prepare(vcpu)) {
    svm_enter(changetype<usize>(vcpu));
    vcpu.dirty = 0;
    onExit(vcpu);
  }
}
export function build(): usize {
  clockSet(1000000000);
  logSetSink((byte: u32): void => out8(${LOG_PORT}, byte));
  const table = backend();
  table.run = run;
  table.loadVcpu = (vcpu: Vcpu): void => { thisCpu().currentVcpu = vcpu; };
  table.loadState = (vcpu: Vcpu, groups: u32): void => { vcpu.valid |= groups; };
  table.updateWindows = (_vcpu: Vcpu): void => {};
  table.flush = (_vcpu: Vcpu): void => {};
  machineInstall(machine());
  const vm = vmNew();
  vm.cpus = 1;
  vm.memoryBytes = 1 << 20;
  platformCreate(vm);
  platformAddDebugExit(vm, ${DEBUG_EXIT});
  const vcpu = changetype<Vcpu>(newVcpu());
  vmSetVcpu(vm, 0, vcpu);
  platformAttach(vcpu);
  platformReset(vm);
  runPrepare();
  return changetype<usize>(vcpu);
}
export function perCpu(): usize { return changetype<usize>(arenaNew<PerCpu>()); }
export function go(vcpu: Vcpu): u32 { return runVm(changetype<Vm>(vcpu.vm)); }
export function apic(vcpu: Vcpu, offset: u32, value: u32): void { lapicWrite(lapicOf(vcpu), offset, 4, value, 0); }
`;

let kernel: KernelModule;
let vcpu: VcpuView;
let log: string;

beforeEach(async () => {
  kernel = await loadKernel(["kernel/run.ts"], glue);
  kernel.cpu.perCpu = kernel.exports.perCpu!() as number;
  kernel.cpu.tscStep = 1000n;
  log = "";
  kernel.cpu.portOut = (port, _size, value) => {
    if (port === LOG_PORT) log += String.fromCharCode(value);
  };
  vcpu = new VcpuView(kernel, kernel.exports.build!() as number);
  kernel.exports.apic!(vcpu.address, 0xf0, 0x1ff);
});

const apic = (offset: number, value: number) => kernel.exports.apic!(vcpu.address, offset, value);

/** An instruction of two bytes at `rip` that exits. */
function instruction(kind: number, rip: bigint): void {
  vcpu.setExit("kind", kind);
  vcpu.setExit("reason", kind);
  vcpu.setExit("rip", rip);
  vcpu.setExit("nextRip", rip + 2n);
  vcpu.setExit("interruptedEvent", 0);
}

function debugExit(value: number): void {
  instruction(EXIT.io, 0x9000n);
  vcpu.setExit("flags", 0);
  vcpu.setExit("port", DEBUG_EXIT);
  vcpu.setExit("size", 1);
  vcpu.set("rax", value);
}

/** Runs the guest: one function for each entry, which looks at the vCPU and sets up the next exit. */
function play(...steps: (() => void)[]): number {
  let step = 0;
  kernel.cpu.enter = () => {
    const next = steps[step++];
    if (next === undefined) throw new Error(`entered once more than the script has steps (${steps.length})`);
    // What a backend has at hand after an exit.
    vcpu.set("valid", ALL_GROUPS);
    vcpu.set("interruptibility", 0);
    next();
    return 0;
  };
  const status = kernel.exports.go!(vcpu.address) as number;
  expect(step, "steps played").toBe(steps.length);
  return status;
}

/** The event that the entry delivers, and takes from the vCPU as backends do. */
function delivered(): bigint {
  const event = vcpu.get("event");
  vcpu.set("event", 0);
  return event;
}

describe("ends", () => {
  test("the guest's debug exit stops the VM, and the log says so in the words that programs read", () => {
    expect(play(() => debugExit(3))).toBe(7);
    expect(log).toBe("typevisor: vm0: stopped: debug-exit (status 7)\r\n");
  });

  test("HLT with interrupts off", () => {
    vcpu.set("rflags", 2);
    expect(play(() => instruction(EXIT.hlt, 0x1000n))).toBe(13);
    expect(log).toContain("(status 13)");
  });

  test("an instruction that is completed is skipped", () => {
    play(
      () => {
        instruction(EXIT.io, 0x1000n);
        vcpu.setExit("port", 0x80);
        vcpu.setExit("size", 1);
        vcpu.setExit("flags", 0);
      },
      () => {
        expect(vcpu.get("rip")).toBe(0x1002n);
        debugExit(0);
      },
    );
  });
});

describe("interrupts", () => {
  test("what is pending is delivered at the next entry, and acknowledged", () => {
    vcpu.set("rflags", IF);
    apic(0x300, ICR_SELF | 0x50);
    play(() => {
      expect(delivered()).toBe(VALID | 0x50n);
      expect(vcpu.get("interruptWindow")).toBe(0n);
      debugExit(0);
    });
  });

  test("with interrupts off it waits for the window", () => {
    vcpu.set("rflags", 2);
    apic(0x300, ICR_SELF | 0x50);
    play(
      () => {
        expect([delivered(), vcpu.get("interruptWindow")]).toEqual([0n, 1n]);
        instruction(EXIT.window, 0x1000n);
        vcpu.set("rflags", IF);
      },
      () => {
        expect([delivered(), vcpu.get("interruptWindow")]).toEqual([VALID | 0x50n, 0n]);
        debugExit(0);
      },
    );
  });

  test("in the shadow of STI it waits for the window", () => {
    vcpu.set("rflags", 2);
    apic(0x300, ICR_SELF | 0x50);
    play(
      () => {
        instruction(EXIT.interrupt, 0x1000n);
        vcpu.setExit("vector", NO_VECTOR);
        vcpu.set("rflags", IF);
        vcpu.set("interruptibility", 1);
      },
      () => {
        expect([delivered(), vcpu.get("interruptWindow")]).toEqual([0n, 1n]);
        debugExit(0);
      },
    );
  });

  test("two pending: the second asks for a window", () => {
    vcpu.set("rflags", IF);
    apic(0x300, ICR_SELF | 0x41);
    apic(0x300, ICR_SELF | 0x91);
    play(() => {
      expect(delivered()).toBe(VALID | 0x91n);
      // The lower priority is held back by the one in service, so there is nothing to wait for yet.
      expect(vcpu.get("interruptWindow")).toBe(0n);
      debugExit(0);
    });
  });

  test("HLT waits for the timer, with the host's timer armed", () => {
    vcpu.set("rflags", IF);
    play(
      () => {
        apic(0x3e0, 0x0b);
        apic(0x320, TIMER_VECTOR);
        apic(0x380, 50_000);
        instruction(EXIT.hlt, 0x1000n);
      },
      () => {
        expect(delivered()).toBe(VALID | BigInt(TIMER_VECTOR));
        expect(vcpu.get("rip")).toBe(0x1002n);
        debugExit(0);
      },
    );
    expect(kernel.cpu.calls.some((call) => call.name === "sti_hlt_cli")).toBe(true);
  });

  test("HLT with an interrupt pending does not wait", () => {
    vcpu.set("rflags", IF);
    play(
      () => {
        apic(0x300, ICR_SELF | 0x50);
        instruction(EXIT.hlt, 0x1000n);
      },
      () => {
        expect(delivered()).toBe(VALID | 0x50n);
        debugExit(0);
      },
    );
    expect(kernel.cpu.calls.some((call) => call.name === "sti_hlt_cli")).toBe(false);
  });
});

describe("events whose delivery was interrupted", () => {
  const PF = VALID | EXCEPTION | HAS_ERROR | 14n;

  /** A physical interrupt that came while `event` was being delivered. */
  function interruptDuring(event: bigint, error: number): void {
    instruction(EXIT.interrupt, 0x1000n);
    vcpu.setExit("vector", NO_VECTOR);
    vcpu.setExit("interruptedEvent", event);
    vcpu.setExit("interruptedError", error);
  }

  /** Exception `vector` during the delivery of `event`. */
  function exceptionDuring(event: bigint, vector: number): void {
    instruction(EXIT.exception, 0x1000n);
    vcpu.setExit("vector", vector);
    vcpu.setExit("errorCode", 0);
    vcpu.setExit("flags", 0);
    vcpu.setExit("interruptedEvent", event);
  }

  test("are delivered again", () => {
    play(
      () => interruptDuring(PF, 7),
      () => {
        expect([delivered(), vcpu.get("eventError")]).toEqual([PF, 7n]);
        debugExit(0);
      },
    );
  });

  // SDM, "Interrupt 8": contributory are #DE #TS #NP #SS #GP #CP.
  test.each<[string, bigint, number, bigint]>([
    ["#GP during #GP", VALID | EXCEPTION | HAS_ERROR | 13n, 13, 8n],
    ["#SS during #NP", VALID | EXCEPTION | HAS_ERROR | 11n, 12, 8n],
    ["#DE during #TS", VALID | EXCEPTION | HAS_ERROR | 10n, 0, 8n],
    ["#PF during #PF", PF, 14, 8n],
    ["#GP during #PF", PF, 13, 8n],
    ["#PF during #GP is #PF", VALID | EXCEPTION | HAS_ERROR | 13n, 14, 14n],
    ["#UD during #GP is #UD", VALID | EXCEPTION | HAS_ERROR | 13n, 6, 6n],
    ["#GP during #UD is #GP", VALID | EXCEPTION | 6n, 13, 13n],
    ["#DB during #PF is #DB", PF, 1, 1n],
  ])("%s", (_name, first, second, expected) => {
    play(
      () => exceptionDuring(first, second),
      () => {
        expect(delivered() & 0xffn).toBe(expected);
        debugExit(0);
      },
    );
  });

  test("#GP during #DF: triple fault", () => {
    expect(play(() => exceptionDuring(VALID | EXCEPTION | HAS_ERROR | 8n, 13))).toBe(11);
  });

  test("an interrupt that an exception overtakes comes after it", () => {
    vcpu.set("rflags", IF);
    play(
      () => exceptionDuring(VALID | 0x50n, 17),
      () => {
        expect([delivered() & 0xffn, vcpu.get("interruptWindow")]).toEqual([17n, 1n]);
        instruction(EXIT.window, 0x2000n);
      },
      () => {
        expect([delivered(), vcpu.get("interruptWindow")]).toEqual([VALID | 0x50n, 0n]);
        debugExit(0);
      },
    );
  });
});

// The compiled monitor, typed at: what the guest gets, what the monitor answers, and that neither changes the guest.
import { beforeEach, describe, expect, test } from "vitest";
import { escapeForMonitor } from "../../tools/console/escape.ts";
import { CpuStopped } from "./fake-cpu.ts";
import { type KernelModule, loadKernel } from "./harness.ts";
import { VcpuView, vcpuGlue } from "./vcpu-view.ts";

const COM1 = 0x3f8;
const LOG_PORT = 0xe9;
const RAM = 0x40_0000n;
const RAM_BYTES = 0x10_0000n;
const NESTED_ROOT = 0x80_0000n;

const glue = `${vcpuGlue}
import { exitName } from "./kernel/abi/svm-reasons";
import { clockSet } from "./kernel/arch/clock";
import { out8 } from "./kernel/arch/intrinsics";
import { PerCpu } from "./kernel/arch/percpu";
import { consoleInterrupt, consoleStart } from "./kernel/drivers/console";
import { platformCreate, platformReset } from "./kernel/guest/platform";
import { platformPortRead } from "./kernel/guest/port-access";
import { Vm, vmNew, vmNow, vmOf, vmSetVcpu } from "./kernel/guest/vm";
import { arenaNew } from "./kernel/lib/arena";
import { logSetSink } from "./kernel/lib/log";
import { guestAddRegion } from "./kernel/mm/guestmem";
import { NESTED_EPT, NESTED_NPT } from "./kernel/mm/nested";
import { monitorEnable, moveInput } from "./kernel/monitor/input";
import { countersCreate, countExit } from "./kernel/trace/counters";
import { filterPasses, filterReset } from "./kernel/trace/filter";
import { ringCreate, traceExit, traceOutcome, traceSinks } from "./kernel/trace/ring";
import { backend } from "./kernel/vcpu/backend";

let offsets: u32 = 0;
export function build(): usize {
  clockSet(1000000000);
  logSetSink((byte: u32): void => out8(${LOG_PORT}, byte));
  const table = backend();
  table.name = "AMD-V";
  table.reasonName = exitName;
  table.loadState = (vcpu: Vcpu, groups: u32): void => { vcpu.valid |= groups; };
  table.updateTscOffset = (_vcpu: Vcpu): void => { offsets++; };
  const vm = vmNew();
  vm.cpus = 1;
  vm.memoryBytes = ${RAM_BYTES};
  guestAddRegion(vm.memory, 0, ${RAM_BYTES}, ${RAM});
  vm.nestedRoot = ${NESTED_ROOT};
  vm.nestedKind = NESTED_NPT;
  platformCreate(vm);
  const vcpu = changetype<Vcpu>(newVcpu());
  vmSetVcpu(vm, 0, vcpu);
  platformReset(vm);
  countersCreate(vcpu);
  filterReset();
  ringCreate(false);
  consoleStart();
  return changetype<usize>(vcpu);
}
export function perCpu(): usize { return changetype<usize>(arenaNew<PerCpu>()); }
export function enable(): void { monitorEnable(); }
export function arrive(): void { consoleInterrupt(); }
export function move(vcpu: Vcpu): bool { return moveInput(vcpu); }
export function guestIn(vcpu: Vcpu, port: u32): u32 { return platformPortRead(vcpu, port, 1); }
export function exit(vcpu: Vcpu): void { countExit(vcpu); traceExit(vcpu); traceOutcome(1); }
export function useEpt(vcpu: Vcpu): void { vmOf(vcpu).nestedKind = NESTED_EPT; }
export function time(vcpu: Vcpu): u64 { return vmNow(vmOf(vcpu)); }
export function stopped(vcpu: Vcpu): bool { return vmOf(vcpu).stopped; }
export function sinks(): u32 { return traceSinks(); }
export function passes(vcpu: Vcpu): bool { return filterPasses(vcpu); }
`;

let kernel: KernelModule;
let vcpu: VcpuView;
let typed: number[];
let screen: string;
let log: string;

beforeEach(async () => {
  kernel = await loadKernel([], glue);
  const { cpu } = kernel;
  cpu.perCpu = kernel.exports.perCpu!() as number;
  typed = [];
  screen = "";
  log = "";
  cpu.portIn = (port) => {
    if (port === COM1 + 5) return (typed.length > 0 ? 1 : 0) | 0x20;
    return port === COM1 ? (typed.shift() as number) : 0;
  };
  cpu.portOut = (port, _size, value) => {
    if (port === COM1) screen += String.fromCharCode(value);
    if (port === LOG_PORT) log += String.fromCharCode(value);
  };
  // The monitor waits for a key that the test does not type.
  cpu.calls.push = (...calls) => {
    if (calls.some(({ name }) => name.includes("hlt")))
      throw new CpuStopped(`idle; the screen shows\n${screen}`);
    return 0;
  };
  vcpu = new VcpuView(kernel, kernel.exports.build!() as number);
  kernel.exports.enable!();
});

const call = (name: string, ...args: (number | bigint)[]) => kernel.exports[name]!(vcpu.address, ...args);

/** Types at the console and runs the guest until it has taken everything. Returns what the guest got. */
function type(bytes: Uint8Array | string): Uint8Array {
  const received: number[] = [];
  typed.push(...(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes));
  kernel.exports.arrive!();
  while (true) {
    call("move");
    if (((call("guestIn", COM1 + 5) as number) & 1) === 0) return Uint8Array.from(received);
    received.push(call("guestIn", COM1) as number);
  }
}

const OPEN = "\x1dm";
const CTRL_D = "\x04";

/** What the monitor answers to a line, without the line itself. */
function ask(line: string): string {
  screen = "";
  type(`${OPEN}${line}\r${CTRL_D}`);
  const prompt = "typevisor> ";
  const from = screen.indexOf(prompt + line) + prompt.length + line.length;
  return screen.slice(from, screen.lastIndexOf(prompt)).trim().replaceAll("\r\n", "\n");
}

describe("the guest's input", () => {
  test("4 KiB of every byte pass unharmed when the escape is doubled", () => {
    const bytes = Uint8Array.from({ length: 4096 }, (_, i) => (i * 29) & 0xff);
    expect(type(escapeForMonitor(bytes))).toEqual(bytes);
    expect(screen).toBe("");
  });

  test("the escape before another key: the guest gets both, also when the key comes later", () => {
    expect(Buffer.from(type("a\x1d")).toString()).toBe("a");
    expect(Buffer.from(type("xb")).toString()).toBe("\x1dxb");
  });

  test("what is typed before and after a visit to the monitor is the guest's", () => {
    expect(Buffer.from(type(`ab${OPEN}info\r${CTRL_D}cd`)).toString()).toBe("abcd");
    expect(screen).toContain("vm0 vcpu0 paused at ");
  });

  test("without the escape key every byte is the guest's", async () => {
    kernel = await loadKernel([], glue);
    const { cpu } = kernel;
    cpu.perCpu = kernel.exports.perCpu!() as number;
    cpu.portIn = (port) => (port === COM1 ? (typed.shift() as number) : (typed.length > 0 ? 1 : 0) | 0x20);
    vcpu = new VcpuView(kernel, kernel.exports.build!() as number);
    expect(Buffer.from(type(`${OPEN}\x1d\x1d`)).toString()).toBe(`${OPEN}\x1d\x1d`);
  });
});

describe("the visit", () => {
  test("counts for no exit, and the guest's clocks stand still", () => {
    vcpu.setExit("reason", 0x72);
    vcpu.set("tscExit", 1000n);
    call("exit");
    kernel.cpu.tsc = 2000n;
    kernel.cpu.tscStep = 0n;
    const before = call("time") as bigint;
    const offset = vcpu.get("tscOffset") as bigint;
    const push = kernel.cpu.portOut;
    kernel.cpu.portOut = (port, size, value) => {
      kernel.cpu.tsc += 100n;
      push(port, size, value);
    };
    ask("info");
    const visit = kernel.cpu.tsc - 2000n;
    expect(visit).toBeGreaterThan(10_000n);
    expect(call("time")).toBe(before);
    expect(BigInt.asIntN(64, (vcpu.get("tscOffset") as bigint) - offset)).toBe(-visit);
    vcpu.set("tscEntry", kernel.cpu.tsc + 500n);
    vcpu.set("tscExit", kernel.cpu.tsc + 900n);
    vcpu.setExit("reason", 0x78);
    call("exit");
    expect(ask("vmexit cpuid")).toMatch(/cpuid +1 .* 1\.50us +1\.50us +1\.50us/);
  });

  test("quit stops the VM, and that is no failure", () => {
    ask("quit");
    expect(call("stopped")).toBe(1);
  });
});

describe("commands", () => {
  test("help lists all, or one", () => {
    const all = ask("help").split("\n");
    expect(all.map((line) => line.split(" ")[0])).toEqual(
      "vmexit top clear trace regs mem pt ept npt vmcs vmcb info continue quit help".split(" "),
    );
    expect(ask("help mem")).toMatch(/^mem \[gpa:\]ADDRESS \[BYTES\] +\S/);
  });

  test.each([
    ["frobnicate", "there is no such command, see `help`: frobnicate"],
    ["help frob", "there is no such command, see `help`: frob"],
    ["vmexit frob", "there is no exit reason of this name (Tab completes): frob"],
    ["mem", "expected an address, such as 0x100000, rip or gpa:0x100000"],
    ["mem zero", "expected an address, such as 0x100000, rip or gpa:0x100000: zero"],
    ["mem 0 4097", "expected a number of bytes, at most 4096: 4097"],
    ["mem 0 many", "expected a number of bytes, at most 4096: many"],
    ["mem gpa:0x100000", "there is no guest RAM: gpa:0x100000"],
    ["mem 0xfffffffffffffffe", "there is no guest RAM: 0xfffffffffffffffe"],
    ["pt", "expected a linear address, such as 0xffffffff81000000 or rip"],
    ["ept -1", "expected a guest-physical address such as 0xfee00000: -1"],
    ["ept 0x1000000000000", "guest-physical addresses have at most 48 bits: 0x1000000000000"],
    ["trace sometimes", "expected on, off or filter: sometimes"],
    [
      "trace filter vm=0,port=x,vcpu=0",
      "the filter stays as it was: this value cannot be read, see `help trace`: port=x",
    ],
    [
      "trace filter reason=",
      "the filter stays as it was: this value cannot be read, see `help trace`: reason=",
    ],
    ["trace filter color=3", "the filter stays as it was: there is no such key, see `help trace`: color=3"],
  ])("%s: an error in one line", (line, answer) => {
    expect(ask(line)).toBe(answer);
  });

  test("an empty line and one of blanks ask again", () => {
    screen = "";
    type(`${OPEN}\r   \r${CTRL_D}`);
    expect(screen.split("typevisor> ")).toHaveLength(4);
  });

  test("vmexit: the table, one reason's histogram, and clear", () => {
    for (const ticks of [1000n, 1010n, 5000n]) {
      vcpu.setExit("reason", 0x72);
      call("exit");
      vcpu.set("tscEntry", (vcpu.get("tscExit") as bigint) + ticks);
      vcpu.set("tscExit", (vcpu.get("tscEntry") as bigint) + 1n);
    }
    vcpu.setExit("reason", 0x78);
    call("exit");
    expect(ask("vmexit")).toMatch(/cpuid +3 +[\s\S]*vm=0 vcpu=0 exits=/);
    const histogram = ask("vmexit CPUID")
      .split("\n")
      .slice(2)
      .map((line) => line.replace(/ +/g, " "));
    expect(histogram).toEqual([`from 0.51us 2 ${"#".repeat(40)}`, `from 4.09us 1 ${"#".repeat(20)}`]);
    ask("clear");
    expect(ask("vmexit")).not.toContain("cpuid");
  });

  test("vmexit of one reason lists what its exits were about, the most frequent first", () => {
    const ports = [0x70, 0x3f8, 0x3f8, 0x71, 0x3f8, 0x71];
    for (const port of ports) {
      vcpu.setExit("reason", 0x7b);
      vcpu.setExit("detail", port);
      call("exit");
      vcpu.set("tscEntry", (vcpu.get("tscExit") as bigint) + 1000n);
      vcpu.set("tscExit", (vcpu.get("tscEntry") as bigint) + 1n);
    }
    vcpu.setExit("reason", 0x78);
    vcpu.setExit("detail", 0);
    call("exit");
    const lines = ask("vmexit io")
      .split("\n")
      .map((line) => line.replace(/ +/g, " "));
    expect(lines.slice(2, 5)).toEqual([
      "at 000003f8 3 50.00% 1.00us",
      "at 00000071 2 33.33% 1.00us",
      "at 00000070 1 16.66% 1.00us",
    ]);
    expect(lines[5]).toMatch(/^from/);
    expect(
      ask("vmexit hlt")
        .split("\n")
        .filter((line) => line.startsWith("at ")),
    ).toEqual([]);
  });

  test("mem: hexadecimal and text, at most what was asked for, and nothing beyond RAM", () => {
    kernel.cpu.poke(RAM + 0x1000n, Buffer.from("Hello, monitor!\x00\xff~", "latin1"));
    expect(ask("mem 0x1000 18").split("\n")).toEqual([
      "0000000000001000  48 65 6c 6c 6f 2c 20 6d 6f 6e 69 74 6f 72 21 00  Hello, monitor!.",
      "0000000000001010  ff 7e                                            .~",
    ]);
    expect(ask("mem gpa:0xffffe 4")).toMatch(/^00000000000ffffe {2}00 00 \?\? \?\? /);
  });

  test("regs names the flags that are set", () => {
    vcpu.set("rip", 0xffffffff81000000n);
    vcpu.set("rflags", 0x246n);
    vcpu.set("r15", 0x1234n);
    vcpu.set("cr0", 0x80000011n);
    const text = ask("regs");
    expect(text).toMatch(/^rip {4}0xffffffff81000000\nrflags 0x246 PF ZF IF\n/);
    expect(text).toContain("r15 0000000000001234");
    expect(text).toMatch(/^cr0 {4}0x80000011 PE ET PG$/m);
  });
});

describe("page tables", () => {
  const entry = (address: bigint, value: bigint) => kernel.cpu.store(address, 8, value);

  function longMode(): void {
    vcpu.set("cr0", 0x80000011n);
    vcpu.set("cr4", 0x20n);
    vcpu.set("efer", 0x500n);
    vcpu.set("cr3", 0x2000n);
    entry(RAM + 0x2000n + 8n * 511n, 0x3003n);
    entry(RAM + 0x3000n + 8n * 510n, 0x4007n);
    entry(RAM + 0x4000n + 8n * 8n, 0x80000000_000000e3n | (1n << 63n));
    entry(RAM + 0x4000n + 8n * 9n, 0x5003n);
    entry(RAM + 0x5000n, 0x6001n);
  }

  test("pt: each entry decoded, down to the page; looking sets no accessed flag", () => {
    longMode();
    expect(ask("pt 0xffffffff81200000").split("\n")).toEqual([
      "PML4E 511 at 0x2ff8: 0x3003 P W",
      "  PDPTE 510 at 0x3ff0: 0x4007 P W U",
      "  PDE 9 at 0x4048: 0x5003 P W",
      "  PTE 0 at 0x5000: 0x6001 P, the page",
      "guest-physical 0x6000",
    ]);
    expect(kernel.cpu.load(RAM + 0x5000n, 8)).toBe(0x6001n);
    kernel.cpu.poke(RAM + 0x6123n, Buffer.from("walked"));
    expect(ask("mem 0xffffffff81200123 6")).toContain("walked");
    expect(kernel.cpu.load(RAM + 0x2ff8n, 8)).toBe(0x3003n);
  });

  test("pt: a large page, what is not present, and tables outside RAM", () => {
    longMode();
    expect(ask("pt 0xffffffff81012345")).toMatch(/ P W A D PS NX, the page\nguest-physical 0x12345$/);
    expect(ask("pt 0xffffffff81201000")).toMatch(
      /PTE 1 at 0x5008: 0x0 not present\nnot mapped: accesses fault$/,
    );
    entry(RAM + 0x2000n, 0x7fff_f003n);
    expect(ask("pt 0")).toMatch(/PDPTE 0 at 0x7ffff000: not in the guest's RAM\nnot mapped: accesses fault$/);
    expect(ask("mem 0")).toBe("there is no guest RAM: 0");
  });

  test("pt: 32-bit tables with 4 MiB pages beyond 4 GiB", () => {
    vcpu.set("cr0", 0x80000011n);
    vcpu.set("cr4", 0x10n);
    vcpu.set("cr3", 0x2000n);
    kernel.cpu.store(RAM + 0x2004n, 4, 0x0080_2083n);
    expect(ask("pt 0x401234")).toMatch(
      /PDE 1 at 0x2004: 0x802083 P W PS, the page\nguest-physical 0x100801234$/,
    );
  });

  test("npt and ept name the bits of their own entries", () => {
    entry(NESTED_ROOT, 0x801027n);
    entry(0x801000n + 24n, 0x802027n);
    entry(0x802000n + 8n * 503n, (1n << 63n) | 0x80000087n);
    expect(ask("npt 0xfee00123").split("\n")).toEqual([
      "PML4E 0 at 0x800000: 0x801027 P W U A",
      "  PDPTE 3 at 0x801018: 0x802027 P W U A",
      "  PDE 503 at 0x802fb8: 0x8000000080000087 P W U PS NX, the page",
      "host-physical 0x80000123",
    ]);
    expect(ask("npt 0x1000")).toMatch(/not present\nnot mapped: accesses exit$/);
    call("useEpt");
    entry(0x802000n + 8n * 503n, 0x800003b7n);
    expect(ask("ept 0xfee00123")).toMatch(
      /PDE 503 at 0x802fb8: 0x800003b7 R W X PS A D WB, the page\nhost-physical/,
    );
  });
});

describe("trace", () => {
  test("on and off: without a stream, to the log as text", () => {
    expect(ask("trace")).toBe("trace is off");
    expect(ask("trace on")).toBe("trace is on, to the log");
    expect(Number(vcpu.get("requests")) & 0x20, "the run loop is to be left").toBe(0x20);
    vcpu.setExit("reason", 0x78);
    call("exit");
    call("exit");
    expect(log).toContain("typevisor: exit vm=0 vcpu=0 reason=hlt ");
    log = "";
    expect(ask("trace off")).toBe("trace is off");
    expect([log, call("sinks")]).toEqual(["", 0]);
  });

  test("filter speaks the language of --trace-filter", () => {
    const passes = (kind: number, reason: number, port: number) => {
      vcpu.setExit("kind", kind);
      vcpu.setExit("reason", reason);
      vcpu.setExit("port", port);
      return call("passes") === 1;
    };
    expect(ask("trace filter reason=io,cpuid,port=0x70-0x71")).toBe("traced: reason=cpuid,io port=0x70-0x71");
    expect([passes(4, 0x7b, 0x71), passes(4, 0x7b, 0x72), passes(1, 0x72, 0)]).toEqual([true, false, false]);
    expect(ask("trace filter reason=hlt every=2")).toBe("traced: every=2 reason=hlt");
    expect([passes(8, 0x78, 0), passes(8, 0x78, 0), passes(4, 0x7b, 0x71)]).toEqual([false, true, false]);
    expect(ask("trace filter all")).toBe("traced: everything");
    expect(passes(4, 0x7b, 0x72)).toBe(true);
  });

  test("a filter that cannot be read leaves the old one", () => {
    ask("trace filter vm=0,rip=0x1000-0x2000,reason=cpuid");
    const old = ask("trace filter");
    expect(old).toBe("traced: vm=0 reason=cpuid rip=0x1000-0x2000");
    for (const bad of [
      "reason=io,every=x",
      "color=3",
      "reason=nonsense",
      "reason=0x90000",
      "reason=0xffffffff",
      "vcpu=0 reason=",
      "all vm=0",
    ]) {
      expect(ask(`trace filter ${bad}`)).toMatch(/^the filter stays as it was: /);
      expect(ask("trace filter")).toBe(old);
    }
    ask("trace filter all");
    expect(ask("trace filter")).toBe("traced: everything");
  });
});

describe("the line editor", () => {
  const UP = "\x1b[A";
  const DOWN = "\x1b[B";
  const LEFT = "\x1b[D";
  const RIGHT = "\x1bOC";
  const HOME = "\x1b[H";

  test.each([
    ["backspace", "hexx\x7f\x7flp frob"],
    ["cursor keys", `elp frob${HOME}h`],
    ["left and right", `hlp frob${LEFT.repeat(7)}e`],
    ["right stops at the end", `hel${LEFT}${RIGHT}${RIGHT}p frob`],
    ["Ctrl-U", "nonsense\x15help frob"],
    ["Ctrl-W", "help nonsense\x17frob"],
    ["Ctrl-K", `help frob and more${LEFT.repeat(9)}\x0b`],
    ["Ctrl-A and Ctrl-E", "elp fro\x01h\x05b"],
    ["Ctrl-C", "nonsense\x03help frob"],
    ["unknown sequences are ignored", "help\x1b[3~ frob"],
    ["completion of a command", "hel\tfrob"],
  ])("%s", (_name, keys) => {
    type(`${OPEN}${keys}\r${CTRL_D}`);
    expect(screen).toContain("there is no such command, see `help`: frob\r\n");
  });

  test("history: up and down, and the line that one typed oneself again", () => {
    type(`${OPEN}one\rtwo\rthree\r`.concat(UP, UP, UP, DOWN, "\r", UP, UP, "\r", CTRL_D));
    const answers = [...screen.matchAll(/see `help`: (\w+)/g)].map((match) => match[1]);
    expect(answers).toEqual(["one", "two", "three", "two", "three"]);
  });

  test("completion of reasons: the common part, then the list", () => {
    type(`${OPEN}vmexit CPU\t\r${CTRL_D}`);
    expect(screen).toMatch(/cpuid \r\n +VM-EXIT/);
    screen = "";
    type(`${OPEN}vmexit vm\t\x15${CTRL_D}`);
    expect(screen).toContain("vmload");
    expect(screen).toContain("vmsave");
    expect(screen).not.toContain("cpuid");
  });

  test("a line that is too long rings the bell and stays whole", () => {
    type(`${OPEN}${"x".repeat(200)}\r${CTRL_D}`);
    expect(screen).toContain("\x07");
    expect(screen).toContain(`see \`help\`: ${"x".repeat(67)}\r\n`);
  });
});

test("top: pictures of what happened since the last one, the guest runs on, a key ends it", () => {
  kernel.cpu.tscStep = 0n;
  type(`${OPEN}top\r`);
  expect(call("move"), "the console is the monitor's").toBe(0);
  for (let i = 0; i < 250; i++) {
    vcpu.setExit("reason", 0x72);
    call("exit");
  }
  vcpu.setExit("reason", 0x78);
  call("exit");
  screen = "";
  kernel.cpu.tsc += 500_000_000n;
  call("move");
  expect(screen).toBe("");
  kernel.cpu.tsc += 1_500_000_000n;
  call("move");
  expect(screen).toMatch(/VM-EXIT +Exits\/s +Time%\r\n +cpuid +12\d /);
  screen = "";
  type(`x${CTRL_D}`);
  expect(screen).toContain("paused at");
  expect(Buffer.from(type("guest")).toString()).toBe("guest");
});

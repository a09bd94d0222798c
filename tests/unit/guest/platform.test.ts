import { describe, expect, test } from "vitest";
import { Pc } from "./pc.ts";

const LAPIC = 0xfee00000;
const LAPIC_ID = LAPIC + 0x20;
const LAPIC_EOI = LAPIC + 0xb0;
const LAPIC_SVR = LAPIC + 0xf0;
const LVT_TIMER = LAPIC + 0x320;
const LVT_LINT0 = LAPIC + 0x350;
const INITIAL_COUNT = LAPIC + 0x380;
const IOAPIC = 0xfec00000;
const COM1 = 0x3f8;
/** Redirection-entry and LVT bits. */
const LEVEL = 1 << 15;
const MASKED = 1 << 16;
const EXTINT = 7 << 8;
const NONE = -1;
const REQUEST_SAMPLE = 1n;
const REQUEST_INTERRUPT = 2n;
const REQUEST_STOP = 32n;
const MS = 1_000_000;

function ioapicWrite(pc: Pc, register: number, value: number): void {
  pc.mmioWrite(IOAPIC, register);
  pc.mmioWrite(IOAPIC + 0x10, value >>> 0);
}

function route(pc: Pc, pin: number, low: number, destination = 0): void {
  ioapicWrite(pc, 0x11 + pin * 2, destination << 24);
  ioapicWrite(pc, 0x10 + pin * 2, low);
}

/** As Linux and every BIOS: master at 20h, slave at 28h, everything masked but `unmasked`. */
function startPic(pc: Pc, unmasked: number): void {
  const words: [number, number][] = [
    [0x20, 0x11],
    [0x21, 0x20],
    [0x21, 4],
    [0x21, 1],
    [0xa0, 0x11],
    [0xa1, 0x28],
    [0xa1, 2],
    [0xa1, 1],
    [0x21, ~unmasked & 0xff],
    [0xa1, (~unmasked >> 8) & 0xff],
  ];
  for (const [port, value] of words) pc.out(port, value);
}

/** Counter 0 as a rate generator at about `hz`. */
function startPit(pc: Pc, hz: number): void {
  const count = Math.round(1_193_182 / hz);
  pc.out(0x43, 0x34);
  pc.out(0x40, count & 0xff);
  pc.out(0x40, count >> 8);
}

describe("the timer's ways to the CPU, which Linux tries one after the other", () => {
  test("PIT to I/O APIC pin 2 to the local APIC", async () => {
    const pc = await Pc.running();
    startPic(pc, 0);
    pc.mmioWrite(LAPIC_SVR, 0x1ff);
    route(pc, 2, 0x31);
    startPit(pc, 1000);
    for (let tick = 0; tick < 3; tick++) {
      pc.advance(2 * MS);
      expect(pc.pending()).toBe(0x31);
      expect(pc.vcpu.get("requests") & REQUEST_INTERRUPT).not.toBe(0n);
      expect(pc.acknowledge()).toBe(0x31);
      expect(pc.pending()).toBe(NONE);
      pc.mmioWrite(LAPIC_EOI, 0);
      pc.sample();
    }
  });

  test("PIT to the PIC to LINT0 as ExtINT: the virtual wire, open from the start", async () => {
    const pc = await Pc.running();
    startPic(pc, 1);
    startPit(pc, 1000);
    for (let tick = 0; tick < 3; tick++) {
      pc.advance(2 * MS);
      expect(pc.pending()).toBe(0);
      expect(pc.acknowledge()).toBe(0x20);
      pc.sample();
      expect(pc.pending()).toBe(NONE);
      pc.out(0x20, 0x20);
    }
  });

  test("a masked LINT0 shuts the virtual wire", async () => {
    const pc = await Pc.running();
    startPic(pc, 1);
    pc.mmioWrite(LVT_LINT0, EXTINT | MASKED);
    startPit(pc, 1000);
    pc.advance(5 * MS);
    expect(pc.pending()).toBe(NONE);
    pc.mmioWrite(LVT_LINT0, EXTINT);
    pc.sample();
    expect(pc.pending()).toBe(0);
  });

  test("PIC through I/O APIC pin 0 as ExtINT", async () => {
    const pc = await Pc.running();
    startPic(pc, 1);
    pc.mmioWrite(LVT_LINT0, MASKED);
    route(pc, 0, EXTINT);
    startPit(pc, 1000);
    pc.advance(2 * MS);
    expect(pc.pending()).toBe(0);
    expect(pc.acknowledge()).toBe(0x20);
  });

  test("PIC through LINT0 as a fixed interrupt", async () => {
    const pc = await Pc.running();
    startPic(pc, 1);
    pc.mmioWrite(LVT_LINT0, 0x33);
    startPit(pc, 1000);
    pc.advance(2 * MS);
    expect(pc.pending()).toBe(0x33);
  });
});

describe("the local APIC's timer", () => {
  test("one-shot: once; periodic: again and again, at VM time", async () => {
    const pc = await Pc.running();
    pc.mmioWrite(LAPIC_SVR, 0x1ff);
    pc.mmioWrite(LAPIC + 0x3e0, 0xb);
    pc.mmioWrite(LVT_TIMER, 0xec);
    pc.mmioWrite(INITIAL_COUNT, 5 * MS);
    pc.advance(4 * MS);
    expect(pc.pending()).toBe(NONE);
    pc.advance(2 * MS);
    expect(pc.acknowledge()).toBe(0xec);
    pc.mmioWrite(LAPIC_EOI, 0);
    pc.advance(50 * MS);
    expect(pc.pending()).toBe(NONE);
    pc.mmioWrite(LVT_TIMER, 0xed | (1 << 17));
    pc.mmioWrite(INITIAL_COUNT, MS);
    for (let i = 0; i < 4; i++) {
      pc.advance(1.2 * MS);
      expect(pc.acknowledge()).toBe(0xed);
      pc.mmioWrite(LAPIC_EOI, 0);
    }
  });

  test("the task priority holds back what is not above it", async () => {
    const pc = await Pc.running();
    pc.mmioWrite(LAPIC_SVR, 0x1ff);
    pc.mmioWrite(LVT_TIMER, 0x45);
    pc.call("tpr", pc.vcpuAddress, 4);
    pc.mmioWrite(INITIAL_COUNT, 1000);
    pc.advance(MS);
    expect(pc.pending()).toBe(NONE);
    pc.call("tpr", pc.vcpuAddress, 3);
    pc.sample();
    expect(pc.pending()).toBe(0x45);
  });
});

describe("level-triggered interrupts", () => {
  test("the SCI stays until the guest clears its cause: one interrupt per EOI", async () => {
    const pc = await Pc.running();
    pc.mmioWrite(LAPIC_SVR, 0x1ff);
    route(pc, 9, 0x61 | LEVEL);
    // The PM timer's carry: enabled, its status rises when bit 31 of the count changes (every 600 s).
    pc.out(0x602, 1, 2);
    pc.sample();
    pc.cpu.tsc += 601_000_000_000n;
    pc.sample();
    for (let i = 0; i < 3; i++) {
      expect(pc.acknowledge()).toBe(0x61);
      pc.sample();
      expect(pc.pending()).toBe(NONE);
      pc.mmioWrite(LAPIC_EOI, 0);
      pc.sample();
      expect(pc.pending()).toBe(0x61);
    }
    pc.acknowledge();
    pc.out(0x600, 1, 2);
    pc.mmioWrite(LAPIC_EOI, 0);
    pc.sample();
    expect(pc.pending()).toBe(NONE);
  });
});

describe("the serial console", () => {
  test("transmitter-empty interrupt by the I/O APIC, bytes out in order", async () => {
    const pc = await Pc.running();
    pc.mmioWrite(LAPIC_SVR, 0x1ff);
    route(pc, 4, 0x24);
    pc.out(COM1 + 4, 0x0b);
    pc.out(COM1 + 1, 2);
    pc.sample();
    expect(pc.acknowledge()).toBe(0x24);
    expect(pc.in(COM1 + 2) & 0xf).toBe(2);
    for (const character of "hello\n") pc.out(COM1, character.charCodeAt(0));
    expect(pc.console()).toBe("hello\n");
  });

  test("a byte from outside interrupts; a full receiver makes the outside wait", async () => {
    const pc = await Pc.running();
    pc.mmioWrite(LAPIC_SVR, 0x1ff);
    route(pc, 4, 0x24);
    pc.out(COM1 + 2, 1);
    pc.out(COM1 + 4, 0x0b);
    pc.out(COM1 + 1, 1);
    pc.sample();
    let taken = 0;
    while (pc.call("input", 0, 0x61 + taken)) taken++;
    expect(taken).toBe(16);
    pc.sample();
    expect(pc.pending()).toBe(0x24);
    expect(pc.in(COM1)).toBe(0x61);
    expect(pc.call("input", 0, 0x7a)).toBe(1);
  });

  describe("the end of Linux's panic message", () => {
    const LINE = "-----[ end Kernel panic - not syncing: test ]---\r\n";
    const SS = 2;
    const SS_ACCESS_USER = 0xc0f3;
    const SS_ACCESS_KERNEL = 0xc093;
    const open = async () => {
      const pc = await Pc.running();
      pc.vcpu.setSegment(SS, { ...pc.vcpu.segment(SS), access: SS_ACCESS_KERNEL });
      return pc;
    };
    const say = (pc: Pc, text: string) => {
      for (const character of text) pc.out(COM1, character.charCodeAt(0));
      return pc.console();
    };
    /** VM time passes; the run loop looks at every deadline. Returns whether the VM has stopped. */
    const watch = (pc: Pc, ns: number) => {
      const end = pc.cpu.tsc + BigInt(ns);
      while (pc.cpu.tsc < end && !pc.call("stopped", 0)) {
        pc.sample();
        pc.call("watch", pc.vcpuAddress);
        const deadline = BigInt.asUintN(64, pc.vcpu.get("deadline") as bigint);
        expect(deadline, "a deadline that does not move on").toBeGreaterThan(pc.cpu.tsc);
        pc.cpu.tsc = deadline < end ? deadline : end;
      }
      return pc.call("stopped", 0) !== 0;
    };

    test("ends the VM after a second without life", async () => {
      const pc = await open();
      say(pc, LINE);
      expect(watch(pc, 900_000_000)).toBe(false);
      expect(watch(pc, 200_000_000)).toBe(true);
      expect(pc.call("stopStatus", 0)).toBe(12);
    });

    test("nothing but the whole line is one", async () => {
      for (const text of ["Kernel panic - not syncing: test\r\n", "--[ end Kernel panic\n", LINE.trimEnd()]) {
        const pc = await open();
        say(pc, text);
        expect(watch(pc, 3_000_000_000)).toBe(false);
      }
    });

    test("is only a text where the guest prints, halts or runs a task", async () => {
      for (const sign of [
        (pc: Pc) => say(pc, "#"),
        (pc: Pc) => pc.call("deny", 0), // what the run loop calls when the vCPU waits behind HLT
        (pc: Pc) => {
          pc.vcpu.setSegment(SS, { ...pc.vcpu.segment(SS), access: SS_ACCESS_USER });
          pc.call("watch", pc.vcpuAddress);
          pc.vcpu.setSegment(SS, { ...pc.vcpu.segment(SS), access: SS_ACCESS_KERNEL });
        },
      ]) {
        const pc = await open();
        say(pc, LINE);
        expect(watch(pc, 900_000_000)).toBe(false);
        sign(pc);
        expect(watch(pc, 3_000_000_000)).toBe(false);
        say(pc, LINE);
        expect(watch(pc, 1_100_000_000)).toBe(true);
      }
    });
  });
});

describe("how a VM ends", () => {
  const ended = (pc: Pc) => [
    pc.call("stopped", 0),
    pc.call("stopStatus", 0),
    (pc.vcpu.get("requests") & REQUEST_STOP) !== 0n,
  ];

  test("S5 through PM1 control", async () => {
    const pc = await Pc.running();
    pc.out(0x604, 5 << 10, 2);
    expect(ended(pc)).toEqual([0, 0, false]);
    pc.out(0x604, (5 << 10) | (1 << 13), 2);
    expect(ended(pc)).toEqual([1, 0, true]);
  });

  test.each([
    ["the ACPI reset register", 0xcf9, 6],
    ["the keyboard controller", 0x64, 0xfe],
    ["system control port A", 0x92, 1],
  ])("%s: a reset, or with restart=0 the end", async (_, port, value) => {
    const restarting = await Pc.running();
    restarting.out(port, value);
    expect(restarting.call("resetPending", 0)).toBe(1);
    expect(ended(restarting)).toEqual([0, 0, true]);
    expect(restarting.call("reset", 0)).toBe(1);
    expect(restarting.call("resetPending", 0)).toBe(0);
    const ending = await Pc.running({ line: "vm0.memory=4M vm0.restart=0" });
    ending.out(port, value);
    expect(ended(ending)).toEqual([1, 10, true]);
  });

  test("pvpanic", async () => {
    const pc = await Pc.running();
    expect(pc.in(0x505)).toBe(3);
    pc.out(0x505, 1);
    expect(ended(pc)).toEqual([1, 12, true]);
  });

  test("the debug-exit port, where asked for only", async () => {
    const without = await Pc.running();
    without.out(0xf4, 3);
    expect(ended(without)).toEqual([0, 0, false]);
    const pc = await Pc.running({ line: "vm0.memory=4M vm0.debug-exit=0xf4" });
    pc.out(0xf4, 3, 4);
    expect(ended(pc)).toEqual([1, 7, true]);
  });

  test("a debug-exit port that a device has already is refused in words", async () => {
    await expect(Pc.running({ line: "vm0.memory=4M vm0.debug-exit=0x3f9" })).rejects.toThrow(
      /debug-exit port 0x3f9 belongs to another device/,
    );
  });
});

describe("the bus", () => {
  test("unclaimed ports and addresses read as ones and swallow writes", async () => {
    const pc = await Pc.running();
    expect([1, 2, 4].map((size) => pc.in(0x1234, size))).toEqual([0xffffffff, 0xffffffff, 0xffffffff]);
    pc.out(0x1234, 1);
    expect(pc.mmioRead(0xd0000000)).toBe(0xffffffff);
    expect(pc.mmioRead(0xd0000000, 8)).toBe(Number(0xffffffffffffffffn));
    pc.mmioWrite(0xd0000000, 1);
  });

  test("an access that changes nothing outside its device asks for no sample, one that does asks", async () => {
    const pc = await Pc.running();
    pc.mmioWrite(LAPIC_SVR, 0x1ff);
    startPic(pc, 0);
    pc.sample();
    const asks = (access: () => void) => {
      access();
      const asked = (pc.vcpu.get("requests") & REQUEST_SAMPLE) !== 0n;
      pc.sample();
      return asked;
    };
    for (const [port, size] of [
      [0x61, 1],
      [0x608, 4],
      [0x40, 1],
      [0x1234, 1],
      [COM1 + 5, 1],
      [0x21, 1],
    ] as const) {
      expect(
        asks(() => pc.in(port, size)),
        port.toString(16),
      ).toBe(false);
    }
    expect(asks(() => pc.out(0x21, 0xff))).toBe(false);
    expect(asks(() => void pc.mmioRead(LAPIC_ID))).toBe(false);
    expect(asks(() => pc.mmioWrite(LAPIC_EOI, 0))).toBe(false);
    expect(asks(() => pc.out(COM1, 0x41))).toBe(true);
    expect(asks(() => pc.in(COM1))).toBe(true);
    pc.mmioWrite(LVT_TIMER, 0x40);
    expect(asks(() => pc.mmioWrite(INITIAL_COUNT, 1000))).toBe(true);
    startPit(pc, 1000);
    pc.sample();
    pc.cpu.tsc += 2_000_000n;
    pc.sample();
    expect(asks(() => pc.out(0x21, 0xfe))).toBe(true);
  });

  test("the local APIC is where IA32_APIC_BASE says", async () => {
    const pc = await Pc.running();
    expect(pc.mmioRead(LAPIC + 0x30) & 0xff).toBe(0x14);
    expect(pc.wrmsr(0x1b, 0xfed00900n)).toBe(true);
    expect(pc.mmioRead(LAPIC + 0x30)).toBe(0xffffffff);
    expect(pc.mmioRead(0xfed00030) & 0xff).toBe(0x14);
  });

  test("PCI configuration space by ports and by memory is the same", async () => {
    const pc = await Pc.running();
    pc.out(0xcf8, 0x80000000, 4);
    const ids = pc.in(0xcfc, 4);
    expect(ids & 0xffff).toBe(0x8086);
    expect(pc.mmioRead(0xe0000000)).toBe(ids);
    expect(pc.mmioRead(0xe0008000)).toBe(0xffffffff);
    expect(pc.in(0xcf9)).toBe(0);
  });

  test("the clock shows the machine's date", async () => {
    const pc = await Pc.create({
      line: "vm0.memory=4M",
      modules: [{ text: "vm0.kernel", contents: (await import("./pc.ts")).haltKernel() }],
    });
    pc.call("describe");
    expect(pc.call("build", 0, BigInt(Date.UTC(2024, 1, 29, 12, 34, 56)) * 1_000_000n)).toBe(1);
    const cmos = (index: number) => {
      pc.out(0x70, index);
      return pc.in(0x71);
    };
    const decimal = (byte: number) => (cmos(0x0b) & 4 ? byte : (byte >> 4) * 10 + (byte & 15));
    expect([0x32, 9, 8, 7, 4, 2, 0].map((index) => decimal(cmos(index)))).toEqual([
      20, 24, 2, 29, 12, 34, 56,
    ]);
  });
});

test("interprocessor interrupts reach the other vCPUs", async () => {
  const pc = await Pc.running({ line: "vm0.memory=4M", cpus: 2 });
  const other = pc.call("vcpuOf", 0, 1) as number;
  pc.mmioWrite(LAPIC_SVR, 0x1ff);
  pc.call("mmioOut", other, BigInt(LAPIC_SVR), 4, 0x1ffn);
  pc.mmioWrite(LAPIC + 0x310, 1 << 24);
  pc.mmioWrite(LAPIC + 0x300, 0x4055);
  pc.sample();
  pc.call("sample", other);
  expect(pc.call("pending", other)).toBe(0x55);
  expect(pc.pending()).toBe(NONE);
});

describe("hypercalls", () => {
  test("unknown ones get -KVM_ENOSYS, the poll returns at once", async () => {
    const pc = await Pc.running();
    pc.vcpu.set("rax", 77);
    pc.call("hypercall", pc.vcpuAddress);
    expect(BigInt.asIntN(64, pc.vcpu.get("rax"))).toBe(-1000n);
    pc.vcpu.set("rax", 1);
    pc.call("hypercall", pc.vcpuAddress);
    expect(pc.vcpu.get("rax")).toBe(0n);
  });
});

describe("lazy RAM", () => {
  test("a touch maps the 2 MiB around it; what is no RAM stays unmapped", async () => {
    const pc = await Pc.running({ line: "vm0.memory=5M vm0.lazy=1" });
    expect(pc.call("populate", pc.vcpuAddress, 0x300000n)).toBe(1);
    expect(pc.call("populate", pc.vcpuAddress, 0x4ff123n)).toBe(1);
    expect(pc.call("populate", pc.vcpuAddress, 0x500000n)).toBe(0);
    expect(pc.call("populate", pc.vcpuAddress, 0xfee00000n)).toBe(0);
  });
});

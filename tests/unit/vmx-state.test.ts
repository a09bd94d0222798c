// Guest state between the VMCS and the neutral registers, and what an entry writes.
import { beforeEach, describe, expect, test } from "vitest";
import { startedMachine, type VmxMachine } from "./vmx-machine.ts";

const RIP = 1;
const STACK_FLAGS = 2;
const SEGMENTS = 4;
const TABLES = 8;
const CONTROL = 16;
const SYSTEM = 32;
const INTERRUPTIBILITY = 64;

let machine: VmxMachine;
let vcpu: number;
const CPUID = { EXIT_REASON: 10n };

beforeEach(async () => {
  ({ machine, vcpu } = await startedMachine());
});

test("power-up state reaches the VMCS", () => {
  machine.exit(vcpu, CPUID);
  const expected: Record<string, bigint> = {
    GUEST_RIP: 0xfff0n,
    GUEST_RFLAGS: 2n,
    GUEST_CS_SELECTOR: 0xf000n,
    GUEST_CS_BASE: 0xffff0000n,
    GUEST_CS_LIMIT: 0xffffn,
    GUEST_CR0: 0x30n,
    CR0_READ_SHADOW: 0x10n,
    GUEST_CR4: 0x2040n,
    CR4_READ_SHADOW: 0n,
    GUEST_EFER: 0n,
    GUEST_PAT: 0x0007040600070406n,
    GUEST_DR7: 0x400n,
    VMCS_LINK_POINTER: 0xffffffffffffffffn,
    GUEST_ACTIVITY: 0n,
  };
  for (const [field, value] of Object.entries(expected))
    expect(`${field} ${machine.field(field)}`).toBe(`${field} ${value}`);
});

test("an exit makes only RIP valid; a plain advance writes RIP and the timer, nothing else", () => {
  machine.exit(vcpu, CPUID);
  expect(machine.vcpu(vcpu, "valid")).toBe(BigInt(RIP));
  expect(machine.vcpu(vcpu, "dirty")).toBe(0n);
  const before = machine.cpu.vmcsWrites;
  machine.setVcpu(vcpu, { rip: 0x2000n, dirty: BigInt(RIP) });
  machine.exit(vcpu, CPUID);
  expect(machine.cpu.vmcsWrites - before).toBe(1);
});

test("VMLAUNCH first, VMRESUME from then on", () => {
  const launched: number[] = [];
  const enter = machine.cpu.enter;
  machine.cpu.enter = (registers, memory, flag) => {
    launched.push(flag);
    return enter(registers, memory, flag);
  };
  machine.exit(vcpu, CPUID);
  machine.exit(vcpu, CPUID);
  expect(launched).toEqual([0, 1]);
});

describe("groups round-trip", () => {
  const cases: [string, number, Record<string, string>][] = [
    ["stack and flags", STACK_FLAGS, { rsp: "GUEST_RSP", rflags: "GUEST_RFLAGS" }],
    [
      "tables",
      TABLES,
      {
        gdtrBase: "GUEST_GDTR_BASE",
        gdtrLimit: "GUEST_GDTR_LIMIT",
        idtrBase: "GUEST_IDTR_BASE",
        idtrLimit: "GUEST_IDTR_LIMIT",
      },
    ],
    [
      "system",
      SYSTEM,
      {
        dr7: "GUEST_DR7",
        pat: "GUEST_PAT",
        sysenterCs: "GUEST_SYSENTER_CS",
        sysenterEsp: "GUEST_SYSENTER_ESP",
        sysenterEip: "GUEST_SYSENTER_EIP",
        debugctl: "GUEST_DEBUGCTL",
      },
    ],
  ];
  test.each(cases)("%s", (_name, group, fields) => {
    machine.exit(vcpu, CPUID);
    let value = 0x1111n;
    for (const field of Object.values(fields)) machine.setField(field, (value += 0x1111n));
    machine.call("loadState", vcpu, group);
    value = 0x1111n;
    for (const field of Object.keys(fields)) expect(machine.vcpu(vcpu, field)).toBe((value += 0x1111n));
    value = 0x1010n;
    for (const field of Object.keys(fields)) machine.setVcpu(vcpu, { [field]: (value += 0x1010n) });
    machine.setVcpu(vcpu, { dirty: BigInt(group) });
    machine.exit(vcpu, CPUID);
    value = 0x1010n;
    for (const field of Object.values(fields)) expect(machine.field(field)).toBe((value += 0x1010n));
  });

  test("segments, in the order of their encodings", () => {
    machine.exit(vcpu, CPUID);
    const names = ["ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR"];
    names.forEach((name, i) => {
      machine.setField(`GUEST_${name}_SELECTOR`, BigInt(8 * i));
      machine.setField(`GUEST_${name}_BASE`, BigInt(0x10000 * i));
      machine.setField(`GUEST_${name}_LIMIT`, BigInt(0xff00 + i));
      machine.setField(`GUEST_${name}_ACCESS`, BigInt(0x90 + i));
    });
    machine.call("loadState", vcpu, SEGMENTS);
    names.forEach((_name, i) => {
      expect(machine.segment(vcpu, i, "selector")).toBe(BigInt(8 * i));
      expect(machine.segment(vcpu, i, "base")).toBe(BigInt(0x10000 * i));
      expect(machine.segment(vcpu, i, "limit")).toBe(BigInt(0xff00 + i));
      expect(machine.segment(vcpu, i, "access")).toBe(BigInt(0x90 + i));
      machine.setSegment(vcpu, i, { base: BigInt(0x777000 + i) });
    });
    machine.setVcpu(vcpu, { dirty: BigInt(SEGMENTS) });
    machine.exit(vcpu, CPUID);
    names.forEach((name, i) => expect(machine.field(`GUEST_${name}_BASE`)).toBe(BigInt(0x777000 + i)));
  });

  test("SYSCALL's registers are the processor's own", () => {
    machine.exit(vcpu, CPUID);
    machine.cpu.msrs.set(0xc0000082, 0xffffffff81000000n);
    machine.call("loadState", vcpu, SYSTEM);
    expect(machine.vcpu(vcpu, "lstar")).toBe(0xffffffff81000000n);
    machine.setVcpu(vcpu, { star: 0x0023001000000000n, dirty: BigInt(SYSTEM) });
    machine.exit(vcpu, CPUID);
    expect(machine.cpu.msrs.get(0xc0000081)).toBe(0x0023001000000000n);
  });
});

describe("control registers", () => {
  const write = (values: Record<string, bigint>) => {
    machine.setVcpu(vcpu, { ...values, dirty: BigInt(CONTROL) });
    machine.exit(vcpu, CPUID);
  };

  test("NE stays 1, CD and NW stay 0, MCE and VMXE stay 1; the guest sees what it wrote", () => {
    write({ cr0: 0xe0000011n, cr4: 0x20n });
    expect(machine.field("GUEST_CR0")).toBe(0x80000031n);
    expect(machine.field("CR0_READ_SHADOW")).toBe(0xe0000011n);
    expect(machine.field("GUEST_CR4")).toBe(0x2060n);
    machine.call("loadState", vcpu, CONTROL);
    expect(machine.vcpu(vcpu, "cr0")).toBe(0xe0000011n);
    expect(machine.vcpu(vcpu, "cr4")).toBe(0x20n);
  });

  test("bits that the guest owns are read from the register, not from the shadow", () => {
    write({ cr0: 0x11n, cr4: 0n });
    machine.setField("GUEST_CR0", 0x80010039n);
    machine.setField("GUEST_CR4", 0x20e0n);
    machine.call("loadState", vcpu, CONTROL);
    expect(machine.vcpu(vcpu, "cr0")).toBe(0x80010019n);
    expect(machine.vcpu(vcpu, "cr4")).toBe(0xa0n);
  });

  test("long mode: LMA and the entry control follow CR0.PG and EFER.LME", () => {
    write({ cr0: 0x80000011n, cr4: 0x20n, efer: 0x100n });
    expect(machine.field("GUEST_EFER")).toBe(0x500n);
    expect(machine.field("ENTRY_CONTROLS") & 0x200n).toBe(0x200n);
    write({ cr0: 0x11n, efer: 0x500n });
    expect(machine.field("GUEST_EFER")).toBe(0x100n);
    expect(machine.field("ENTRY_CONTROLS") & 0x200n).toBe(0n);
  });

  test("PAE paging: the four page-directory pointers are written when a handler has loaded them, and only then", () => {
    for (let i = 0; i < 4; i++) machine.call("setPdpte", vcpu, i, 0x10001n + (BigInt(i) << 12n));
    write({ cr0: 0x80000011n, cr3: 0x302fn, cr4: 0x20n });
    for (let i = 0; i < 4; i++) expect(machine.field(`GUEST_PDPTE${i}`)).toBe(0n);
    machine.setVcpu(vcpu, { dirty: 1n << 7n });
    machine.exit(vcpu, CPUID);
    for (let i = 0; i < 4; i++) expect(machine.field(`GUEST_PDPTE${i}`)).toBe(0x10001n + (BigInt(i) << 12n));
  });

  test("PAE paging: the page-directory pointers are read as the processor holds them", () => {
    const held = [0x11001n, 0n, 0x33001n, 0x44001n];
    const fields = Object.fromEntries(held.map((value, i) => [`GUEST_PDPTE${i}`, value]));
    machine.exit(vcpu, { ...CPUID, ...fields });
    machine.call("loadState", vcpu, 1 << 7);
    expect(held.map((_, i) => machine.call("pdpte", vcpu, i))).toEqual(held);
  });
});

describe("interruptibility", () => {
  test("blocking by NMI is bit 3 in the VMCS, bit 2 in the vCPU", () => {
    machine.exit(vcpu, { ...CPUID, GUEST_INTERRUPTIBILITY: 0xan });
    machine.call("loadState", vcpu, INTERRUPTIBILITY);
    expect(machine.vcpu(vcpu, "interruptibility")).toBe(6n);
    machine.setVcpu(vcpu, { interruptibility: 5n, dirty: BigInt(INTERRUPTIBILITY) });
    machine.exit(vcpu, CPUID);
    expect(machine.field("GUEST_INTERRUPTIBILITY")).toBe(9n);
  });

  test("a halted vCPU that has advanced past STI; HLT is not blocked", () => {
    machine.exit(vcpu, { EXIT_REASON: 12n, GUEST_INTERRUPTIBILITY: 9n });
    machine.setVcpu(vcpu, { rip: 0x2000n, dirty: BigInt(RIP) });
    machine.call("loadState", vcpu, INTERRUPTIBILITY);
    expect(machine.vcpu(vcpu, "interruptibility")).toBe(4n);
  });

  test.each([1n, 2n])("advancing ends shadow %i, and leaves NMIs blocked", (shadow) => {
    machine.exit(vcpu, { ...CPUID, GUEST_INTERRUPTIBILITY: shadow | 8n });
    machine.setVcpu(vcpu, { rip: 0x2000n, dirty: BigInt(RIP) });
    machine.exit(vcpu, CPUID);
    expect(machine.field("GUEST_INTERRUPTIBILITY")).toBe(8n);
  });
});

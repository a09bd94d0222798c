// Exit reasons and qualifications to the neutral exit record. Numbers are the manual's and kernel/vcpu/exit.ts's.
import { beforeAll, describe, expect, test } from "vitest";
import { startedMachine, type VmxMachine } from "./vmx-machine.ts";

let machine: VmxMachine;
let vcpu: number;

beforeAll(async () => {
  ({ machine, vcpu } = await startedMachine());
});

function exit(reason: number, fields: Record<string, bigint> = {}) {
  const clean = {
    EXIT_QUALIFICATION: 0n,
    IDT_VECTORING_INFO: 0n,
    EXIT_INTERRUPTION_INFO: 0n,
    GUEST_INTERRUPTIBILITY: 0n,
  };
  return machine.exit(vcpu, {
    ...clean,
    GUEST_RIP: 0x1000n,
    EXIT_INSTRUCTION_LENGTH: 3n,
    ...fields,
    EXIT_REASON: BigInt(reason) & 0xffffffffn,
  });
}

/** Basic exit reason -> [class, caused by an instruction], from the manual's table and the comments in exit.ts. */
const REASONS: Record<number, [number, boolean]> = {
  0: [15, false],
  1: [10, false],
  2: [16, false],
  3: [28, false],
  4: [29, false],
  5: [35, false],
  6: [35, false],
  7: [12, false],
  8: [13, false],
  9: [27, true],
  10: [1, true],
  11: [30, true],
  12: [8, true],
  13: [22, true],
  14: [24, true],
  15: [20, true],
  16: [18, true],
  17: [30, true],
  18: [9, true],
  19: [30, true],
  20: [30, true],
  21: [30, true],
  22: [30, true],
  23: [30, true],
  24: [30, true],
  25: [30, true],
  26: [30, true],
  27: [30, true],
  28: [5, true],
  29: [6, true],
  30: [4, true],
  31: [2, true],
  32: [3, true],
  33: [34, false],
  34: [34, false],
  36: [26, true],
  37: [32, false],
  39: [25, true],
  40: [17, true],
  41: [35, false],
  43: [0, false],
  44: [0, false],
  45: [0, false],
  46: [31, true],
  47: [31, true],
  48: [7, false],
  49: [33, false],
  50: [30, true],
  51: [19, true],
  52: [14, false],
  53: [30, true],
  54: [23, true],
  55: [21, true],
  56: [0, false],
  57: [36, true],
  58: [36, true],
  59: [30, true],
  60: [30, true],
  61: [36, true],
  62: [0, false],
  63: [36, true],
  64: [36, true],
  65: [36, true],
  66: [0, false],
  67: [36, true],
  68: [36, true],
  69: [36, true],
  70: [30, true],
  72: [36, true],
  73: [36, true],
  74: [36, false],
  75: [0, false],
  76: [30, true],
  77: [30, true],
};

describe("every basic exit reason", () => {
  test.each(Object.entries(REASONS))("%s", (reason, [kind, byInstruction]) => {
    const record = exit(Number(reason));
    expect(record).toMatchObject({ kind: BigInt(kind), reason: BigInt(reason), rip: 0x1000n });
    expect(record.nextRip).toBe(byInstruction ? 0x1003n : 0n);
  });

  test.each([35, 38, 42, 71, 78, 200, 65535])(
    "undefined %i is EXIT_UNKNOWN with its qualification",
    (reason) => {
      expect(exit(reason, { EXIT_QUALIFICATION: 0x77n })).toMatchObject({ kind: 0n, qualification: 0x77n });
    },
  );
});

describe("I/O", () => {
  test("OUT imm8, AL", () => {
    expect(exit(30, { EXIT_QUALIFICATION: 0x00e90040n })).toMatchObject({ port: 0xe9n, size: 1n, flags: 0n });
  });
  test("IN EAX, DX", () => {
    expect(exit(30, { EXIT_QUALIFICATION: 0x0cfc000bn })).toMatchObject({
      port: 0xcfcn,
      size: 4n,
      flags: 1n,
    });
  });
  test("REP OUTSW from FS with 32-bit addresses", () => {
    const record = exit(30, {
      EXIT_QUALIFICATION: 0x01f00031n,
      EXIT_INSTRUCTION_INFO: (1n << 7n) | (4n << 15n),
      GUEST_LINEAR_ADDRESS: 0x8888n,
    });
    // string, repeated, segment and address size known
    expect(record).toMatchObject({
      port: 0x1f0n,
      size: 2n,
      flags: 0b1110n,
      addressSize: 4n,
      segment: 4n,
      gva: 0x8888n,
    });
  });
  test("INSB with 16- and 64-bit addresses", () => {
    expect(exit(30, { EXIT_QUALIFICATION: 0x18n, EXIT_INSTRUCTION_INFO: 0n })).toMatchObject({
      flags: 0b0111n,
      addressSize: 2n,
    });
    expect(exit(30, { EXIT_QUALIFICATION: 0x18n, EXIT_INSTRUCTION_INFO: 2n << 7n })).toMatchObject({
      addressSize: 8n,
    });
  });
});

describe("control and debug registers", () => {
  test("MOV CR0, R9", () => {
    expect(exit(28, { EXIT_QUALIFICATION: 0x900n })).toMatchObject({ crNumber: 0n, crAccess: 0n, gpr: 9n });
  });
  test("MOV RBX, CR8", () => {
    expect(exit(28, { EXIT_QUALIFICATION: 0x318n })).toMatchObject({ crNumber: 8n, crAccess: 1n, gpr: 3n });
  });
  test("CLTS", () => {
    expect(exit(28, { EXIT_QUALIFICATION: 0x20n })).toMatchObject({ crNumber: 0n, crAccess: 2n });
  });
  test("LMSW from memory carries its source operand", () => {
    expect(exit(28, { EXIT_QUALIFICATION: 0xfff10070n })).toMatchObject({ crAccess: 3n, info: 0xfff1n });
  });
  test("MOV DR7, RSI and MOV R10, DR6", () => {
    expect(exit(29, { EXIT_QUALIFICATION: 0x607n })).toMatchObject({ crNumber: 7n, crAccess: 0n, gpr: 6n });
    expect(exit(29, { EXIT_QUALIFICATION: 0xa16n })).toMatchObject({ crNumber: 6n, crAccess: 1n, gpr: 10n });
  });
});

test("RDMSR and WRMSR give the number in ECX, not RCX", () => {
  machine.setVcpu(vcpu, { rcx: 0x12345678c0000080n });
  expect(exit(31)).toMatchObject({ msr: 0xc0000080n });
  expect(exit(32)).toMatchObject({ msr: 0xc0000080n });
});

describe("EPT violations", () => {
  const at = { GUEST_PHYSICAL_ADDRESS: 0xfee00020n, GUEST_LINEAR_ADDRESS: 0xffff_ffff_ff5f_d020n };
  test("a read of what is not mapped", () => {
    const record = exit(48, { ...at, EXIT_QUALIFICATION: 0x181n });
    expect(record).toMatchObject({ gpa: 0xfee00020n, gva: 0xffff_ffff_ff5f_d020n, flags: 0b100001n });
  });
  test("a write to what may only be read", () => {
    expect(exit(48, { ...at, EXIT_QUALIFICATION: 0x18an })).toMatchObject({ flags: 0b101010n });
  });
  test("a fetch", () => {
    expect(exit(48, { ...at, EXIT_QUALIFICATION: 0x184n })).toMatchObject({ flags: 0b100100n });
  });
  test("the walk of the guest's page tables", () => {
    expect(exit(48, { ...at, EXIT_QUALIFICATION: 0x083n })).toMatchObject({ flags: 0b110011n });
  });
  test("without a linear address", () => {
    expect(exit(48, { ...at, EXIT_QUALIFICATION: 0x001n })).toMatchObject({ flags: 0b000001n });
  });
  test("during IRET: NMIs stay blocked", () => {
    exit(48, { ...at, EXIT_QUALIFICATION: 0x1181n });
    expect(machine.field("GUEST_INTERRUPTIBILITY")).toBe(8n);
  });
  test("during IRET while delivering an event: NMIs are as they were", () => {
    exit(48, { ...at, EXIT_QUALIFICATION: 0x1181n, IDT_VECTORING_INFO: 0x80000030n });
    expect(machine.field("GUEST_INTERRUPTIBILITY")).toBe(0n);
  });
  test("a misconfiguration names its address", () => {
    expect(exit(49, at)).toMatchObject({ kind: 33n, gpa: 0xfee00020n });
  });
});

describe("interrupted events", () => {
  test("an external interrupt", () => {
    const record = exit(48, { IDT_VECTORING_INFO: 0x80000041n });
    expect(record).toMatchObject({ interruptedEvent: 0x80000041n, interruptedLength: 0n });
  });
  test("a page fault with its error code; undefined bit 12 is dropped", () => {
    const record = exit(0, {
      EXIT_INTERRUPTION_INFO: 0x80000b0en,
      IDT_VECTORING_INFO: 0x80001b0en,
      IDT_VECTORING_ERROR_CODE: 6n,
    });
    expect(record).toMatchObject({ interruptedEvent: 0x80000b0en, interruptedError: 6n });
  });
  test("INT n with its length", () => {
    const record = exit(9, { IDT_VECTORING_INFO: 0x80000480n, EXIT_INSTRUCTION_LENGTH: 2n });
    expect(record).toMatchObject({ interruptedEvent: 0x80000480n, interruptedLength: 2n });
  });
  test("none, after one", () => {
    expect(exit(10)).toMatchObject({ interruptedEvent: 0n });
  });
});

describe("exceptions, NMIs, interrupts", () => {
  test("#AC with error code", () => {
    const record = exit(0, { EXIT_INTERRUPTION_INFO: 0x80000b11n, EXIT_INTERRUPTION_ERROR_CODE: 0n });
    expect(record).toMatchObject({ kind: 15n, vector: 17n, errorCode: 0n });
  });
  test("INT3 as a software exception says where it ends", () => {
    expect(exit(0, { EXIT_INTERRUPTION_INFO: 0x80000603n, EXIT_INSTRUCTION_LENGTH: 1n })).toMatchObject({
      nextRip: 0x1001n,
    });
  });
  test("#DB says which conditions it is about; ICEBP's is about none, whatever waited behind MOV SS", () => {
    const debug = { EXIT_QUALIFICATION: 0x4001n, EXIT_INSTRUCTION_LENGTH: 1n };
    expect(exit(0, { EXIT_INTERRUPTION_INFO: 0x80000301n, ...debug })).toMatchObject({ met: 0x4001n });
    expect(exit(0, { EXIT_INTERRUPTION_INFO: 0x80000501n, ...debug })).toMatchObject({
      met: 0n,
      nextRip: 0x1001n,
    });
  });
  test("#PF during IRET: NMIs stay blocked; a double fault does not restore that", () => {
    exit(0, { EXIT_INTERRUPTION_INFO: 0x80001b0en });
    expect(machine.field("GUEST_INTERRUPTIBILITY")).toBe(8n);
    exit(0, { EXIT_INTERRUPTION_INFO: 0x80001b08n });
    expect(machine.field("GUEST_INTERRUPTIBILITY")).toBe(0n);
  });
  test("an NMI runs the host's handler", () => {
    const before = machine.cpu.calls.filter(({ name }) => name === "run_nmi_handler").length;
    expect(exit(0, { EXIT_INTERRUPTION_INFO: 0x80000202n })).toMatchObject({ kind: 11n });
    expect(machine.cpu.calls.filter(({ name }) => name === "run_nmi_handler")).toHaveLength(before + 1);
  });
  test("a machine check is not the guest's", () => {
    expect(exit(0, { EXIT_INTERRUPTION_INFO: 0x80000312n })).toMatchObject({ kind: 35n });
  });
  test("a physical interrupt was acknowledged: its vector", () => {
    expect(exit(1, { EXIT_INTERRUPTION_INFO: 0x800000ecn })).toMatchObject({ kind: 10n, vector: 0xecn });
  });
  test("SIPI's vector", () => {
    expect(exit(4, { EXIT_QUALIFICATION: 0x9an })).toMatchObject({ kind: 29n, vector: 0x9an });
  });
});

describe("failed entries", () => {
  test("invalid guest state", () => {
    const record = exit(0x80000021, { EXIT_QUALIFICATION: 4n });
    expect(record).toMatchObject({ kind: 34n, reason: 0x80000021n, qualification: 4n, nextRip: 0n });
  });
  test("a machine check on the way in", () => {
    expect(exit(0x80000029)).toMatchObject({ kind: 35n });
  });
  test.each([
    [1, 0n],
    [2, 7n],
  ])("VMLAUNCH fails with status %i", (status, error) => {
    const enter = machine.cpu.enter;
    machine.cpu.enter = () => status;
    machine.setField("VM_INSTRUCTION_ERROR", 7n);
    machine.call("enter", vcpu);
    machine.cpu.enter = enter;
    const record = machine.record(vcpu);
    expect(record).toMatchObject({ kind: 34n, reason: 0xffffffffn, qualification: error });
  });
});

test("names are those of Linux's kvm_exit", () => {
  expect(machine.text("name", 10)).toBe("CPUID");
  expect(machine.text("name", 48)).toBe("EPT_VIOLATION");
  expect(machine.text("name", 0x80000021)).toBe("INVALID_STATE");
  expect(machine.text("name", 77)).toBe("TDCALL");
  expect(machine.text("name", 500)).toBe("UNDEFINED");
  expect(machine.text("name", 0xffffffff)).toBe("VMFAIL");
});

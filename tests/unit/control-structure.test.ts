// The monitor's `vmcs` and `vmcb`: every bit of the control structures by the manuals' names, which are typed here again with
// their places, and nothing said of bits that are clear.
import { beforeEach, describe, expect, test } from "vitest";
import type { FakeCpu } from "./fake-cpu.ts";
import { type KernelModule, loadKernel } from "./harness.ts";
import { VcpuView, vcpuGlue } from "./vcpu-view.ts";
import { VMCS_ENCODINGS } from "./vmcs-encodings.ts";

const LOG_PORT = 0xe9;
const VMCB = 0x10_0000n;

const glue = `${vcpuGlue}
import { out8 } from "./kernel/arch/intrinsics";
import { logDivert } from "./kernel/lib/log";
import { vmcs } from "./kernel/monitor/commands/vmcs";
import { dumpVmcb } from "./kernel/svm/dump";
import { backend } from "./kernel/vcpu/backend";
import { dumpVmcs } from "./kernel/vmx/dump";
export function build(isVmx: bool): usize {
  logDivert((byte: u32): void => out8(${LOG_PORT}, byte));
  if (isVmx) backend().dump = dumpVmcs;
  else backend().dump = (_vcpu: Vcpu): void => dumpVmcb(${VMCB});
  return newVcpu();
}
export function ask(vcpu: Vcpu): void { vmcs(vcpu, 0); }
`;

let kernel: KernelModule;
let cpu: FakeCpu;
let vcpu: VcpuView;
let log: string;

async function start(isVmx: boolean): Promise<void> {
  kernel = await loadKernel([], glue);
  cpu = kernel.cpu;
  cpu.portOut = (port, _size, value) => {
    if (port === LOG_PORT) log += String.fromCharCode(value);
  };
  vcpu = new VcpuView(kernel, kernel.exports.build!(isVmx ? 1 : 0) as number);
}

/** The command's lines, by the field that each begins with. */
function ask(): Map<string, string> {
  log = "";
  kernel.exports.ask!(vcpu.address);
  const lines = log.trimEnd().split("\r\n");
  return new Map(lines.map((line) => [line.slice(0, 36).trimEnd(), line.slice(36)]));
}

/** Asks with each bit alone, then with all of `names` and with none. */
function everyBit(field: string, set: (value: bigint) => void, names: Record<number, string>): void {
  const said = (value: bigint) => {
    set(value);
    return ask().get(field);
  };
  for (const [bit, name] of Object.entries(names)) {
    const value = 1n << BigInt(bit);
    expect(said(value)).toBe(`0x${value.toString(16)}: ${name}`);
  }
  const all = Object.keys(names).reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
  expect(said(all)).toBe(`0x${all.toString(16)}: ${Object.values(names).join(", ")}`);
  expect(said(0n)).toBe("0x0");
}

describe("VT-x", () => {
  beforeEach(async () => {
    await start(true);
    for (const encoding of Object.values(VMCS_ENCODINGS)) cpu.vmcs.set(encoding, 0n);
  });
  const write = (name: string) => (value: bigint) => void cpu.vmcs.set(VMCS_ENCODINGS[name] as number, value);

  test("pin-based controls", () => {
    everyBit("Pin-based controls", write("PIN_CONTROLS"), {
      0: "External-interrupt exiting",
      3: "NMI exiting",
      5: "Virtual NMIs",
      6: "Activate VMX-preemption timer",
      7: "Process posted interrupts",
    });
  });

  test("bits without a name are told as a number behind the others", () => {
    write("PIN_CONTROLS")(0x1fn);
    expect(ask().get("Pin-based controls")).toBe(
      "0x1f: External-interrupt exiting, NMI exiting, others 0x16",
    );
    write("SECONDARY_CONTROLS")(1n << 29n);
    expect(ask().get("Secondary processor-based controls")).toBe("0x20000000: others 0x20000000");
  });

  test("primary processor-based controls", () => {
    everyBit("Primary processor-based controls", write("PRIMARY_CONTROLS"), {
      2: "Interrupt-window exiting",
      3: "Use TSC offsetting",
      7: "HLT exiting",
      9: "INVLPG exiting",
      10: "MWAIT exiting",
      11: "RDPMC exiting",
      12: "RDTSC exiting",
      15: "CR3-load exiting",
      16: "CR3-store exiting",
      17: "Activate tertiary controls",
      19: "CR8-load exiting",
      20: "CR8-store exiting",
      21: "Use TPR shadow",
      22: "NMI-window exiting",
      23: "MOV-DR exiting",
      24: "Unconditional I/O exiting",
      25: "Use I/O bitmaps",
      27: "Monitor trap flag",
      28: "Use MSR bitmaps",
      29: "MONITOR exiting",
      30: "PAUSE exiting",
      31: "Activate secondary controls",
    });
  });

  test("secondary processor-based controls", () => {
    everyBit("Secondary processor-based controls", write("SECONDARY_CONTROLS"), {
      0: "Virtualize APIC accesses",
      1: "Enable EPT",
      2: "Descriptor-table exiting",
      3: "Enable RDTSCP",
      4: "Virtualize x2APIC mode",
      5: "Enable VPID",
      6: "WBINVD exiting",
      7: "Unrestricted guest",
      8: "APIC-register virtualization",
      9: "Virtual-interrupt delivery",
      10: "PAUSE-loop exiting",
      11: "RDRAND exiting",
      12: "Enable INVPCID",
      13: "Enable VM functions",
      14: "VMCS shadowing",
      15: "Enable ENCLS exiting",
      16: "RDSEED exiting",
      17: "Enable PML",
      18: "EPT-violation #VE",
      20: "Enable XSAVES/XRSTORS",
      22: "Mode-based execute control for EPT",
      25: "Use TSC scaling",
    });
  });

  test("VM-exit and VM-entry controls", () => {
    everyBit("VM-exit controls", write("EXIT_CONTROLS"), {
      2: "Save debug controls",
      9: "Host address-space size",
      12: "Load IA32_PERF_GLOBAL_CTRL",
      15: "Acknowledge interrupt on exit",
      18: "Save IA32_PAT",
      19: "Load IA32_PAT",
      20: "Save IA32_EFER",
      21: "Load IA32_EFER",
      22: "Save VMX-preemption timer value",
    });
    everyBit("VM-entry controls", write("ENTRY_CONTROLS"), {
      2: "Load debug controls",
      9: "IA-32e mode guest",
      10: "Entry to SMM",
      11: "Deactivate dual-monitor treatment",
      13: "Load IA32_PERF_GLOBAL_CTRL",
      14: "Load IA32_PAT",
      15: "Load IA32_EFER",
    });
  });

  test("exception bitmap, interruptibility, pending debug exceptions", () => {
    everyBit("Exception bitmap", write("EXCEPTION_BITMAP"), {
      0: "#DE",
      1: "#DB",
      2: "NMI",
      3: "#BP",
      6: "#UD",
      8: "#DF",
      10: "#TS",
      13: "#GP",
      14: "#PF",
      16: "#MF",
      17: "#AC",
      18: "#MC",
      19: "#XM",
      20: "#VE",
      21: "#CP",
    });
    everyBit("Guest interruptibility state", write("GUEST_INTERRUPTIBILITY"), {
      0: "Blocking by STI",
      1: "Blocking by MOV SS",
      2: "Blocking by SMI",
      3: "Blocking by NMI",
      4: "Enclave interruption",
    });
    everyBit("Guest pending debug exceptions", write("GUEST_PENDING_DEBUG"), {
      0: "B0",
      1: "B1",
      2: "B2",
      3: "B3",
      11: "BLD",
      12: "Enabled breakpoint",
      14: "BS",
      16: "RTM",
    });
  });

  test.each([
    [0n, "0x0: Active"],
    [1n, "0x1: HLT"],
    [2n, "0x2: Shutdown"],
    [3n, "0x3: Wait-for-SIPI"],
  ])("activity state %s", (value, text) => {
    write("GUEST_ACTIVITY")(value);
    expect(ask().get("Guest activity state")).toBe(text);
  });

  test.each([
    [0n, "0x0"],
    [0x30en, "0x30e"],
    [0x8000_0030n, "0x80000030: External interrupt, vector 48"],
    [0x8000_0202n, "0x80000202: NMI, vector 2"],
    [0x8000_0b0en, "0x80000b0e: Hardware exception, vector 14, error code"],
    [0x8000_0480n, "0x80000480: Software interrupt, vector 128"],
    [0x8000_0501n, "0x80000501: Privileged software exception, vector 1"],
    [0x8000_0603n, "0x80000603: Software exception, vector 3"],
    [0x8000_0700n, "0x80000700: Other event, vector 0"],
  ])("event %s, wherever it stands", (value, text) => {
    const fields: [name: string, field: string][] = [
      ["EXIT_INTERRUPTION_INFO", "VM-exit interruption information"],
      ["IDT_VECTORING_INFO", "IDT-vectoring information"],
      ["ENTRY_INTERRUPTION_INFO", "VM-entry interruption information"],
    ];
    for (const [name, field] of fields) {
      write(name)(value);
      expect(ask().get(field)).toBe(text);
    }
  });

  test("access rights of segments", () => {
    write("GUEST_CS_ACCESS")(0xa09bn);
    write("GUEST_TR_ACCESS")(0x8bn);
    write("GUEST_SS_ACCESS")(0x1_00f3n);
    write("GUEST_DS_ACCESS")(0x1_5000n);
    const rights = (segment: string) =>
      new RegExp(`^Guest ${segment} .* access rights (.*)$`, "m").exec(log)?.[1]?.trim();
    ask();
    expect(rights("CS")).toBe("0a09b type 11 DPL 0: S, P, L, G");
    expect(rights("TR")).toBe("0008b type 11 DPL 0: P");
    expect(rights("SS")).toBe("100f3 type 3 DPL 3: S, P, Segment unusable");
    expect(rights("DS")).toBe("15000 type 0 DPL 0: AVL, D/B, Segment unusable");
    expect(rights("ES")).toBe("00000 type 0 DPL 0");
  });
});

describe("AMD-V", () => {
  beforeEach(() => start(false));
  const write = (offset: number, bytes: number) => (value: bigint) =>
    cpu.store(VMCB + BigInt(offset), bytes, value);

  test("the intercept words have the names of the exits", () => {
    const said = (field: string, offset: number, value: bigint) => {
      write(offset, 4)(value);
      const text = ask().get(field);
      write(offset, 4)(0n);
      return text;
    };
    expect(said("CR intercepts", 0x000, 0x0110_0001n)).toBe("0x1100001: read_cr0, write_cr4, write_cr8");
    expect(said("DR intercepts", 0x004, 0x0080_0040n)).toBe("0x800040: read_dr6, write_dr7");
    expect(said("Exception intercepts", 0x008, 0x0006_0002n)).toBe("0x60002: DB excp, AC excp, MC excp");
    expect(said("Intercepts, vector 3", 0x00c, 0x9904_0013n)).toBe(
      "0x99040013: interrupt, nmi, vintr, cpuid, hlt, io, msr, shutdown",
    );
    expect(said("Intercepts, vector 4", 0x010, 0x2003n)).toBe("0x2003: vmrun, hypercall, xsetbv");
    expect(said("Intercepts, vector 5", 0x014, 0x0bn)).toBe("0xb: invlpgb, invlpgb_illegal, mcommit");
    for (const field of ["CR intercepts", "Intercepts, vector 3", "Intercepts, vector 5"])
      expect(ask().get(field)).toBe("0x0");
  });

  test("virtual interrupts: numbers, then flags", () => {
    write(0x060, 8)(0x30_010f_0108n);
    expect(ask().get("Virtual interrupts")).toBe(
      "0x30010f0108 V_TPR 8 V_INTR_PRIO 15 V_INTR_VECTOR 48: V_IRQ, V_INTR_MASKING",
    );
    const names: Record<number, string> = {
      8: "V_IRQ",
      9: "VGIF",
      11: "V_NMI",
      12: "V_NMI_MASK",
      20: "V_IGN_TPR",
      24: "V_INTR_MASKING",
      25: "VGIF enable",
      26: "V_NMI_ENABLE",
      30: "x2AVIC enable",
      31: "AVIC enable",
    };
    for (const [bit, name] of Object.entries(names)) {
      write(0x060, 8)(1n << BigInt(bit));
      expect(ask().get("Virtual interrupts")).toMatch(new RegExp(`V_INTR_VECTOR 0: ${name}$`));
    }
    write(0x060, 8)(0n);
    expect(ask().get("Virtual interrupts")).toBe("0x0 V_TPR 0 V_INTR_PRIO 0 V_INTR_VECTOR 0");
  });

  test("interrupt shadow, nested paging, clean bits", () => {
    everyBit("Interrupt shadow", write(0x068, 8), { 0: "INTERRUPT_SHADOW", 1: "GUEST_INTERRUPT_MASK" });
    everyBit("Nested paging", write(0x090, 8), {
      0: "NP_ENABLE",
      1: "SEV enable",
      2: "SEV-ES enable",
      3: "GMET enable",
      4: "SSSCheckEn",
      5: "Virtual transparent encryption",
      6: "ReadOnlyGPT",
      7: "INVLPGB/TLBSYNC enable",
    });
    const clean = "I IOPM ASID TPR NP CRx DRx DT SEG CR2 LBR AVIC CET".split(" ");
    everyBit("VMCB clean bits", write(0x0c0, 4), Object.fromEntries(clean.map((name, bit) => [bit, name])));
  });

  test.each([
    [0n, "0x0: Do nothing"],
    [1n, "0x1: Flush entire TLB"],
    [3n, "0x3: Flush this guest's TLB entries"],
    [7n, "0x7: Flush this guest's non-global TLB entries"],
  ])("TLB_CONTROL %s", (value, text) => {
    write(0x05c, 1)(value);
    expect(ask().get("TLB_CONTROL")).toBe(text);
  });

  test.each([
    [0n, "0x0"],
    [0x30n, "0x30"],
    [0x8000_0030n, "0x80000030: INTR, vector 48"],
    [0x8000_0202n, "0x80000202: NMI, vector 2"],
    [0x2_8000_0b0en, "0x280000b0e: Exception, vector 14, error code"],
    [0x8000_0480n, "0x80000480: Software interrupt, vector 128"],
  ])("event %s", (value, text) => {
    write(0x088, 8)(value);
    expect(ask().get("EXITINTINFO")).toBe(text);
    write(0x0a8, 8)(value);
    expect(ask().get("EVENTINJ")).toBe(text);
  });

  test("attributes of segments; tables have none", () => {
    const descriptor = (offset: number, selector: bigint, attributes: bigint, limit: bigint, base: bigint) =>
      write(offset, 8)(selector | (attributes << 16n) | (limit << 32n)) ?? write(offset + 8, 8)(base);
    descriptor(0x410, 0x10n, 0xa9bn, 0xffffffffn, 0n);
    descriptor(0x490, 0x40n, 0x08bn, 0x67n, 0xffff_8000_0000_1000n);
    descriptor(0x460, 0n, 0n, 0x7fn, 0xffff_8000_0000_2000n);
    ask();
    const line = (segment: string) => new RegExp(`^${segment} (.*?)\r$`, "m").exec(log)?.[1];
    expect(line("CS")).toBe(
      "selector 0010 base 0000000000000000 limit ffffffff attributes a9b type 11 DPL 0: S, P, L, G",
    );
    expect(line("TR")).toBe(
      "selector 0040 base ffff800000001000 limit 00000067 attributes 08b type 11 DPL 0: P",
    );
    expect(line("GDTR")).toBe("base ffff800000002000 limit 0000007f");
    expect(line("ES")).toBe("selector 0000 base 0000000000000000 limit 00000000 attributes 000 type 0 DPL 0");
  });
});

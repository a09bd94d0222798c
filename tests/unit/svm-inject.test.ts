// Event injection, windows and NMI blocking on AMD-V, seen in the VMCB. Bit positions are typed from the manual (APM volume
// 2, "Event Injection", "Virtual Interrupts").
import { beforeEach, describe, expect, test } from "vitest";
import { type KernelModule, loadKernel, readString } from "./harness.js";
import { VcpuView, vcpuGlue } from "./vcpu-view.js";

const VMCB = 0x10_0000n;
const VALID = 0x8000_0000;
const HAS_ERROR = 1 << 11;
const TYPE = {
  external: 0,
  nmi: 2 << 8,
  exception: 3 << 8,
  softInterrupt: 4 << 8,
  icebp: 5 << 8,
  softException: 6 << 8,
};
const IRET_INTERCEPT = 1n << 20n;
const VINTR_INTERCEPT = 1n << 4n;
const TF = 1n << 8n;

const glue = `${vcpuGlue}
import { machine } from "./kernel/vcpu/machine";
import { SvmVcpu, svmCreate } from "./kernel/svm/svm";
import { injectEvent, interruptedEvent, updateWindows } from "./kernel/svm/inject";
import { decode, decodePrepare } from "./kernel/svm/decode";
import { knownForget, knownUse } from "./kernel/svm/known";
let priority: u32 = 0;
function svmOf(vcpu: Vcpu): SvmVcpu { return changetype<SvmVcpu>(vcpu.backend); }
export function prepare(vcpu: Vcpu, vmcb: u64): void {
  const svm = svmCreate(vcpu, vmcb);
  machine().tprRead = (_vcpu: Vcpu): u32 => priority;
  decodePrepare();
  knownForget(svm);
  knownUse(vcpu, svm);
}
export function setPriority(value: u32): void { priority = value; }
export function inject(vcpu: Vcpu): void { injectEvent(vcpu, svmOf(vcpu)); }
export function windows(vcpu: Vcpu): void { updateWindows(vcpu, svmOf(vcpu)); }
export function decodeIt(vcpu: Vcpu): void { decode(vcpu); }
`;

let kernel: KernelModule;
let vcpu: VcpuView;
const word = (offset: bigint, bytes = 8) => kernel.cpu.load(VMCB + offset, bytes);
const put = (offset: bigint, value: bigint, bytes = 8) => kernel.cpu.store(VMCB + offset, bytes, value);
const eventInjection = () => word(0xa8n);
const misc1 = () => word(0x0cn, 4);

function inject(event: number, error = 0, length = 0): void {
  vcpu.set("event", event);
  vcpu.set("eventError", error);
  vcpu.set("eventLength", length);
  kernel.exports.inject!(vcpu.address);
}

function exit(code: bigint, rip: bigint): void {
  put(0x70n, code);
  put(0x578n, rip);
  kernel.exports.decodeIt!(vcpu.address);
}

beforeEach(async () => {
  kernel = await loadKernel(["kernel/svm/inject.ts", "kernel/svm/decode.ts"], glue);
  kernel.cpu.cpuidLeaves.set("80000000:0", [0x8000001f, 0, 0, 0]);
  kernel.cpu.cpuidLeaves.set("8000000a:0", [1, 16, 0, 1]);
  vcpu = new VcpuView(kernel);
  kernel.exports.prepare!(vcpu.address, VMCB);
  put(0x558n, 0x11n);
});

describe("EVENTINJ", () => {
  test.each<[string, number, number, bigint]>([
    ["external interrupt", VALID | TYPE.external | 0x31, 0, 0x8000_0031n],
    ["#UD", VALID | TYPE.exception | 6, 0, 0x8000_0306n],
    ["#GP with error code", VALID | TYPE.exception | HAS_ERROR | 13, 0x18, 0x18_8000_0b0dn],
    ["#PF with error code", VALID | TYPE.exception | HAS_ERROR | 14, 7, 0x7_8000_0b0en],
    ["NMI", VALID | TYPE.nmi | 2, 0, 0x8000_0202n],
  ])("%s", (_name, event, error, expected) => {
    put(0x68n, 1n);
    inject(event, error);
    expect(eventInjection()).toBe(expected);
    expect(vcpu.get("event")).toBe(0n);
    expect(word(0x68n) & 1n, "delivery ends the interrupt shadow").toBe(0n);
  });

  test("real mode has no error codes", () => {
    put(0x558n, 0x10n);
    inject(VALID | TYPE.exception | HAS_ERROR | 13, 0x18);
    expect(eventInjection()).toBe(0x8000_030dn);
  });

  test.each<[string, number, number, bigint]>([
    ["INT n", VALID | TYPE.softInterrupt | 0x80, 2, 0x8000_0480n],
    ["INT3", VALID | TYPE.softException | 3, 1, 0x8000_0303n],
    ["INTO", VALID | TYPE.softException | 4, 1, 0x8000_0304n],
    ["ICEBP", VALID | TYPE.icebp | 1, 1, 0x8000_0301n],
  ])("%s: the return address is behind the instruction", (_name, event, length, expected) => {
    vcpu.set("rip", 0x1000n);
    inject(event, 0, length);
    expect(eventInjection()).toBe(expected);
    expect(vcpu.get("rip")).toBe(0x1000n + BigInt(length));
    expect(word(0xc8n), "nRIP, which processors with NRIP save push").toBe(0x1000n + BigInt(length));
  });

  test("a software event of ours whose delivery was interrupted is delivered again, behind the instruction", () => {
    vcpu.set("rip", 0x1000n);
    inject(VALID | TYPE.softInterrupt | 0x80, 0, 2);
    put(0x88n, 0x8000_0480n);
    exit(0x400n, 0x1002n);
    expect([vcpu.exit("interruptedEvent"), vcpu.exit("interruptedLength")]).toEqual([0x8000_0480n, 0n]);
  });
});

describe("windows", () => {
  test("an interrupt window is a virtual interrupt above every priority, which exits", () => {
    vcpu.set("interruptWindow", 1);
    kernel.exports.windows!(vcpu.address);
    // V_INTR_MASKING, V_IGN_TPR, priority 15, V_IRQ.
    expect(word(0x60n, 4)).toBe((1n << 24n) | (1n << 20n) | (15n << 16n) | (1n << 8n));
    expect(misc1() & VINTR_INTERCEPT).toBe(VINTR_INTERCEPT);
    vcpu.set("interruptWindow", 0);
    kernel.exports.windows!(vcpu.address);
    expect(word(0x60n, 4)).toBe(1n << 24n);
    expect(misc1() & VINTR_INTERCEPT).toBe(0n);
  });

  test("the task priority shows in V_TPR", () => {
    kernel.exports.setPriority!(9);
    kernel.exports.windows!(vcpu.address);
    expect(word(0x60n, 4)).toBe((1n << 24n) | 9n);
  });
});

describe("NMI blocking", () => {
  const blocked = () => (vcpu.get("interruptibility") & 4n) !== 0n;

  test("from delivery until the guest's IRET has been executed", () => {
    exit(0x60n, 0x1000n);
    expect(blocked()).toBe(false);
    inject(VALID | TYPE.nmi | 2);
    expect(misc1() & IRET_INTERCEPT).toBe(IRET_INTERCEPT);
    exit(0x60n, 0x2000n);
    expect(blocked()).toBe(true);
    exit(0x74n, 0x2004n);
    expect([blocked(), misc1() & IRET_INTERCEPT]).toEqual([true, 0n]);
    // The same place again: the IRET faulted in the nested tables and has not been executed.
    exit(0x400n, 0x2004n);
    expect(blocked()).toBe(true);
    exit(0x60n, 0x1000n);
    expect(blocked()).toBe(false);
  });

  test("a waiting NMI steps the guest over IRET; the step is not the guest's", () => {
    put(0x568n, 0xffff_0ff0n);
    put(0x570n, 2n);
    inject(VALID | TYPE.nmi | 2);
    exit(0x74n, 0x2004n);
    vcpu.set("nmiWindow", 1);
    kernel.exports.windows!(vcpu.address);
    expect(word(0x570n) & TF).toBe(TF);
    // #DB after IRET: single step reported in DR6, flags as IRET loaded them.
    put(0x568n, 0xffff_4ff0n);
    put(0x570n, 0x202n);
    exit(0x41n, 0x1000n);
    expect(vcpu.exit("kind")).toBe(13n);
    expect(blocked()).toBe(false);
    expect(word(0x568n)).toBe(0xffff_0ff0n);
  });

  test("an exit before IRET was executed takes the step back", () => {
    put(0x570n, 2n);
    inject(VALID | TYPE.nmi | 2);
    exit(0x74n, 0x2004n);
    vcpu.set("nmiWindow", 1);
    kernel.exports.windows!(vcpu.address);
    exit(0x400n, 0x2004n);
    expect([word(0x570n) & TF, blocked()]).toEqual([0n, true]);
    kernel.exports.windows!(vcpu.address);
    expect(word(0x570n) & TF).toBe(TF);
  });

  test("an NMI whose delivery was interrupted does not block", () => {
    inject(VALID | TYPE.nmi | 2);
    put(0x88n, 0x8000_0202n);
    exit(0x400n, 0x2000n);
    expect(vcpu.exit("interruptedEvent")).toBe(0x8000_0202n);
    expect(blocked()).toBe(false);
    expect(misc1() & IRET_INTERCEPT).toBe(0n);
  });
});

describe("entry checks", () => {
  /** A VMCB that keeps every rule. */
  async function sound(): Promise<KernelModule> {
    const checks = await loadKernel(["kernel/svm/entrychecks.ts", "kernel/vcpu/violations.ts"]);
    checks.cpu.cpuidLeaves.set("80000000:0", [0x8000001f, 0, 0, 0]);
    checks.cpu.cpuidLeaves.set("80000008:0", [40, 0, 0, 0]);
    checks.cpu.cpuidLeaves.set("8000000a:0", [1, 16, 0, 1]);
    const set = (offset: bigint, bytes: number, value: bigint) =>
      checks.cpu.store(VMCB + offset, bytes, value);
    set(0x10n, 4, 1n);
    set(0x40n, 8, 0x20_0000n);
    set(0x48n, 8, 0x21_0000n);
    set(0x58n, 4, 1n);
    set(0x90n, 8, 1n);
    set(0xb0n, 8, 0x30_0000n);
    set(0x4d0n, 8, 0x1500n);
    set(0x548n, 8, 0x20n);
    set(0x550n, 8, 0x1000n);
    set(0x558n, 8, 0x8000_0011n);
    set(0x560n, 8, 0x400n);
    set(0x568n, 8, 0xffff_0ff0n);
    set(0x412n, 2, 0xa9bn);
    return checks;
  }

  test("a sound VMCB breaks no rule", async () => {
    const checks = await sound();
    expect(checks.exports.checkEntry!(VMCB)).toBe(0);
  });

  test.each<[string, bigint, number, bigint]>([
    ["EFER.SVME is zero", 0x4d0n, 8, 0x500n],
    ["CR0.CD is zero and CR0.NW is set", 0x558n, 8, 0xa000_0011n],
    ["CR0[63:32] are not zero", 0x558n, 8, 0x1_8000_0011n],
    ["any MBZ bit of CR3 is set", 0x550n, 8, 1n << 45n],
    ["any MBZ bit of CR4 is set", 0x548n, 8, 0x20n | (1n << 15n)],
    ["DR6[63:32] are not zero", 0x568n, 8, 1n << 32n],
    ["DR7[63:32] are not zero", 0x560n, 8, 1n << 40n],
    ["any MBZ bit of EFER is set", 0x4d0n, 8, 0x1500n | (1n << 20n)],
    ["EFER.LME and CR0.PG are both set and CR4.PAE is zero", 0x548n, 8, 0n],
    ["EFER.LME and CR0.PG are both set and CR0.PE is zero", 0x558n, 8, 0x8000_0010n],
    ["EFER.LME, CR0.PG, CR4.PAE, CS.L and CS.D are all non-zero", 0x412n, 2, 0xe9bn],
    ["the VMRUN intercept bit is clear", 0x10n, 4, 2n],
    ["the MSR or IOIO intercept tables extend", 0x48n, 8, 1n << 40n],
    ["illegal event injection", 0xa8n, 8, 0x8000_0302n],
    ["illegal event injection", 0xa8n, 8, 0x8000_0520n],
    ["ASID is equal to zero", 0x58n, 4, 0n],
    ["ASID is not below the number of ASIDs supported", 0x58n, 4, 16n],
    ["nested paging is off", 0x90n, 8, 0n],
    ["N_CR3 is not a physical address", 0xb0n, 8, 1n << 41n],
  ])("%s", async (words, offset, bytes, value) => {
    const checks = await sound();
    checks.cpu.store(VMCB + offset, bytes, value);
    expect(checks.exports.checkEntry!(VMCB)).toBeGreaterThan(0);
    expect(readString(checks.memory, checks.exports.violation!(0) as number)).toContain(words);
  });
});

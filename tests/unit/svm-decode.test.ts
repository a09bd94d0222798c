// The VMCB's exit fields against the neutral record. Exit codes, offsets and bit positions here are typed from the manual
// (APM volume 2), not taken from the kernel.
import { beforeEach, describe, expect, test } from "vitest";
import { type KernelModule, loadKernel, readString } from "./harness.js";
import { GUEST_RAM, startPaging, svmGlue, VMCB } from "./svm-glue.js";
import { VcpuView } from "./vcpu-view.js";

const KIND = {
  unknown: 0,
  cpuid: 1,
  rdmsr: 2,
  wrmsr: 3,
  io: 4,
  cr: 5,
  dr: 6,
  nestedFault: 7,
  hlt: 8,
  hypercall: 9,
  interrupt: 10,
  nmi: 11,
  window: 12,
  nmiWindow: 13,
  exception: 15,
  triple: 16,
  pause: 17,
  rdtsc: 18,
  rdtscp: 19,
  rdpmc: 20,
  xsetbv: 21,
  invd: 22,
  wbinvd: 23,
  invlpg: 24,
  monitor: 25,
  mwait: 26,
  task: 27,
  init: 28,
  nestedSvm: 30,
  descriptor: 31,
  misconfig: 33,
  entryFailure: 34,
  machineCheck: 35,
  other: 36,
};

let kernel: KernelModule;
let vcpu: VcpuView;

/** CPUID 0x8000000A EDX decides what the processor reports. */
async function start(features: number): Promise<void> {
  kernel = await loadKernel(
    ["kernel/svm/decode.ts", "kernel/abi/svm-reasons.ts", "kernel/svm/exitcodes.ts"],
    svmGlue,
  );
  kernel.cpu.cpuidLeaves.set("80000000:0", [0x8000001f, 0, 0, 0]);
  kernel.cpu.cpuidLeaves.set("80000008:0", [40, 0, 0, 0]);
  kernel.cpu.cpuidLeaves.set("8000000a:0", [1, 16, 0, features]);
  vcpu = new VcpuView(kernel);
  kernel.exports.prepare!(vcpu.address, VMCB, GUEST_RAM);
}

function exit(code: bigint, info1 = 0n, info2 = 0n, rip = 0x1000n): void {
  kernel.cpu.store(VMCB + 0x70n, 8, code);
  kernel.cpu.store(VMCB + 0x78n, 8, info1);
  kernel.cpu.store(VMCB + 0x80n, 8, info2);
  kernel.cpu.store(VMCB + 0x578n, 8, rip);
  kernel.exports.decodeIt!(vcpu.address);
}

const kind = () => Number(vcpu.exit("kind"));

beforeEach(() => start(1));

test.each<[bigint, string, number]>([
  [0x60n, "interrupt", KIND.interrupt],
  [0x61n, "nmi", KIND.nmi],
  [0x62n, "smi", KIND.machineCheck],
  [0x63n, "init", KIND.init],
  [0x64n, "vintr", KIND.window],
  [0x65n, "cr0_sel_write", KIND.cr],
  [0x66n, "read_idtr", KIND.descriptor],
  [0x6dn, "write_tr", KIND.descriptor],
  [0x6en, "rdtsc", KIND.rdtsc],
  [0x6fn, "rdpmc", KIND.rdpmc],
  [0x70n, "pushf", KIND.other],
  [0x71n, "popf", KIND.other],
  [0x72n, "cpuid", KIND.cpuid],
  [0x73n, "rsm", KIND.nestedSvm],
  [0x74n, "iret", KIND.nmiWindow],
  [0x75n, "swint", KIND.other],
  [0x76n, "invd", KIND.invd],
  [0x77n, "pause", KIND.pause],
  [0x78n, "hlt", KIND.hlt],
  [0x79n, "invlpg", KIND.invlpg],
  [0x7an, "invlpga", KIND.nestedSvm],
  [0x7bn, "io", KIND.io],
  [0x7cn, "msr", KIND.rdmsr],
  [0x7dn, "task_switch", KIND.task],
  [0x7en, "ferr_freeze", KIND.unknown],
  [0x7fn, "shutdown", KIND.triple],
  [0x80n, "vmrun", KIND.nestedSvm],
  [0x81n, "hypercall", KIND.hypercall],
  [0x82n, "vmload", KIND.nestedSvm],
  [0x83n, "vmsave", KIND.nestedSvm],
  [0x84n, "stgi", KIND.nestedSvm],
  [0x85n, "clgi", KIND.nestedSvm],
  [0x86n, "skinit", KIND.nestedSvm],
  [0x87n, "rdtscp", KIND.rdtscp],
  [0x88n, "icebp", KIND.other],
  [0x89n, "wbinvd", KIND.wbinvd],
  [0x8an, "monitor", KIND.monitor],
  [0x8bn, "mwait", KIND.mwait],
  [0x8cn, "mwait_cond", KIND.mwait],
  [0x8dn, "xsetbv", KIND.xsetbv],
  [0x8en, "rdpru", KIND.nestedSvm],
  [0x8fn, "efer_write_trap", KIND.unknown],
  [0x94n, "cr4_write_trap", KIND.unknown],
  [0xa2n, "invpcid", KIND.nestedSvm],
  [0xa4n, "tlbsync", KIND.nestedSvm],
  [0x400n, "npf", KIND.nestedFault],
  [0x401n, "avic_incomplete_ipi", KIND.unknown],
  [0x10n, "write_cr0", KIND.cr],
  [0x04n, "read_cr4", KIND.cr],
  [0x18n, "write_cr8", KIND.cr],
  [0x27n, "read_dr7", KIND.dr],
  [0x37n, "write_dr7", KIND.dr],
  [0x4en, "PF excp", KIND.exception],
  [0x41n, "DB excp", KIND.exception],
  [0x52n, "MC excp", KIND.machineCheck],
  [0xffff_ffff_ffff_ffffn, "invalid_guest_state", KIND.entryFailure],
  // QEMU leaves the upper half zero.
  [0xffff_ffffn, "invalid_guest_state", KIND.entryFailure],
  [0x404n, "unknown", KIND.unknown],
  [0xf0n, "unknown", KIND.unknown],
  [0x1234n, "unknown", KIND.unknown],
])("exit code %d is %s", (code, name, expected) => {
  exit(code);
  expect(kind()).toBe(expected);
  expect(vcpu.exit("reason")).toBe(code & 0xffff_ffffn);
  expect(readString(kernel.memory, kernel.exports.exitName!(Number(code & 0xffff_ffffn)) as number)).toBe(
    name,
  );
});

describe("details", () => {
  test("MSR: number in ECX, direction in EXITINFO1", () => {
    vcpu.set("rcx", 0xffff_ffff_c000_0080n);
    exit(0x7cn, 0n);
    expect([kind(), vcpu.exit("msr")]).toEqual([KIND.rdmsr, 0xc000_0080n]);
    exit(0x7cn, 1n);
    expect([kind(), vcpu.exit("msr")]).toEqual([KIND.wrmsr, 0xc000_0080n]);
  });

  test.each<[string, bigint, { port: bigint; size: bigint; flags: bigint }]>([
    ["OUT 0x3f8, AL", 0x03f8_0010n, { port: 0x3f8n, size: 1n, flags: 0n }],
    ["IN AX, 0x1f0", 0x01f0_0021n, { port: 0x1f0n, size: 2n, flags: 1n }],
    ["IN EAX, 0xffff", 0xffff_0041n, { port: 0xffffn, size: 4n, flags: 1n }],
    ["REP OUTSB", 0x0080_0000n | 0x9cn, { port: 0x80n, size: 1n, flags: 0b1100n }],
    ["INSW", 0x0060_0025n, { port: 0x60n, size: 2n, flags: 0b0101n }],
  ])("I/O: %s", (_name, info1, expected) => {
    exit(0x7bn, info1, 0x1007n);
    expect({ port: vcpu.exit("port"), size: vcpu.exit("size"), flags: vcpu.exit("flags") }).toEqual(expected);
    expect(vcpu.nextRip()).toBe(0x1007n);
  });

  test("I/O with decode assists: segment and address size", async () => {
    await start(1 | (1 << 7));
    // REP OUTS through FS (4), 64-bit addresses (bit 9).
    exit(0x7bn, (0x80n << 16n) | (4n << 10n) | (1n << 9n) | 0x1cn, 0x1002n);
    expect([vcpu.exit("segment"), vcpu.exit("addressSize"), vcpu.exit("flags")]).toEqual([4n, 8n, 0b1110n]);
    exit(0x7bn, (0x80n << 16n) | (3n << 10n) | (1n << 7n) | 0x14n, 0x1002n);
    expect([vcpu.exit("segment"), vcpu.exit("addressSize"), vcpu.exit("flags")]).toEqual([3n, 2n, 0b0110n]);
  });

  test.each<[string, bigint, bigint]>([
    ["read, not present", 0x1_0000_0004n, 0b1n],
    ["write, present", 0x1_0000_0007n, 0b1010n],
    ["fetch, not present", 0x1_0000_0014n, 0b100n],
    ["write during the guest's own page walk", 0x2_0000_0006n, 0b1_0010n],
  ])("nested fault: %s", (_name, error, flags) => {
    exit(0x400n, error, 0xfee0_0030n);
    expect([kind(), vcpu.exit("gpa"), vcpu.exit("flags")]).toEqual([KIND.nestedFault, 0xfee0_0030n, flags]);
    expect(vcpu.exit("byteCount")).toBe(0n);
  });

  test("nested fault on reserved bits is a bug in our tables, with P = 0 too", () => {
    exit(0x400n, 0x1_0000_0008n, 0x1000n);
    expect(kind()).toBe(KIND.misconfig);
    exit(0x400n, 0x1_0000_0009n, 0x1000n);
    expect(kind()).toBe(KIND.misconfig);
  });

  test("nested fault with decode assists: instruction bytes", async () => {
    await start(1 | (1 << 7));
    kernel.cpu.poke(VMCB + 0xd0n, Uint8Array.of(15, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    exit(0x400n, 0x1_0000_0004n, 0x1000n);
    expect(vcpu.exit("byteCount")).toBe(15n);
    expect(vcpu.exit("bytes0")).toBe(0x0807_0605_0403_0201n);
    expect(vcpu.exit("bytes1")).toBe(0x000f_0e0d_0c0b_0a09n);
  });

  test("control registers without decode assists name the register only", () => {
    exit(0x14n);
    expect([vcpu.exit("crNumber"), vcpu.exit("crAccess")]).toEqual([4n, 4n]);
    exit(0x65n);
    expect([vcpu.exit("crNumber"), vcpu.exit("crAccess")]).toEqual([0n, 4n]);
  });

  test("control registers with decode assists", async () => {
    await start(1 | (1 << 7));
    exit(0x18n, (1n << 63n) | 9n);
    expect([vcpu.exit("crNumber"), vcpu.exit("crAccess"), vcpu.exit("gpr")]).toEqual([8n, 0n, 9n]);
    exit(0x03n, (1n << 63n) | 2n);
    expect([vcpu.exit("crNumber"), vcpu.exit("crAccess"), vcpu.exit("gpr")]).toEqual([3n, 1n, 2n]);
    // CLTS and LMSW leave bit 63 clear.
    exit(0x10n, 0n);
    expect(vcpu.exit("crAccess")).toBe(4n);
  });

  test("exceptions", () => {
    exit(0x4en, 0x7n, 0xdead_b000n);
    expect([vcpu.exit("vector"), vcpu.exit("errorCode"), vcpu.exit("gva")]).toEqual([14n, 7n, 0xdead_b000n]);
    exit(0x51n, 0n);
    expect([vcpu.exit("vector"), vcpu.exit("flags")]).toEqual([17n, 0n]);
  });

  test("interrupt shadow and what is valid", () => {
    kernel.cpu.store(VMCB + 0x68n, 8, 1n);
    exit(0x72n);
    expect([vcpu.get("interruptibility"), vcpu.get("valid")]).toEqual([1n, 0x42n]);
    kernel.cpu.store(VMCB + 0x68n, 8, 2n);
    exit(0x72n);
    expect(vcpu.get("interruptibility")).toBe(0n);
  });
});

describe("interrupted delivery", () => {
  const interrupted = (info: bigint) => {
    kernel.cpu.store(VMCB + 0x88n, 8, info);
    exit(0x400n, 0x1_0000_0006n, 0x1000n);
    return [vcpu.exit("interruptedEvent"), vcpu.exit("interruptedError")];
  };

  test.each<[string, bigint, bigint, bigint]>([
    ["external interrupt", 0x8000_0031n, 0x8000_0031n, 0n],
    ["#PF with error code", 0x0000_0007_8000_0b0en, 0x8000_0b0en, 7n],
    ["INT n is executed again", 0x8000_0480n, 0n, 0n],
    ["INT3 is executed again", 0x8000_0303n, 0n, 0n],
    ["INTO is executed again", 0x8000_0304n, 0n, 0n],
    ["nothing", 0x0000_0031n, 0n, 0n],
  ])("%s", (_name, info, event, error) => {
    expect(interrupted(info)).toEqual([event, event === 0n ? expect.anything() : error]);
  });
});

describe("RIP after the instruction, without NRIP save", () => {
  const paging = () => startPaging(kernel.cpu);

  test.each<[string, bigint, number[], bigint]>([
    ["CPUID", 0x72n, [0x0f, 0xa2], 2n],
    ["HLT", 0x78n, [0xf4], 1n],
    ["VMMCALL", 0x81n, [0x0f, 0x01, 0xd9], 3n],
    ["RDTSC", 0x6en, [0x0f, 0x31], 2n],
    ["RDTSCP", 0x87n, [0x0f, 0x01, 0xf9], 3n],
    ["RDPMC", 0x6fn, [0x0f, 0x33], 2n],
    ["PAUSE", 0x77n, [0xf3, 0x90], 2n],
    ["XSETBV", 0x8dn, [0x0f, 0x01, 0xd1], 3n],
    ["INVD", 0x76n, [0x0f, 0x08], 2n],
    ["WBINVD", 0x89n, [0x0f, 0x09], 2n],
    ["MONITOR", 0x8an, [0x0f, 0x01, 0xc8], 3n],
    ["MWAIT", 0x8bn, [0x0f, 0x01, 0xc9], 3n],
    ["RDMSR", 0x7cn, [0x0f, 0x32], 2n],
  ])("%s", (_name, code, bytes, length) => {
    paging();
    kernel.cpu.poke(GUEST_RAM + 0x1234n, Uint8Array.from([...bytes, 0x90, 0x90, 0x90]));
    exit(code, 0n, 0n, 0x1234n);
    expect(vcpu.nextRip()).toBe(0x1234n + length);
    // Again, now from the cache.
    exit(code, 0n, 0n, 0x1234n);
    expect(vcpu.nextRip()).toBe(0x1234n + length);
  });

  test("WRMSR", () => {
    paging();
    kernel.cpu.poke(GUEST_RAM + 0x1234n, Uint8Array.of(0x0f, 0x30, 0x90, 0x90));
    exit(0x7cn, 1n, 0n, 0x1234n);
    expect(vcpu.nextRip()).toBe(0x1236n);
  });

  test("with prefixes, at the end of a page, and on an unmapped page: left to the decoder", () => {
    paging();
    kernel.cpu.poke(GUEST_RAM + 0x1234n, Uint8Array.of(0x48, 0x0f, 0xa2, 0x90));
    exit(0x72n, 0n, 0n, 0x1234n);
    expect(vcpu.nextRip()).toBe(0n);
    kernel.cpu.poke(GUEST_RAM + 0x1ffen, Uint8Array.of(0x0f, 0xa2));
    exit(0x72n, 0n, 0n, 0x1ffen);
    expect(vcpu.nextRip()).toBe(0n);
    exit(0x72n, 0n, 0n, 0xffff_8000_0000_0000n);
    expect(vcpu.nextRip()).toBe(0n);
  });

  test("in 64-bit code a base of the segment does not count; the decoder has the length", () => {
    paging();
    kernel.cpu.poke(GUEST_RAM + 0x10n, Uint8Array.of(0x66, 0x0f, 0xa2, 0x90));
    kernel.cpu.poke(GUEST_RAM + 0x3010n, Uint8Array.of(0x0f, 0xa2, 0x90, 0x90));
    kernel.cpu.store(VMCB + 0x412n, 2, 0xa9bn);
    kernel.cpu.store(VMCB + 0x418n, 8, 0x3000n);
    for (let i = 0; i < 2; i++) {
      exit(0x72n, 0n, 0n, 0x10n);
      expect(vcpu.nextRip()).toBe(0n);
    }
  });

  test("in a code segment with a base", () => {
    paging();
    kernel.cpu.store(VMCB + 0x412n, 2, 0xc9bn);
    kernel.cpu.poke(GUEST_RAM + 0x3010n, Uint8Array.of(0x0f, 0xa2, 0x90, 0x90));
    kernel.cpu.store(VMCB + 0x418n, 8, 0x3000n);
    exit(0x72n, 0n, 0n, 0x10n);
    expect(vcpu.nextRip()).toBe(0x12n);
    kernel.cpu.store(VMCB + 0x418n, 8, 0x4000n);
    exit(0x72n, 0n, 0n, 0x10n);
    expect(vcpu.nextRip()).toBe(0n);
  });

  test("code that was modified after it was remembered", () => {
    paging();
    kernel.cpu.poke(GUEST_RAM + 0x1234n, Uint8Array.of(0x0f, 0xa2, 0x90, 0x90));
    exit(0x72n, 0n, 0n, 0x1234n);
    expect(vcpu.nextRip()).toBe(0x1236n);
    kernel.cpu.poke(GUEST_RAM + 0x1234n, Uint8Array.of(0x66, 0x0f, 0xa2, 0x90));
    exit(0x72n, 0n, 0n, 0x1234n);
    expect(vcpu.nextRip()).toBe(0n);
  });

  test("another address space is looked up anew", () => {
    paging();
    kernel.cpu.poke(GUEST_RAM + 0x1234n, Uint8Array.of(0x0f, 0xa2, 0x90, 0x90));
    exit(0x72n, 0n, 0n, 0x1234n);
    expect(vcpu.nextRip()).toBe(0x1236n);
    kernel.cpu.store(VMCB + 0x550n, 8, 0xc000n);
    exit(0x72n, 0n, 0n, 0x1234n);
    expect(vcpu.nextRip()).toBe(0n);
  });

  describe("after another page was mapped there, without an exit", () => {
    const [PT, OTHER] = [0xb000n, 0xc000n];
    const show = (page: bigint) => kernel.cpu.store(GUEST_RAM + PT + 8n, 8, page | 3n);

    beforeEach(() => {
      paging();
      kernel.cpu.store(GUEST_RAM + 0xa000n, 8, PT | 3n);
      show(0x1000n);
    });

    test("CPUID with a prefix where CPUID without was, and back", () => {
      kernel.cpu.poke(GUEST_RAM + 0x1234n, Uint8Array.of(0x0f, 0xa2, 0x90, 0x90));
      kernel.cpu.poke(GUEST_RAM + OTHER + 0x234n, Uint8Array.of(0x66, 0x0f, 0xa2, 0x90));
      for (let i = 0; i < 3; i++) {
        show(0x1000n);
        exit(0x72n, 0n, 0n, 0x1234n);
        exit(0x72n, 0n, 0n, 0x1234n);
        expect(vcpu.nextRip()).toBe(0x1236n);
        show(OTHER);
        exit(0x72n, 0n, 0n, 0x1234n);
        // Its length is left to the decoder.
        expect(vcpu.nextRip()).toBe(0n);
      }
    });

    test("WRMSR where RDMSR was, and back", () => {
      kernel.cpu.poke(GUEST_RAM + 0x1234n, Uint8Array.of(0x0f, 0x32, 0x90, 0x90));
      kernel.cpu.poke(GUEST_RAM + OTHER + 0x234n, Uint8Array.of(0x0f, 0x30, 0x90, 0x90));
      for (let i = 0; i < 3; i++) {
        show(0x1000n);
        exit(0x7cn, 0n, 0n, 0x1234n);
        exit(0x7cn, 0n, 0n, 0x1234n);
        expect([kind(), vcpu.nextRip()]).toEqual([KIND.rdmsr, 0x1236n]);
        show(OTHER);
        exit(0x7cn, 1n, 0n, 0x1234n);
        exit(0x7cn, 1n, 0n, 0x1234n);
        expect([kind(), vcpu.nextRip()]).toEqual([KIND.wrmsr, 0x1236n]);
      }
    });
  });

  test("code of 32 bits goes on at linear 0 behind 4 GiB", () => {
    paging();
    kernel.cpu.store(VMCB + 0x412n, 2, 0xc9bn);
    kernel.cpu.poke(GUEST_RAM + 0x10n, Uint8Array.of(0x0f, 0xa2, 0x90, 0x90));
    kernel.cpu.store(VMCB + 0x418n, 8, 0xffff_f000n);
    exit(0x72n, 0n, 0n, 0x1010n);
    expect(vcpu.nextRip()).toBe(0x1012n);
  });

  test("with NRIP save the processor's word counts", async () => {
    await start(1 | (1 << 3));
    kernel.cpu.store(VMCB + 0xc8n, 8, 0x4321n);
    exit(0x72n);
    expect(vcpu.nextRip()).toBe(0x4321n);
  });
});

test.each<[string, bigint, bigint]>([
  ["flags that a guest can have are kept", 0x0003_7fd7n, 0x0003_7fd7n],
  [
    "the operand of a CMPXCHG16B that QEMU saves instead leaves arithmetic flags and IF",
    0x01be_26c2n,
    0x2c2n,
  ],
  ["reserved bit 3", 0x0004_010an, 0x2n],
])("RFLAGS at an interrupt: %s", (_what, saved, kept) => {
  kernel.cpu.store(VMCB + 0x570n, 8, saved);
  exit(0x60n);
  expect(kernel.cpu.load(VMCB + 0x570n, 8)).toBe(kept);
});

import { describe, expect, test } from "vitest";
import { AMD_CPUID, type HostCpuid, INTEL_CPUID, Pc } from "./pc.ts";

const has = (register: number, bit: number) => ((register >>> bit) & 1) === 1;
const CR4_OSXSAVE = 1 << 18;
const CR4_PKE = 1 << 22;

describe.each([
  ["AMD", AMD_CPUID],
  ["Intel", INTEL_CPUID],
] as [string, HostCpuid][])("on %s", (vendor, cpuid) => {
  test("vendor, signature and brand are the host's", async () => {
    const pc = await Pc.running({ cpuid });
    const host = cpuid["0:0"] as number[];
    expect(pc.cpuid(0)).toEqual([0x0d, host[1], host[2], host[3]]);
    expect(pc.cpuid(1)[0]).toBe((cpuid["1:0"] as number[])[0]);
    if (vendor === "AMD") expect(pc.cpuid(0x80000002)).toEqual(cpuid["80000002:0"]);
  });

  test("nested virtualization, MONITOR, counters, SGX and TSX are hidden; APIC features are ours", async () => {
    const pc = await Pc.running({ cpuid });
    const [, , ecx, edx] = pc.cpuid(1);
    for (const bit of [2, 3, 5, 6, 7, 8, 15, 18]) expect(has(ecx, bit), `ECX bit ${bit}`).toBe(false);
    for (const bit of [21, 24, 31]) expect(has(ecx, bit), `ECX bit ${bit}`).toBe(true);
    for (const bit of [21, 22, 28, 29, 31]) expect(has(edx, bit), `EDX bit ${bit}`).toBe(false);
    const [, ebx] = pc.cpuid(7);
    for (const bit of [2, 4, 11, 12, 14, 15, 22, 25]) expect(has(ebx, bit), `EBX bit ${bit}`).toBe(false);
    expect(has(ebx, 1)).toBe(true);
    expect(has(pc.cpuid(0x80000001)[2], 2)).toBe(false);
    expect(pc.cpuid(0x8000000a)).toEqual([0, 0, 0, 0]);
    expect(pc.cpuid(0x0a)).toEqual([0, 0, 0, 0]);
    expect(pc.cpuid(5)).toEqual([0, 0, 0, 0]);
  });

  test("nothing is offered that the host has not, but what is emulated", async () => {
    const pc = await Pc.running({ cpuid });
    const host = cpuid["1:0"] as number[];
    const emulated = ((1 << 21) | (1 << 24) | (1 << 31)) >>> 0;
    expect((pc.cpuid(1)[2] & ~((host[2] as number) | emulated)) >>> 0).toBe(0);
    expect((pc.cpuid(1)[3] & ~(host[3] as number)) >>> 0).toBe(0);
    const seven = cpuid["7:0"] as number[];
    expect((pc.cpuid(7)[1] & ~((seven[1] as number) | 2)) >>> 0).toBe(0);
    expect((pc.cpuid(7)[2] & ~(seven[2] as number)) >>> 0).toBe(0);
    expect((pc.cpuid(7)[3] & ~(seven[3] as number)) >>> 0).toBe(0);
  });

  test("unknown leaves are zero in every range", async () => {
    const pc = await Pc.running({ cpuid });
    for (const leaf of [
      0x0e, 0x14, 0x15, 0x20, 0x3fffffff, 0x40000002, 0x40000011, 0x80000009, 0x8000001f, 0xc0000000,
      0xffffffff,
    ]) {
      expect(pc.cpuid(leaf), leaf.toString(16)).toEqual([0, 0, 0, 0]);
    }
  });

  test("the hypervisor's leaves: KVM's signature, a stable kvm-clock, TSC and APIC timer rates", async () => {
    const pc = await Pc.running({ cpuid });
    const [highest, ...signature] = pc.cpuid(0x40000000);
    expect(highest).toBe(0x40000010);
    expect(new TextDecoder().decode(new Uint8Array(Uint32Array.from(signature).buffer))).toBe(
      "KVMKVMKVM\0\0\0",
    );
    const [features] = pc.cpuid(0x40000001);
    expect(features).toBe(1 | (1 << 1) | (1 << 3) | (1 << 24));
    expect(pc.cpuid(0x40000010).slice(0, 2)).toEqual([1_000_000, 1_000_000]);
  });

  test("OSXSAVE and OSPKE follow the guest's CR4", async () => {
    const pc = await Pc.running({ cpuid });
    expect(has(pc.cpuid(1)[2], 27)).toBe(false);
    pc.vcpu.set("cr4", CR4_OSXSAVE | CR4_PKE);
    expect(has(pc.cpuid(1)[2], 27)).toBe(true);
    expect(has(pc.cpuid(7)[2], 4)).toBe(true);
    pc.vcpu.set("cr4", 0);
    expect(has(pc.cpuid(7)[2], 4)).toBe(false);
    expect(pc.cpuid(7, 1)).toEqual([0, 0, 0, 0]);
  });
});

test("APIC ID and topology are those of the asking vCPU", async () => {
  const pc = await Pc.running({ line: "vm0.memory=4M", cpus: 3 });
  const second = pc.call("vcpuOf", 0, 2) as number;
  pc.call("cpuid", second, 1, 0);
  const view = Object.assign(Object.create(Object.getPrototypeOf(pc)), pc) as Pc;
  Object.defineProperty(view, "vcpuAddress", { value: second });
  expect((view.cpuid(1)[1] >>> 24) & 0xff).toBe(2);
  expect((pc.cpuid(1)[1] >>> 24) & 0xff).toBe(0);
  expect((pc.cpuid(1)[1] >>> 16) & 0xff).toBe(3);
  expect(view.cpuid(0x0b, 0)).toEqual([0, 1, 0x100, 2]);
  expect(view.cpuid(0x0b, 1)).toEqual([2, 3, 0x201, 2]);
  expect(view.cpuid(0x0b, 2)).toEqual([0, 0, 2, 2]);
});

describe("leaf 0Dh", () => {
  test("only components that a guest may enable, with the area's size for them", async () => {
    const pc = await Pc.running({ cpuid: INTEL_CPUID });
    expect(pc.cpuid(0x0d, 0)).toEqual([0x2e7, 0x240, 0xa88, 0]);
    expect(pc.cpuid(0x0d, 1)).toEqual([7, 0x240, 0, 0]);
    expect(pc.cpuid(0x0d, 2)).toEqual([0x100, 0x240, 0, 0]);
    expect(pc.cpuid(0x0d, 9)).toEqual([8, 0xa80, 0, 0]);
    for (const subleaf of [3, 8, 10, 18, 63]) expect(pc.cpuid(0x0d, subleaf)).toEqual([0, 0, 0, 0]);
  });

  test("EBX is the processor's own answer, which knows the guest's XCR0", async () => {
    const pc = await Pc.running();
    pc.cpu.cpuidLeaves.set("d:0", [0x207, 832, 2696, 0]);
    expect(pc.cpuid(0x0d, 0)[1]).toBe(832);
  });

  test("the compacted size is that of what the guest's XCR0 enables, aligned where a component asks for it", async () => {
    const pc = await Pc.running({ cpuid: INTEL_CPUID });
    const compacted = (xcr0: bigint) => {
      pc.cpu.extendedControl.set(0, xcr0);
      return pc.cpuid(0x0d, 1)[1];
    };
    expect(compacted(0x1n)).toBe(576);
    expect(compacted(0x3n)).toBe(576);
    expect(compacted(0x7n)).toBe(576 + 256);
    // AVX 256, opmask 64, upper halves 512, upper registers 1024, protection keys 8.
    expect(compacted(0x2e7n)).toBe(576 + 256 + 64 + 512 + 1024 + 8);
  });

  test("without XSAVE on the host it is empty", async () => {
    const cpuid = {
      ...AMD_CPUID,
      "1:0": [0x00060fb1, 0x00010800, 0x00fa3203, 0x0f8bfbff] as [number, number, number, number],
    };
    const pc = await Pc.running({ cpuid });
    expect(pc.cpuid(0x0d)).toEqual([0, 0, 0, 0]);
    expect(has(pc.cpuid(1)[2], 26)).toBe(false);
  });
});

test("leaf 4: the host's caches, shared with nobody", async () => {
  const pc = await Pc.running({ cpuid: INTEL_CPUID });
  expect(pc.cpuid(4, 0)).toEqual([0x121, 0x01c0003f, 0x3f, 0]);
  expect(pc.cpuid(4, 1)[0]).toBe(0x122);
  expect(pc.cpuid(4, 2)).toEqual([0, 0, 0, 0]);
});

test("the four leaves of the exit counters go to whoever answers them", async () => {
  const pc = await Pc.running();
  expect(pc.cpuid(0x4ffffffd, 7)).toEqual([0, 0, 0, 0]);
  pc.call("installCounters");
  expect(pc.cpuid(0x4ffffffe, 7)).toEqual([0x4ffffffe, 0, 7, 0]);
  expect(pc.cpuid(0x4ffffffb, 7)).toEqual([0, 0, 0, 0]);
});

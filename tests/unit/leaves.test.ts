// The counters as a guest reads them: CPUID leaves 4FFFFFFCh to 4FFFFFFFh.
import { expect, test } from "vitest";
import { loadKernel } from "./harness.ts";

const GLUE = `
import { arenaAlloc } from "./kernel/lib/arena";
import { exitName } from "./kernel/abi/svm-reasons";
import { reasonName } from "./kernel/abi/vmx-reasons";
import { countersCreate, countExit } from "./kernel/trace/counters";
import { answerLeaf } from "./kernel/trace/leaves";
import { backend } from "./kernel/vcpu/backend";
import { Vcpu, VCPU_BYTES } from "./kernel/vcpu/vcpu";

const vcpu = changetype<Vcpu>(memory.data(4096, 16));
export function prepare(vmx: bool): void {
  backend().reasonName = vmx ? reasonName : exitName;
  countersCreate(vcpu);
}
export function exit(reason: u32, entered: u64, exited: u64): void {
  vcpu.exit.reason = reason;
  vcpu.tscEntry = entered;
  vcpu.tscExit = exited;
  countExit(vcpu);
}
export function ask(leaf: u32, subleaf: u32): void { answerLeaf(vcpu, leaf, subleaf); }
export function rax(): u64 { return vcpu.rax; }
export function rbx(): u64 { return vcpu.rbx; }
export function rcx(): u64 { return vcpu.rcx; }
export function rdx(): u64 { return vcpu.rdx; }
`;

async function counters(vmx: boolean) {
  const { exports } = await loadKernel([], GLUE);
  const call = exports as Record<string, CallableFunction>;
  call.prepare!(vmx ? 1 : 0);
  const ask = (leaf: number, subleaf = 0) => {
    call.ask!(leaf, subleaf);
    return ["rax", "rbx", "rcx", "rdx"].map((name) => BigInt.asUintN(64, call[name]!() as bigint));
  };
  return { call, ask };
}

test("exits and cycles, all and by reason, on VT-x", async () => {
  const { call, ask } = await counters(true);
  call.exit!(10, 0n, 1000n);
  call.exit!(10, 1000n + 0x1_0000_0007n, 0x2_0000_0000n);
  call.exit!(48, 0x2_0000_0000n + 5n, 0x3_0000_0000n);
  expect(ask(0x4ffffffc)).toEqual([3n, 1n, 12n, 0n]);
  expect(ask(0x4ffffffd)).toEqual([0n, 1n, 12n, 0n]);
  expect(ask(0x4ffffffe, 10)).toEqual([2n, 0n, 0n, 0n]);
  expect(ask(0x4fffffff, 10)).toEqual([0n, 1n, 12n, 0n]);
  expect(ask(0x4ffffffe, 48)).toEqual([1n, 0n, 0n, 0n]);
});

test("a reason that is defined but never happened: zeros", async () => {
  const { ask } = await counters(true);
  expect(ask(0x4ffffffe, 3)).toEqual([0n, 0n, 0n, 0n]);
  expect(ask(0x4fffffff, 16)).toEqual([0n, 0n, 0n, 0n]);
});

test.each([35, 38, 42, 71, 78, 1000, 0xffff])(
  "VT-x reason %i, which the manual does not define",
  async (reason) => {
    const { ask } = await counters(true);
    for (const leaf of [0x4ffffffe, 0x4fffffff]) expect(ask(leaf, reason)).toEqual([0n, 0n, 0n, 0xffffffffn]);
  },
);

test("AMD-V counts by exit code", async () => {
  const { call, ask } = await counters(false);
  call.exit!(0x400, 0n, 50n);
  call.exit!(0x72, 80n, 100n);
  expect(ask(0x4ffffffe, 0x400)).toEqual([1n, 0n, 0n, 0n]);
  expect(ask(0x4fffffff, 0x400)).toEqual([0n, 0n, 30n, 0n]);
  expect(ask(0x4ffffffe, 0x3ff)).toEqual([0n, 0n, 0n, 0xffffffffn]);
});

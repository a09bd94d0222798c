// AMD-V's decoding of exits around one vCPU: its VMCB and the guest's RAM where a test puts them, and the guest's page tables.
import type { FakeCpu } from "./fake-cpu.js";
import type { KernelModule } from "./harness.js";
import { vcpuGlue } from "./vcpu-view.js";

/** Physical addresses of the VMCB, and of the guest's first MiB. */
export const VMCB = 0x10_0000n;
export const GUEST_RAM = 0x40_0000n;

export const svmGlue = `${vcpuGlue}
import { GuestMemory, guestAddRegion, guestMemoryNew } from "./kernel/mm/guestmem";
import { machine } from "./kernel/vcpu/machine";
import { svmCreate, svmOf } from "./kernel/svm/svm";
import { loadState, storeState } from "./kernel/svm/state";
import { GROUP_CONTROL } from "./kernel/vcpu/registers";
import { backend } from "./kernel/vcpu/backend";
import { codeBytesCreate, readInstruction } from "./kernel/vcpu/codebytes";
import { codeWalk, codeWalkPrepare } from "./kernel/svm/codewalk";
import { decode, decodeForTrace, decodePrepare } from "./kernel/svm/decode";
import { knownForget, knownPrepare, knownUse, rememberMove } from "./kernel/svm/known";
let memory: GuestMemory = guestMemoryNew();
export function prepare(vcpu: Vcpu, vmcb: u64, ram: u64): void {
  const svm = svmCreate(vcpu, vmcb);
  codeBytesCreate(vcpu);
  guestAddRegion(memory, 0, 0x100000, ram);
  machine().guestMemory = (_vcpu: Vcpu): GuestMemory => memory;
  decodePrepare();
  knownPrepare();
  codeWalkPrepare();
  knownForget(svm);
  knownUse(vcpu, svm);
}
export function decodeIt(vcpu: Vcpu): void { decode(vcpu); }
export function complete(vcpu: Vcpu): void { decodeForTrace(vcpu); }
export function instruction(vcpu: Vcpu): usize {
  backend().codeWalk = codeWalk;
  return changetype<usize>(readInstruction(vcpu));
}
/** As a handler that flips bits of CR0, CR4 and EFER, and the entry after it. */
export function changeControl(vcpu: Vcpu, cr0: u64, cr4: u64, efer: u64): void {
  loadState(vcpu, svmOf(vcpu), GROUP_CONTROL);
  vcpu.cr0 ^= cr0;
  vcpu.cr4 ^= cr4;
  vcpu.efer ^= efer;
  storeState(vcpu, svmOf(vcpu), GROUP_CONTROL);
}
export function remember(vcpu: Vcpu, move: u32, value: u32, length: u32): void { rememberMove(vcpu, move, value, length); }
`;

/** The bytes of the last exit's instruction, as a trace has them. */
export function instructionBytes(kernel: KernelModule, vcpu: number): number[] {
  const at = kernel.exports.instruction!(vcpu) as number;
  const count = Number(kernel.memory.getBigUint64(at + 16, true));
  return Array.from({ length: count }, (_, i) => kernel.memory.getUint8(at + i));
}

/** Long mode with one 2 MiB page that maps linear 0 to guest-physical 0. */
export function startPaging(cpu: FakeCpu): void {
  const table = (gpa: bigint, entry: bigint) => cpu.store(GUEST_RAM + gpa, 8, entry);
  table(0x8000n, 0x9003n);
  table(0x9000n, 0xa003n);
  table(0xa000n, 0x83n);
  cpu.store(VMCB + 0x558n, 8, 0x8000_0011n);
  cpu.store(VMCB + 0x550n, 8, 0x8000n);
  cpu.store(VMCB + 0x548n, 8, 0x20n);
  cpu.store(VMCB + 0x4d0n, 8, 0x1500n);
}

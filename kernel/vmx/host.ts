// This CPU's own side of VT-x: VMX operation on and off, and the host-state fields of a VMCS (SDM volume 3, "Host-State
// Area"). Selectors, the bases of GDT, IDT and TSS, RSP and RIP are written by boot/vmentry_vmx.asm before VMLAUNCH: only
// assembly can read them.
import { CR4_VMXE } from "../arch/cr";
import { phys_store32, rdmsr, read_cr0, read_cr3, read_cr4, vmwrite, vmxon } from "../arch/intrinsics";
import { write_cr0, write_cr4 } from "../arch/intrinsics";
import { IA32_EFER, IA32_FS_BASE, IA32_GS_BASE, IA32_PAT } from "../arch/msr";
import {
  IA32_VMX_CR0_FIXED0,
  IA32_VMX_CR0_FIXED1,
  IA32_VMX_CR4_FIXED0,
  IA32_VMX_CR4_FIXED1,
} from "../arch/msr";
import { thisCpu } from "../arch/percpu";
import { FRAME_BYTES, frameAllocZeroed, NO_HPA } from "../mm/frames";
import { vmxMissing, vmxRevision } from "./capabilities";
import {
  HOST_CR0,
  HOST_CR3,
  HOST_CR4,
  HOST_EFER,
  HOST_FS_BASE,
  HOST_GS_BASE,
  HOST_PAT,
  HOST_SYSENTER_CS,
  HOST_SYSENTER_EIP,
  HOST_SYSENTER_ESP,
} from "./fields";

/** Enters VMX operation on this CPU. Null, or what is missing and what to do. */
export function enterVmxOperation(): string | null {
  const missing = vmxMissing();
  if (missing !== null) return missing;
  const cpu = thisCpu();
  if (cpu.backendArea == 0) {
    cpu.backendArea = frameAllocZeroed(1, FRAME_BYTES);
    if (cpu.backendArea == NO_HPA) return "no memory left for the VMXON region.";
  }
  phys_store32(cpu.backendArea, vmxRevision());
  write_cr0((read_cr0() | rdmsr(IA32_VMX_CR0_FIXED0)) & rdmsr(IA32_VMX_CR0_FIXED1));
  write_cr4((read_cr4() | CR4_VMXE | rdmsr(IA32_VMX_CR4_FIXED0)) & rdmsr(IA32_VMX_CR4_FIXED1));
  return vmxon(cpu.backendArea) == 0 ? null : "VMXON failed: another hypervisor already runs on this CPU.";
}

/** Writes what the current VMCS restores of this CPU at every exit. */
export function writeHostState(): void {
  vmwrite(HOST_CR0, read_cr0());
  vmwrite(HOST_CR3, read_cr3());
  vmwrite(HOST_CR4, read_cr4());
  vmwrite(HOST_FS_BASE, rdmsr(IA32_FS_BASE));
  vmwrite(HOST_GS_BASE, rdmsr(IA32_GS_BASE));
  vmwrite(HOST_PAT, rdmsr(IA32_PAT));
  vmwrite(HOST_EFER, rdmsr(IA32_EFER));
  vmwrite(HOST_SYSENTER_CS, 0);
  vmwrite(HOST_SYSENTER_ESP, 0);
  vmwrite(HOST_SYSENTER_EIP, 0);
}

// Switches on what the hypervisor itself uses of the CPU that executes this; every CPU runs it once.
import {
  CR0_AM,
  CR0_CD,
  CR0_EM,
  CR0_MP,
  CR0_NE,
  CR0_NW,
  CR0_TS,
  CR0_WP,
  CR4_DE,
  CR4_MCE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_OSXSAVE,
  CR4_PKE,
  CR4_SMAP,
  CR4_SMEP,
  XCR0_X87,
} from "./cr";
import { cpuidFeature, EBX, ECX, EDX } from "./cpuid";
import { read_cr0, read_cr4, write_cr0, write_cr4, wrmsr, xsetbv } from "./intrinsics";
import { IA32_PAT, PAT_RESET } from "./msr";

/**
 * Control registers, memory types and XCR0. Global pages and PCIDs stay off: the hypervisor has one address space.
 * XCR0 is what a guest expects after reset; a guest's own value is loaded with its vCPU.
 */
export function cpuEnableFeatures(): void {
  write_cr0((read_cr0() & ~(CR0_EM | CR0_TS | CR0_AM | CR0_CD | CR0_NW)) | CR0_MP | CR0_NE | CR0_WP);
  let cr4 = read_cr4() | CR4_DE | CR4_OSFXSR | CR4_OSXMMEXCPT;
  if (cpuidFeature(1, 0, EDX, 7)) cr4 |= CR4_MCE;
  if (cpuidFeature(7, 0, EBX, 7)) cr4 |= CR4_SMEP;
  if (cpuidFeature(7, 0, EBX, 20)) cr4 |= CR4_SMAP;
  // The hypervisor has no user pages; with it set, the guest's PKRU can be read.
  if (cpuidFeature(7, 0, ECX, 3)) cr4 |= CR4_PKE;
  const xsave = cpuidFeature(1, 0, ECX, 26);
  if (xsave) cr4 |= CR4_OSXSAVE;
  write_cr4(cr4);
  if (xsave) xsetbv(0, XCR0_X87);
  // The loader may have left another table; ours has write-back as 0 and uncacheable as 3.
  wrmsr(IA32_PAT, PAT_RESET);
}

/** 1 GiB pages in the hypervisor's own tables. */
export function cpuHasHugePages(): bool {
  return cpuidFeature(0x80000001, 0, EDX, 26);
}

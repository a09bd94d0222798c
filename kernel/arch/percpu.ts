// What belongs to one physical CPU. FS base points at a block in the image whose first 8 bytes hold this structure's
// linear address (intrinsic `cpu_base`), so that finding it costs one load on any CPU.
import { VcpuLink } from "../lib/links";
import { cpu_base } from "./intrinsics";

@unmanaged
export class PerCpu {
  /** 0 is the bootstrap processor. */
  index: u32;
  /** Its local APIC's identifier. */
  apicId: u32;
  /** The vCPU whose state is loaded, if any is. */
  currentVcpu: VcpuLink | null;
  /** Host TSC at which the host timer was last armed to fire; U64.MAX_VALUE: off. */
  timerTsc: u64;
  /** Interrupts taken by the host on this CPU. */
  interrupts: u64;
  /** Physical address of the VMXON region or the host save area; 0 until the backend allocates it. */
  backendArea: u64;
  /** Physical address of the VMCB that holds the host's own VMSAVE state (AMD-V). */
  hostVmcb: u64;
}

/** The structure of the CPU that executes this. */
export function thisCpu(): PerCpu {
  return changetype<PerCpu>(cpu_base());
}

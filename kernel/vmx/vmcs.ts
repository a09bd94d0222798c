// What this backend keeps for each vCPU beside its VMCS, and the control words that change while the guest runs. Those are
// cached here, so that an unchanged word costs no VMREAD and no VMWRITE.
import { vmwrite } from "../arch/intrinsics";
import { BackendLink } from "../lib/links";
import { Vcpu } from "../vcpu/vcpu";
import { PRIMARY_CONTROLS } from "./fields";

@unmanaged
export class VmxVcpu extends BackendLink {
  /** Physical addresses: VMCS, MSR bitmap (4 KiB), I/O bitmaps A and B (8 KiB, contiguous). */
  vmcs: u64;
  msrBitmap: u64;
  ioBitmaps: u64;
  /** Extended-page-table pointer. */
  eptp: u64;
  /** Host TSC at which the guest must have exited; U64.MAX_VALUE: no limit. */
  deadline: u64;
  vpid: u32;
  /** 0: the next entry is VMLAUNCH; 1: VMRESUME. */
  launched: u32;
  /** Primary processor-based controls, as they are in the VMCS. */
  primary: u32;
  /** 1 when the VMCS holds the longest preemption-timer value: nothing to write while there is no deadline. */
  timerParked: u32;
}

/** The backend's part of a vCPU. */
export function vmxOf(vcpu: Vcpu): VmxVcpu {
  return changetype<VmxVcpu>(vcpu.backend);
}

/** Sets or clears bits of the primary processor-based controls (PRIMARY_*). */
export function setPrimary(vmx: VmxVcpu, bits: u32, on: bool): void {
  const wanted = on ? vmx.primary | bits : vmx.primary & ~bits;
  if (wanted == vmx.primary) return;
  vmx.primary = wanted;
  vmwrite(PRIMARY_CONTROLS, wanted);
}

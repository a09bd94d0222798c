// What a structure of a lower layer leads to in a higher one, whose classes it must not know. Each has a class without fields
// here, so that none is taken for another. The layer that owns it derives its own class, and has one function that gives it back
// whole: `vmOf`, `lapicOf`, `svmOf` …

/** Vcpu (kernel/vcpu/vcpu.ts). */
@unmanaged
export class VcpuLink {}

/** Vm (kernel/guest/vm.ts). */
@unmanaged
export class VmLink {}

/** Platform (kernel/guest/platform.ts). */
@unmanaged
export class PlatformLink {}

/** The states of a VM's MSRs (kernel/guest/msr.ts), one for each vCPU. */
@unmanaged
export class MsrStatesLink {}

/** SvmVcpu (kernel/svm/svm.ts) or VmxVcpu (kernel/vmx/vmcs.ts). */
@unmanaged
export class BackendLink {}

/** Emulator (kernel/exits/emulate/emulator.ts). */
@unmanaged
export class EmulatorLink {}

/** A vCPU's counters (kernel/trace/counters.ts). */
@unmanaged
export class CountersLink {}

/** One entry of their second level: DetailCounters (kernel/trace/details.ts). */
@unmanaged
export class DetailLink {}

/** The bytes of a vCPU's last instruction: CodeBytes (kernel/vcpu/codebytes.ts). */
@unmanaged
export class CodeBytesLink {}

/** Lapic (kernel/devices/lapic_state.ts). */
@unmanaged
export class LapicLink {}

/** The instructions whose exits are known on AMD-V (kernel/svm/known.ts). */
@unmanaged
export class KnownLink {}

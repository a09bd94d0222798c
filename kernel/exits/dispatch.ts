// biome-ignore-all format: one class of exit a line.
//
// From the exit record to the handler of its class. The order of EXIT_* makes this one jump table.
import {
  EXIT_CPUID, EXIT_CR, EXIT_DEADLINE, EXIT_DESCRIPTOR, EXIT_DR, EXIT_ENTRY_FAILURE, EXIT_EXCEPTION,
  EXIT_EXTERNAL_INTERRUPT, EXIT_HLT, EXIT_HYPERCALL, EXIT_INIT, EXIT_INTERRUPT_WINDOW, EXIT_INVD, EXIT_INVLPG, EXIT_IO,
  EXIT_MACHINE_CHECK, EXIT_MONITOR, EXIT_MTF, EXIT_MWAIT, EXIT_NESTED_FAULT, EXIT_NESTED_MISCONFIG,
  EXIT_NESTED_VIRTUALIZATION, EXIT_NMI, EXIT_NMI_WINDOW, EXIT_OTHER_INSTRUCTION, EXIT_PAUSE, EXIT_RDMSR, EXIT_RDPMC,
  EXIT_RDTSC, EXIT_RDTSCP, EXIT_SIPI, EXIT_TASK_SWITCH, EXIT_TRIPLE_FAULT, EXIT_WBINVD, EXIT_WRMSR, EXIT_XSETBV,
} from "../vcpu/exit";
import { OUTCOME_RESUME } from "../vcpu/outcome";
import { Vcpu } from "../vcpu/vcpu";
import { handleCacheFlush, handleInvlpg } from "./cache";
import { handleCpuid } from "./cpuid";
import { handleCr } from "./cr";
import { handleDr } from "./dr";
import { handleException } from "./exception";
import { handleHlt } from "./hlt";
import { handleHypercall } from "./hypercall";
import {
  handleDeadline, handleExternalInterrupt, handleInterruptWindow, handleNmi, handleNmiWindow,
} from "./interrupt";
import { handleIo } from "./io";
import { handleRdmsr, handleWrmsr } from "./msr";
import { handleNestedFault } from "./nestedfault";
import { handlePause } from "./pause";
import { handleTaskSwitch } from "./taskswitch";
import { handleRdpmc, handleRdtsc, handleRdtscp } from "./time";
import { handleUndefined } from "./undefined";
import {
  handleEntryFailure, handleMachineCheck, handleNestedMisconfig, handleTripleFault, handleUnknown,
} from "./unknown";
import { handleXsetbv } from "./xsetbv";

/** Handles the exit in `vcpu.exit` and returns an Outcome, on which only the run loop acts. */
export function dispatch(vcpu: Vcpu): u32 {
  const kind = vcpu.exit.kind;
  // Two functions: these classes make up nearly all exits of a running guest.
  switch (kind) {
    case EXIT_CPUID: return handleCpuid(vcpu);
    case EXIT_RDMSR: return handleRdmsr(vcpu);
    case EXIT_WRMSR: return handleWrmsr(vcpu);
    case EXIT_IO: return handleIo(vcpu);
    case EXIT_NESTED_FAULT: return handleNestedFault(vcpu);
    case EXIT_HLT: return handleHlt(vcpu);
    case EXIT_HYPERCALL: return handleHypercall(vcpu);
    case EXIT_EXTERNAL_INTERRUPT: return handleExternalInterrupt(vcpu);
    default: return dispatchRare(vcpu, kind);
  }
}

function dispatchRare(vcpu: Vcpu, kind: u32): u32 {
  switch (kind) {
    case EXIT_CR: return handleCr(vcpu);
    case EXIT_DR: return handleDr(vcpu);
    case EXIT_NMI: return handleNmi(vcpu);
    case EXIT_INTERRUPT_WINDOW: return handleInterruptWindow(vcpu);
    case EXIT_NMI_WINDOW: return handleNmiWindow(vcpu);
    case EXIT_DEADLINE: return handleDeadline(vcpu);
    case EXIT_EXCEPTION: return handleException(vcpu);
    case EXIT_TRIPLE_FAULT: return handleTripleFault(vcpu);
    case EXIT_PAUSE: return handlePause(vcpu);
    case EXIT_RDTSC: return handleRdtsc(vcpu);
    case EXIT_RDTSCP: return handleRdtscp(vcpu);
    case EXIT_RDPMC: return handleRdpmc(vcpu);
    case EXIT_XSETBV: return handleXsetbv(vcpu);
    case EXIT_INVD: return handleCacheFlush(vcpu);
    case EXIT_WBINVD: return handleCacheFlush(vcpu);
    case EXIT_INVLPG: return handleInvlpg(vcpu);
    case EXIT_MONITOR: return handleUndefined(vcpu);
    case EXIT_MWAIT: return handleUndefined(vcpu);
    case EXIT_TASK_SWITCH: return handleTaskSwitch(vcpu);
    // Physical INIT and SIPI are not for the guest; its own come through its local APIC.
    case EXIT_INIT: return OUTCOME_RESUME;
    case EXIT_SIPI: return OUTCOME_RESUME;
    case EXIT_NESTED_VIRTUALIZATION: return handleUndefined(vcpu);
    case EXIT_MTF: return OUTCOME_RESUME;
    case EXIT_NESTED_MISCONFIG: return handleNestedMisconfig(vcpu);
    case EXIT_ENTRY_FAILURE: return handleEntryFailure(vcpu);
    case EXIT_MACHINE_CHECK: return handleMachineCheck(vcpu);
    // Intercepted on request only, and nobody asks.
    case EXIT_DESCRIPTOR: return handleUnknown(vcpu);
    case EXIT_OTHER_INSTRUCTION: return handleUndefined(vcpu);
    default: return handleUnknown(vcpu);
  }
}

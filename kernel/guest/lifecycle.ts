// From a description to a running machine: creation, which allocates, and reset, which only writes.
import { CR4_PCE } from "../arch/cr";
import { EAX } from "../arch/cpuid";
import { rdtsc } from "../arch/intrinsics";
import { arenaAlloc } from "../lib/arena";
import { logHex, logText } from "../lib/log";
import { backend } from "../vcpu/backend";
import { ACTIVITY_RUNNING, ACTIVITY_WAIT_SIPI, REQUEST_SAMPLE, Vcpu, VCPU_BYTES } from "../vcpu/vcpu";
import { writeAcpiTables } from "./acpi/tables";
import { loadKernel } from "./boot/protocols";
import { cpuidCreate, guestAnnounced, guestCpuid } from "./cpuid";
import { ANNOUNCES_CR4, ANNOUNCES_XCR0 } from "./features";
import { msrCreate, msrReset, openMsrs } from "./msr-state";
import {
  platformAddDebugExit,
  platformAddTestdev,
  platformAttach,
  platformCreate,
  platformReset,
} from "./platform";
import { problemEnd, problemStart } from "./problem";
import { ramCreate } from "./ram";
import { writeFirmwareData } from "./firmware";
import { writeSmbios } from "./smbios";
import { Vm, vmSetVcpu, vmVcpu } from "./vm";

/**
 * Builds the VM that `options.ts` described, up to its first instruction. Boot time only.
 * @param kind encoding of the backend's nested tables (NESTED_EPT, NESTED_NPT).
 * @param unixNs the wall-clock time now, nanoseconds since 1970.
 * @returns false when it cannot be built: the log says why; its status is then STATUS_BAD_VM.
 */
export function vmCreate(vm: Vm, kind: u32, unixNs: u64): bool {
  if (!ramCreate(vm, kind)) return false;
  cpuidCreate(vm);
  // RDPMC is on every x86-64 CPU, and no bit tells of it.
  vm.cr4Mask = CR4_PCE | guestAnnounced(vm, ANNOUNCES_CR4);
  vm.xcr0Mask = guestAnnounced(vm, ANNOUNCES_XCR0);
  vm.physicalBits = guestCpuid(vm, 0x80000008, EAX) & 0xff;
  msrCreate(vm);
  platformCreate(vm);
  if (vm.testdev) platformAddTestdev(vm);
  if (vm.debugExitPort != 0 && !platformAddDebugExit(vm, vm.debugExitPort)) return portTaken(vm);
  vm.startTsc = rdtsc();
  vm.startUnixNs = unixNs;
  for (let i: u32 = 0; i < vm.cpus; i++) {
    const vcpu = changetype<Vcpu>(arenaAlloc(VCPU_BYTES, 64));
    vmSetVcpu(vm, i, vcpu);
    platformAttach(vcpu);
    backend().createVcpu(vcpu, vm.nestedRoot);
  }
  return vmReset(vm);
}

function portTaken(vm: Vm): bool {
  problemStart(vm);
  logText("the debug-exit port ");
  logHex(vm.debugExitPort);
  logText(" belongs to another device of the VM");
  return problemEnd("Choose another one, such as 0xf4");
}

/**
 * Power-up reset: devices and vCPUs start over, the kernel is loaded anew from the loader's module. RAM keeps the rest of
 * its contents. False: the kernel cannot be loaded, and the log says why.
 */
export function vmReset(vm: Vm): bool {
  if (vm.resetPending) vm.resets += 1;
  vm.resetPending = false;
  platformReset(vm);
  for (let i: u32 = 0; i < vm.cpus; i++) resetVcpu(vm, vmVcpu(vm, i));
  writeFirmwareData(vm);
  writeAcpiTables(vm);
  writeSmbios(vm);
  return loadKernel(vm);
}

function resetVcpu(vm: Vm, vcpu: Vcpu): void {
  backend().resetVcpu(vcpu);
  msrReset(vcpu);
  openMsrs(vcpu);
  vcpu.tscOffset = 0 - vm.startTsc;
  backend().updateTscOffset(vcpu);
  vcpu.activity = vcpu.index == 0 ? ACTIVITY_RUNNING : ACTIVITY_WAIT_SIPI;
  vcpu.event = 0;
  vcpu.requests = REQUEST_SAMPLE;
  vcpu.deadline = U64.MAX_VALUE;
}

// From a description to a running machine: creation, which allocates, and reset, which only writes.
import {
  CR4_DE,
  CR4_FSGSBASE,
  CR4_MCE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_OSXSAVE,
  CR4_PAE,
  CR4_PCE,
} from "../arch/cr";
import {
  CR4_PCIDE,
  CR4_PGE,
  CR4_PKE,
  CR4_PSE,
  CR4_PVI,
  CR4_SMAP,
  CR4_SMEP,
  CR4_TSD,
  CR4_UMIP,
  CR4_VME,
} from "../arch/cr";
import { EAX, EBX, ECX } from "../arch/cpuid";
import { rdtsc } from "../arch/intrinsics";
import { arenaAlloc } from "../lib/arena";
import { logHex, logText } from "../lib/log";
import { backend } from "../vcpu/backend";
import { ACTIVITY_RUNNING, ACTIVITY_WAIT_SIPI, REQUEST_SAMPLE, Vcpu, VCPU_BYTES } from "../vcpu/vcpu";
import { writeAcpiTables } from "./acpi/tables";
import { loadKernel } from "./boot/protocols";
import { cpuidCreate, guestCpuid } from "./cpuid";
import { guestXcr0Mask } from "./cpuid-xsave";
import { msrCreate, msrReset, openMsrs } from "./msr";
import { platformAddDebugExit, platformAttach, platformCreate, platformReset } from "./platform";
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
  vm.cr4Mask = allowedCr4(vm);
  vm.xcr0Mask = guestXcr0Mask();
  vm.physicalBits = guestCpuid(vm, 0x80000008, EAX) & 0xff;
  msrCreate(vm);
  platformCreate(vm);
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

/** CR4 bits of every x86-64 CPU. */
const CR4_ALWAYS: u64 =
  CR4_VME |
  CR4_PVI |
  CR4_TSD |
  CR4_DE |
  CR4_PSE |
  CR4_PAE |
  CR4_MCE |
  CR4_PGE |
  CR4_PCE |
  CR4_OSFXSR |
  CR4_OSXMMEXCPT;

/** CR4 bits whose feature the guest's CPUID shows. */
function allowedCr4(vm: Vm): u64 {
  const features = guestCpuid(vm, 1, ECX);
  const ebx = guestCpuid(vm, 7, EBX);
  const ecx = guestCpuid(vm, 7, ECX);
  return (
    CR4_ALWAYS |
    bitIf(features, 17, CR4_PCIDE) |
    bitIf(features, 26, CR4_OSXSAVE) |
    bitIf(ebx, 0, CR4_FSGSBASE) |
    bitIf(ebx, 7, CR4_SMEP) |
    bitIf(ebx, 20, CR4_SMAP) |
    bitIf(ecx, 2, CR4_UMIP) |
    bitIf(ecx, 3, CR4_PKE)
  );
}

function bitIf(features: u32, bit: u32, value: u64): u64 {
  return ((features >> bit) & 1) != 0 ? value : 0;
}

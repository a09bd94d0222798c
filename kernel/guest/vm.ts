// One virtual machine: what it was asked to be, what it is made of, and why it stopped. Built and reset by lifecycle.ts.
import {
  debugExitStatus,
  STATUS_POWEROFF,
  STATUS_RESET,
  STATUS_TRIPLE_FAULT,
  statusReason,
} from "../abi/status";
import { nsPassed } from "../arch/clock";
import { rdtsc } from "../arch/intrinsics";
import { arenaAlloc, arenaNew, arenaNewWithTail } from "../lib/arena";
import { MAX_COMMAND_LINE, MAX_VCPUS_PER_VM, MAX_VMS } from "../lib/limits";
import { MsrStatesLink, PlatformLink, VmLink } from "../lib/links";
import { setTailLink, tailLink } from "../lib/tail";
import { GuestMemory, guestMemoryNew } from "../mm/guestmem";
import { backend } from "../vcpu/backend";
import { CpuidTable } from "../vcpu/cpuid";
import { OUTCOME_STOP } from "../vcpu/outcome";
import { REQUEST_STOP, Vcpu } from "../vcpu/vcpu";
import { ElfHeader, elfNew } from "./boot/elf";
import { Placement, placementNew } from "./boot/placement";
import { E820Entry, memoryMapNew } from "./memory-map";

/** A file that the loader put into memory for a guest. */
@unmanaged
export class GuestModule {
  /** Host-physical address of its first byte, and its length; 0 bytes: there is none. */
  hpa: u64;
  bytes: u64;
  /** Its command line: linear address of MAX_COMMAND_LINE bytes, ending in zero. */
  text: usize;
  textLength: u32;
  reserved: u32;
}

/** Ends in pointers: to MAX_VCPUS_PER_VM vCPUs, then to MAX_GUEST_MODULES modules. */
@unmanaged
export class Vm extends VmLink {
  /** Place in the table of VMs: the N of `vmN` on the command line. */
  index: u32;
  /** Virtual CPUs. */
  cpus: u32;

  // -- options (options.ts) ---------------------------------------------------------------------------------------------
  memoryBytes: u64;
  /** I/O port of the debug-exit device; 0: none. */
  debugExitPort: u32;
  /** It has the test device. */
  testdev: bool;
  /** RAM is mapped on first touch instead of at creation. */
  lazy: bool;
  /** Whether an instruction that is not emulated stops the VM; else it is #UD. */
  stopAtUnknown: bool;
  /** A reset by the guest starts it again (else it stops the VM with STATUS_RESET). */
  restart: bool;
  kernel: GuestModule;
  initrd: GuestModule;
  /** How many further modules a multiboot kernel has. */
  moduleCount: u32;

  // -- what it is made of -------------------------------------------------------------------------------------------------
  memory: GuestMemory;
  /** Host-physical address of its nested tables, and their encoding (NESTED_*). */
  nestedRoot: u64;
  nestedKind: u32;
  platform: PlatformLink;
  cpuid: CpuidTable;
  msrs: MsrStatesLink;
  /** Host TSC at which VM time was 0, and the wall-clock time then, nanoseconds since 1970. */
  startTsc: u64;
  startUnixNs: u64;
  /** What CPUID allows: CR4 bits, XCR0 bits, width of physical addresses. */
  cr4Mask: u64;
  xcr0Mask: u64;
  physicalBits: u32;
  /** Guest-physical address of the RSDP: it goes into boot parameters. */
  rsdp: u64;
  /**
   * What its memory holds when it is loaded (boot/placement.ts), its kernel's header if that is an ELF (boot/elf.ts), what the
   * kernel is told of the memory (memory-map.ts).
   */
  placement: Placement;
  elf: ElfHeader;
  memoryMap: E820Entry;
  /** Guest-physical addresses of the boot data and, in them, of the next command line (boot/boot-data.ts). */
  bootData: u64;
  nextCommandLine: u64;

  // -- how it ended -------------------------------------------------------------------------------------------------------
  stopped: bool;
  /** STATUS_* or a debug-exit status, and the word for it in the status line. */
  stopStatus: u32;
  stopReason: string;
  /** The guest asked for a reset: the run loop is to call `vmReset`. */
  resetPending: bool;
  /** Resets since creation. */
  resets: u32;
}

/** Modules of one VM besides kernel and initrd. */
export const MAX_GUEST_MODULES: u32 = 8;

const VM_LINKS: u32 = MAX_VCPUS_PER_VM + MAX_GUEST_MODULES;
const table: usize = memory.data(MAX_VMS * 4, 16);
let count: u32 = 0;

/** VMs described so far: indices below this one may be given to `vmAt`. */
export function vmCount(): u32 {
  return count;
}

/** The VM with this index. */
export function vmAt(index: u32): Vm {
  assert(index < count, "vm: no such index");
  return changetype<Vm>(load<u32>(table + <usize>index * 4));
}

/** A new, empty entry of the table of VMs; boot time only. */
export function vmNew(): Vm {
  assert(count < MAX_VMS, "vm: table full");
  const vm = arenaNewWithTail<Vm>(<usize>VM_LINKS * sizeof<usize>());
  store<u32>(table + <usize>count * 4, <u32>changetype<usize>(vm));
  vm.index = count;
  vm.kernel = guestModuleNew();
  vm.initrd = guestModuleNew();
  vm.memory = guestMemoryNew();
  vm.placement = placementNew();
  vm.elf = elfNew();
  vm.memoryMap = memoryMapNew();
  vm.stopReason = "";
  count += 1;
  return vm;
}

/** An empty module description with room for its command line; boot time only. */
export function guestModuleNew(): GuestModule {
  const module = arenaNew<GuestModule>();
  module.text = arenaAlloc(MAX_COMMAND_LINE, 16);
  return module;
}

/** Further module `index` of a multiboot kernel. */
export function guestModuleAt(vm: Vm, index: u32): GuestModule {
  assert(index < vm.moduleCount, "vm: no such module");
  return tailLink<Vm, GuestModule>(vm, MAX_VCPUS_PER_VM + index);
}

/** Appends a module; false when there are too many. */
export function guestModuleAdd(vm: Vm, module: GuestModule): bool {
  if (vm.moduleCount == MAX_GUEST_MODULES) return false;
  setTailLink(vm, MAX_VCPUS_PER_VM + vm.moduleCount, module);
  vm.moduleCount += 1;
  return true;
}

/** The VM that a vCPU belongs to. */
export function vmOf(vcpu: Vcpu): Vm {
  return changetype<Vm>(vcpu.vm);
}

/** vCPU `index` of a VM: its local APIC id too. */
export function vmVcpu(vm: Vm, index: u32): Vcpu {
  assert(index < vm.cpus, "vm: no such vCPU");
  return tailLink<Vm, Vcpu>(vm, index);
}

/** Puts a vCPU into its VM's table; boot time only. */
export function vmSetVcpu(vm: Vm, index: u32, vcpu: Vcpu): void {
  setTailLink(vm, index, vcpu);
  vcpu.vm = vm;
  vcpu.cpuid = vm.cpuid;
  vcpu.vmIndex = vm.index;
  vcpu.index = index;
}

/** VM time: nanoseconds since the VM was created (it runs on through resets). */
export function vmNow(vm: Vm): u64 {
  return nsPassed(rdtsc() - vm.startTsc);
}

/**
 * Keeps the last `ticks` of the host from the VM: its clocks go on as if they had not passed. `vcpu` is the one that this CPU
 * has loaded.
 */
export function skipTime(vcpu: Vcpu, ticks: u64): void {
  const vm = vmOf(vcpu);
  vm.startTsc += ticks;
  for (let i: u32 = 0; i < vm.cpus; i++) vmVcpu(vm, i).tscOffset -= ticks;
  backend().updateTscOffset(vcpu);
}

/** Records why the VM stops (the first reason stays) and keeps its vCPUs from entering again. Returns OUTCOME_STOP. */
export function stopVm(vcpu: Vcpu, status: u32): u32 {
  return stopWith(vmOf(vcpu), status, statusReason(status));
}

/** The guest wrote `value` to its debug-exit port. */
export function stopByDebugExit(vm: Vm, value: u32): u32 {
  return stopWith(vm, debugExitStatus(value), "debug-exit");
}

/** A person ended it, and that is no failure. */
export function stopByPerson(vm: Vm): u32 {
  return stopWith(vm, STATUS_POWEROFF, "quit");
}

/** The guest asks for a reset: restarts it or stops it, as it was told to. */
export function requestReset(vm: Vm): void {
  if (!vm.restart) {
    stopWith(vm, STATUS_RESET, statusReason(STATUS_RESET));
    return;
  }
  vm.resetPending = true;
  for (let i: u32 = 0; i < vm.cpus; i++) vmVcpu(vm, i).request(REQUEST_STOP);
}

/** The guest's processor has shut down, by a triple fault: a PC's chipset resets it then. Returns OUTCOME_STOP. */
export function shutDown(vcpu: Vcpu): u32 {
  const vm = vmOf(vcpu);
  if (!vm.restart) return stopVm(vcpu, STATUS_TRIPLE_FAULT);
  requestReset(vm);
  return OUTCOME_STOP;
}

/** The VM stops for `status` (kernel/abi/status.ts); used where no vCPU is at hand. */
export function stopVmWith(vm: Vm, status: u32): u32 {
  return stopWith(vm, status, statusReason(status));
}

function stopWith(vm: Vm, status: u32, reason: string): u32 {
  if (vm.stopped) return OUTCOME_STOP;
  vm.stopped = true;
  vm.stopStatus = status;
  vm.stopReason = reason;
  for (let i: u32 = 0; i < vm.cpus; i++) vmVcpu(vm, i).request(REQUEST_STOP);
  return OUTCOME_STOP;
}

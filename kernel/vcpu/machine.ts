// What exit handlers may ask of the virtual machine around a vCPU: one table of functions, installed at boot by
// kernel/main.ts from kernel/guest. It keeps kernel/exits free of imports from kernel/guest, and lets tests give handlers
// a machine of their own.
import { GuestMemory } from "../mm/guestmem";
import { Vcpu } from "./vcpu";
import { isPortSize } from "../lib/sizes";

// What comes of `Machine.populate`.

/** The address is not RAM, or is mapped. */
export const POPULATE_NONE: u32 = 0;
/** It is mapped now. */
export const POPULATE_DONE: u32 = 1;
/** It is RAM, but no memory is left for the tables that would map it. */
export const POPULATE_NO_MEMORY: u32 = 2;

@unmanaged
export class Machine {
  /** Port access of 1, 2 or 4 bytes. Unclaimed ports read as all ones. */
  portRead: (vcpu: Vcpu, port: u32, size: u32) => u32;
  portWrite: (vcpu: Vcpu, port: u32, size: u32, value: u32) => void;
  /** The same for 2 and 4 bytes, which may be several devices'. */
  portReadWide: (vcpu: Vcpu, port: u32, size: u32) => u32;
  portWriteWide: (vcpu: Vcpu, port: u32, size: u32, value: u32) => void;
  /** Access of 1, 2, 4 or 8 bytes to guest-physical memory that is not RAM. Unclaimed addresses read as all ones. */
  mmioRead: (vcpu: Vcpu, gpa: u64, size: u32) => u64;
  mmioWrite: (vcpu: Vcpu, gpa: u64, size: u32, value: u64) => void;
  guestMemory: (vcpu: Vcpu) => GuestMemory;
  /** Nested fault at `gpa`: maps RAM that is not mapped yet. Returns POPULATE_*. */
  populate: (vcpu: Vcpu, gpa: u64) => u32;
  /**
   * CPUID as this guest sees it, for leaves that `Vcpu.cpuid` does not have in full; writes EAX, EBX, ECX, EDX into the
   * vCPU's registers (upper halves zero).
   */
  cpuid: (vcpu: Vcpu, leaf: u32, subleaf: u32) => void;
  /** MSR access by the guest's policy. `msrRead` puts the value into EDX:EAX of the vCPU. False: #GP(0), nothing has changed. */
  msrRead: (vcpu: Vcpu, msr: u32) => bool;
  msrWrite: (vcpu: Vcpu, msr: u32, value: u64) => bool;
  /** MOV to/from CR8: the task-priority class (0..15) of the local APIC. */
  tprRead: (vcpu: Vcpu) => u32;
  tprWrite: (vcpu: Vcpu, value: u32) => void;
  /** Hypercall: number in RAX, arguments in RBX, RCX, RDX, RSI; result in RAX. */
  hypercall: (vcpu: Vcpu) => void;
  /** XCR0 bits that the guest may set. */
  xcr0Mask: (vcpu: Vcpu) => u64;
  /** CR4 bits that the guest may set. */
  cr4Mask: (vcpu: Vcpu) => u64;
  /** Width of the guest's physical addresses in bits, as its CPUID says. */
  physicalBits: (vcpu: Vcpu) => u32;
  /** The processor has shut down (triple fault): the VM is reset or stopped, as its owner wants it; returns OUTCOME_STOP. */
  shutDown: (vcpu: Vcpu) => u32;
  /** Whether the VM's owner wants it stopped at an instruction that is not emulated; else the guest gets #UD. */
  stopsAtUnknown: (vcpu: Vcpu) => bool;
  /** Records why the VM stops (kernel/abi/status.ts); returns OUTCOME_STOP. */
  stop: (vcpu: Vcpu, status: u32) => u32;
}

const storage = memory.data(offsetof<Machine>(), 16);

/** The functions of the virtual machines that this hypervisor runs. */
export function machine(): Machine {
  return changetype<Machine>(storage);
}

/** IN of `size` bytes. */
export function portIn(vcpu: Vcpu, port: u32, size: u32): u32 {
  if (isDefined(CHECKED)) assert(isPortSize(size), "machine: bytes of a port access");
  if (isDefined(CHECKED)) assert(port <= 0xffff, "machine: port");
  return size == 1 ? machine().portRead(vcpu, port, size) : machine().portReadWide(vcpu, port, size);
}

/** OUT of `size` bytes. */
export function portOut(vcpu: Vcpu, port: u32, size: u32, value: u32): void {
  if (isDefined(CHECKED))
    assert(size == 4 || value >> (8 * size) == 0, "machine: more bits than are written");
  if (isDefined(CHECKED)) assert(isPortSize(size), "machine: bytes of a port access");
  if (isDefined(CHECKED)) assert(port <= 0xffff, "machine: port");
  if (size == 1) machine().portWrite(vcpu, port, size, value);
  else machine().portWriteWide(vcpu, port, size, value);
}

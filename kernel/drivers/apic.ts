// This CPU's local APIC: x2APIC through MSRs where the CPU has it, else the memory-mapped registers.
// (SDM, "Advanced Programmable Interrupt Controller (APIC)".)
import { cpuidFeature, ECX } from "../arch/cpuid";
import { phys_load32, phys_store32, rdmsr, wrmsr } from "../arch/intrinsics";
import {
  APIC_BASE_ADDRESS,
  APIC_BASE_ENABLE,
  APIC_BASE_X2APIC,
  IA32_APIC_BASE,
  IA32_X2APIC_BASE,
} from "../arch/msr";
import { mapDevice } from "../mm/paging";

// Registers: offsets in the memory-mapped page; as an MSR, the offset / 16.
const APIC_ID: u32 = 0x020;
const APIC_TASK_PRIORITY: u32 = 0x080;
const APIC_EOI: u32 = 0x0b0;
const APIC_SPURIOUS: u32 = 0x0f0;
export const APIC_LVT_TIMER: u32 = 0x320;
const APIC_LVT_LINT0: u32 = 0x350;
const APIC_LVT_LINT1: u32 = 0x360;
const APIC_LVT_ERROR: u32 = 0x370;
export const APIC_TIMER_INITIAL: u32 = 0x380;
export const APIC_TIMER_CURRENT: u32 = 0x390;
export const APIC_TIMER_DIVIDE: u32 = 0x3e0;

export const LVT_MASKED: u32 = 1 << 16;
const LVT_DELIVER_NMI: u32 = 4 << 8;
const LVT_DELIVER_EXTINT: u32 = 7 << 8;
const SPURIOUS_ENABLE: u32 = 1 << 8;

/** Vector of spurious interrupts: taken without EOI. */
export const SPURIOUS_VECTOR: u32 = 0xff;

let x2apic: bool = false;
/** Physical address of the registers in xAPIC mode. */
let registers: u64 = 0;

/** Switches the APIC on with everything masked but NMIs. */
export function apicStart(): void {
  const base = rdmsr(IA32_APIC_BASE);
  x2apic = cpuidFeature(1, 0, ECX, 21);
  registers = base & APIC_BASE_ADDRESS;
  if (x2apic) wrmsr(IA32_APIC_BASE, base | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
  else {
    wrmsr(IA32_APIC_BASE, base | APIC_BASE_ENABLE);
    mapDevice(registers, 4096);
  }
  apicWrite(APIC_SPURIOUS, SPURIOUS_ENABLE | SPURIOUS_VECTOR);
  apicWrite(APIC_LVT_TIMER, LVT_MASKED);
  apicWrite(APIC_LVT_LINT0, LVT_MASKED);
  apicWrite(APIC_LVT_LINT1, LVT_DELIVER_NMI);
  apicWrite(APIC_LVT_ERROR, LVT_MASKED);
  // Last: on a write of the priority QEMU forgets the 8259's interrupt that firmware's virtual wire has let through before.
  apicWrite(APIC_TASK_PRIORITY, 0);
}

/** Lets the 8259 pair's interrupts through: for computers without I/O APIC. */
export function apicAcceptPic(): void {
  apicWrite(APIC_LVT_LINT0, LVT_DELIVER_EXTINT);
}

export function apicIsX2(): bool {
  return x2apic;
}

/** This CPU's local APIC identifier. */
export function apicId(): u32 {
  const id = apicRead(APIC_ID);
  return x2apic ? id : id >> 24;
}

/** Ends the interrupt in service. */
export function apicEnd(): void {
  apicWrite(APIC_EOI, 0);
}

export function apicRead(register: u32): u32 {
  return x2apic ? <u32>rdmsr(IA32_X2APIC_BASE + (register >> 4)) : phys_load32(registers + register);
}

export function apicWrite(register: u32, value: u32): void {
  if (x2apic) wrmsr(IA32_X2APIC_BASE + (register >> 4), value);
  else phys_store32(registers + register, value);
}

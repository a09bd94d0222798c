// Rules that VM entry checks about the control fields (SDM volume 3, "Checks on VMX Controls": VM-execution, VM-exit and
// VM-entry control fields), as far as this hypervisor uses the controls they are about.
import { physicalAddressBits } from "../arch/cpuid";
import { CR0_PE } from "../arch/cr";
import { rdmsr, vmread } from "../arch/intrinsics";
import { IA32_VMX_EPT_VPID_CAP } from "../arch/msr";
import {
  EVENT_EXCEPTION,
  EVENT_HAS_ERROR,
  EVENT_NMI,
  EVENT_SOFT_INTERRUPT,
  EVENT_TYPE_MASK,
  EVENT_VALID,
} from "../vcpu/vcpu";
import {
  ENTRYC_DEACTIVATE_DUAL_MONITOR,
  ENTRYC_ENTRY_TO_SMM,
  EXITC_SAVE_PREEMPTION_TIMER,
  entryCapability,
  exitCapability,
  PIN_NMI_EXITING,
  PIN_PREEMPTION_TIMER,
  PIN_VIRTUAL_NMIS,
  PRIMARY_NMI_WINDOW_EXITING,
  PRIMARY_SECONDARY_CONTROLS,
  PRIMARY_USE_IO_BITMAPS,
  PRIMARY_USE_MSR_BITMAPS,
  pinCapability,
  primaryCapability,
  SECONDARY_ENABLE_EPT,
  SECONDARY_ENABLE_VPID,
  SECONDARY_UNRESTRICTED_GUEST,
  secondaryCapability,
} from "./controls";
import {
  CR3_TARGET_COUNT,
  ENTRY_CONTROLS,
  ENTRY_EXCEPTION_ERROR_CODE,
  ENTRY_INSTRUCTION_LENGTH,
  ENTRY_INTERRUPTION_INFO,
  ENTRY_MSR_LOAD_ADDRESS,
  ENTRY_MSR_LOAD_COUNT,
  EPT_POINTER,
  EXIT_CONTROLS,
  EXIT_MSR_LOAD_ADDRESS,
  EXIT_MSR_LOAD_COUNT,
  EXIT_MSR_STORE_ADDRESS,
  EXIT_MSR_STORE_COUNT,
  GUEST_CR0,
  IO_BITMAP_A,
  IO_BITMAP_B,
  MSR_BITMAP,
  PIN_CONTROLS,
  PRIMARY_CONTROLS,
  SECONDARY_CONTROLS,
  VPID,
} from "./fields";
import { rule } from "../vcpu/violations";

const PAGE_MASK: u64 = 0xfff;
const EPTP_MEMORY_TYPE: u64 = 7;
const EPTP_WRITE_BACK: u64 = 6;
const EPTP_WALK_SHIFT: u64 = 3;
const EPTP_ACCESSED_DIRTY: u64 = 1 << 6;
const EPTP_RESERVED: u64 = 0xf80;
const EPT_CAP_ACCESSED_DIRTY: u64 = 1 << 21;
const MAX_CR3_TARGETS: u32 = 4;
const EVENT_RESERVED: u32 = 0x7ffff000;
/** Exceptions that push an error code: #DF, #TS, #NP, #SS, #GP, #PF, #AC. */
const ERROR_CODE_VECTORS: u32 = (1 << 8) | (0x1f << 10) | (1 << 17);
const TYPE_RESERVED: u32 = 1 << 8;
const TYPE_OTHER: u32 = 7 << 8;
const MAX_INSTRUCTION_LENGTH: u64 = 15;

/** Every bit that the CPU wants 1 is 1, every bit that it wants 0 is 0. */
function allowed(controls: u32, capability: u64): bool {
  return (<u32>capability & ~controls) == 0 && (controls & ~(<u32>(capability >> 32))) == 0;
}

/** A physical address within the CPU's width and a multiple of `mask` + 1. */
function validAddress(address: u64, mask: u64): bool {
  return (address & mask) == 0 && address >> <u64>physicalAddressBits() == 0;
}

function checkReservedBits(primary: u32): void {
  rule(
    allowed(<u32>vmread(PIN_CONTROLS), pinCapability()),
    "pin-based controls: reserved bits as the capability MSR says",
  );
  rule(allowed(primary, primaryCapability()), "primary controls: reserved bits as the capability MSR says");
  if ((primary & PRIMARY_SECONDARY_CONTROLS) != 0) {
    const secondary = <u32>vmread(SECONDARY_CONTROLS);
    rule(
      allowed(secondary, secondaryCapability()),
      "secondary controls: reserved bits as the capability MSR says",
    );
  }
  rule(
    allowed(<u32>vmread(EXIT_CONTROLS), exitCapability()),
    "VM-exit controls: reserved bits as the capability MSR says",
  );
  rule(
    allowed(<u32>vmread(ENTRY_CONTROLS), entryCapability()),
    "VM-entry controls: reserved bits as the capability MSR says",
  );
}

function checkExecution(pin: u32, primary: u32, exit: u32): void {
  rule(vmread(CR3_TARGET_COUNT) <= MAX_CR3_TARGETS, "CR3-target count is at most 4");
  if ((primary & PRIMARY_USE_IO_BITMAPS) != 0) {
    rule(validAddress(vmread(IO_BITMAP_A), PAGE_MASK), "I/O bitmap A is at a page of physical memory");
    rule(validAddress(vmread(IO_BITMAP_B), PAGE_MASK), "I/O bitmap B is at a page of physical memory");
  }
  if ((primary & PRIMARY_USE_MSR_BITMAPS) != 0) {
    rule(validAddress(vmread(MSR_BITMAP), PAGE_MASK), "the MSR bitmap is at a page of physical memory");
  }
  const virtualNmis = (pin & PIN_VIRTUAL_NMIS) != 0;
  rule(!virtualNmis || (pin & PIN_NMI_EXITING) != 0, "virtual NMIs need NMI exiting");
  rule(virtualNmis || (primary & PRIMARY_NMI_WINDOW_EXITING) == 0, "NMI-window exiting needs virtual NMIs");
  const saves = (exit & EXITC_SAVE_PREEMPTION_TIMER) != 0;
  rule(!saves || (pin & PIN_PREEMPTION_TIMER) != 0, "saving the preemption timer needs the preemption timer");
}

function checkTranslation(secondary: u32): void {
  rule((secondary & SECONDARY_ENABLE_VPID) == 0 || vmread(VPID) != 0, "VPID is not 0");
  const ept = (secondary & SECONDARY_ENABLE_EPT) != 0;
  rule(ept || (secondary & SECONDARY_UNRESTRICTED_GUEST) == 0, "unrestricted guest needs EPT");
  if (!ept) return;
  const eptp = vmread(EPT_POINTER);
  rule((eptp & EPTP_MEMORY_TYPE) == EPTP_WRITE_BACK, "EPT pointer: memory type is write-back");
  rule(((eptp >> EPTP_WALK_SHIFT) & 7) == 3, "EPT pointer: page-walk length is 4");
  const offered = (rdmsr(IA32_VMX_EPT_VPID_CAP) & EPT_CAP_ACCESSED_DIRTY) != 0;
  rule(
    offered || (eptp & EPTP_ACCESSED_DIRTY) == 0,
    "EPT pointer: accessed and dirty bits only where the CPU has them",
  );
  rule((eptp & EPTP_RESERVED) == 0, "EPT pointer: bits 11 to 7 are 0");
  rule(validAddress(eptp & ~PAGE_MASK, 0), "EPT pointer: address within the physical-address width");
}

/** A list of `count` 16-byte entries at `address`. */
function checkMsrList(count: u64, address: u64, text: string): void {
  rule(count == 0 || (validAddress(address, 15) && validAddress(address + count * 16 - 1, 0)), text);
}

function checkMsrLists(): void {
  checkMsrList(
    vmread(EXIT_MSR_STORE_COUNT),
    vmread(EXIT_MSR_STORE_ADDRESS),
    "VM-exit MSR-store list is in physical memory",
  );
  checkMsrList(
    vmread(EXIT_MSR_LOAD_COUNT),
    vmread(EXIT_MSR_LOAD_ADDRESS),
    "VM-exit MSR-load list is in physical memory",
  );
  checkMsrList(
    vmread(ENTRY_MSR_LOAD_COUNT),
    vmread(ENTRY_MSR_LOAD_ADDRESS),
    "VM-entry MSR-load list is in physical memory",
  );
}

/** The event to inject, of itself. What the guest must be like to take it is checked with the guest's state. */
function checkEvent(secondary: u32): void {
  const info = <u32>vmread(ENTRY_INTERRUPTION_INFO);
  if ((info & EVENT_VALID) == 0) return;
  const type = info & EVENT_TYPE_MASK;
  const vector = info & 0xff;
  rule(type != TYPE_RESERVED && type != TYPE_OTHER, "event: type is not reserved");
  rule(type != EVENT_NMI || vector == 2, "event: the vector of an NMI is 2");
  rule(type != EVENT_EXCEPTION || vector < 32, "event: the vector of a hardware exception is at most 31");
  const pushes = type == EVENT_EXCEPTION && vector < 32 && ((ERROR_CODE_VECTORS >> vector) & 1) != 0;
  const protectedMode = (secondary & SECONDARY_UNRESTRICTED_GUEST) == 0 || (vmread(GUEST_CR0) & CR0_PE) != 0;
  const delivers = (info & EVENT_HAS_ERROR) != 0;
  rule(
    delivers == (pushes && protectedMode),
    "event: an error code goes with the exceptions that have one, in protected mode",
  );
  rule((info & EVENT_RESERVED) == 0, "event: bits 30 to 12 are 0");
  rule(
    !delivers || vmread(ENTRY_EXCEPTION_ERROR_CODE) >> 16 == 0,
    "event: bits 31 to 16 of the error code are 0",
  );
  if (type < EVENT_SOFT_INTERRUPT) return;
  const length = vmread(ENTRY_INSTRUCTION_LENGTH);
  rule(
    length >= 1 && length <= MAX_INSTRUCTION_LENGTH,
    "event: the instruction length of a software event is 1 to 15",
  );
}

/** Checks the control fields of the current VMCS; what they break goes to the list of violations. */
export function checkControls(): void {
  const pin = <u32>vmread(PIN_CONTROLS);
  const primary = <u32>vmread(PRIMARY_CONTROLS);
  const secondary = (primary & PRIMARY_SECONDARY_CONTROLS) != 0 ? <u32>vmread(SECONDARY_CONTROLS) : 0;
  checkReservedBits(primary);
  checkExecution(pin, primary, <u32>vmread(EXIT_CONTROLS));
  checkTranslation(secondary);
  checkMsrLists();
  checkEvent(secondary);
  const entry = <u32>vmread(ENTRY_CONTROLS);
  rule((entry & ENTRYC_ENTRY_TO_SMM) == 0, "VM-entry controls: no entry to SMM from outside SMM");
  rule(
    (entry & ENTRYC_DEACTIVATE_DUAL_MONITOR) == 0,
    "VM-entry controls: no deactivation of dual-monitor treatment outside SMM",
  );
}

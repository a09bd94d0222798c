// The dynamic part of a task-state segment: what a task switch saves in the old one and loads from the new one (SDM,
// "Task-State Segment (TSS)", "16-Bit Task-State Segment (TSS)").
//
//   32-bit  0 link  28 CR3  32 EIP  36 EFLAGS  40 EAX ECX EDX EBX ESP EBP ESI EDI  72 ES CS SS DS FS GS  96 LDT  100 T
//   16-bit  0 link          14 IP   16 FLAGS   18 AX CX DX BX SP BP SI DI          34 ES CS SS DS        42 LDT
import { RFLAGS_RESERVED_ONE } from "../arch/cr";
import { GROUP_RIP, SEG_DS } from "../vcpu/registers";
import { readSystem, writeSystem } from "./descriptor";
import { Emulator } from "./emulate/emulator";

/** Types of TSS descriptors have bit 3 set when the TSS has the 32-bit form. */
const TYPE_32: u32 = 8;

@unmanaged
export class TssForm {
  /** Width of EIP, EFLAGS and registers, and distance between segment selectors. */
  width: u32;
  ip: u32;
  flags: u32;
  registers: u32;
  segments: u32;
  segmentCount: u32;
  local: u32;
  /** Offset of CR3 and of the word with the T flag; 0: there is none. */
  cr3: u32;
  trap: u32;
  /** Least bytes of such a TSS. */
  bytes: u32;
}

const form32 = memory.data<u32>([4, 32, 36, 40, 72, 6, 96, 28, 100, 104]);
const form16 = memory.data<u32>([2, 14, 16, 18, 34, 4, 42, 0, 0, 44]);

/** The form that a TSS descriptor's access rights name. */
export function tssForm(access: u32): TssForm {
  return changetype<TssForm>((access & TYPE_32) != 0 ? form32 : form16);
}

/** Whether all of the TSS at `base` can be written and read: its first and last bytes, as it spans two pages at most. */
export function tssReachable(e: Emulator, base: u64, form: TssForm): bool {
  return readSystem(e, base, 1) && readSystem(e, base + form.bytes - 1, 1);
}

/** Saves the registers of the task that is left. */
export function saveTask(e: Emulator, base: u64, form: TssForm, ip: u64, flags: u64): bool {
  const vcpu = e.vcpu;
  const width = form.width;
  if (!writeSystem(e, base + form.ip, width, ip)) return false;
  if (!writeSystem(e, base + form.flags, width, flags)) return false;
  for (let i: u32 = 0; i < 8; i++) {
    if (!writeSystem(e, base + form.registers + i * width, width, vcpu.gpr(i))) return false;
  }
  for (let i: u32 = 0; i < form.segmentCount; i++) {
    if (!writeSystem(e, base + form.segments + i * width, 2, vcpu.segment(i).selector)) return false;
  }
  return true;
}

/** Loads EIP, EFLAGS and the general registers of the task that is entered. Segments follow once its mode is known. */
export function loadTask(e: Emulator, base: u64, form: TssForm): bool {
  const vcpu = e.vcpu;
  const width = form.width;
  if (!readSystem(e, base + form.ip, width)) return false;
  const ip = e.value;
  if (!readSystem(e, base + form.flags, width)) return false;
  const flags = e.value;
  for (let i: u32 = 0; i < 8; i++) {
    if (!readSystem(e, base + form.registers + i * width, width)) return false;
    vcpu.setGpr(i, e.value);
  }
  vcpu.rip = ip;
  vcpu.dirty |= GROUP_RIP;
  vcpu.rflags = flags | RFLAGS_RESERVED_ONE;
  return true;
}

/** The selector that the TSS has for segment register `index`, in `e.value`; null for FS and GS in a 16-bit TSS. */
export function readSelector(e: Emulator, base: u64, form: TssForm, index: u32): bool {
  e.value = 0;
  if (index > SEG_DS && index >= form.segmentCount) return true;
  return readSystem(e, base + form.segments + index * form.width, 2);
}

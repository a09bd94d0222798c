// The dynamic part of a task-state segment: what a task switch saves in the old one and loads from the new one (SDM,
// "Task-State Segment (TSS)", "16-Bit Task-State Segment (TSS)").
//
//   32-bit  0 link  28 CR3  32 EIP  36 EFLAGS  40 EAX ECX EDX EBX ESP EBP ESI EDI  72 ES CS SS DS FS GS  96 LDT  100 T
//   16-bit  0 link          14 IP   16 FLAGS   18 AX CX DX BX SP BP SI DI          34 ES CS SS DS        42 LDT
import { RFLAGS_DEFINED, RFLAGS_RESERVED_ONE } from "../arch/cr";
import { GROUP_RIP, SEG_GS } from "../vcpu/registers";
import { readSystem, writeSystem } from "./descriptor";
import { Emulator } from "./emulate/emulator";

/** Types of TSS descriptors have bit 3 set when the TSS has the 32-bit form. */
export const TYPE_32: u32 = 8;

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

/** Reads the whole task that is entered, before anything changes: a segment that can be read in part only changes nothing. */
export function readTask(e: Emulator, base: u64, form: TssForm): bool {
  const task = e.task;
  const width = form.width;
  if (!readSystem(e, base + form.ip, width)) return false;
  task.ip = e.value;
  if (!readSystem(e, base + form.flags, width)) return false;
  task.flags = (e.value & RFLAGS_DEFINED) | RFLAGS_RESERVED_ONE;
  for (let i: u32 = 0; i < 8; i++) {
    if (!readSystem(e, base + form.registers + i * width, width)) return false;
    task.setRegister(i, e.value);
  }
  for (let i: u32 = 0; i <= SEG_GS; i++) {
    // FS and GS are null in a 16-bit segment.
    e.value = 0;
    if (i < form.segmentCount && !readSystem(e, base + form.segments + i * width, 2)) return false;
    task.setSelector(i, <u32>e.value);
  }
  if (!readSystem(e, base + form.local, 2)) return false;
  task.local = <u32>e.value;
  return readTask32(e, base, form);
}

/** What only 32-bit segments have. */
function readTask32(e: Emulator, base: u64, form: TssForm): bool {
  e.task.cr3 = 0;
  e.task.trap = 0;
  if (form.cr3 == 0) return true;
  if (!readSystem(e, base + form.cr3, 4)) return false;
  e.task.cr3 = e.value;
  if (!readSystem(e, base + form.trap, 2)) return false;
  e.task.trap = <u32>e.value & 1;
  return true;
}

/** EIP, EFLAGS and the general registers of the task that is entered. */
export function loadTask(e: Emulator): void {
  const vcpu = e.vcpu;
  for (let i: u32 = 0; i < 8; i++) vcpu.setGpr(i, e.task.register(i));
  vcpu.rip = e.task.ip;
  vcpu.dirty |= GROUP_RIP;
  vcpu.rflags = e.task.flags;
}

// Task switches by hardware task management, which VT-x leaves to the hypervisor (SDM, "Task Switching"; "Treatment of
// Task Switches" in VMX non-root operation). The processor has checked the gate, the new TSS selector and its descriptor
// before the exit. Faults from the loading of segments on belong to the new task.
import { CR0_PG, CR0_TS, RFLAGS_NT, RFLAGS_VM } from "../arch/cr";
import { change } from "../vcpu/backend";
import { DR6_TASK_SWITCH, raiseDebug } from "../vcpu/debug";
import { OUTCOME_RESUME } from "../vcpu/outcome";
import { VECTOR_GP, VECTOR_TS } from "../vcpu/raise";
import {
  GROUP_CONTROL,
  GROUP_SEGMENTS,
  GROUP_STACK_FLAGS,
  GROUP_SYSTEM,
  GROUP_TABLES,
  SEG_CS,
  SEG_GS,
  SEG_SS,
  SEG_TR,
} from "../vcpu/registers";
import {
  EVENT_HAS_ERROR,
  EVENT_SOFT_INTERRUPT,
  EVENT_TYPE_MASK,
  EVENT_VALID,
  REQUEST_FLUSH,
  Vcpu,
} from "../vcpu/vcpu";
import {
  descriptorAddress,
  loadLocalTable,
  loadSegment,
  readSystem,
  setFromDescriptor,
  setVirtual8086,
  TSS_BUSY,
  writeSystem,
} from "./descriptor";
import { Emulator, startEmulator } from "./emulate/emulator";
import { failWith } from "./emulate/linear";
import { pushValue } from "./emulate/stack";
import { loadTask, readSelector, saveTask, TssForm, tssForm, tssReachable } from "./tss";
import { dumpAndStop } from "./unknown";

// Exit qualification: bits 15..0 the new TSS's selector, bits 31..30 what caused the switch.
const BY_CALL: u32 = 0;
const BY_IRET: u32 = 1;
const BY_JUMP: u32 = 2;
const BY_GATE: u32 = 3;

/** L0 to L3 and LE: breakpoints of the old task alone. */
const DR7_LOCAL: u64 = 0x155;

export function handleTaskSwitch(vcpu: Vcpu): u32 {
  const exit = vcpu.exit;
  const selector = <u32>exit.qualification & 0xffff;
  const cause = (<u32>exit.qualification >> 30) & 3;
  change(vcpu, GROUP_SEGMENTS | GROUP_CONTROL | GROUP_STACK_FLAGS | GROUP_TABLES | GROUP_SYSTEM);
  const e = startEmulator(vcpu);
  const at = descriptorAddress(e, selector);
  if (at == U64.MAX_VALUE) return dumpAndStop(vcpu, "task switch to a selector beyond the GDT");
  if (!readSystem(e, at, 8)) return e.outcome;
  const descriptor = e.value;
  const event = exit.interruptedEvent;
  if (!leaveTask(e, cause, event) || !enterTask(e, selector, at, descriptor, cause)) return e.outcome;
  // The event's delivery was this switch: but for its error code it is complete.
  exit.interruptedEvent = 0;
  const form = tssForm(<u32>(descriptor >> 40));
  const base = vcpu.segment(SEG_TR).base;
  if (!loadSegments(e, base, form)) return e.outcome;
  if (!pushErrorCode(e, form, event)) return e.outcome;
  if (vcpu.rip > <u64>vcpu.segment(SEG_CS).limit) {
    failWith(e, VECTOR_GP, 0);
    return e.outcome;
  }
  return trapIfAsked(e, base, form);
}

/** Where the old task is to go on: behind the instruction, or at it when a fault or an interrupt came between. */
function returnAddress(vcpu: Vcpu, cause: u32, event: u32): u64 {
  const exit = vcpu.exit;
  if (cause != BY_GATE) return exit.nextRip;
  const software = (event & EVENT_VALID) != 0 && (event & EVENT_TYPE_MASK) >= EVENT_SOFT_INTERRUPT;
  return software ? exit.rip + exit.interruptedLength : exit.rip;
}

/** Saves the old task, and ends its being busy unless the new one returns to it. */
function leaveTask(e: Emulator, cause: u32, event: u32): bool {
  const vcpu = e.vcpu;
  const old = vcpu.segment(SEG_TR);
  const form = tssForm(old.access);
  if (!tssReachable(e, old.base, form)) return false;
  if (cause == BY_IRET || cause == BY_JUMP) {
    const at = descriptorAddress(e, old.selector);
    if (at == U64.MAX_VALUE) return failWith(e, VECTOR_TS, old.selector & 0xfffc);
    if (!readSystem(e, at + 4, 4) || !writeSystem(e, at + 4, 4, e.value & ~(<u64>TSS_BUSY))) return false;
  }
  const flags = cause == BY_IRET ? vcpu.rflags & ~RFLAGS_NT : vcpu.rflags;
  return saveTask(e, old.base, form, returnAddress(vcpu, cause, event), flags);
}

/** Makes the new task current: its TSS, its registers, its page tables. */
function enterTask(e: Emulator, selector: u32, at: u64, descriptor: u64, cause: u32): bool {
  const vcpu = e.vcpu;
  const task = vcpu.segment(SEG_TR);
  const oldSelector = task.selector;
  const busy = descriptor | ((<u64>TSS_BUSY) << 32);
  const form = tssForm(<u32>(descriptor >> 40));
  const nested = cause == BY_CALL || cause == BY_GATE;
  const base = ((descriptor >> 16) & 0xffffff) | ((descriptor >> 56) << 24);
  if (!tssReachable(e, base, form)) return false;
  if (nested && !writeSystem(e, base, 2, oldSelector)) return false;
  if (cause != BY_IRET && !writeSystem(e, at + 4, 4, busy >> 32)) return false;
  if (!loadTask(e, base, form)) return false;
  setFromDescriptor(task, selector, busy);
  if (nested) vcpu.rflags |= RFLAGS_NT;
  vcpu.cr0 |= CR0_TS;
  vcpu.dr7 &= ~DR7_LOCAL;
  return switchPageTables(e, base, form);
}

function switchPageTables(e: Emulator, base: u64, form: TssForm): bool {
  const vcpu = e.vcpu;
  if (form.cr3 == 0 || (vcpu.cr0 & CR0_PG) == 0) return true;
  if (!readSystem(e, base + form.cr3, 4)) return false;
  vcpu.cr3 = e.value;
  vcpu.request(REQUEST_FLUSH);
  return true;
}

/** LDTR first, then the others under the new privilege level, which CS brings. */
function loadSegments(e: Emulator, base: u64, form: TssForm): bool {
  const vcpu = e.vcpu;
  if (!readSystem(e, base + form.local, 2)) return false;
  const local = <u32>e.value;
  const virtual8086 = (vcpu.rflags & RFLAGS_VM) != 0;
  // The selectors go in before any is checked: a fault shows the new task with all of them.
  for (let i: u32 = 0; i <= SEG_GS; i++) {
    if (!readSelector(e, base, form, i)) return false;
    vcpu.segment(i).selector = <u32>e.value;
    if (virtual8086) setVirtual8086(e, i, <u32>e.value);
  }
  if (!loadLocalTable(e, local)) return false;
  if (virtual8086) return true;
  const cpl = vcpu.segment(SEG_CS).selector & 3;
  if (!loadSegment(e, SEG_CS, vcpu.segment(SEG_CS).selector, cpl)) return false;
  if (!loadSegment(e, SEG_SS, vcpu.segment(SEG_SS).selector, cpl)) return false;
  for (let i: u32 = 0; i <= SEG_GS; i++) {
    if (i != SEG_CS && i != SEG_SS && !loadSegment(e, i, vcpu.segment(i).selector, cpl)) return false;
  }
  return true;
}

/** An exception with an error code leaves it on the new task's stack, as wide as its TSS. */
function pushErrorCode(e: Emulator, form: TssForm, event: u32): bool {
  if ((event & (EVENT_VALID | EVENT_HAS_ERROR)) != (EVENT_VALID | EVENT_HAS_ERROR)) return true;
  const error = e.vcpu.exit.interruptedError;
  return pushValue(startEmulator(e.vcpu), error, form.width);
}

/** T flag of the new TSS: #DB before its first instruction. */
function trapIfAsked(e: Emulator, base: u64, form: TssForm): u32 {
  if (form.trap == 0) return OUTCOME_RESUME;
  if (!readSystem(e, base + form.trap, 2)) return e.outcome;
  if ((e.value & 1) == 0) return OUTCOME_RESUME;
  return raiseDebug(e.vcpu, DR6_TASK_SWITCH);
}

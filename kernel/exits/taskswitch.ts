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
  SEGMENT_CODE_OR_DATA,
  SEGMENT_PRESENT,
  SEGMENT_TYPE_MASK,
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
  descriptorBase,
  loadLocalTable,
  loadSegment,
  readSystem,
  setFromDescriptor,
  setUnchecked,
  setVirtual8086,
  TSS_BUSY,
  writeSystem,
} from "./descriptor";
import { Emulator, startEmulator } from "./emulate/emulator";
import { failWith } from "./emulate/linear";
import { pushValue } from "./emulate/stack";
import { loadPdptes } from "../vcpu/pdptes";
import { loadTask, readTask, saveTask, TssForm, tssForm, tssReachable, TYPE_32 } from "./tss";

// Exit qualification: bits 15..0 the new TSS's selector, bits 31..30 what caused the switch.
const BY_CALL: u32 = 0;
const BY_IRET: u32 = 1;
const BY_JUMP: u32 = 2;
const BY_GATE: u32 = 3;

/** Types of system descriptors, without the bit that tells the 32-bit form (TYPE_32). */
const TYPE_AVAILABLE_TSS: u32 = 1;
const TYPE_BUSY_TSS: u32 = 3;

/** L0 to L3 and LE: breakpoints of the old task alone. */
const DR7_LOCAL: u64 = 0x155;

export function handleTaskSwitch(vcpu: Vcpu): u32 {
  const exit = vcpu.exit;
  const selector = <u32>exit.qualification & 0xffff;
  const cause = (<u32>exit.qualification >> 30) & 3;
  change(vcpu, GROUP_SEGMENTS | GROUP_CONTROL | GROUP_STACK_FLAGS | GROUP_TABLES | GROUP_SYSTEM);
  const e = startEmulator(vcpu);
  const at = descriptorAddress(e, selector);
  if (at == U64.MAX_VALUE || !readSystem(e, at, 8)) return refuseSelector(e, at, cause, selector);
  const descriptor = e.value;
  if (!isTask(descriptor, cause)) return refuseSelector(e, at, cause, selector);
  const event = exit.interruptedEvent;
  if (!leaveTask(e, cause, event) || !enterTask(e, selector, at, descriptor, cause)) return e.outcome;
  // The event's delivery was this switch: but for its error code it is complete.
  exit.interruptedEvent = 0;
  if (!loadSegments(e)) return e.outcome;
  if (!pushErrorCode(e, tssForm(<u32>(descriptor >> 40)), event)) return e.outcome;
  if (vcpu.rip > <u64>vcpu.segment(SEG_CS).limit) {
    failWith(e, VECTOR_GP, 0);
    return e.outcome;
  }
  return e.task.trap != 0 ? raiseDebug(vcpu, DR6_TASK_SWITCH) : OUTCOME_RESUME;
}

/** A present TSS, busy for IRET, else available. The processor has seen to it, but memory may have changed since. */
function isTask(descriptor: u64, cause: u32): bool {
  const access = <u32>(descriptor >> 40) & 0xff;
  const type = cause == BY_IRET ? TYPE_BUSY_TSS : TYPE_AVAILABLE_TSS;
  return (
    (access & (SEGMENT_PRESENT | SEGMENT_CODE_OR_DATA | (SEGMENT_TYPE_MASK & ~TYPE_32))) ==
    (SEGMENT_PRESENT | type)
  );
}

function refuseSelector(e: Emulator, at: u64, cause: u32, selector: u32): u32 {
  // Reading the descriptor has failed with an outcome of its own.
  if (at != U64.MAX_VALUE && e.outcome != OUTCOME_RESUME) return e.outcome;
  failWith(e, cause == BY_IRET ? VECTOR_TS : VECTOR_GP, selector & 0xfffc);
  return e.outcome;
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
  const base = descriptorBase(descriptor);
  if (!tssReachable(e, base, form) || !readTask(e, base, form)) return false;
  if (nested && !writeSystem(e, base, 2, oldSelector)) return false;
  if (cause != BY_IRET && !writeSystem(e, at + 4, 4, busy >> 32)) return false;
  loadTask(e);
  setFromDescriptor(task, selector, busy);
  if (nested) vcpu.rflags |= RFLAGS_NT;
  vcpu.cr0 |= CR0_TS;
  vcpu.dr7 &= ~DR7_LOCAL;
  switchSegments(e);
  return switchPageTables(e, form);
}

/**
 * From here on faults belong to the new task: all its selectors are loaded, and the hidden parts are such that the processor can
 * run, whichever of them turns out to be wrong. In virtual-8086 mode these are right already.
 */
function switchSegments(e: Emulator): void {
  const vcpu = e.vcpu;
  const virtual8086 = (vcpu.rflags & RFLAGS_VM) != 0;
  const cpl = e.task.selector(SEG_CS) & 3;
  for (let i: u32 = 0; i <= SEG_GS; i++) {
    if (virtual8086) setVirtual8086(e, i, e.task.selector(i));
    else setUnchecked(vcpu.segment(i), i, e.task.selector(i), cpl);
  }
}

function switchPageTables(e: Emulator, form: TssForm): bool {
  const vcpu = e.vcpu;
  if (form.cr3 == 0 || (vcpu.cr0 & CR0_PG) == 0) return true;
  vcpu.request(REQUEST_FLUSH);
  if (!loadPdptes(vcpu, vcpu.cr0, e.task.cr3, vcpu.cr4, vcpu.efer)) return failWith(e, VECTOR_GP, 0);
  vcpu.cr3 = e.task.cr3;
  return true;
}

/** LDTR first, then the others under the new privilege level, which CS brings. */
function loadSegments(e: Emulator): bool {
  const task = e.task;
  if (!loadLocalTable(e, task.local)) return false;
  if ((e.vcpu.rflags & RFLAGS_VM) != 0) return true;
  const cpl = task.selector(SEG_CS) & 3;
  if (!loadSegment(e, SEG_CS, task.selector(SEG_CS), cpl)) return false;
  if (!loadSegment(e, SEG_SS, task.selector(SEG_SS), cpl)) return false;
  for (let i: u32 = 0; i <= SEG_GS; i++) {
    if (i != SEG_CS && i != SEG_SS && !loadSegment(e, i, task.selector(i), cpl)) return false;
  }
  return true;
}

/** An exception with an error code leaves it on the new task's stack, as wide as its TSS. */
function pushErrorCode(e: Emulator, form: TssForm, event: u32): bool {
  if ((event & (EVENT_VALID | EVENT_HAS_ERROR)) != (EVENT_VALID | EVENT_HAS_ERROR)) return true;
  const error = e.vcpu.exit.interruptedError;
  return pushValue(startEmulator(e.vcpu), error, form.width);
}

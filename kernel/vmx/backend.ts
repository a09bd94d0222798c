// VT-x behind the neutral backend interface (kernel/vcpu/backend.ts).
import {
  invept,
  invvpid,
  phys_store32,
  rdtsc,
  run_nmi_handler,
  vmclear,
  vmptrld,
  vmwrite,
  vmx_enter,
} from "../arch/intrinsics";
import { tscHz } from "../arch/clock";
import { thisCpu } from "../arch/percpu";
import { arenaNew } from "../lib/arena";
import { eptPointer } from "../mm/ept";
import { FRAME_BYTES, frameAllocZeroed, NO_HPA } from "../mm/frames";
import { nestedSetLargestLeaf } from "../mm/nested";
import { Backend } from "../vcpu/backend";
import { EXIT_NMI } from "../vcpu/exit";
import { VECTOR_AC, VECTOR_DB, VECTOR_MC } from "../vcpu/raise";
import { liveCreate, liveEnable, liveReset, liveRestore, liveSave } from "../vcpu/live";
import { powerUp } from "../vcpu/reset";
import { EVENT_VALID, Vcpu } from "../vcpu/vcpu";
import {
  hasEptAccessedDirty,
  inveptType,
  invvpidType,
  largestEptLeaf,
  preemptionTimerShift,
  reportsIoInstructionInfo,
  vmxRevision,
} from "./capabilities";
import { computeAllControls, VmxControls } from "./controls";
import { decodeExit, decodeFailedEntry, decodeSetIoInstructionInfo } from "./decode";
import { codeWalk } from "./codewalk";
import { dumpVmcs } from "./dump";
import { explainEntryFailure } from "./entrychecks";
import {
  CR0_MASK,
  CR3_TARGET_COUNT,
  CR4_MASK,
  ENTRY_CONTROLS,
  ENTRY_INTERRUPTION_INFO,
  ENTRY_MSR_LOAD_COUNT,
  EPT_POINTER,
  EXCEPTION_BITMAP,
  EXIT_CONTROLS,
  EXIT_MSR_LOAD_COUNT,
  EXIT_MSR_STORE_COUNT,
  GUEST_ACTIVITY,
  GUEST_PENDING_DEBUG,
  IO_BITMAP_A,
  IO_BITMAP_B,
  MSR_BITMAP,
  PAGE_FAULT_ERROR_MASK,
  PAGE_FAULT_ERROR_MATCH,
  PIN_CONTROLS,
  PREEMPTION_TIMER_VALUE,
  PRIMARY_CONTROLS,
  SECONDARY_CONTROLS,
  TSC_OFFSET,
  VMCS_LINK_POINTER,
  VPID,
} from "./fields";
import { enterVmxOperation, writeHostState } from "./host";
import { injectEvent, updateWindows } from "./inject";
import {
  IO_BITMAP_BYTES,
  IO_BITMAP_PAIR_BYTES,
  ioMapCloseAll,
  MSR_BITMAP_BYTES,
  msrMapCloseAll,
  msrMapSet,
} from "./maps";
import { reasonName } from "../abi/vmx-reasons";
import {
  CR0_HOST_OWNED,
  CR4_GUEST_OWNED,
  loadState,
  restoreSyscallRegisters,
  saveSyscallRegisters,
  storePlainRip,
  storeState,
} from "./state";
import { VmxVcpu, vmxOf } from "./vmcs";

/**
 * Exceptions that exit: machine checks are the host's, and a guest can make the delivery of #DB and #AC loop for ever
 * without reaching an instruction boundary, where interrupts would be taken.
 */
const EXCEPTIONS: u32 = (1 << VECTOR_DB) | (1 << VECTOR_AC) | (1 << VECTOR_MC);

const TIMER_LONGEST: u64 = 0xffffffff;
const NO_LINK: u64 = U64.MAX_VALUE;

const controls = changetype<VmxControls>(memory.data(offsetof<VmxControls>(), 8));
let timerShift: u64 = 0;
/** The longest that the timer is set to: a quarter of a second, so that a busy guest looks up now and then. */
let timerLongest: u64 = TIMER_LONGEST;
let flushEptType: u32 = 0;
let flushVpidType: u32 = 0;
let accessedDirty: bool = false;
let lastVpid: u32 = 0;

function enableCpu(): string | null {
  const missing = enterVmxOperation();
  if (missing !== null) return missing;
  liveEnable();
  computeAllControls(controls);
  timerShift = preemptionTimerShift();
  timerLongest = longestTimer();
  flushEptType = inveptType();
  flushVpidType = invvpidType();
  accessedDirty = hasEptAccessedDirty();
  nestedSetLargestLeaf(largestEptLeaf());
  decodeSetIoInstructionInfo(reportsIoInstructionInfo());
  return null;
}

// --- creation and reset ----------------------------------------------------------------------------------------------------

function frames(bytes: u64): u64 {
  const hpa = frameAllocZeroed(bytes / FRAME_BYTES, FRAME_BYTES);
  assert(hpa != NO_HPA, "vmx: no memory left for a vCPU's control structures");
  return hpa;
}

/** The control fields that stay as they are for the life of the VMCS. */
function writeControls(vmx: VmxVcpu): void {
  vmwrite(PIN_CONTROLS, controls.pin);
  vmwrite(PRIMARY_CONTROLS, controls.primary);
  vmwrite(SECONDARY_CONTROLS, controls.secondary);
  vmwrite(EXIT_CONTROLS, controls.exit);
  vmwrite(ENTRY_CONTROLS, controls.entry);
  vmx.primary = controls.primary;
  vmwrite(EXCEPTION_BITMAP, EXCEPTIONS);
  vmwrite(PAGE_FAULT_ERROR_MASK, 0);
  vmwrite(PAGE_FAULT_ERROR_MATCH, 0);
  vmwrite(CR3_TARGET_COUNT, 0);
  vmwrite(EXIT_MSR_STORE_COUNT, 0);
  vmwrite(EXIT_MSR_LOAD_COUNT, 0);
  vmwrite(ENTRY_MSR_LOAD_COUNT, 0);
  vmwrite(CR0_MASK, CR0_HOST_OWNED);
  vmwrite(CR4_MASK, ~CR4_GUEST_OWNED);
  vmwrite(IO_BITMAP_A, vmx.ioBitmaps);
  vmwrite(IO_BITMAP_B, vmx.ioBitmaps + IO_BITMAP_BYTES);
  vmwrite(MSR_BITMAP, vmx.msrBitmap);
  vmwrite(EPT_POINTER, vmx.eptp);
  vmwrite(VPID, vmx.vpid);
}

function createVcpu(vcpu: Vcpu, nestedRoot: u64): void {
  const vmx = arenaNew<VmxVcpu>();
  vcpu.backend = vmx;
  vmx.vmcs = frames(FRAME_BYTES);
  vmx.msrBitmap = frames(MSR_BITMAP_BYTES);
  vmx.ioBitmaps = frames(IO_BITMAP_PAIR_BYTES);
  vmx.eptp = eptPointer(nestedRoot, accessedDirty);
  vmx.vpid = ++lastVpid;
  assert(vmx.vpid <= 0xffff, "vmx: no VPID left");
  vmx.deadline = U64.MAX_VALUE;
  phys_store32(vmx.vmcs, vmxRevision());
  msrMapCloseAll(vmx.msrBitmap);
  ioMapCloseAll(vmx.ioBitmaps);
  assert(vmclear(vmx.vmcs) == 0, "vmx: VMCLEAR failed");
  powerUp(vcpu);
  liveCreate(vcpu);
  loadVcpu(vcpu);
  writeControls(vmx);
  resetVcpu(vcpu);
}

/** Back to the state of power-up: the neutral registers, and what only the VMCS has. */
function resetVcpu(vcpu: Vcpu): void {
  powerUp(vcpu);
  liveReset(vcpu);
  loadVcpu(vcpu);
  liveRestore(vcpu);
  const vmx = vmxOf(vcpu);
  vmwrite(VMCS_LINK_POINTER, NO_LINK);
  vmwrite(GUEST_ACTIVITY, 0);
  vmwrite(GUEST_PENDING_DEBUG, 0);
  vmwrite(ENTRY_INTERRUPTION_INFO, 0);
  vmwrite(TSC_OFFSET, vcpu.tscOffset);
  vmx.deadline = U64.MAX_VALUE;
  parkTimer(vmx);
  updateWindows(vcpu);
  flush(vcpu);
}

/** Makes the vCPU's VMCS current on this CPU, and its SYSCALL registers live. */
function loadVcpu(vcpu: Vcpu): void {
  const cpu = thisCpu();
  const last = cpu.currentVcpu;
  if (last == vcpu) return;
  if (last != null) leave(changetype<Vcpu>(last));
  assert(vmptrld(vmxOf(vcpu).vmcs) == 0, "vmx: VMPTRLD failed");
  cpu.currentVcpu = vcpu;
  restoreSyscallRegisters(vcpu);
  liveRestore(vcpu);
  writeHostState();
}

/** Takes from the processor what the vCPU that ran last left in it. */
function leave(vcpu: Vcpu): void {
  saveSyscallRegisters(vcpu);
  liveSave(vcpu);
}

// --- running ---------------------------------------------------------------------------------------------------------------

function longestTimer(): u64 {
  const quarter = (tscHz() >> 2) >> timerShift;
  return quarter == 0 ? TIMER_LONGEST : min(quarter, TIMER_LONGEST);
}

/** The longest the timer is let run. It is never off: a guest with interrupts masked must still come back. */
function parkTimer(vmx: VmxVcpu): void {
  if (vmx.timerParked != 0) return;
  vmwrite(PREEMPTION_TIMER_VALUE, timerLongest);
  vmx.timerParked = 1;
}

/** Sets the VMX-preemption timer to what is left until the deadline, rounded up to its own ticks. */
function armTimer(vmx: VmxVcpu): void {
  const now = rdtsc();
  let ticks: u64 = 0;
  if (vmx.deadline > now) ticks = ((vmx.deadline - now) >> timerShift) + 1;
  vmwrite(PREEMPTION_TIMER_VALUE, min(ticks, timerLongest));
  vmx.timerParked = 0;
}

/** One entry and exit. */
export function enter(vcpu: Vcpu): void {
  const vmx = vmxOf(vcpu);
  if (vcpu.dirty != 0) storeState(vcpu);
  else storePlainRip(vcpu);
  if ((vcpu.event & EVENT_VALID) != 0) injectEvent(vcpu);
  if (vmx.deadline == U64.MAX_VALUE) parkTimer(vmx);
  else armTimer(vmx);
  const status = vmx_enter(changetype<usize>(vcpu), vmx.launched);
  if (status != 0) {
    decodeFailedEntry(vcpu, status);
    return;
  }
  vmx.launched = 1;
  decodeExit(vcpu);
  if (vcpu.exit.kind == EXIT_NMI) run_nmi_handler();
}

function run(vcpu: Vcpu, prepare: (vcpu: Vcpu) => bool, onExit: (vcpu: Vcpu) => void): void {
  // The index of the function does not change in the loop: its check is done here, once.
  const handler = onExit.index;
  while (vcpu.requests == 0 || prepare(vcpu)) {
    enter(vcpu);
    call_indirect<void>(handler, vcpu);
  }
}

/** Nothing is remembered. */
function rememberMove(_vcpu: Vcpu, _move: u32, _value: u32, _length: u32): void {}

/** The record is complete: VMREADs are made by class. */
function completeRecord(_vcpu: Vcpu): void {}

function setDeadline(vcpu: Vcpu, tsc: u64): void {
  vmxOf(vcpu).deadline = tsc;
}

function updateTscOffset(vcpu: Vcpu): void {
  vmwrite(TSC_OFFSET, vcpu.tscOffset);
}

function flush(vcpu: Vcpu): void {
  const vmx = vmxOf(vcpu);
  assert(invept(flushEptType, vmx.eptp, 0) == 0, "vmx: INVEPT failed");
  assert(invvpid(flushVpidType, vmx.vpid, 0) == 0, "vmx: INVVPID failed");
}

function interceptMsr(vcpu: Vcpu, msr: u32, read: bool, write: bool): void {
  msrMapSet(vmxOf(vcpu).msrBitmap, msr, read, write);
}

/** Fills the backend table with VT-x. */
export function vmxInstall(table: Backend): void {
  table.name = "VT-x";
  table.enableCpu = enableCpu;
  table.createVcpu = createVcpu;
  table.resetVcpu = resetVcpu;
  table.loadVcpu = loadVcpu;
  table.run = run;
  table.completeRecord = completeRecord;
  table.codeWalk = codeWalk;
  table.rememberMove = rememberMove;
  table.loadState = loadState;
  table.updateWindows = updateWindows;
  table.hasDeadlineTimer = 1;
  table.setDeadline = setDeadline;
  table.updateTscOffset = updateTscOffset;
  table.flush = flush;
  table.interceptMsr = interceptMsr;
  table.reasonName = reasonName;
  table.dump = dumpVmcs;
  table.explainEntryFailure = explainEntryFailure;
}

// AMD-V behind the backend interface (kernel/vcpu/backend.ts).
import { gateByGif, gateByIf, gateUseGif } from "../arch/gate";
import { rdmsr, svm_enter, vmsave, wrmsr } from "../arch/intrinsics";
import { phys_fill, phys_store32, phys_store64 } from "../arch/intrinsics";
import { AMD_VM_HSAVE_PA, EFER_SVME, IA32_EFER } from "../arch/msr";
import { thisCpu } from "../arch/percpu";
import { frameAllocZeroed, NO_HPA } from "../mm/frames";
import { nestedSetLargestLeaf } from "../mm/nested";
import { Backend } from "../vcpu/backend";
import { liveCreate, liveEnable, liveReset, liveRestore, liveSave } from "../vcpu/live";
import { powerUp } from "../vcpu/reset";
import { EVENT_VALID, Vcpu } from "../vcpu/vcpu";
import { codeWalk, codeWalkPrepare } from "./codewalk";
import { asidAssign, asidPrepare } from "./asid";
import { hasHugePages, SVM_CLEAN_BITS, SVM_FLUSH_BY_ASID, svmFeatures, svmMissing } from "./capabilities";
import { writeIntercepts } from "./controls";
import { decode, decodeForTrace, decodePrepare } from "./decode";
import { dumpVmcb } from "./dump";
import { explainInvalid } from "./entrychecks";
import { injectEvent, updateWindows } from "./inject";
import { IO_MAP_FRAMES, ioMapCloseAll, MSR_MAP_FRAMES, msrMapInitialize, msrMapSet } from "./maps";
import { exitName } from "../abi/svm-reasons";
import { knownForget, knownPrepare, knownUse, rememberMove } from "./known";
import { loadState, restoreDebugControl, statePrepare, storeState } from "./state";
import { DIRTY_CONTROL, NMI_OPEN, SvmVcpu, svmCreate, svmOf, unclean } from "./svm";
import {
  CLEAN_ALL,
  CLEAN_INTERCEPTS,
  CLEAN_PERMISSION_MAPS,
  NESTED_PAGING_ENABLE,
  TLB_FLUSH_ALL,
  TLB_FLUSH_GUEST,
  TLB_KEEP,
  V_INTR_MASKING,
  VMCB_ASID,
  VMCB_CLEAN,
  VMCB_EVENTINJ,
  VMCB_IOPM_BASE,
  VMCB_MSRPM_BASE,
  VMCB_N_CR3,
  VMCB_NESTED_CONTROL,
  VMCB_TLB_CONTROL,
  VMCB_TSC_OFFSET,
  VMCB_VINTR,
} from "./vmcb";

const FRAME: u64 = 4096;
const NO_CPU: u32 = 0xffffffff;
/** What all vCPUs share: no port of the machine is open to any guest. */
let ioMap: u64 = NO_HPA;
/** CLEAN_* that may be set after an exit: all, or none on processors without clean bits. */
let cleanAfterExit: u32 = 0;
let flushGuest: u32 = TLB_FLUSH_ALL;

/** Fills the backend table with AMD-V. */
export function svmInstall(table: Backend): void {
  table.name = "AMD-V";
  table.enableCpu = enableCpu;
  table.createVcpu = createVcpu;
  table.resetVcpu = resetVcpu;
  table.loadVcpu = loadVcpu;
  table.run = run;
  table.completeRecord = decodeForTrace;
  table.codeWalk = codeWalk;
  table.loadState = loadGroups;
  table.rememberMove = rememberMove;
  table.updateWindows = windows;
  table.hasDeadlineTimer = 0;
  table.setDeadline = setDeadline;
  table.updateTscOffset = updateTscOffset;
  table.flush = flush;
  table.interceptMsr = interceptMsr;
  table.reasonName = exitName;
  table.dump = dump;
  table.explainEntryFailure = explain;
}

function enableCpu(): string | null {
  const missing = svmMissing();
  if (missing != null) return missing;
  const cpu = thisCpu();
  if (cpu.backendArea == 0) {
    cpu.backendArea = needFrames(1);
    cpu.hostVmcb = needFrames(1);
  }
  wrmsr(IA32_EFER, rdmsr(IA32_EFER) | EFER_SVME);
  wrmsr(AMD_VM_HSAVE_PA, cpu.backendArea);
  // What VMLOAD brings back after each exit: this CPU's FS, GS, TR, LDTR and system-call MSRs, which never change.
  vmsave(cpu.hostVmcb);
  asidPrepare(cpu.index);
  liveEnable();
  gateUseGif();
  prepareOnce();
  return null;
}

function prepareOnce(): void {
  if (ioMap != NO_HPA) return;
  ioMap = needFrames(IO_MAP_FRAMES);
  ioMapCloseAll(ioMap);
  nestedSetLargestLeaf(hasHugePages() ? 3 : 2);
  decodePrepare();
  statePrepare();
  knownPrepare();
  codeWalkPrepare();
  cleanAfterExit = (svmFeatures() & SVM_CLEAN_BITS) != 0 ? CLEAN_ALL : 0;
  flushGuest = (svmFeatures() & SVM_FLUSH_BY_ASID) != 0 ? TLB_FLUSH_GUEST : TLB_FLUSH_ALL;
}

function needFrames(count: u64): u64 {
  const frames = frameAllocZeroed(count, FRAME);
  assert(frames != NO_HPA, "svm: no memory left for a control structure");
  return frames;
}

function createVcpu(vcpu: Vcpu, nestedRoot: u64): void {
  const svm = svmCreate(vcpu, needFrames(1));
  svm.msrMap = needFrames(MSR_MAP_FRAMES);
  svm.nestedRoot = nestedRoot;
  svm.cpu = NO_CPU;
  powerUp(vcpu);
  liveCreate(vcpu);
  loadVcpu(vcpu);
  resetVcpu(vcpu);
}

/** Back to the state of power-up: the neutral registers, and what only the VMCB has. */
function resetVcpu(vcpu: Vcpu): void {
  loadVcpu(vcpu);
  const svm = svmOf(vcpu);
  const vmcb = svm.vmcb;
  phys_fill(vmcb, 0, FRAME);
  msrMapInitialize(svm.msrMap);
  writeIntercepts(vmcb);
  phys_store64(vmcb + VMCB_IOPM_BASE, ioMap);
  phys_store64(vmcb + VMCB_MSRPM_BASE, svm.msrMap);
  phys_store64(vmcb + VMCB_TSC_OFFSET, vcpu.tscOffset);
  phys_store64(vmcb + VMCB_NESTED_CONTROL, NESTED_PAGING_ENABLE);
  phys_store64(vmcb + VMCB_N_CR3, svm.nestedRoot);
  phys_store32(vmcb + VMCB_VINTR, V_INTR_MASKING);
  phys_store32(vmcb + VMCB_ASID, svm.asid);
  svm.clean = 0;
  svm.nmi = NMI_OPEN;
  svm.softInjected = 0;
  knownForget(svm);
  knownUse(vcpu, svm);
  powerUp(vcpu);
  liveReset(vcpu);
  liveRestore(vcpu);
  restoreDebugControl(svm);
  flush(vcpu);
}

/** Makes this CPU the one that runs the vCPU, and the registers that the VMCB does not hold the vCPU's. */
function loadVcpu(vcpu: Vcpu): void {
  const svm = svmOf(vcpu);
  const cpu = thisCpu();
  const last = cpu.currentVcpu;
  if (last == vcpu) return;
  if (last != null) liveSave(changetype<Vcpu>(last));
  if (svm.cpu != cpu.index) svm.clean = 0;
  asidAssign(svm, cpu.index);
  vcpu.hostVmcb = cpu.hostVmcb;
  vcpu.dirty |= DIRTY_CONTROL;
  cpu.currentVcpu = vcpu;
  liveRestore(vcpu);
  restoreDebugControl(svm);
}

function run(vcpu: Vcpu, prepare: (vcpu: Vcpu) => bool, onExit: (vcpu: Vcpu) => void): void {
  gateByGif();
  // The index of the function does not change in the loop: its check is done here, once.
  const handler = onExit.index;
  // The entry keeps no register, so that what is needed after it comes from it.
  let self = changetype<usize>(vcpu);
  while (true) {
    vcpu = changetype<Vcpu>(self);
    if (vcpu.pending != 0) {
      if (vcpu.requests != 0 && !prepare(vcpu)) break;
      self = enterChanged(vcpu);
    } else {
      self = svm_enter(self);
    }
    decode(changetype<Vcpu>(self));
    call_indirect<void>(handler, changetype<Vcpu>(self));
  }
  gateByIf();
}

/** An entry that needs more than RIP: changed state, an event, a flush. Returns the vCPU's address. */
function enterChanged(vcpu: Vcpu): usize {
  prepareEntry(vcpu, svmOf(vcpu));
  const self = svm_enter(changetype<usize>(vcpu));
  vcpu = changetype<Vcpu>(self);
  finishEntry(svmOf(vcpu));
  vcpu.dirty = 0;
  return self;
}

function prepareEntry(vcpu: Vcpu, svm: SvmVcpu): void {
  const vmcb = svm.vmcb;
  storeState(vcpu, svm, vcpu.dirty);
  if ((vcpu.event & EVENT_VALID) != 0) injectEvent(vcpu, svm);
  phys_store32(vmcb + VMCB_TLB_CONTROL, svm.tlbControl);
  phys_store32(vmcb + VMCB_CLEAN, svm.clean);
}

/** Takes back what was meant for one entry only. */
function finishEntry(svm: SvmVcpu): void {
  const vmcb = svm.vmcb;
  phys_store64(vmcb + VMCB_EVENTINJ, 0);
  svm.tlbControl = TLB_KEEP;
  phys_store32(vmcb + VMCB_TLB_CONTROL, TLB_KEEP);
  svm.clean = cleanAfterExit;
  phys_store32(vmcb + VMCB_CLEAN, cleanAfterExit);
}

function loadGroups(vcpu: Vcpu, groups: u32): void {
  loadState(vcpu, svmOf(vcpu), groups);
}

/** The run loop calls this before an entry that delivers an event, and whenever windows may have changed. */
function windows(vcpu: Vcpu): void {
  updateWindows(vcpu, svmOf(vcpu));
  if ((vcpu.event & EVENT_VALID) != 0) vcpu.dirty |= DIRTY_CONTROL;
}

/** The run loop arms the CPU's timer, whose interrupt exits. */
function setDeadline(_vcpu: Vcpu, _tsc: u64): void {}

function updateTscOffset(vcpu: Vcpu): void {
  const svm = svmOf(vcpu);
  phys_store64(svm.vmcb + VMCB_TSC_OFFSET, vcpu.tscOffset);
  unclean(vcpu, svm, CLEAN_INTERCEPTS);
}

function flush(vcpu: Vcpu): void {
  svmOf(vcpu).tlbControl = flushGuest;
  vcpu.dirty |= DIRTY_CONTROL;
}

function interceptMsr(vcpu: Vcpu, msr: u32, read: bool, write: bool): void {
  const svm = svmOf(vcpu);
  msrMapSet(svm.msrMap, msr, read, write);
  unclean(vcpu, svm, CLEAN_PERMISSION_MAPS);
}

function dump(vcpu: Vcpu): void {
  dumpVmcb(svmOf(vcpu).vmcb);
}

function explain(vcpu: Vcpu): void {
  explainInvalid(svmOf(vcpu).vmcb);
}

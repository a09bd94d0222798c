// The run loop: enter -> decode -> dispatch -> act on the outcome -> sample interrupt lines -> inject -> enter. Handlers only
// return outcomes; what they ask for is done here and nowhere else. An exit that leaves no request goes straight back in.
import { tscAfter } from "./arch/clock";
import { rdtsc } from "./arch/intrinsics";
import { thisCpu } from "./arch/percpu";
import { RFLAGS_IF } from "./arch/cr";
import { consoleDrain, consoleHasRoom, consolePoll, consoleTransmit } from "./drivers/console";
import { hostInterrupt } from "./drivers/interrupts";
import { hostIdle, hostTimerArm } from "./drivers/timer";
import { advance } from "./exits/advance";
import { dispatch } from "./exits/dispatch";
import { emulatedInstruction, emulatorCreate } from "./exits/emulate/emulator";
import { consolePending, consoleTake } from "./guest/console";
import { panicDeny, panicWatch } from "./guest/panic";
import { setCounters } from "./guest/counters";
import { vmReset } from "./guest/lifecycle";
import {
  platformAcknowledge,
  platformHasInterrupt,
  platformIdleDeadline,
  platformMayWake,
  platformSample,
} from "./guest/lines";
import { shutDown, skipTime, stopVm, Vm, vmAt, vmCount, vmOf, vmVcpu } from "./guest/vm";
import { STATUS_BAD_VM, STATUS_DEAD_HALT } from "./abi/status";
import { logDecimal, logEnd, logText } from "./lib/log";
import { recordOutcome } from "./record/hooks";
import { moveInput } from "./monitor/input";
import { countersCreate, countExit } from "./trace/counters";
import { answerLeaf } from "./trace/leaves";
import {
  ringIsFilling,
  traceClose,
  traceExclude,
  traceExit,
  traceInstruction,
  traceOutcome,
  traceWantsInstruction,
} from "./trace/ring";
import { traceDrain, traceFinish, traceIsOn } from "./trace/stream";
import { logCounters } from "./trace/table";
import { backend, need } from "./vcpu/backend";
import { codeBytesCreate, instructionEnds, readInstruction } from "./vcpu/codebytes";
import { EXIT_EXTERNAL_INTERRUPT, EXIT_NESTED_FAULT, NO_VECTOR } from "./vcpu/exit";
import {
  OUTCOME_ADVANCE,
  OUTCOME_DONE,
  OUTCOME_HALT,
  OUTCOME_RESUME,
  outcomeForRecord,
} from "./vcpu/outcome";
import { VECTOR_NMI } from "./vcpu/raise";
import { BLOCKED_BY_NMI, GROUP_INTERRUPTIBILITY, GROUP_STACK_FLAGS } from "./vcpu/registers";
import { reinject } from "./vcpu/reinject";
import {
  ACTIVITY_HALTED,
  ACTIVITY_RUNNING,
  EVENT_EXTERNAL,
  EVENT_NMI,
  EVENT_TYPE_MASK,
  EVENT_VALID,
  REQUEST_EVENT,
  REQUEST_FLUSH,
  REQUEST_HOST,
  REQUEST_INTERRUPT,
  REQUEST_NMI,
  REQUEST_SAMPLE,
  REQUEST_STOP,
  Vcpu,
} from "./vcpu/vcpu";

/** Whether the counters go to the log when a VM ends. */
let summarize: bool = false;

/** Storage that running needs; boot time only, after the VMs are created. */
export function runPrepare(): void {
  for (let i: u32 = 0; i < vmCount(); i++) {
    const vm = vmAt(i);
    for (let j: u32 = 0; j < vm.cpus; j++) {
      const vcpu = vmVcpu(vm, j);
      countersCreate(vcpu);
      emulatorCreate(vcpu);
      codeBytesCreate(vcpu);
    }
  }
  setCounters(answerLeaf);
}

/** At each VM's end, its counters go to the log. */
export function runSetSummary(): void {
  summarize = true;
}

/** Runs every VM to its end, one after the other. Returns the status of the first that did not end well, else 0. */
export function runAll(): u32 {
  let status: u32 = 0;
  for (let i: u32 = 0; i < vmCount(); i++) {
    const ended = runVm(vmAt(i));
    if (status == 0) status = ended;
  }
  traceFinish();
  return status;
}

/** Runs a VM until it stops, through its resets. Returns its status (kernel/abi/status.ts). */
export function runVm(vm: Vm): u32 {
  while (!vm.stopped) {
    const vcpu = vmVcpu(vm, 0);
    backend().loadVcpu(vcpu);
    vcpu.requests = (vcpu.requests & ~REQUEST_STOP) | REQUEST_SAMPLE;
    runVcpu(vcpu);
    if (vm.resetPending && !vm.stopped && !vmReset(vm)) stopVm(vcpu, STATUS_BAD_VM);
  }
  finishConsole(vm);
  if (traceIsOn()) traceClose(rdtsc());
  if (summarize) logVmCounters(vm);
  reportStop(vm);
  return vm.stopStatus;
}

/** Until its VM is to be stopped or reset, or what is done at exits has changed. */
function runVcpu(vcpu: Vcpu): void {
  backend().run(vcpu, prepare, traceIsOn() ? onExitTraced : onExit);
}

/**
 * One exit, from the filled record to what its handler asked for. The only caller of what every exit goes through, so that it
 * becomes one piece of code.
 */
function onExit(vcpu: Vcpu): void {
  // Defined by the bench alone, to show what counting costs.
  if (!isDefined(UNCOUNTED)) countExit(vcpu);
  const outcome = dispatch(vcpu);
  recordOutcome(outcome);
  // Asked for anew, so that no exit has to keep it.
  if (outcome != OUTCOME_DONE) act(changetype<Vcpu>(thisCpu().currentVcpu), outcome);
}

/**
 * Records the exit as well; what that takes is no part of the exit. A ring that fills up is emptied by one frame here; else it is
 * emptied while the vCPU idles.
 */
function onExitTraced(vcpu: Vcpu): void {
  const begun = rdtsc();
  backend().completeRecord(vcpu);
  holdClocks(vcpu, traceExit(vcpu));
  if (traceWantsInstruction()) traceFetched(vcpu);
  const isOpenEnded = !instructionEnds(vcpu.exit);
  const spent = rdtsc() - begun;
  vcpu.exit.outcome = OUTCOME_DONE;
  onExit(vcpu);
  const outcome = outcomeForRecord(vcpu.exit.outcome);
  const handled = rdtsc();
  traceOutcome(outcome);
  if (isOpenEnded && (outcome == OUTCOME_ADVANCE || outcome == OUTCOME_HALT)) traceDecoded(vcpu);
  if (ringIsFilling()) holdClocks(vcpu, traceDrain(thisCpu().index));
  traceExclude(vcpu, spent + rdtsc() - handled);
}

/** The guest does not see the time that a port took: its clocks stand still, and its deadline is set anew. */
function holdClocks(vcpu: Vcpu, ticks: u64): void {
  if (ticks == 0) return;
  skipTime(vcpu, ticks);
  vcpu.request(REQUEST_SAMPLE);
}

/** The instruction as the guest has it, read before the handler changes anything. */
function traceFetched(vcpu: Vcpu): void {
  const code = readInstruction(vcpu);
  if (code.count != 0) traceInstruction(code.bytes0, code.bytes1, <u32>code.count);
}

/** Where the end of the instruction was not known, it has been decoded to be emulated or passed: if so, take that. */
function traceDecoded(vcpu: Vcpu): void {
  const instruction = emulatedInstruction(vcpu);
  if (vcpu.exit.kind != EXIT_NESTED_FAULT && vcpu.rip - vcpu.exit.rip != instruction.length) return;
  traceInstruction(instruction.bytes0, instruction.bytes1, instruction.length);
}

// --- after an exit -------------------------------------------------------------------------------------------------------

/** Does what the handler of the last exit asked for. */
function act(vcpu: Vcpu, outcome: u32): void {
  vcpu.exit.outcome = outcome;
  if (outcome == OUTCOME_ADVANCE) advance(vcpu);
  else if (outcome == OUTCOME_RESUME) takeHostInterrupt(vcpu);
  else if (outcome == OUTCOME_HALT) halt(vcpu);
  const exit = vcpu.exit;
  if (exit.interruptedEvent != 0) {
    if (!reinject(vcpu)) shutDown(vcpu);
    exit.interruptedEvent = 0;
  }
}

/** VT-x acknowledges the interrupt that caused an exit; its handler runs here. */
function takeHostInterrupt(vcpu: Vcpu): void {
  const exit = vcpu.exit;
  if (exit.kind == EXIT_EXTERNAL_INTERRUPT && exit.vector != NO_VECTOR) hostInterrupt(exit.vector);
}

/** HLT is complete: the vCPU waits behind it. A single-step trap or a reason to stop comes first. */
function halt(vcpu: Vcpu): void {
  if (advance(vcpu) != OUTCOME_RESUME) return;
  vcpu.activity = ACTIVITY_HALTED;
  vcpu.request(REQUEST_SAMPLE);
}

// --- before an entry -------------------------------------------------------------------------------------------------------

/** Serves the requests; waits while the vCPU is halted. False: the VM is to be stopped or reset. */
function prepare(vcpu: Vcpu): bool {
  const vm = vmOf(vcpu);
  if (vcpu.interruptWindow != 0) vcpu.requests |= REQUEST_INTERRUPT;
  while ((vcpu.requests & REQUEST_STOP) == 0) {
    serve(vm, vcpu);
    deliver(vcpu);
    backend().updateWindows(vcpu);
    if ((vcpu.event & EVENT_VALID) != 0) vcpu.activity = ACTIVITY_RUNNING;
    if (vcpu.activity == ACTIVITY_RUNNING) {
      armDeadline(vm, vcpu);
      // The window will ask again. Until then a guest that works with interrupts off makes exits like any other: without this
      // each would come here, which takes 283 instructions more.
      if (vcpu.interruptWindow != 0) vcpu.requests &= ~REQUEST_INTERRUPT;
      return (vcpu.requests & REQUEST_STOP) == 0;
    }
    wait(vm, vcpu);
  }
  return false;
}

function serve(vm: Vm, vcpu: Vcpu): void {
  if ((vcpu.requests & REQUEST_SAMPLE) != 0) {
    moveConsole(vm, vcpu);
    platformSample(vcpu);
  } else if (!platformHasInterrupt(vcpu)) {
    // What waited for its window has gone: masked, or taken back by its device.
    vcpu.requests &= ~REQUEST_INTERRUPT;
  }
  if ((vcpu.requests & (REQUEST_FLUSH | REQUEST_HOST)) != 0) serveRare(vcpu);
}

function serveRare(vcpu: Vcpu): void {
  const requests = vcpu.requests;
  vcpu.requests &= ~(REQUEST_FLUSH | REQUEST_HOST);
  if ((requests & REQUEST_FLUSH) != 0) backend().flush(vcpu);
  if ((requests & REQUEST_HOST) != 0) serveHost(vcpu);
}

/**
 * What the hypervisor does for itself while a guest runs without a pause: nothing of it depends on an interrupt or on the guest's
 * exits. Records leave the ring at the latest now.
 */
function serveHost(vcpu: Vcpu): void {
  consolePoll();
  panicWatch(vcpu);
  if (!traceIsOn()) return;
  const drained = traceDrain(thisCpu().index);
  traceExclude(vcpu, drained);
  holdClocks(vcpu, drained);
}

/** Puts into `vcpu.event` what the guest can take now, and asks for a window for what must wait. */
function deliver(vcpu: Vcpu): void {
  vcpu.requests &= ~REQUEST_EVENT;
  if ((vcpu.requests & (REQUEST_INTERRUPT | REQUEST_NMI)) != 0 || vcpu.deferredEvent != 0) {
    need(vcpu, GROUP_INTERRUPTIBILITY | GROUP_STACK_FLAGS);
    if (vcpu.deferredEvent != 0) deliverDeferred(vcpu);
    if ((vcpu.requests & REQUEST_NMI) != 0 && canTakeNmi(vcpu)) deliverNmi(vcpu);
    if ((vcpu.requests & REQUEST_INTERRUPT) != 0 && canTakeInterrupt(vcpu)) deliverInterrupt(vcpu);
  }
  const waiting = (vcpu.requests & REQUEST_INTERRUPT) != 0 || isInterrupt(vcpu.deferredEvent);
  vcpu.interruptWindow = waiting ? 1 : 0;
  vcpu.nmiWindow = (vcpu.requests & REQUEST_NMI) != 0 ? 1 : 0;
}

function canTakeNmi(vcpu: Vcpu): bool {
  return (vcpu.event & EVENT_VALID) == 0 && vcpu.interruptibility == 0;
}

function canTakeInterrupt(vcpu: Vcpu): bool {
  if ((vcpu.event & EVENT_VALID) != 0 || (vcpu.rflags & RFLAGS_IF) == 0) return false;
  // Blocking by NMI does not hold interrupts back.
  return (vcpu.interruptibility & ~BLOCKED_BY_NMI) == 0;
}

function isInterrupt(event: u32): bool {
  return (event & (EVENT_VALID | EVENT_TYPE_MASK)) == (EVENT_VALID | EVENT_EXTERNAL);
}

/** An interrupt or NMI that an exception has overtaken during its delivery; it has been acknowledged already. */
function deliverDeferred(vcpu: Vcpu): void {
  const event = vcpu.deferredEvent;
  if (isInterrupt(event) ? !canTakeInterrupt(vcpu) : (vcpu.event & EVENT_VALID) != 0) return;
  vcpu.event = event;
  vcpu.deferredEvent = 0;
}

function deliverNmi(vcpu: Vcpu): void {
  vcpu.event = EVENT_VALID | EVENT_NMI | VECTOR_NMI;
  vcpu.requests &= ~REQUEST_NMI;
}

function deliverInterrupt(vcpu: Vcpu): void {
  vcpu.event = EVENT_VALID | EVENT_EXTERNAL | platformAcknowledge(vcpu);
  vcpu.requests &= ~REQUEST_INTERRUPT;
  // The PIC's line has fallen with the acknowledge: only a new sample tells whether another interrupt is behind it.
  if ((vcpu.requests & REQUEST_SAMPLE) != 0) platformSample(vcpu);
  else if (platformHasInterrupt(vcpu)) vcpu.requests |= REQUEST_INTERRUPT;
}

/** Host TSC at which the vCPU's devices need attention, or NEVER. */
function deadlineTsc(vm: Vm, vcpu: Vcpu): u64 {
  return tscAfter(vm.startTsc, vcpu.deadline);
}

function armDeadline(vm: Vm, vcpu: Vcpu): void {
  const tsc = deadlineTsc(vm, vcpu);
  if (backend().hasDeadlineTimer != 0) backend().setDeadline(vcpu, tsc);
  else hostTimerArm(tsc);
}

/** Idles until an interrupt of the host. A guest with interrupts off that no NMI or INIT can reach never wakes: it ends. */
function wait(vm: Vm, vcpu: Vcpu): void {
  need(vcpu, GROUP_STACK_FLAGS);
  if ((vcpu.rflags & RFLAGS_IF) == 0 && (vcpu.requests & REQUEST_NMI) == 0 && !platformMayWake(vcpu)) {
    stopVm(vcpu, STATUS_DEAD_HALT);
    return;
  }
  panicDeny(vm);
  // Idle time is the time to empty the ring; a deadline that passes meanwhile makes hostIdle return at once.
  const drained: u64 = traceIsOn() ? traceDrain(thisCpu().index) : 0;
  if (drained != 0) {
    traceExclude(vcpu, drained);
    holdClocks(vcpu, drained);
    return;
  }
  hostIdle(tscAfter(vm.startTsc, platformIdleDeadline(vcpu)));
  vcpu.request(REQUEST_SAMPLE);
}

// --- console -----------------------------------------------------------------------------------------------------------------

/**
 * The console is the VM's that runs. Moves what fits in both directions; what does not stays with its sender, who may be polling
 * for room: then the ring is emptied by polling too.
 */
function moveConsole(vm: Vm, vcpu: Vcpu): void {
  if (!moveInput(vcpu)) return;
  while (consolePending(vm) != 0) {
    if (!consoleHasRoom()) consolePoll();
    if (!consoleHasRoom()) return;
    consoleTransmit(consoleTake(vm));
  }
}

/** Sends what the guest still had to say. */
function finishConsole(vm: Vm): void {
  while (consolePending(vm) != 0) {
    if (!consoleHasRoom()) consoleDrain();
    consoleTransmit(consoleTake(vm));
  }
  consoleDrain();
}

function logVmCounters(vm: Vm): void {
  for (let i: u32 = 0; i < vm.cpus; i++) logCounters(vmVcpu(vm, i), "typevisor: exits ");
}

/** The line that the command line waits for: printed at any log level. */
function reportStop(vm: Vm): void {
  logText("typevisor: vm");
  logDecimal(vm.index);
  logText(": stopped: ");
  logText(vm.stopReason);
  logText(" (status ");
  logDecimal(vm.stopStatus);
  logText(")");
  logEnd();
}

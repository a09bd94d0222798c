// Recording (kernel/abi/recording.ts). Only the image that `typevisor run --record` boots has it: there, the code generator lets
// every intrinsic that the kernel calls go through the functions that tools/gen/recorders.ts makes.
//
//   record=com2|e9        where the recording goes
//   record.from=N         exits to let pass first
//   record.exits=N        exits to record; absent: all
//   record.window=BYTES   log after which a new window begins
import {
  EVENT_EXIT_HANDLED,
  EVENT_LIMIT,
  EVENT_MACHINE_STOPPED,
  EVENT_NEXT_WINDOW,
  EVENT_RUN_ENDED,
} from "../abi/recording";
import { tracePortUseDebugConsole } from "../drivers/traceport";
import { machineStop } from "../drivers/power";
import { RECORDING_WINDOW_BYTES } from "../lib/limits";
import { optionIs, optionNumber } from "../lib/options";
import { panicSetStop } from "../lib/panic";
import { backend } from "../vcpu/backend";
import { Vcpu } from "../vcpu/vcpu";
import { logFlush } from "./frames";
import { recordEvent, recordHeadStart, recordNumber } from "./log";
import { handleExit, leaveLoop, mayEnter, Recorder, recorder, recorderCheck } from "./state";
import { sendWindow } from "./window";

/** Boot time, after the backend is installed: makes it record if the command line says so. `backendCode`: TRACE_BACKEND_*. */
export function recorderInstall(backendCode: u32): void {
  const toDebugConsole = optionIs("record", "e9");
  if (!toDebugConsole && !optionIs("record", "com2")) return;
  if (toDebugConsole) tracePortUseDebugConsole();
  recorderCheck();
  const state = recorder();
  state.backendCode = backendCode;
  state.first = optionNumber("record.from", 0);
  state.count = optionNumber("record.exits", U64.MAX_VALUE);
  state.windowBytes = optionNumber("record.window", RECORDING_WINDOW_BYTES);
  state.run = backend().run;
  backend().run = runRecorded;
  panicSetStop(stopRecorded);
}

/** In place of the backend's: leaves its loop wherever a window begins, since nothing but memory and globals counts there. */
function runRecorded(vcpu: Vcpu, prepare: (vcpu: Vcpu) => bool, onExit: (vcpu: Vcpu) => void): void {
  const state = recorder();
  state.prepare = prepare;
  state.onExit = onExit;
  if (vcpu.requests != 0 && !prepare(vcpu)) return;
  do {
    state.reopen = 0;
    state.goOn = 1;
    if (isDue(state)) {
      sendWindow(vcpu);
      recordHeadStart(changetype<usize>(vcpu));
      state.logged = 0;
      state.logging = 1;
    }
    state.run(vcpu, mayEnter, handleRecorded);
    vcpu.requests &= ~state.forced;
  } while (state.reopen != 0);
  if (recordEvent(EVENT_RUN_ENDED)) close(state);
}

function isDue(state: Recorder): bool {
  return state.done == 0 && state.exits >= state.first;
}

/** One exit, up to readiness for the next entry. */
function handleRecorded(vcpu: Vcpu): void {
  const goOn = handleExit(vcpu);
  finishExit(recorder(), goOn);
  leaveLoop(vcpu, goOn && recorder().reopen == 0);
}

function finishExit(state: Recorder, goOn: bool): void {
  state.exits++;
  if (recordEvent(EVENT_EXIT_HANDLED)) {
    recordNumber(state.outcome);
    recordNumber(goOn ? 1 : 0);
    if (!goOn) return;
    if (state.exits - state.first >= state.count) {
      recordEvent(EVENT_LIMIT);
      close(state);
      state.done = 1;
    } else if (state.logged >= state.windowBytes) {
      recordEvent(EVENT_NEXT_WINDOW);
      close(state);
      state.reopen = 1;
    }
  } else if (isDue(state)) state.reopen = 1;
}

function close(state: Recorder): void {
  logFlush();
  state.logging = 0;
}

/** The machine's end after a report of the hypervisor's failure: what is recorded goes out first. */
function stopRecorded(status: u32): void {
  if (recordEvent(EVENT_MACHINE_STOPPED)) {
    recordNumber(status);
    close(recorder());
  }
  machineStop(status);
}

// One run from launch to exit status: the machine, the user (or one command) at its console, the hypervisor's log, the time
// limit, and signals. Whatever happens, the emulator ends and the terminal is put back.
import { mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { ExecFrame } from "../console/exec.ts";
import { ExecInput } from "../console/exec-input.ts";
import { attachInteractive, writeOrPause } from "../console/interactive.ts";
import { leaveRawMode, tellUser } from "../console/terminal.ts";
import { type HypervisorLog, readLog } from "./log.ts";
import type { LaunchPlan, Machine, MachineExit, RunningMachine } from "./machine.ts";
import { EXIT_FAILED, EXIT_SIGNAL, EXIT_TIMEOUT, needsLog, STATUS_WORDS } from "./status.ts";
import type { StreamRecorder } from "./stream.ts";

const SIGNALS: NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];
/** Time that a guest has to power off after its `--exec` command, and streams to end after their emulator. */
const GRACE_MILLISECONDS = 10_000;
const SHOWN_LOG_LINES = 40;

export interface SessionPlan {
  machine: Machine;
  launch: Omit<LaunchPlan, "directory">;
  /** Run the command framed by this nonce instead of an interactive console, with our input and with its boot shown or not. */
  exec?: { nonce: string; input: boolean; verbose: boolean };
  /** What a prompt of the guest's shell looks like at the end of its output; input from a pipe waits for the first. */
  prompt?: RegExp;
  /** Seconds; absent: none. */
  timeoutSeconds?: number;
  onLogLine: (line: string) => void;
  /** Takes the trace or the recording. */
  recorder?: StreamRecorder;
}

/** Why we, and not the guest, ended the run. */
type Interruption = { kind: "quit" } | { kind: "timeout" } | { kind: "signal"; signal: NodeJS.Signals };

/** Runs a machine to its end. @returns the exit status for the shell. */
export async function runSession(plan: SessionPlan): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "typevisor-"));
  let interruption: Interruption | undefined;
  let running: RunningMachine | undefined;
  const interrupt = (why: Interruption) => {
    interruption ??= why;
    // What the guest still has to say has no reader.
    running?.console.destroy();
    running?.kill();
  };
  const release = watchInterruptions(plan, interrupt);
  try {
    running = await plan.machine.launch({ ...plan.launch, directory });
    if (interruption) interrupt(interruption);
    const recording = plan.recorder?.attach(running);
    const log = readLog(recording?.log ?? running.log, plan.onLogLine);
    const command = plan.exec === undefined ? undefined : attachExec(plan.exec, running);
    const frame = command?.frame;
    const exit = await attend(plan, running, command?.detach, () => interrupt({ kind: "quit" }));
    await withinGrace(Promise.all([log.ended, recording?.ended]));
    return interruption ? interruptedStatus(plan, interruption) : judge(plan, exit, log, frame);
  } finally {
    release();
    running?.kill();
    leaveRawMode();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Calls back on signals and when the time is over. @returns what ends the watch. */
function watchInterruptions(plan: SessionPlan, interrupt: (why: Interruption) => void): () => void {
  const handlers = SIGNALS.map((signal) => ({
    signal,
    handler: () => interrupt({ kind: "signal", signal }),
  }));
  for (const { signal, handler } of handlers) process.on(signal, handler);
  // Nobody reads our output any more: there is no one to run for. Stays in place, since more writes may fail.
  process.stdout.on("error", () => interrupt({ kind: "signal", signal: "SIGPIPE" }));
  const seconds = plan.timeoutSeconds;
  const timer =
    seconds === undefined ? undefined : setTimeout(() => interrupt({ kind: "timeout" }), seconds * 1000);
  return () => {
    clearTimeout(timer);
    for (const { signal, handler } of handlers) process.off(signal, handler);
  };
}

/** Serves the console until the emulator has ended and its last output is out. */
async function attend(
  plan: SessionPlan,
  running: RunningMachine,
  detachExec: (() => void) | undefined,
  onQuit: () => void,
) {
  const ended = new Promise<void>((resolve) => running.console.once("close", resolve));
  const detach =
    detachExec ??
    attachInteractive(running.console, {
      onQuit,
      hasMonitor: plan.launch.image !== undefined,
      prompt: plan.prompt,
    });
  const exit = await running.exited;
  await withinGrace(ended);
  detach();
  return exit;
}

/** Connects one command's output and, if it gets any, its input. */
function attachExec(
  { nonce, input, verbose }: NonNullable<SessionPlan["exec"]>,
  { console, kill }: RunningMachine,
): { frame: ExecFrame; detach: () => void } {
  let limit: NodeJS.Timeout | undefined;
  const feeder = input
    ? new ExecInput(process.stdin, (block) => console.writable && console.write(block))
    : undefined;
  const frame = new ExecFrame(nonce, {
    boot: verbose ? (said) => process.stderr.write(said) : undefined,
    request: () => feeder?.request(),
  });
  console.on("data", (piece: Buffer) => {
    const output = frame.push(piece);
    if (output.length > 0) writeOrPause(process.stdout, output, console);
    // The guest powers off by itself; one that cannot does not hold the result up for long.
    if (frame.status !== undefined) limit ??= setTimeout(kill, GRACE_MILLISECONDS);
  });
  const detach = () => {
    clearTimeout(limit);
    feeder?.close();
  };
  return { frame, detach };
}

async function withinGrace(promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const grace = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, GRACE_MILLISECONDS);
  });
  await Promise.race([promise, grace]);
  clearTimeout(timer);
}

function interruptedStatus(plan: SessionPlan, why: Interruption): number {
  leaveRawMode();
  if (why.kind === "quit") {
    tellUser(["", "Left the console; the virtual machine has ended."]);
    return 0;
  }
  if (why.kind === "timeout") {
    tellUser([`typevisor: --timeout: stopped after ${plan.timeoutSeconds} s.`]);
    return EXIT_TIMEOUT;
  }
  return EXIT_SIGNAL + constants.signals[why.signal];
}

/** The exit status of a run that ended by itself; tells the user about anything but a plain end. */
function judge(
  plan: SessionPlan,
  exit: MachineExit,
  log: HypervisorLog,
  frame: ExecFrame | undefined,
): number {
  leaveRawMode();
  if (frame?.status !== undefined) return frame.status;
  const status = machineStatus(plan, exit, log);
  if (status === undefined) {
    const end = exit.signal ? `signal ${exit.signal}` : `status ${exit.code}`;
    tellUser([
      `typevisor: the emulator ended unexpectedly (${end}). ${exit.words}`.trimEnd(),
      ...shownTail(log),
    ]);
    return EXIT_FAILED;
  }
  if (needsLog(status)) tellUser(shownTail(log));
  if (status !== 0) tellUser([`typevisor: ${describe(status, log)} (status ${status}).`]);
  if (frame === undefined) return status;
  const stage = frame.started
    ? "before the command of --exec had ended"
    : "before it had started the command of --exec";
  const hint = frame.started
    ? ""
    : " The initrd must be Typevisor's own, or its /init must know typevisor.exec.";
  tellUser([`typevisor: the guest stopped ${stage}.${hint}`]);
  return status === 0 ? EXIT_FAILED : status;
}

/** The final status; undefined when the machine ended without saying one. */
function machineStatus(plan: SessionPlan, exit: MachineExit, log: HypervisorLog): number | undefined {
  if (plan.launch.image !== undefined) return log.status.final;
  // Bare QEMU: status 1 with words is its own failure, without them isa-debug-exit with value 0.
  return exit.code === 1 && exit.words !== "" ? undefined : exit.code;
}

function describe(status: number, log: HypervisorLog): string {
  const words = STATUS_WORDS.find(([known]) => known === status)?.[1];
  return (
    [log.status.reason, words].filter((part) => part !== undefined).join(": ") || "the guest ended its VM"
  );
}

function shownTail(log: HypervisorLog): string[] {
  if (log.tail.length === 0) return [];
  return ["The end of the hypervisor's log:", ...log.tail.slice(-SHOWN_LOG_LINES).map((line) => `  ${line}`)];
}

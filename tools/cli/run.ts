// `typevisor run`: boots guests.
import { Command, Option } from "commander";
import { ESCAPE_HELP } from "../console/escape.ts";
import { encodeExec, FIXED_NONCE } from "../console/exec.ts";
import { hasInput } from "../console/exec-input.ts";
import { isInteractive, tellUser, terminalSize } from "../console/terminal.ts";
import { GUEST_PROMPT } from "../guest/guest.ts";
import type { Image } from "../image/build.ts";
import { type Log, logNothing, logToStderr } from "../lib/progress.ts";
import { UserError } from "../lib/user-error.ts";
import { EXIT_LOG_LEVELS, type ExitLogLevel, isExitLine, logFile } from "../machines/log.ts";
import type { Backend } from "../machines/machine.ts";
import { planLaunch } from "../machines/plan.ts";
import { describeRecording, TraceRecorder } from "../machines/recorder.ts";
import { type Choice, MACHINES, selectMachine } from "../machines/select.ts";
import { runSession } from "../machines/session.ts";
import { EXIT_FAILED, EXIT_SIGNAL, EXIT_TIMEOUT, STATUS_WORDS } from "../machines/status.ts";
import { planRecording } from "../replay/plan.ts";
import { WindowRecorder } from "../replay/recorder.ts";
import { traceWords } from "../trace/filter.ts";
import { describeVms, type VmOptions } from "../vm/options.ts";

interface RunOptions extends VmOptions {
  machine: string;
  backend: Backend | "auto";
  exec?: string;
  verbose: boolean;
  timeout?: string;
  icount: boolean;
  repeatable: boolean;
  emulatorArgs?: string[];
  logLevel?: string;
  logFile?: string;
  trace?: string;
  traceFilter?: string[];
  record?: string;
  recordFrom?: string;
  recordExits?: string;
  recordWindow?: string;
  exitLog: ExitLogLevel;
}

export function runCommand(): Command {
  return new Command("run")
    .description(
      "Boot a guest: Debian with a busybox shell unless other files are named. Console or one command.",
    )
    .addOption(
      new Option("--machine <name>", "where to run")
        .choices(["auto", ...MACHINES.map((machine) => machine.name)])
        .default("auto"),
    )
    .addOption(
      new Option("--backend <name>", "virtualization extension")
        .choices(["auto", "vmx", "svm"])
        .default("auto"),
    )
    .option("--kernel <file>", "guest kernel: bzImage, PVH ELF or multiboot ELF32")
    .option("--initrd <file>", "guest initrd (a multiboot guest's module)")
    .option(
      "--append <words>",
      "guest kernel command line, after console=ttyS0 (bzImage) or boot_args (--vm)",
    )
    .option("--memory <size>", "guest memory, such as 256M or 1G (default: 256M)")
    .option("--cpus <n>", "virtual CPUs (default: 1)")
    .option("--vm <file>", "VM file in Firecracker's JSON format, instead of the options above", collect)
    .option(
      "--exec <command>",
      "run a shell command in the guest with our input, if that is a pipe or a file; print its output, exit with its status",
    )
    .option("--verbose", "with --exec: show the guest's boot on standard error", false)
    .option("--timeout <seconds>", `stop after this time, with status ${EXIT_TIMEOUT}`)
    .option("--debug-exit <port>", "let the guest end its VM by writing to this I/O port (isa-debug-exit)")
    .option("--testdev", "give the guest QEMU's pc-testdev, and the debug-exit port 0xf4 (kvm-unit-tests)")
    .option("--no-reboot", "let a reboot by the guest end its VM (always so with --exec)")
    .option("--icount", "QEMU: let time count instructions, for exact measurements", false)
    .option("--repeatable", "emulators: the same run each time, as far as they can (docs/tracing.md)", false)
    .option("--emulator-args <args>", "further arguments for QEMU or Bochs, split at blanks", collect)
    .addOption(
      new Option("--log-level <level>", "hypervisor log").choices(["error", "warn", "info", "debug"]),
    )
    .option("--log-file <file>", "write the hypervisor's log there")
    .option("--trace <file>", "record every exit there, for `typevisor trace`")
    .addOption(
      new Option("--exit-log <level>", "exits on the hypervisor's log: a table at the end, or each one")
        .choices(EXIT_LOG_LEVELS)
        .default("off"),
    )
    .option("--trace-filter <key=value,…>", "record only some exits, such as reason=npf,every=10", collect)
    .addOption(
      new Option(
        "--record <file>",
        "record all that the hypervisor reads, for `typevisor replay`; keeps the last of it",
      ).conflicts(["trace", "exitLog"]),
    )
    .option("--record-from <n>", "begin the recording with exit number N (the first is 0)")
    .option("--record-exits <n>", "end the recording after N exits")
    .option("--record-window <size>", "keep so much of the recording, such as 64M (default: 16M)")
    .addHelpText("after", HELP)
    .action(async (options: RunOptions) => {
      process.exitCode = await run(options);
    });
}

const collect = (value: string, previous: string[] = []) => [...previous, value];

const HELP = `
On the console:
${ESCAPE_HELP.map((line) => `  ${line}`).join("\n")}

Exit status: that of the command with --exec; else
${STATUS_WORDS.map(([status, words]) => `  ${String(status).padStart(3)}  ${words}`).join("\n")}
  ${EXIT_TIMEOUT}  --timeout ran out
  ${EXIT_FAILED}  Typevisor could not do what was asked: options, files, emulator
  ${EXIT_SIGNAL}+ a signal ended the run
With --debug-exit, a guest that writes V to the port ends with status 2V+1.

Examples:
  typevisor run
  typevisor run --exec 'cat /proc/cpuinfo'
  typevisor run --exec 'gunzip | md5sum' < archive.gz
  typevisor run --machine bochs --timeout 120
  typevisor run --exec true --trace boot.trace && typevisor trace boot.trace
  typevisor run --exit-log exits --trace-filter reason=io,port=0x70-0x71 --log-file exits.log
  typevisor run --kernel vmlinuz --initrd initrd.img --append 'root=/dev/ram0' --memory 1G
  typevisor run --vm examples/debian.json`;

async function run(options: RunOptions): Promise<number> {
  // With --exec, only a person who watches sees progress: standard error too may be the command's.
  const log =
    options.exec === undefined || options.verbose || process.stderr.isTTY ? logToStderr : logNothing;
  const exec = options.exec === undefined ? undefined : requestExec(options.exec, options);
  const timeoutSeconds = parseTimeout(options.timeout);
  const choice = await selectMachine(options.machine, options.backend);
  // A command whose guest starts over would run twice.
  const vmOptions = exec === undefined ? options : { ...options, reboot: false };
  const vms = await describeVms(vmOptions, exec?.bootArgs ?? consoleArgs(options), log);
  const hypervisor = choice.machine.backends().length > 0;
  const launch = planLaunch({
    vms,
    hypervisor,
    backend: options.backend,
    logLevel: options.logLevel ?? "info",
    exitLog: options.exitLog,
    emulatorArgs: (options.emulatorArgs ?? []).flatMap((args) =>
      args.split(/\s+/).filter((arg) => arg !== ""),
    ),
    icount: options.icount,
    repeatable: options.repeatable,
  });
  const filter = traceWords(options.traceFilter ?? []);
  if (options.trace !== undefined) launch.trace = filter;
  else launch.hypervisorArgs.push(...filter);
  const recording = planRecording(options);
  if (recording !== undefined) launch.record = recording.words;
  const recorder = recording?.start() ?? createRecorder(options, hypervisor);
  const image = hypervisor ? await buildHypervisor(log, recording !== undefined) : undefined;
  launch.image = image?.elf;
  announce(choice, options, log);
  const sink = logSink(options);
  try {
    const prompt = usesBundledInitrd(options) ? GUEST_PROMPT : undefined;
    return await runSession({
      ...choice,
      launch,
      exec,
      prompt,
      timeoutSeconds,
      onLogLine: sink.write,
      recorder,
    });
  } finally {
    sink.close();
    if (recorder !== undefined) await reportRecording(recorder, image as Image, log);
  }
}

/** The command as the guest and the session need it. */
function requestExec(command: string, { repeatable, verbose }: RunOptions) {
  // Input comes when it comes, which no two runs share.
  const input = !repeatable && hasInput();
  const nonce = repeatable ? FIXED_NONCE : undefined;
  return { ...encodeExec(command, { nonce, input, verbose }), input, verbose };
}

function createRecorder(options: RunOptions, hypervisor: boolean): TraceRecorder | undefined {
  const wanted = options.trace !== undefined || options.exitLog !== "off";
  if (wanted && !hypervisor) {
    throw new UserError("--trace, --exit-log: without the hypervisor there are no exits to record.");
  }
  if (options.trace === undefined && options.exitLog !== "exits" && options.traceFilter !== undefined) {
    throw new UserError(
      "--trace-filter says what --trace FILE or --exit-log exits record: give one of them too.",
    );
  }
  return options.trace === undefined ? undefined : new TraceRecorder(options.trace);
}

async function reportRecording(
  recorder: TraceRecorder | WindowRecorder,
  image: Image,
  log: Log,
): Promise<void> {
  const { text, important } =
    recorder instanceof WindowRecorder
      ? await recorder.close(image)
      : describeRecording(recorder.path, recorder.close());
  if (important) tellUser([`typevisor: ${text}`]);
  else log(text);
}

/** The compilers are loaded only where they are needed: they take longer than all the rest of this program. */
async function buildHypervisor(log: Log, recording: boolean): Promise<Image> {
  const { buildImage } = await import("../image/build.ts");
  return buildImage({ log, recording });
}

function usesBundledInitrd(options: RunOptions): boolean {
  return options.vm === undefined && options.kernel === undefined && options.initrd === undefined;
}

/** Words for the bundled guest's shell. */
function consoleArgs(options: RunOptions): string {
  const size = terminalSize();
  return usesBundledInitrd(options) && size !== undefined ? `typevisor.terminal=${size}` : "";
}

function parseTimeout(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = Number(text);
  if (text.trim() !== "" && seconds > 0 && seconds <= 1e6) return seconds;
  throw new UserError(`--timeout ${text}: expected a number of seconds greater than 0, at most 1000000.`);
}

function announce(choice: Choice, options: RunOptions, log: Log): void {
  const passed = choice.passedOver.length > 0 ? ` (not ${choice.passedOver.join("; not ")})` : "";
  log(`Machine ${choice.machine.name}: ${choice.machine.summary}, ${choice.probe.reason}${passed}`);
  if (options.exec !== undefined && !options.verbose)
    log("The guest boots; the command runs when it is up. --verbose shows the boot.");
  if (options.exec === undefined && isInteractive())
    log("Ctrl-A x leaves, Ctrl-A m opens the monitor, Ctrl-A h helps.");
}

/**
 * Where the hypervisor's log goes: a file; the terminal when a level was asked for, and lines about exits, which are written
 * only on request; else only its end, after failures.
 */
function logSink(options: RunOptions): { write: (line: string) => void; close: () => void } {
  if (options.logFile !== undefined) return logFile(options.logFile);
  const shown = (line: string) => options.logLevel !== undefined || isExitLine(line);
  return { write: (line) => shown(line) && tellUser([line]), close: () => {} };
}

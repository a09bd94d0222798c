// The boot sequence, from top to bottom. boot/start.asm calls `kmain` on the final stack, with linear memory in place,
// interrupts off, and a first set of page tables that maps 4 GiB.
import {
  LAYOUT_BOOT_TSC,
  LAYOUT_CPU_BLOCK,
  LAYOUT_MULTIBOOT_INFO,
  LAYOUT_MULTIBOOT_MAGIC,
  LAYOUT_SYMTAB_START,
} from "./abi/layout";
import { STATUS_BAD_VM, STATUS_UNSUPPORTED } from "./abi/status";
import { TRACE_BACKEND_SVM, TRACE_BACKEND_VMX } from "./abi/trace";
import { VERSION } from "./abi/version";
import { clockSet, nsFromTsc, tscHz } from "./arch/clock";
import { cpuidFeature, ECX } from "./arch/cpuid";
import { reportFault } from "./arch/fault";
import { cpuEnableFeatures } from "./arch/features";
import { phys_store64, rdtsc } from "./arch/intrinsics";
import { bootLayout } from "./lib/layout";
import { PerCpu, thisCpu } from "./arch/percpu";
import { acpiStart } from "./drivers/acpi";
import { apicId, apicIsX2, apicStart } from "./drivers/apic";
import { calibrate, calibratedApicTimerHz, calibratedTscHz, calibrationReference } from "./drivers/calibrate";
import { cmosUnixNs } from "./drivers/cmos";
import { consoleStart } from "./drivers/console";
import { fadtRead } from "./drivers/fadt";
import { hostInterrupt, interruptsRouteConsole, interruptsStart } from "./drivers/interrupts";
import { logPortStart } from "./drivers/logport";
import { madtCpusFound, madtRead } from "./drivers/madt";
import { MULTIBOOT_LOADER_MAGIC, multibootRead } from "./drivers/multiboot";
import { machineStop, powerStart } from "./drivers/power";
import { hostTimerStart, hostTimerStartCounting, hostTimerUsesDeadline } from "./drivers/timer";
import { tracePortUseDebugConsole, tracePortWrite } from "./drivers/traceport";
import { vmCreate } from "./guest/lifecycle";
import { machineInstall } from "./guest/machine";
import { describeVms } from "./guest/options";
import { vmAt, vmCount } from "./guest/vm";
import { arenaNew, arenaSeal, arenaUsed } from "./lib/arena";
import { bootInfo } from "./lib/bootinfo";
import {
  LOG_ERROR,
  LOG_INFO,
  LOG_WARN,
  logDecimal,
  logEnd,
  logLine,
  logStart,
  logText,
  logValue,
} from "./lib/log";
import { panicSetStop } from "./lib/panic";
import { symbolsStart } from "./lib/symbols";
import { optionIs, optionValue } from "./lib/options";
import { monitorEnable } from "./monitor/input";
import { framesFree, framesTotal } from "./mm/frames";
import { NESTED_EPT, NESTED_NPT } from "./mm/nested";
import { IMAGE_BASE, pagingStart } from "./mm/paging";
import { ramStart } from "./mm/ram";
import { recordPrepare } from "./record/hooks";
import { runAll, runPrepare, runSetSummary } from "./run";
import { svmInstall } from "./svm/backend";
import { EXIT_LOG_EXITS, EXIT_LOG_OFF, exitLogLevel, traceReadOptions, traceWanted } from "./trace/options";
import { ringCreate, SINK_LOG, traceSetSinks } from "./trace/ring";
import { tracePrepare, traceStart } from "./trace/stream";
import { backend } from "./vcpu/backend";
import { machine } from "./vcpu/machine";
import { vmxInstall } from "./vmx/backend";

/** The hypervisor. Does not return. */
export function kmain(): void {
  readLoader();
  startLog();
  cpuEnableFeatures();
  startMemory();
  startCpu();
  startInterrupts();
  startClock();
  greet();
  const tables = startBackend();
  createVms(tables);
  startTrace(tables);
  recordPrepare(traceBackend(tables));
  startMonitor();
  arenaSeal();
  logValue(LOG_INFO, "ready ", microsecondsSinceHandOver(), " us after the loader's hand-over");
  machineStop(runAll());
}

function readLoader(): void {
  if (bootLayout(LAYOUT_MULTIBOOT_MAGIC) == MULTIBOOT_LOADER_MAGIC)
    multibootRead(bootLayout(LAYOUT_MULTIBOOT_INFO));
}

function startLog(): void {
  const known = logPortStart();
  const exit = powerStart();
  panicSetStop(machineStop);
  symbolsStart(bootLayout(LAYOUT_SYMTAB_START) - IMAGE_BASE);
  if (bootLayout(LAYOUT_MULTIBOOT_MAGIC) != MULTIBOOT_LOADER_MAGIC) {
    refuse(
      "the loader does not follow the Multiboot specification, version 1. Use GRUB's `multiboot` or QEMU's `-kernel`.",
    );
  }
  if (!known) logLine(LOG_WARN, "options: log is com1 or com2; loglevel is error, warn, info or debug");
  if (!exit) logLine(LOG_WARN, "options: exit is isa:PORT, bochs, acpi or none");
  const info = bootInfo();
  if (info.truncated != 0) logLine(LOG_WARN, "a command line is longer than 2047 bytes and was cut");
  if (info.modulesDropped != 0) logLine(LOG_WARN, "more than 64 modules: the last ones are ignored");
  if (info.rangesDropped != 0)
    logLine(LOG_WARN, "more than 64 ranges in the memory map: the last ones are ignored");
}

function startMemory(): void {
  ramStart();
  pagingStart();
}

function startCpu(): void {
  const cpu = arenaNew<PerCpu>();
  phys_store64(bootLayout(LAYOUT_CPU_BLOCK), changetype<usize>(cpu));
}

function startInterrupts(): void {
  if (!acpiStart())
    logLine(LOG_WARN, "the firmware has no ACPI tables: one CPU, and the 8259 interrupt controller");
  madtRead();
  fadtRead();
  apicStart();
  thisCpu().apicId = apicId();
  interruptsStart();
}

function startClock(): void {
  hostTimerStartCounting();
  if (!calibrate()) {
    refuse(
      "neither the ACPI timer nor the 8254 timer counts, so the processor's clock rate cannot be measured.",
    );
  }
  clockSet(calibratedTscHz());
  hostTimerStart(calibratedApicTimerHz());
  interruptsRouteConsole();
  consoleStart();
}

/** The banner: version, processor, memory, clock. */
function greet(): void {
  if (!logStart(LOG_INFO)) return;
  logText("Typevisor ");
  logText(VERSION);
  logText(", ");
  logDecimal(max<u32>(madtCpusFound(), 1));
  logText(madtCpusFound() > 1 ? " CPUs, " : " CPU, ");
  logDecimal(framesTotal() >> 20);
  logText(" MiB RAM, TSC ");
  logDecimal(tscHz() / 1000);
  logText(" kHz (");
  logText(calibrationReference());
  logText(apicIsX2() ? "), x2APIC" : "), xAPIC");
  logText(hostTimerUsesDeadline() ? ", TSC deadline" : "");
  logEnd();
}

/** Chooses between VT-x and AMD-V and switches it on. Returns the encoding of its nested tables. */
function startBackend(): u32 {
  const hasVmx = cpuidFeature(1, 0, ECX, 5);
  const hasSvm = cpuidFeature(0x80000001, 0, ECX, 2);
  const any = optionValue("backend") == 0 || optionIs("backend", "auto");
  const vmx = optionIs("backend", "vmx") || (any && hasVmx);
  if (!vmx && !optionIs("backend", "svm") && !any) refuse("option backend is auto, vmx or svm.");
  if (any && !hasVmx && !hasSvm) {
    refuse(
      "the processor shows neither VT-x nor AMD-V. Switch virtualization on in the firmware's set-up; under another " +
        "hypervisor, switch nested virtualization on for this machine.",
    );
  }
  if (vmx) vmxInstall(backend());
  else svmInstall(backend());
  const missing = backend().enableCpu();
  if (missing !== null) refuse(missing);
  logName("backend ", backend().name);
  return vmx ? NESTED_EPT : NESTED_NPT;
}

function logName(what: string, name: string): void {
  if (!logStart(LOG_INFO)) return;
  logText(what);
  logText(name);
  logEnd();
}

/** The VMs that the loader's modules and the command line describe. */
function createVms(tables: u32): void {
  if (bootInfo().moduleCount == 0) {
    refuse(
      "no guest to run. Give the loader the guest's kernel as first module (its string: file name, then the kernel's " +
        "command line) and its initial RAM disk as second.",
    );
  }
  machineInstall(machine());
  const framesBefore = framesFree();
  const arenaBefore = arenaUsed();
  const now = cmosUnixNs();
  let good = describeVms();
  for (let i: u32 = 0; good && i < vmCount(); i++) good = vmCreate(vmAt(i), tables, now);
  if (!good) machineStop(STATUS_BAD_VM);
  runPrepare();
  reportMemory(framesBefore - framesFree() + <u64>(arenaUsed() - arenaBefore));
}

/** What the VMs take beside their guests' RAM: control structures, nested tables, devices, counters. */
function reportMemory(taken: u64): void {
  for (let i: u32 = 0; i < vmCount(); i++) taken -= vmAt(i).memoryBytes;
  logValue(LOG_INFO, "memory beside the guests' RAM: ", (taken + 1023) >> 10, " KiB");
}

function microsecondsSinceHandOver(): u64 {
  return nsFromTsc(rdtsc() - bootLayout(LAYOUT_BOOT_TSC)) / 1000;
}

/** The recording of exits, as the command line asks for it (kernel/trace/options.ts). */
function startTrace(tables: u32): void {
  if (optionIs("trace", "e9")) tracePortUseDebugConsole();
  tracePrepare(tracePortWrite);
  traceReadOptions();
  ringCreate(traceWanted());
  const level = exitLogLevel();
  if (level != EXIT_LOG_OFF) runSetSummary();
  if (level == EXIT_LOG_EXITS) traceSetSinks(SINK_LOG);
  if (!traceWanted()) return;
  traceStart(tscHz(), traceBackend(tables), max<u32>(madtCpusFound(), 1), vmCount());
}

/** Traces and recordings say which backend they are of. */
function traceBackend(tables: u32): u32 {
  return tables == NESTED_EPT ? TRACE_BACKEND_VMX : TRACE_BACKEND_SVM;
}

/** The escape key of the console, unless `monitor=off` leaves the guest every byte. */
function startMonitor(): void {
  if (optionIs("monitor", "off")) return;
  monitorEnable();
  logLine(LOG_INFO, "Ctrl-] m on the console opens the monitor");
}

/** The machine lacks what the hypervisor needs. Does not return. */
function refuse(text: string): void {
  logLine(LOG_ERROR, text);
  machineStop(STATUS_UNSUPPORTED);
}

/** Called by the exception stubs of boot/vectors.asm with the frame of boot/frame.inc. */
export function exception(vector: u32, frame: u64): void {
  reportFault(vector, frame);
}

/** Called by the interrupt stubs of boot/vectors.asm. */
export function interrupt(vector: u32): void {
  hostInterrupt(vector);
}

// What the QEMU machines share: finding QEMU, its command line, and the version check.
import { symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { capture, findProgram } from "../lib/command.ts";
import { MIB } from "../lib/size.ts";
import type { VmConfig } from "../vm/config.ts";
import { bootModules, quoteForQemu } from "./cmdline.ts";
import { listenSerial, startEmulator } from "./emulator.ts";
import { FIXED_DATE, type LaunchPlan, type Probe, type RunningMachine } from "./machine.ts";

const PROGRAM = "qemu-system-x86_64";
const PACKAGE_ADVICE = "install the Debian package qemu-system-x86 (`make setup` does)";
/** The oldest QEMU whose emulated SVM and multiboot loader are known to do. */
const OLDEST: [major: number, minor: number] = [6, 2];

/** The port of isa-debug-exit on our QEMU machines; the hypervisor writes its final status there. */
const DEBUG_EXIT_PORT = 0xf4;

/** Whether QEMU is here and new enough. */
export async function probeQemu(): Promise<Probe> {
  const program = findProgram(PROGRAM);
  if (!program) return { available: false, reason: `${PROGRAM} is not installed`, advice: PACKAGE_ADVICE };
  const banner = (await capture(program, ["--version"])).stdout;
  const version = /version (\d+)\.(\d+)(?:\.\d+)?/.exec(banner);
  if (!version)
    return {
      available: false,
      reason: `${program} --version says "${banner.trim()}"`,
      advice: PACKAGE_ADVICE,
    };
  const [major, minor] = [Number(version[1]), Number(version[2])];
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    const reason = `QEMU ${major}.${minor} is too old: ${OLDEST.join(".")} or newer is needed`;
    return { available: false, reason, advice: PACKAGE_ADVICE };
  }
  return { available: true, reason: `QEMU ${version[0].slice("version ".length)}` };
}

/** Starts QEMU with the accelerator options of one machine kind. */
export async function launchQemu(plan: LaunchPlan, accelerator: string[]): Promise<RunningMachine> {
  const console = await listenSerial(join(plan.directory, "console.sock"));
  const log = await listenSerial(join(plan.directory, "log.sock"));
  const command = [
    findProgram(PROGRAM) ?? PROGRAM,
    ...accelerator,
    ...["-m", `${Math.ceil(plan.memoryBytes / MIB)}M`],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...serialOptions("console", 0),
    ...serialOptions("log", 1),
    ...["-device", `isa-debug-exit,iobase=0x${DEBUG_EXIT_PORT.toString(16)},iosize=4`],
    ...(plan.icount || plan.repeatable ? ["-icount", "shift=0,sleep=off"] : []),
    ...(plan.repeatable ? ["-rtc", `base=${FIXED_DATE.slice(0, -1)},clock=vm`] : []),
    ...(plan.image === undefined ? bareOptions(plan) : hypervisorOptions(plan, plan.image)),
    ...plan.emulatorArgs,
  ];
  return startEmulator(command, plan.directory, { console, log }, { stopSignal: "SIGTERM" });
}

/** A serial port that connects to `NAME.sock` in the machine's directory. */
function serialOptions(name: string, index: number): string[] {
  const chardev = `socket,id=${name},path=${name}.sock`;
  return ["-chardev", chardev, "-device", `isa-serial,index=${index},chardev=${name}`];
}

/** Multiboot: QEMU splits module strings at the first blank, so files are reached through links without one. */
function hypervisorOptions(plan: LaunchPlan, image: string): string[] {
  symlinkSync(resolve(image), join(plan.directory, "typevisor"));
  const modules = bootModules(plan.vms).map((module) => {
    symlinkSync(resolve(module.path), join(plan.directory, module.name));
    return quoteForQemu(`${module.name} ${module.text}`);
  });
  const trace = plan.trace === undefined ? [] : ["trace=com2", ...plan.trace];
  const record = plan.record === undefined ? [] : ["record=com2", ...plan.record];
  const words = [
    ...plan.hypervisorArgs,
    ...trace,
    ...record,
    "log=com2",
    `exit=isa:0x${DEBUG_EXIT_PORT.toString(16)}`,
  ];
  const initrd = modules.length === 0 ? [] : ["-initrd", modules.join(",")];
  return ["-kernel", "typevisor", "-append", words.join(" "), ...initrd];
}

/** No hypervisor: the first VM's kernel on the machine itself. */
function bareOptions(plan: LaunchPlan): string[] {
  const vm = plan.vms[0] as VmConfig;
  const initrd = vm.initrd === undefined ? [] : ["-initrd", resolve(vm.initrd)];
  const testdev = vm.testdev === true ? ["-device", "pc-testdev"] : [];
  return ["-kernel", resolve(vm.kernel), ...initrd, "-append", vm.bootArgs, ...testdev];
}

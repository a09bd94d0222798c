// From what the user asked for to VM descriptions: VM files, or one VM from options, with the bundled guest where nothing
// else is named.
import { type Guest, obtainGuest } from "../guest/guest.ts";
import type { Log } from "../lib/progress.ts";
import { formatSize, MIB, parseSize } from "../lib/size.ts";
import { UserError } from "../lib/user-error.ts";
import { wholeFromOne, wholeNumber } from "../lib/whole-number.ts";
import type { VmConfig } from "./config.ts";
import { readVmFile } from "./file.ts";
import { inspectInitrd, inspectKernel, type KernelImage, requireMemory } from "./images.ts";
import { MAX_COMMAND_LINE, MAX_MEMORY, MAX_VCPUS_PER_VM, MAX_VMS, MIN_MEMORY } from "./limits.ts";

/** Options of `typevisor run` that describe VMs, as typed. */
export interface VmOptions {
  vm?: string[];
  kernel?: string;
  initrd?: string;
  append?: string;
  memory?: string;
  cpus?: string;
  debugExit?: string;
  testdev?: boolean;
  /** False: a reset by the guest ends its VM. */
  reboot?: boolean;
}

/** Words that every Linux guest gets first: its console is the serial port. */
const LINUX_BOOT_ARGS = "console=ttyS0";
const DEFAULT_MEMORY = "256M";
const MAX_PORT = 0xffff;

/** The VMs that the options describe, with every file checked. @throws UserError naming the option or file at fault. */
export async function describeVms(options: VmOptions, extraBootArgs: string, log: Log): Promise<VmConfig[]> {
  const vms = options.vm ? vmsFromFiles(options, options.vm) : [await vmFromOptions(options, log)];
  if (vms.length > MAX_VMS) {
    throw new UserError(
      `--vm: ${vms.length} VM files are given; running more than ${MAX_VMS} at once is not supported yet.`,
    );
  }
  for (const vm of vms) finish(vm, options, extraBootArgs);
  return vms;
}

function vmsFromFiles(options: VmOptions, files: string[]): VmConfig[] {
  for (const name of ["kernel", "initrd", "memory", "cpus"] as const) {
    if (options[name] === undefined) continue;
    throw new UserError(`--${name} cannot be combined with --vm: the VM file says it.`);
  }
  return files.map(readVmFile);
}

async function vmFromOptions(options: VmOptions, log: Log): Promise<VmConfig> {
  const { kernel, initrd } = await chooseGuest(options, log);
  const memory = options.memory ?? DEFAULT_MEMORY;
  return {
    name: "vm0",
    kernel,
    initrd,
    bootArgs: "",
    memoryBytes: parseSize(memory, "--memory"),
    cpus: wholeNumber("--cpus", options.cpus ?? "1"),
    restart: true,
  };
}

/** The bundled guest, or parts of it: a kernel of the user's own comes without an initrd. */
async function chooseGuest(options: VmOptions, log: Log): Promise<Partial<Guest> & { kernel: string }> {
  if (options.kernel !== undefined) return { kernel: options.kernel, initrd: options.initrd };
  const guest = await obtainGuest(log);
  return { kernel: guest.kernel, initrd: options.initrd ?? guest.initrd };
}

/** Checks a VM's files and sizes, and completes its command line. */
function finish(vm: VmConfig, options: VmOptions, extraBootArgs: string): void {
  checkSizes(vm);
  const kernel = inspectKernel(vm.kernel);
  const initrdBytes = vm.initrd === undefined ? 0 : inspectInitrd(vm.initrd);
  requireMemory(vm.kernel, kernel, initrdBytes, vm.memoryBytes);
  vm.bootArgs = bootArgs(vm, kernel, options, extraBootArgs);
  if (Buffer.byteLength(vm.bootArgs) >= MAX_COMMAND_LINE) {
    throw new UserError(
      `The kernel command line of ${vm.name} has ${Buffer.byteLength(vm.bootArgs)} bytes; at most ` +
        `${MAX_COMMAND_LINE - 1} are possible. Shorten --append (or boot_args in the VM file).`,
    );
  }
  if (options.reboot === false) vm.restart = false;
  if (options.testdev === true) vm.testdev = true;
  if (options.debugExit !== undefined) vm.debugExitPort = parsePort(options.debugExit);
}

function bootArgs(vm: VmConfig, kernel: KernelImage, options: VmOptions, extra: string): string {
  const first = options.vm === undefined && kernel.format === "bzImage" ? LINUX_BOOT_ARGS : "";
  return [first, vm.bootArgs, extra, options.append ?? ""].filter((part) => part !== "").join(" ");
}

function checkSizes(vm: VmConfig): void {
  const where = `the memory of ${vm.name}`;
  if (vm.memoryBytes < MIN_MEMORY || vm.memoryBytes > MAX_MEMORY) {
    const range = `from ${formatSize(MIN_MEMORY)} to ${formatSize(MAX_MEMORY)}`;
    throw new UserError(`${formatSize(vm.memoryBytes)} is not possible as ${where}: give a size ${range}.`);
  }
  if (vm.memoryBytes % MIB !== 0) {
    throw new UserError(`${formatSize(vm.memoryBytes)} is not possible as ${where}: give whole MiB.`);
  }
  if (vm.cpus < 1 || vm.cpus > MAX_VCPUS_PER_VM) {
    throw new UserError(
      `--cpus ${vm.cpus}: expected ${wholeFromOne(MAX_VCPUS_PER_VM)}; more virtual CPUs are not supported yet.`,
    );
  }
}

function parsePort(text: string): number {
  const port = /^(0x[0-9a-f]{1,4}|\d{1,5})$/i.test(text) ? Number(text) : Number.NaN;
  if (port > 0 && port <= MAX_PORT) return port;
  throw new UserError(`--debug-exit ${text}: expected an I/O port from 1 to 0xffff, such as 0xf4.`);
}

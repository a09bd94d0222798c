// The launch plan of a run: the hypervisor's command line and how much memory the machine gets.

import { statSync } from "node:fs";
import { freemem, totalmem } from "node:os";
import { formatSize, MIB } from "../lib/size.ts";
import { UserError } from "../lib/user-error.ts";
import type { VmConfig } from "../vm/config.ts";
import { vmArgs } from "./cmdline.ts";
import type { ExitLogLevel } from "./log.ts";
import type { Backend, LaunchPlan } from "./machine.ts";

/** Memory for the hypervisor itself: image, linear memory, tables; with room to spare. */
const HYPERVISOR_MEMORY = 32 * MIB;

export interface PlanOptions {
  vms: VmConfig[];
  /** Whether the hypervisor runs below the VMs. */
  hypervisor: boolean;
  backend: Backend | "auto";
  logLevel: string;
  /** What the log says about exits; absent: nothing. */
  exitLog?: ExitLogLevel;
  emulatorArgs: string[];
  icount: boolean;
  /** See LaunchPlan. */
  repeatable?: boolean;
  /** See LaunchPlan. */
  trace?: string[];
}

/**
 * Puts together what a machine needs, but for the image, which takes time to build.
 * @throws UserError when this computer has too little memory.
 */
export function planLaunch(options: PlanOptions): Omit<LaunchPlan, "directory"> {
  const { vms, emulatorArgs, icount, repeatable, trace } = options;
  const hypervisorArgs = [`loglevel=${options.logLevel}`, `backend=${options.backend}`, ...vmArgs(vms)];
  if (options.exitLog !== undefined && options.exitLog !== "off")
    hypervisorArgs.push(`exitlog=${options.exitLog}`);
  const memoryBytes = machineMemory(vms, options.hypervisor);
  if (memoryBytes > totalmem()) {
    throw new UserError(
      `The machine would need ${formatSize(memoryBytes)} of memory, more than this computer has ` +
        `(${formatSize(totalmem())}, ${formatSize(freemem())} free). Lower --memory (or mem_size_mib in the VM file).`,
    );
  }
  return { vms, hypervisorArgs, memoryBytes, emulatorArgs, icount, repeatable, trace };
}

/** Guest memory, and beside it the modules as loaded and the hypervisor; whole MiB. */
function machineMemory(vms: VmConfig[], withHypervisor: boolean): number {
  const guests = vms.reduce((sum, vm) => sum + vm.memoryBytes, 0);
  if (!withHypervisor) return guests;
  const files = vms.flatMap((vm) => [vm.kernel, ...(vm.initrd === undefined ? [] : [vm.initrd])]);
  const modules = files.reduce((sum, file) => sum + Math.ceil(statSync(file).size / MIB) * MIB, 0);
  return guests + modules + HYPERVISOR_MEMORY;
}

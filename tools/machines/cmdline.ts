// The strings that a multiboot loader hands over: the hypervisor's command line, and one string per module that says what
// the module is for and carries the guest's command line. tools/vm and the kernel's boot code share this convention:
//
//   vm0.kernel console=ttyS0 quiet        everything after the token is the guest's command line
//   vm0.initrd
import { UserError } from "../lib/user-error.ts";
import type { VmConfig } from "../vm/config.ts";

export interface BootModule {
  /** The file on the host. */
  path: string;
  /** A short name, unique within a plan, for use as a file name inside the machine. */
  name: string;
  /** The string handed over with it. */
  text: string;
}

/** The modules of all VMs, in order. */
export function bootModules(vms: VmConfig[]): BootModule[] {
  return vms.flatMap((vm, index) => {
    const kernel = {
      path: vm.kernel,
      name: `vm${index}-kernel`,
      text: `vm${index}.kernel ${vm.bootArgs}`.trimEnd(),
    };
    if (vm.initrd === undefined) return [kernel];
    return [kernel, { path: vm.initrd, name: `vm${index}-initrd`, text: `vm${index}.initrd` }];
  });
}

/** The words of the hypervisor's command line that describe VMs. */
export function vmArgs(vms: VmConfig[]): string[] {
  return vms.flatMap((vm, index) => {
    const args = [`vm${index}.memory=${vm.memoryBytes / 1024}K`, `vm${index}.cpus=${vm.cpus}`];
    if (!vm.restart) args.push(`vm${index}.restart=0`);
    if (vm.testdev === true) args.push(`vm${index}.testdev=1`);
    if (vm.debugExitPort !== undefined) args.push(`vm${index}.debug-exit=0x${vm.debugExitPort.toString(16)}`);
    return args;
  });
}

/** A value inside one of QEMU's comma-separated options. */
export function quoteForQemu(text: string): string {
  return text.replaceAll(",", ",,");
}

/**
 * A command line as arguments of a GRUB command. GRUB joins arguments with single blanks and puts a backslash before
 * quotes and backslashes when it rebuilds the line, so those cannot be carried.
 * @throws UserError when the text holds one.
 */
export function quoteForGrub(text: string): string {
  const unfit = /["'\\]/.exec(text);
  if (unfit) {
    throw new UserError(
      `The command line \`${text}\` contains ${unfit[0]}, which GRUB does not hand over unchanged. Leave quotes and ` +
        "backslashes out, or use a machine that boots without GRUB (--machine qemu-tcg).",
    );
  }
  const words = text.split(/\s+/).filter((word) => word !== "");
  return words.map((word) => `'${word}'`).join(" ");
}

// The guest that comes with Typevisor: Debian's kernel and our initramfs.
import type { Log } from "../lib/progress.ts";
import { obtainInitramfs } from "./initramfs.ts";
import { type KernelFlavour, obtainKernel } from "./kernel.ts";

export interface Guest {
  kernel: string;
  initrd: string;
}

/** What init.sh prints before its shell takes input. */
export const GUEST_READY_TEXT = "a busybox shell.";

/** Obtains kernel and initramfs; downloads and builds what is missing. */
export async function obtainGuest(log: Log, flavour: KernelFlavour = "cloud"): Promise<Guest> {
  return { kernel: await obtainKernel(flavour, log), initrd: await obtainInitramfs(log) };
}

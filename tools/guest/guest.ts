// The guest that comes with Typevisor: Debian's kernel and our initramfs.
import type { Log } from "../lib/progress.ts";
import { obtainInitramfs } from "./initramfs.ts";
import { type KernelFlavour, obtainKernel } from "./kernel.ts";

export interface Guest {
  kernel: string;
  initrd: string;
}

/** The prompt of the guest's shell, at the end of its output; its line editor may ask for the cursor's position. */
export const GUEST_PROMPT = /root@guest:[^\r\n]*# (.\[6n)?$/;

/** Obtains kernel and initramfs; downloads and builds what is missing. */
export async function obtainGuest(log: Log, flavour: KernelFlavour = "cloud"): Promise<Guest> {
  return { kernel: await obtainKernel(flavour, log), initrd: await obtainInitramfs(log) };
}

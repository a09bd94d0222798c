// Debian's kernels, unmodified, as guests.
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GUEST_BUILD } from "../lib/paths.ts";
import type { Log } from "../lib/progress.ts";
import { UserError } from "../lib/user-error.ts";
import { type ArchiveName, resolveMetaPackage, unpackPackage } from "./packages.ts";

interface KernelPackage {
  meta: string;
  archive: ArchiveName;
}

/** The flavours of Debian's kernel that serve as guests, and the meta package of each. */
export const KERNEL_FLAVOURS = {
  /** Small, for virtual machines: the default guest. */
  cloud: { meta: "linux-image-cloud-amd64", archive: "amd64" },
  /** What an installed PC runs; XZ-compressed. */
  standard: { meta: "linux-image-amd64", archive: "amd64" },
  /** Preemptible everywhere. */
  rt: { meta: "linux-image-rt-amd64", archive: "amd64" },
  /** Of a later Debian. */
  backports: { meta: "linux-image-cloud-amd64", archive: "backports" },
  /** 32 bits, with and without PAE. */
  "686-pae": { meta: "linux-image-686-pae", archive: "i386" },
  "686": { meta: "linux-image-686", archive: "i386" },
} satisfies Record<string, KernelPackage>;

export type KernelFlavour = keyof typeof KERNEL_FLAVOURS;

/** Path of the bzImage of a flavour; downloads it the first time. */
export async function obtainKernel(flavour: KernelFlavour, log: Log): Promise<string> {
  const directory = join(GUEST_BUILD, flavour);
  const kernel = join(directory, "vmlinuz");
  if (existsSync(kernel)) return kernel;
  const { meta, archive } = KERNEL_FLAVOURS[flavour];
  const name = await resolveMetaPackage(meta, archive);
  log(`Downloading the guest's kernel, Debian package ${name} (some tens of MB) …`);
  const unpacking = join(GUEST_BUILD, `${flavour}.${process.pid}`);
  const file = await unpackPackage(name, unpacking, archive);
  const boot = join(unpacking, "boot");
  const image = readdirSync(boot).find((entry) => entry.startsWith("vmlinuz-"));
  if (!image)
    throw new UserError(`Debian package ${file} holds no boot/vmlinuz-*: it is not a kernel package.`);
  renameSync(join(boot, image), join(unpacking, "vmlinuz"));
  writeFileSync(join(unpacking, "version"), `${image.slice("vmlinuz-".length)}\n`);
  for (const other of readdirSync(unpacking)) {
    if (other !== "vmlinuz" && other !== "version") rmSync(join(unpacking, other), { recursive: true });
  }
  rmSync(directory, { recursive: true, force: true });
  renameSync(unpacking, directory);
  return kernel;
}

/** The release of an obtained kernel, such as `6.1.0-56-cloud-amd64`. */
export function kernelRelease(flavour: KernelFlavour): string {
  return readFileSync(join(GUEST_BUILD, flavour, "version"), "utf8").trim();
}

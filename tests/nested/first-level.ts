// The first-level guest: Debian's kernel with KVM that nests, and Debian's QEMU with its libraries, in an initramfs. Everything
// is of Debian packages; of QEMU, the one that is installed here.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { archive, BUSYBOX, obtainInitramfs } from "../../tools/guest/initramfs.ts";
import { resolveMetaPackage, unpackPackage } from "../../tools/guest/packages.ts";
import { findProgram, mustRun } from "../../tools/lib/command.ts";
import { GUEST_BUILD } from "../../tools/lib/paths.ts";
import type { Log } from "../../tools/lib/progress.ts";
import { UserError } from "../../tools/lib/user-error.ts";
import { type Job, place } from "./jobs.ts";

const QEMU = "qemu-system-x86_64";
const KERNEL_PACKAGE = "linux-image-cloud-amd64";
/** Modules below the kernel's folder. */
const MODULES = [
  "virt/lib/irqbypass.ko",
  "arch/x86/kvm/kvm.ko",
  "arch/x86/kvm/kvm-amd.ko",
  "arch/x86/kvm/kvm-intel.ko",
];
/** What QEMU loads into its machines, and where Debian has it. */
const ROMS = ["bios-256k.bin", "multiboot_dma.bin", "multiboot.bin", "linuxboot_dma.bin", "kvmvapic.bin"];
const ROM_FOLDERS = ["/usr/share/qemu", "/usr/share/seabios", "/usr/share/seabios/optionrom"];
const APPLETS = [
  "sh",
  "mount",
  "insmod",
  "echo",
  "cat",
  "dmesg",
  "tail",
  "timeout",
  "poweroff",
  "rm",
  "stty",
];

/** Begins the lines between which the first-level guest says what a run said. */
export const MARK = "@@typevisor-nested";

const INIT = `#!/bin/sh
mount -t devtmpfs none /dev
mount -t proc none /proc
mount -t sysfs none /sys
mount -t tmpfs none /tmp
dmesg -n 1
insmod /modules/irqbypass.ko
insmod /modules/kvm.ko
insmod /modules/kvm-amd.ko nested=1 2>/dev/null || insmod /modules/kvm-intel.ko nested=1
if [ -c /dev/kvm ]; then . /jobs; else echo "${MARK} no-kvm"; dmesg | tail -n 20; fi
echo "${MARK} over"
# stty waits until the console has sent everything; what is still to be sent when the power goes is lost.
stty -echo < /dev/console
poweroff -f
`;

export interface FirstLevel {
  kernel: string;
  initrd: string;
}

/** Builds it for these jobs, in `directory`. */
export async function buildFirstLevel(jobs: Job[], directory: string, log: Log): Promise<FirstLevel> {
  const kernel = await obtainKernelPackage(log);
  await obtainInitramfs(log);
  log("Building the first-level guest: Debian's kernel, KVM and QEMU …");
  const tree = mkdtempSync(join(directory, "first-level-"));
  for (const folder of ["bin", "dev", "proc", "sys", "tmp"]) mkdirSync(join(tree, folder));
  add(tree, "bin/busybox", BUSYBOX, 0o755);
  for (const applet of APPLETS) symlinkSync("busybox", join(tree, "bin", applet));
  for (const module of MODULES)
    add(tree, `modules/${module.split("/").at(-1)}`, join(kernel.modules, module));
  await addQemu(tree);
  for (const job of jobs) for (const [name, path] of job.files) add(tree, place(name).slice(1), path);
  writeFileSync(join(tree, "init"), INIT);
  chmodSync(join(tree, "init"), 0o755);
  writeFileSync(join(tree, "jobs"), jobs.map(scriptOf).join(""));
  const initrd = `${tree}.gz`;
  writeFileSync(initrd, gzipSync(await archive(tree), { level: 1 }));
  rmSync(tree, { recursive: true });
  return { kernel: kernel.image, initrd };
}

/** Runs a job and says what it said, between marks. */
function scriptOf(job: Job, index: number): string {
  const command = job.command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  return `rm -f /tmp/console /tmp/log
echo "${MARK} begin ${index}"
timeout ${job.timeout} ${command} > /tmp/words 2>&1
echo "${MARK} console"; cat /tmp/console
echo; echo "${MARK} log"; cat /tmp/log
echo; echo "${MARK} words"; cat /tmp/words
echo; echo "${MARK} end ${index}"
`;
}

function add(tree: string, name: string, source: string, mode = 0o644): void {
  const target = join(tree, name);
  if (existsSync(target)) return;
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(source, target);
  chmodSync(target, mode);
}

async function addQemu(tree: string): Promise<void> {
  const program = findProgram(QEMU);
  if (!program) throw new UserError(`${QEMU} is not installed; \`make setup\` installs it.`);
  add(tree, `bin/${QEMU}`, program, 0o755);
  const libraries = (await mustRun("ldd", [program])).match(/\/\S+/g) ?? [];
  for (const library of libraries) add(tree, library.slice(1), library, 0o755);
  for (const rom of ROMS) {
    const source = ROM_FOLDERS.map((folder) => join(folder, rom)).find((path) => existsSync(path));
    if (source) add(tree, `usr/share/qemu/${rom}`, source);
  }
}

interface KernelPackage {
  image: string;
  /** Folder of its modules. */
  modules: string;
}

/** Debian's kernel with its modules; downloads it the first time. */
async function obtainKernelPackage(log: Log): Promise<KernelPackage> {
  const directory = join(GUEST_BUILD, "first-level");
  if (!existsSync(directory)) {
    const name = await resolveMetaPackage(KERNEL_PACKAGE);
    log(`Downloading the first-level guest's kernel, Debian package ${name} (some tens of MB) …`);
    const unpacking = `${directory}.${process.pid}`;
    await unpackPackage(name, unpacking);
    renameSync(unpacking, directory);
  }
  const image = readdirSync(join(directory, "boot")).find((name) => name.startsWith("vmlinuz-"));
  const release = readdirSync(join(directory, "lib/modules"))[0];
  if (!image || !release)
    throw new UserError(`${directory} holds no kernel: remove it, and it is downloaded again.`);
  return {
    image: join(directory, "boot", image),
    modules: join(directory, "lib/modules", release, "kernel"),
  };
}

// Kernels that nobody here chose the details of: everything in Debian that boots as a guest does. Each comes as its package
// has it and has to get as far as it does on a PC with nothing else in it.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type GuestArchitecture, obtainInitramfs } from "../../tools/guest/initramfs.ts";
import { type KernelFlavour, kernelRelease, obtainKernel } from "../../tools/guest/kernel.ts";
import { obtainPackageFile, obtainPackageTree } from "../../tools/guest/package-file.ts";
import { buildImage } from "../../tools/image/build.ts";
import { logNothing } from "../../tools/lib/progress.ts";
import { bochs } from "../../tools/machines/bochs.ts";
import type { Machine } from "../../tools/machines/machine.ts";
import { qemuTcg } from "../../tools/machines/qemu-tcg.ts";
import { Terminal, typevisor } from "../cli/cli.ts";
import { boot } from "./harness.ts";
import { asCorebootPayload } from "./payload.ts";

const MIB = 1024 * 1024;
const MACHINES: [string, Machine][] = [
  ["AMD-V", qemuTcg],
  ["VT-x", bochs],
];

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "typevisor-foreign-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Foreign {
  kernel: () => Promise<string>;
  bootArgs: string;
  memoryMiB: number;
  /** What the console shows once it has got there, and where that takes Bochs minutes, what it shows earlier. */
  shows: RegExp;
  showsEarly?: RegExp;
}

const GRUB_SCRIPT = `serial --unit=0
terminal_output serial
lsmmap
halt
`;

/** GRUB as Debian builds it for coreboot: its core lies at 9000, the tables that it looks for at 500. */
async function grubCore(): Promise<string> {
  const modules = join(
    await obtainPackageTree("grub-coreboot-bin", logNothing),
    "usr/lib/grub/i386-coreboot",
  );
  const [script, core] = [join(directory, "grub.cfg"), join(directory, "core.elf")];
  writeFileSync(script, GRUB_SCRIPT);
  execFileSync("grub-mkimage", [
    ...["-d", modules, "-O", "i386-coreboot", "-p", "/", "-c", script, "-o", core],
    ...["serial", "terminal", "lsmmap", "mmap", "halt"],
  ]);
  writeFileSync(core, asCorebootPayload(readFileSync(core), 0x500, [{ start: 0x100000, bytes: 48 * MIB }]));
  return core;
}

const memtest = (kind: string) => obtainPackageFile("memtest86+", `boot/memtest86+${kind}.bin`, logNothing);
const MEMTEST = {
  bootArgs: "console=ttyS0,115200",
  memoryMiB: 16,
  // It has begun, and after some seconds, which are some of its tests, found nothing wrong.
  shows: /#0 +\[Address test, walking ones(?:.|\n)*#(?:[4-9]|10) +\[(?:.|\n)*Errors: 0 /,
  showsEarly: /#0 +\[Address test, walking ones/,
};

const FOREIGN: [string, Foreign][] = [
  [
    "Xen",
    {
      kernel: () => obtainPackageFile("xen-hypervisor-4.17-amd64", "boot/xen-4.17-amd64.gz", logNothing),
      bootArgs: "xen console=com1 com1=115200,8n1",
      memoryMiB: 128,
      shows: /dom0 kernel not specified/,
    },
  ],
  ["memtest86+, 64 bits", { ...MEMTEST, kernel: () => memtest("x64") }],
  ["memtest86+, 32 bits, by the 32-bit boot protocol", { ...MEMTEST, kernel: () => memtest("ia32") }],
  [
    "GNU Mach",
    {
      kernel: () => obtainPackageFile("gnumach-image-1.8-486", "boot/gnumach-1.8-486.gz", logNothing),
      bootArgs: "console=com0",
      memoryMiB: 64,
      shows: /No bootstrap code loaded with the kernel/,
    },
  ],
  [
    "GRUB, in low memory",
    {
      kernel: grubCore,
      bootArgs: "",
      memoryMiB: 64,
      shows: /base_addr = 0x100000, length = 0x3000000, available RAM/,
    },
  ],
];

describe.each(MACHINES)("on %s", (_backend, machine) => {
  test.each(FOREIGN)(
    "%s",
    async (_name, foreign) => {
      const shows = (machine === bochs ? foreign.showsEarly : undefined) ?? foreign.shows;
      const kernel = await foreign.kernel();
      const image = (await buildImage()).elf;
      const vm = {
        name: "foreign",
        kernel,
        bootArgs: foreign.bootArgs,
        memoryBytes: foreign.memoryMiB * MIB,
        cpus: 1,
        restart: false,
      };
      const { console, log } = await boot(machine, {
        image,
        vms: [vm],
        args: [`vm0.memory=${foreign.memoryMiB}M`, "vm0.restart=0"],
        memoryMiB: foreign.memoryMiB + 64,
        timeout: 100,
        until: shows,
      });
      expect(console, log.join("\n")).toMatch(shows);
    },
    300_000,
  );
});

describe("Linux on AMD-V", () => {
  const kernels: [KernelFlavour, GuestArchitecture, string][] = [
    ["rt", "amd64", "x86_64"],
    ["backports", "amd64", "x86_64"],
    ["686-pae", "i386", "i686"],
    ["686", "i386", "i686"],
  ];
  // Interrupted behind a CMPXCHG16B, QEMU's TCG can give the kernel wrong flags, DF among them: newer kernels allocate memory
  // with that instruction, and boots were lost to it. The kernel is to do without.
  const append = "quiet clearcpuid=cx16";
  test.each(kernels)(
    "%s",
    async (flavour, architecture, machine) => {
      const kernel = await obtainKernel(flavour, logNothing);
      const initrd = await obtainInitramfs(logNothing, architecture);
      const { status, stdout, stderr } = await typevisor([
        ...["run", "--machine", "qemu-tcg", "--kernel", kernel, "--initrd", initrd, "--append", append],
        ...["--timeout", "120", "--exec", "uname -r; uname -m; dmesg -r | grep '^<[0-3]>'; exit 3"],
      ]);
      expect(status, stderr).toBe(3);
      expect(stdout).toBe(`${kernelRelease(flavour)}\n${machine}\n`);
    },
    300_000,
  );
});

test.each(["qemu-tcg", "bochs"])(
  "iPXE, which has a real-mode entry only, comes to its prompt on %s",
  async (machine) => {
    const kernel = await obtainPackageFile("ipxe", "boot/ipxe.lkrn", logNothing);
    const options = `--machine ${machine} --kernel ${kernel} --memory 64M --append ""`;
    const terminal = new Terminal(`$TYPEVISOR run ${options}; echo "status $?"`);
    await terminal.expect("Open Source Network Boot Firmware");
    // Its script has nothing to boot from; a key opens its shell.
    await terminal.expect("Ctrl-B");
    while (!/iPXE>/.test(terminal.screen)) {
      terminal.type("\u0002");
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const seen = terminal.screen.length;
    // biome-ignore lint/suspicious/noTemplateCurlyInString: iPXE's own.
    terminal.type("echo on ${platform}\r");
    await terminal.expect("on pcbios", seen);
    terminal.type("exit\r");
    await terminal.expect("No bootable device.");
    await terminal.expect("status 13");
  },
  300_000,
);

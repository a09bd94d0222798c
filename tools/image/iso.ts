// The bootable CD image: GRUB for BIOS and UEFI, the hypervisor as a multiboot kernel, guests as its modules.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram, mustRun } from "../lib/command.ts";
import { type BootModule, quoteForGrub } from "../machines/cmdline.ts";
import type { Probe } from "../machines/machine.ts";
import type { VmConfig } from "../vm/config.ts";

export type Firmware = "bios" | "uefi";

/** GRUB's platform directory per firmware, and the Debian package that holds it. */
const PLATFORMS: Record<Firmware, { directory: string; package: string }> = {
  bios: { directory: "/usr/lib/grub/i386-pc", package: "grub-pc-bin" },
  uefi: { directory: "/usr/lib/grub/x86_64-efi", package: "grub-efi-amd64-bin" },
};

/** Partition maps: GRUB's UEFI image tries them all on the CD and complains about each that is missing. */
const PARTITION_MAPS = [
  "acorn",
  "amiga",
  "apple",
  "bsd",
  "dfly",
  "dvh",
  "gpt",
  "msdos",
  "plan",
  "sun",
  "sunpc",
];

/** GRUB modules that the menu needs, whichever the firmware. */
const GRUB_MODULES = [
  ...["acpi", "all_video", "iso9660", "multiboot", "normal", "test"],
  ...PARTITION_MAPS.map((name) => `part_${name}`),
];

/**
 * UEFI keeps the ACPI root pointer in a table that multiboot does not hand over: GRUB's acpi command copies it to where a
 * BIOS would leave it (the extended BIOS data area).
 */
const UEFI_SET_UP = `if [ "$grub_platform" = efi ]; then
  insmod all_video
  insmod acpi
  acpi
fi
`;

const TOOLS: { program: string; package: string }[] = [
  { program: "grub-mkrescue", package: "grub-common" },
  { program: "xorriso", package: "xorriso" },
  { program: "mformat", package: "mtools" },
];

export interface MenuEntry {
  title: string;
  /** Words of the hypervisor's command line. */
  hypervisorArgs: string[];
}

export interface IsoPlan {
  output: string;
  /** The hypervisor, elf32 multiboot. */
  image: string;
  modules: BootModule[];
  /** The menu; the first is booted after `timeoutSeconds`. */
  entries: MenuEntry[];
  timeoutSeconds: number;
  firmware: Firmware[];
}

/** Whether CD images can be built here. */
export function probeIsoTools(firmware: Firmware[] = ["bios"]): Probe {
  const programs = TOOLS.filter((tool) => !findProgram(tool.program));
  const platforms = firmware
    .map((kind) => PLATFORMS[kind])
    .filter((platform) => !existsSync(platform.directory));
  const missing = [...programs, ...platforms].map((item) => item.package);
  if (missing.length === 0) return { available: true, reason: "CD images can be built" };
  return {
    available: false,
    reason: `CD images need ${missing.join(", ")}`,
    advice: `install the Debian packages ${missing.join(" ")} (\`make setup\` does)`,
  };
}

/** Builds the CD image. */
export async function buildIso(plan: IsoPlan): Promise<void> {
  const files = new Map(plan.modules.map(({ name, path }) => [name, path]));
  await rescue(plan.output, plan.firmware, files.set("typevisor", plan.image), menu(plan), GRUB_MODULES);
}

/** Builds a CD image for BIOS that boots a Linux kernel, without the hypervisor. */
export async function buildLinuxIso(output: string, vm: VmConfig): Promise<void> {
  const files = new Map([["vmlinuz", vm.kernel]]);
  if (vm.initrd !== undefined) files.set("initrd", vm.initrd);
  const initrd = vm.initrd === undefined ? "" : "initrd /boot/initrd\n";
  const text = `set timeout=0\nmenuentry linux {\nlinux /boot/vmlinuz ${quoteForGrub(vm.bootArgs)}\n${initrd}}\n`;
  await rescue(output, ["bios"], files, text, ["iso9660", "linux", "normal"]);
}

/** A CD image with `files`, by name, in /boot, and GRUB with `modules` and this menu. */
async function rescue(
  output: string,
  firmware: Firmware[],
  files: Map<string, string>,
  text: string,
  modules: string[],
): Promise<void> {
  const tree = mkdtempSync(join(tmpdir(), "typevisor-iso-"));
  // With one firmware, name its directory: grub-mkrescue would otherwise add every platform that is installed.
  const [only, another] = firmware;
  const platform = only && !another ? [`--directory=${PLATFORMS[only].directory}`] : [];
  const trimmed = [`--install-modules=${modules.join(" ")}`, "--fonts=", "--locales=", "--themes="];
  try {
    mkdirSync(join(tree, "boot/grub"), { recursive: true });
    for (const [name, path] of files) copyFileSync(path, join(tree, "boot", name));
    writeFileSync(join(tree, "boot/grub/grub.cfg"), text);
    const program = findProgram("grub-mkrescue") ?? "grub-mkrescue";
    await mustRun(program, [...platform, ...trimmed, "-o", output, tree]);
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

function menu(plan: IsoPlan): string {
  const modules = plan.modules.map(
    (module) => `  module --nounzip /boot/${module.name} ${quoteForGrub(module.text)}\n`,
  );
  const entries = plan.entries.map((entry) => {
    const line = `multiboot /boot/typevisor ${quoteForGrub(entry.hypervisorArgs.join(" "))}`;
    return `menuentry '${entry.title}' {\n  ${line}\n${modules.join("")}}\n`;
  });
  return `set timeout=${plan.timeoutSeconds}\n${UEFI_SET_UP}${entries.join("")}`;
}

// `typevisor iso`: a CD image that boots Typevisor and a guest on PCs, with BIOS or UEFI.
import { statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { Command } from "commander";
import { buildIso, probeIsoTools } from "../image/iso.ts";
import { bareMetalEntries } from "../image/menu.ts";
import { BUILD } from "../lib/paths.ts";
import { logToStderr } from "../lib/progress.ts";
import { formatSize } from "../lib/size.ts";
import { UserError } from "../lib/user-error.ts";
import { bootModules } from "../machines/cmdline.ts";
import { describeVms, type VmOptions } from "../vm/options.ts";

const HELP = `
The guest's console and the hypervisor's log are on the first serial port (115200 baud).
Write the image to a USB stick with \`dd if=build/typevisor.iso of=/dev/sdX bs=4M\`, or try it:
  qemu-system-x86_64 -accel tcg -cpu max -m 512 -cdrom build/typevisor.iso -nographic
  qemu-system-x86_64 -accel tcg -cpu max -m 512 -cdrom build/typevisor.iso -nographic -bios /usr/share/ovmf/OVMF.fd`;

export function isoCommand(): Command {
  return new Command("iso")
    .description("Build a bootable CD or USB image with the hypervisor and a guest, for BIOS and UEFI.")
    .option("-o, --output <file>", "where to write it", join(BUILD, "typevisor.iso"))
    .option("--kernel <file>", "guest kernel (default: Debian's)")
    .option("--initrd <file>", "guest initrd (default: a busybox shell)")
    .option(
      "--append <words>",
      "guest kernel command line, after console=ttyS0 (bzImage) or boot_args (--vm)",
    )
    .option("--memory <size>", "guest memory (default: 256M)")
    .option("--vm <file>", "VM file in Firecracker's JSON format", (value: string) => [value])
    .addHelpText("after", HELP)
    .action(iso);
}

async function iso(options: VmOptions & { output: string }): Promise<void> {
  const tools = probeIsoTools(["bios", "uefi"]);
  if (!tools.available) throw new UserError(`${tools.reason}. To get it: ${tools.advice}.`);
  const vms = await describeVms(options, "", logToStderr);
  const { buildImage } = await import("../image/build.ts");
  const { elf } = await buildImage({ log: logToStderr });
  const output = resolve(options.output);
  await buildIso({
    output,
    image: elf,
    modules: bootModules(vms),
    entries: bareMetalEntries(vms),
    timeoutSeconds: 3,
    firmware: ["bios", "uefi"],
  });
  process.stdout.write(`${relative(process.cwd(), output)}  ${formatSize(statSync(output).size)}\n`);
}

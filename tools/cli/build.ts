// `typevisor build`: the hypervisor image.
import { statSync } from "node:fs";
import { relative } from "node:path";
import { Command } from "commander";
import { logToStderr } from "../lib/progress.ts";
import { formatSize } from "../lib/size.ts";

export function buildCommand(): Command {
  return new Command("build")
    .description("Build the hypervisor image; only what changed is compiled again.")
    .option("--force", "compile everything again", false)
    .addHelpText(
      "after",
      "\nExample:\n  typevisor build && qemu-system-x86_64 -cpu max -kernel build/typevisor.elf …",
    )
    .action(async (options: { force: boolean }) => {
      const { buildImage } = await import("../image/build.ts");
      const { elf, elf64 } = await buildImage({ log: logToStderr, force: options.force });
      for (const path of [elf, elf64]) {
        process.stdout.write(`${relative(process.cwd(), path)}  ${formatSize(statSync(path).size)}\n`);
      }
    });
}

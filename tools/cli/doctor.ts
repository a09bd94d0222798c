// `typevisor doctor`: what this computer can do, and what is missing.
import { Command } from "commander";
import { examine } from "../setup/doctor.ts";

export function doctorCommand(): Command {
  return new Command("doctor")
    .description("Say what this computer can do (machines, tools, guest) and what to install.")
    .addHelpText("after", "\nExit status: 0 when a machine can run and the image can be built, else 1.")
    .action(async () => {
      const { lines, ready } = await examine();
      process.stdout.write(`${lines.join("\n")}\n`);
      process.exitCode = ready ? 0 : 1;
    });
}

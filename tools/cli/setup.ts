// `typevisor setup`: installs the Debian packages that the tools need.
import { Command } from "commander";
import { logToStderr } from "../lib/progress.ts";
import { installMissing } from "../setup/install.ts";
import { PURPOSES, type Purpose } from "../setup/packages.ts";

const HELP = `
Examples:
  typevisor setup run     what \`typevisor run\` needs
  typevisor setup         everything, for the tests too`;

export function setupCommand(): Command {
  return new Command("setup")
    .description(
      "Install the Debian packages that are missing, saying which and why. Uses sudo unless run by root.",
    )
    .argument("[purpose]", `what for: ${PURPOSES.join(", ")}`, "test")
    .addHelpText("after", HELP)
    .action((purpose: string) => installMissing(purpose as Purpose, logToStderr));
}

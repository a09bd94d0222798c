// Installing what is missing, openly: the packages and their reasons first, then apt's own output.
import { spawn } from "node:child_process";
import { findProgram } from "../lib/command.ts";
import type { Log } from "../lib/progress.ts";
import { UserError } from "../lib/user-error.ts";
import { missingPackages, PURPOSES, type Purpose } from "./packages.ts";

/** Installs the packages for `purpose` that are missing. @throws UserError when that is not possible. */
export async function installMissing(purpose: Purpose, log: Log): Promise<void> {
  if (!PURPOSES.includes(purpose)) {
    throw new UserError(`setup ${purpose}: there is no such purpose. Choose ${PURPOSES.join(" or ")}.`);
  }
  const missing = await missingPackages(purpose);
  if (missing === undefined) {
    log(
      "This system has no dpkg: set-up installs nothing here. `typevisor doctor` says which programs are missing.",
    );
    return;
  }
  if (missing.length === 0) return;
  log("Installing Debian packages:");
  const width = Math.max(...missing.map((item) => item.name.length));
  for (const item of missing) log(`  ${item.name.padEnd(width)}  ${item.why}`);
  const names = missing.map((item) => item.name);
  const install = [
    "install",
    "-y",
    "-q",
    "--no-install-recommends",
    "-o",
    "DPkg::Lock::Timeout=120",
    ...names,
  ];
  const updated = await asRoot(["apt-get", "update", "-q"], names);
  if (updated !== 0) log("Not every package list could be renewed; trying with those at hand.");
  const installed = await asRoot(["apt-get", ...install], names);
  if (installed === 0) return;
  const command = `apt-get ${install.join(" ")}`;
  throw new UserError(
    `\`${command}\` failed with status ${installed}; its own words are above. Mend that and try again.`,
  );
}

/** Runs a command as root with its output shown, through sudo when needed. @returns its exit status. */
async function asRoot(command: string[], names: string[]): Promise<number> {
  const root = process.getuid?.() === 0;
  if (!root && !findProgram("sudo")) {
    throw new UserError(
      `You are not root and there is no sudo. As root, run: apt-get install --no-install-recommends ${names.join(" ")}`,
    );
  }
  const args = ["DEBIAN_FRONTEND=noninteractive", ...command];
  return new Promise((resolve, reject) => {
    // apt's output goes to standard error: standard output belongs to results.
    const child = spawn(root ? "env" : "sudo", args, { stdio: ["inherit", 2, 2] });
    child.on("error", reject);
    child.on("close", (code) => resolve(code ?? 255));
  });
}

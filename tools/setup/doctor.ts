// What this computer can do for Typevisor: machines, tools, guest files, packages.
import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { probeIsoTools } from "../image/iso.ts";
import { findProgram } from "../lib/command.ts";
import { GUEST_BUILD, ROOT } from "../lib/paths.ts";
import type { Machine, Probe } from "../machines/machine.ts";
import { MACHINES } from "../machines/select.ts";
import { missingPackages } from "./packages.ts";

export interface Examination {
  lines: string[];
  /** The image can be built and a machine can run it. */
  ready: boolean;
}

const BUILD_TOOLS = ["nasm", "ld", "objcopy"];
const GUEST_FILES = ["cloud/vmlinuz", "standard/vmlinuz", "initramfs.gz"];

const mark = (good: boolean) => (good ? "yes" : "no ");

/** Looks at everything; changes nothing. */
export async function examine(): Promise<Examination> {
  const machines = await Promise.all(
    MACHINES.map(async (machine) => ({ machine, probe: await machine.probe() })),
  );
  const canBuild = BUILD_TOOLS.every((name) => findProgram(name));
  const canRun = machines.some(({ machine, probe }) => probe.available && machine.backends().length > 0);
  const lines = [
    "Machines (`--machine`), best first:",
    ...machines.flatMap(({ machine, probe }) => describeMachine(machine, probe)),
    "",
    "Tools:",
    ...BUILD_TOOLS.map((name) => describeTool(name)),
    describeProbe("CD images", probeIsoTools(["bios", "uefi"])),
    "",
    "Guest files (obtained by the first `typevisor run` or test):",
    ...GUEST_FILES.map((name) => describeFile(join(GUEST_BUILD, name))),
    "",
    ...(await packageAdvice()),
  ];
  return { lines, ready: canBuild && canRun };
}

function describeMachine(machine: Machine, probe: Probe): string[] {
  const line = `  ${mark(probe.available)}  ${machine.name.padEnd(10)}  ${machine.summary}: ${probe.reason}`;
  return probe.advice ? [line, `${" ".repeat(19)}→ ${probe.advice}`] : [line];
}

function describeTool(name: string): string {
  const path = findProgram(name);
  return `  ${mark(path !== undefined)}  ${name.padEnd(10)}  ${path ?? "not installed"}`;
}

function describeProbe(name: string, probe: Probe): string {
  return `  ${mark(probe.available)}  ${name.padEnd(10)}  ${probe.reason}`;
}

function describeFile(path: string): string {
  return `  ${mark(existsSync(path))}  ${relative(ROOT, path)}`;
}

async function packageAdvice(): Promise<string[]> {
  const missing = await missingPackages("test");
  if (missing === undefined)
    return ["This system has no dpkg: install the missing programs by its own means."];
  if (missing.length === 0) return ["All Debian packages are installed."];
  const names = missing.map((item) => item.name).join(" ");
  return [`Missing Debian packages: ${names}`, "`make setup` (or `typevisor setup`) installs them."];
}

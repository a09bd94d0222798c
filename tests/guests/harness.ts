// Runs a NASM guest under the hypervisor on a machine, and returns what it said and how it ended.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { buildImage } from "../../tools/image/build.ts";
import { mustRun } from "../../tools/lib/command.ts";
import { bochs } from "../../tools/machines/bochs.ts";
import type { Machine } from "../../tools/machines/machine.ts";
import { planLaunch } from "../../tools/machines/plan.ts";
import { qemuTcg } from "../../tools/machines/qemu-tcg.ts";
import { HypervisorStatus } from "../../tools/machines/status.ts";
import type { VmConfig } from "../../tools/vm/config.ts";

const folder = dirname(fileURLToPath(import.meta.url));
const MIB = 1024 * 1024;

export { PASSED } from "./cases.ts";

export const DEBUG_EXIT = 0xf4;

/** Both backends, on machines that every computer has. */
export const machines: [name: string, machine: Machine][] = [
  ["AMD-V (QEMU)", qemuTcg],
  ["VT-x (Bochs)", bochs],
];

export interface GuestOptions {
  /** Constants that the hypervisor's image is compiled with. */
  defines?: Record<string, string>;
  /** Further words for the hypervisor's command line, such as `vm0.lazy=1`. */
  hypervisorArgs?: string[];
  memoryMiB?: number;
  bootArgs?: string;
  icount?: boolean;
  emulatorArgs?: string[];
  /** Seconds until the guest counts as hung. */
  timeout?: number;
  restart?: boolean;
  /** VMs that run it, one after another. */
  vms?: number;
}

export interface GuestResult {
  /** The guest's serial output. */
  output: string;
  /** The hypervisor's log. */
  log: string;
  /** Why the VM stopped, in the hypervisor's words, such as `debug-exit`; undefined: it did not. */
  reason?: string;
  status?: number;
}

/** Assembles `NAME.asm` of this folder (or of `source`) into a multiboot ELF32 kernel in `directory`. */
export async function assembleGuest(name: string, directory: string, source = folder): Promise<string> {
  mkdirSync(directory, { recursive: true });
  const object = join(directory, `${name}.o`);
  const kernel = join(directory, `${name}.elf`);
  await mustRun("nasm", ["-f", "elf32", "-I", `${folder}/`, "-o", object, join(source, `${name}.asm`)]);
  await mustRun("ld", [
    "-m",
    "elf_i386",
    "-nostdlib",
    "-z",
    "noexecstack",
    "--no-warn-rwx-segments",
    "-T",
    join(folder, "guest.ld"),
    "-o",
    kernel,
    object,
  ]);
  return kernel;
}

/** Runs a guest to its end. */
export async function runGuest(
  name: string,
  machine: Machine,
  options: GuestOptions = {},
): Promise<GuestResult> {
  const directory = mkdtempSync(join(tmpdir(), "typevisor-guest-"));
  try {
    const kernel = await assembleGuest(name, directory);
    return await runKernel(kernel, machine, directory, options);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Runs a guest kernel; `directory` is private to the run. */
export async function runKernel(
  kernel: string,
  machine: Machine,
  directory: string,
  options: GuestOptions = {},
): Promise<GuestResult> {
  const vm: VmConfig = {
    name: "guest",
    kernel: resolve(kernel),
    bootArgs: options.bootArgs ?? "",
    memoryBytes: (options.memoryMiB ?? 32) * MIB,
    cpus: 1,
    restart: options.restart ?? false,
    debugExitPort: DEBUG_EXIT,
  };
  const image = (await buildImage({ defines: options.defines })).elf;
  const launch = planLaunch({
    vms: Array.from({ length: options.vms ?? 1 }, () => vm),
    hypervisor: true,
    backend: "auto",
    logLevel: "info",
    emulatorArgs: options.emulatorArgs ?? [],
    icount: options.icount ?? false,
  });
  launch.hypervisorArgs.push(...(options.hypervisorArgs ?? []));
  const running = await machine.launch({ ...launch, image, directory });
  const output = collect(running.console);
  const log = collect(running.log);
  const limit = setTimeout(() => running.kill(), (options.timeout ?? 30) * 1000);
  await running.exited;
  clearTimeout(limit);
  return describeEnd(await output, await log);
}

/** Everything a stream says until it ends. */
function collect(stream: NodeJS.ReadableStream): Promise<string> {
  const pieces: Buffer[] = [];
  return new Promise((done) => {
    const finish = () => done(Buffer.concat(pieces).toString("latin1"));
    stream.on("data", (piece: Buffer) => pieces.push(piece));
    stream.on("end", finish);
    stream.on("close", finish);
    stream.on("error", finish);
  });
}

function describeEnd(output: string, log: string): GuestResult {
  const status = new HypervisorStatus();
  for (const line of log.split(/\r?\n/)) status.take(line);
  return { output, log, reason: status.reason?.replace(/^vm0: /, ""), status: status.final };
}

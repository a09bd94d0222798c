// Boots an image of the hypervisor on an emulated machine and returns what it said on both serial ports.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Machine, RunningMachine } from "../../tools/machines/machine.ts";
import { HypervisorStatus } from "../../tools/machines/status.ts";
import type { VmConfig } from "../../tools/vm/config.ts";

const MIB = 1024 * 1024;

export interface BootOptions {
  image: string;
  /** Words of the hypervisor's command line. */
  args?: string[];
  vms?: VmConfig[];
  memoryMiB?: number;
  emulatorArgs?: string[];
  /** Seconds until the machine counts as hung. */
  timeout?: number;
  /** The machine is ended as soon as its console shows this. */
  until?: RegExp;
}

export interface BootResult {
  /** COM1. */
  console: string;
  /** COM2: the hypervisor's log, lines without their ends. */
  log: string[];
  /** The hypervisor's final status; undefined: it did not come to its end. */
  status: number | undefined;
}

/** Runs the machine to its end. */
export async function boot(machine: Machine, options: BootOptions): Promise<BootResult> {
  const directory = mkdtempSync(join(tmpdir(), "typevisor-boot-"));
  try {
    const running = await machine.launch({
      image: options.image,
      hypervisorArgs: options.args ?? [],
      vms: options.vms ?? [],
      memoryBytes: (options.memoryMiB ?? 64) * MIB,
      emulatorArgs: options.emulatorArgs ?? [],
      icount: false,
      directory,
    });
    if (options.until) endWhen(running, options.until);
    const said = [collect(running.console), collect(running.log)] as const;
    const limit = setTimeout(() => running.kill(), (options.timeout ?? 30) * 1000);
    await running.exited;
    clearTimeout(limit);
    const [console, log] = await Promise.all(said);
    return describe(console, log);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Ends a machine whose console shows `pattern`. */
function endWhen(running: RunningMachine, pattern: RegExp): void {
  let shown = "";
  running.console.on("data", (piece: Buffer) => {
    shown += piece.toString("latin1");
    if (pattern.test(shown)) running.kill();
  });
}

function describe(console: string, text: string): BootResult {
  const log = text.split(/\r?\n/).filter((line) => line !== "");
  const status = new HypervisorStatus();
  for (const line of log) status.take(line);
  return { console, log, status: status.final };
}

/** Everything a stream says until it ends. */
function collect(stream: NodeJS.ReadableStream): Promise<string> {
  const pieces: Buffer[] = [];
  return new Promise((done) => {
    stream.on("data", (piece: Buffer) => pieces.push(piece));
    for (const end of ["end", "close", "error"])
      stream.on(end, () => done(Buffer.concat(pieces).toString("latin1")));
  });
}

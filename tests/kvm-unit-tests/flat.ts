// Runs one flat of kvm-unit-tests, under the hypervisor or on the bare emulator.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { MIB } from "../../tools/lib/size.ts";
import type { Machine } from "../../tools/machines/machine.ts";
import { planLaunch } from "../../tools/machines/plan.ts";
import { HypervisorStatus } from "../../tools/machines/status.ts";
import { describeRun, type Run } from "./results.ts";

const MEMORY_MIB = 256;
/** What the flats would ask QEMU's fw_cfg for, which a VM does not have. */
const ENVIRONMENT = `NR_CPUS=1\nMEMSIZE=${MEMORY_MIB}\nTEST_DEVICE=1\nBOOTLOADER=0\n`;

export interface FlatOptions {
  flat: string;
  machine: Machine;
  /** The hypervisor's image; absent: the flat runs on the machine itself. */
  image?: string;
  seconds: number;
}

export async function runFlat({ flat, machine, image, seconds }: FlatOptions): Promise<Run> {
  const directory = mkdtempSync(join(tmpdir(), "typevisor-flat-"));
  try {
    const environment = join(directory, "environment");
    writeFileSync(environment, ENVIRONMENT);
    const vm = {
      name: "flat",
      kernel: flat,
      initrd: environment,
      // QEMU puts the file's name before the arguments by itself.
      bootArgs: image === undefined ? "" : basename(flat),
      memoryBytes: MEMORY_MIB * MIB,
      cpus: 1,
      restart: false,
      testdev: true,
    };
    const plan = planLaunch({
      vms: [vm],
      hypervisor: image !== undefined,
      backend: "auto",
      logLevel: "info",
      emulatorArgs: [],
      icount: false,
    });
    const running = await machine.launch({ ...plan, image, directory });
    let timedOut = false;
    const limit = setTimeout(() => {
      timedOut = true;
      running.kill();
    }, seconds * 1000);
    const said = [collect(running.console), collect(running.log)] as const;
    const exit = await running.exited;
    clearTimeout(limit);
    const [console, log] = await Promise.all(said);
    if (timedOut) return describeRun(console, undefined, `stopped after ${seconds} s`);
    if (image === undefined) return describeRun(console, exit.code, `QEMU's status ${exit.code}`);
    const status = new HypervisorStatus();
    for (const line of log.split(/\r?\n/)) status.take(line);
    return describeRun(console, status.final, status.reason ?? "no status");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function collect(stream: NodeJS.ReadableStream): Promise<string> {
  const pieces: Buffer[] = [];
  return new Promise((done) => {
    stream.on("data", (piece: Buffer) => pieces.push(piece));
    for (const end of ["end", "close", "error"])
      stream.on(end, () => done(Buffer.concat(pieces).toString("latin1")));
  });
}

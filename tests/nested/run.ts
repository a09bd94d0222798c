// Runs jobs on a first-level guest: an emulator with AMD-V or VT-x, in it Debian with KVM, in that QEMU with KVM.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { buildImage } from "../../tools/image/build.ts";
import { BUILD } from "../../tools/lib/paths.ts";
import type { Log } from "../../tools/lib/progress.ts";
import { GIB } from "../../tools/lib/size.ts";
import { UserError } from "../../tools/lib/user-error.ts";
import { bochs } from "../../tools/machines/bochs.ts";
import type { Machine } from "../../tools/machines/machine.ts";
import { qemuPlain } from "../../tools/machines/qemu-plain.ts";
import { buildFirstLevel } from "./first-level.ts";
import { allJobs, type Job } from "./jobs.ts";
import { Report, type Verdict } from "./report.ts";

interface Outer {
  machine: Machine;
  memoryBytes: number;
  bootArgs: string;
  /** Minutes that all jobs may take. */
  minutes: number;
}

const OUTERS: Record<string, Outer> = {
  "qemu-tcg": { machine: qemuPlain, memoryBytes: 3 * GIB, bootArgs: "", minutes: 30 },
  // The first level's time goes into its mitigations and self-tests otherwise.
  bochs: {
    machine: bochs,
    memoryBytes: 1.5 * GIB,
    bootArgs: "mitigations=off cryptomgr.notests",
    minutes: 170,
  },
};

/** Runs the jobs whose names hold `only` on machine `name`. @throws UserError when there is no such machine, or no such job. */
export async function runNested(
  name: string,
  only: string,
  log: Log,
  onVerdict: (verdict: Verdict) => void,
): Promise<Report> {
  const outer = OUTERS[name];
  if (!outer) throw new UserError(`--machine ${name}: choose ${Object.keys(OUTERS).join(" or ")}.`);
  const probe = await outer.machine.probe();
  if (!probe.available) throw new UserError(`machine ${name}: ${probe.reason}. To get it: ${probe.advice}.`);
  mkdirSync(BUILD, { recursive: true });
  const directory = mkdtempSync(join(BUILD, "nested-"));
  try {
    const { elf } = await buildImage({ log });
    const jobs = (await allJobs(elf, directory, log)).filter((job) => job.name.includes(only));
    if (jobs.length === 0) throw new UserError(`--only ${only}: there is none whose name has that in it.`);
    return await runJobs(outer, jobs, directory, log, onVerdict);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function runJobs(
  outer: Outer,
  jobs: Job[],
  directory: string,
  log: Log,
  onVerdict: (verdict: Verdict) => void,
): Promise<Report> {
  const { kernel, initrd } = await buildFirstLevel(jobs, directory, log);
  const report = new Report(jobs, onVerdict);
  const vm = {
    name: "first-level",
    kernel,
    initrd,
    bootArgs: `console=ttyS0,115200 quiet panic=-1 ${outer.bootArgs}`.trimEnd(),
    memoryBytes: outer.memoryBytes,
    cpus: 1,
    restart: false,
  };
  const plan = { vms: [vm], hypervisorArgs: [], emulatorArgs: [], icount: false, directory };
  const running = await outer.machine.launch({ ...plan, memoryBytes: outer.memoryBytes });
  running.console.on("data", (piece: Buffer) => report.push(piece));
  const limit = setTimeout(() => running.kill(), outer.minutes * 60_000);
  const exit = await running.exited;
  clearTimeout(limit);
  if (!report.over)
    report.failure ??= `the first-level guest did not come to its end. ${exit.words}`.trimEnd();
  return report;
}

// Debian to a shell, on the hypervisor and on the bare emulator, interleaved; in instructions, which -icount makes of time.
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { buildImage } from "../tools/image/build.ts";
import { logToStderr } from "../tools/lib/progress.ts";
import type { Machine } from "../tools/machines/machine.ts";
import { planLaunch } from "../tools/machines/plan.ts";
import { qemuPlain } from "../tools/machines/qemu-plain.ts";
import { qemuTcg } from "../tools/machines/qemu-tcg.ts";
import { describeVms } from "../tools/vm/options.ts";
import type { Figure } from "./report.ts";

const ROUNDS = 2;
const ATTEMPTS = 3;
const TIMEOUT_MILLISECONDS = 240_000;
/** The guest prints its kernel's uptime when the shell is there, then ends. */
const COMMAND = "cat /proc/uptime; poweroff -f\n";
const PROMPT = /root@guest:.*# /;
const RATIO_BUDGET = 1.08;

/** Seconds from the guest's start to its shell in which it was not idle: with -icount, billions of instructions. */
async function bootSeconds(machine: Machine, directory: string): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const seconds = await bootOnce(machine, mkdtempSync(join(directory, "boot-")));
    if (seconds !== undefined) return seconds;
    if (attempt === ATTEMPTS)
      throw new Error(`Debian did not reach its shell on ${machine.name} in ${ATTEMPTS} attempts`);
  }
}

async function bootOnce(machine: Machine, directory: string): Promise<number | undefined> {
  const vms = await describeVms({ reboot: false }, "", logToStderr);
  const hypervisor = machine.backends().length > 0;
  const launch = planLaunch({
    vms,
    hypervisor,
    backend: "auto",
    logLevel: "warn",
    emulatorArgs: [],
    icount: true,
  });
  if (hypervisor) launch.image = (await buildImage()).elf;
  const running = await machine.launch({ ...launch, directory });
  running.log.resume();
  let text = "";
  let asked = false;
  running.console.on("data", (piece: Buffer) => {
    text += piece.toString("latin1");
    if (asked || !PROMPT.test(text)) return;
    asked = true;
    running.console.write(COMMAND);
  });
  const limit = setTimeout(() => running.kill(), TIMEOUT_MILLISECONDS);
  await running.exited;
  clearTimeout(limit);
  // proc(5), /proc/uptime: seconds since the start, seconds spent idle.
  const uptime = /^(\d+\.\d+) (\d+\.\d+)\s*$/m.exec(text);
  return uptime ? Number(uptime[1]) - Number(uptime[2]) : undefined;
}

const best = (values: number[]) => Math.min(...values);

export async function measureBoots(directory: string): Promise<Figure[]> {
  const ours: number[] = [];
  const bare: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(await bootSeconds(qemuTcg, directory));
    bare.push(await bootSeconds(qemuPlain, directory));
  }
  return [
    { name: "on Typevisor", value: best(ours), unit: "G instructions" },
    { name: "on the bare emulator", value: best(bare), unit: "G instructions" },
    { name: "ratio", value: best(ours) / best(bare), unit: "", budget: RATIO_BUDGET },
  ];
}

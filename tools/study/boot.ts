// `npm run study:boot`: which exits a Linux boot causes, in which phase, on both backends. Prints Markdown; with --write it
// goes into docs/exits-of-a-linux-boot.md. Each boot is recorded twice, to see how repeatable it is, and run once without
// recording, to see what recording costs.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ROOT } from "../lib/paths.ts";
import { runScript } from "../lib/script.ts";
import { UserError } from "../lib/user-error.ts";
import { MACHINES } from "../machines/select.ts";
import { compareBoots, type Likeness } from "./compare.ts";
import { type BootCounts, countBoot } from "./counts.ts";
import { replaceGenerated } from "./markdown.ts";
import { BACKENDS, type Backend, type Run, runGuest } from "./record.ts";
import { classTable, detailTable, phaseTable, reasonTable } from "./tables.ts";

const DOCUMENT = join(ROOT, "docs/exits-of-a-linux-boot.md");

interface Studied {
  backend: Backend;
  emulator: string;
  boot: BootCounts;
  likeness: Likeness;
  traced: Run;
  untraced: Run;
}

async function main(): Promise<void> {
  const { values: options } = parseArgs({ options: { write: { type: "boolean", default: false } } });
  const folder = mkdtempSync(join(tmpdir(), "typevisor-study-"));
  try {
    const studied: Studied[] = [];
    for (const backend of BACKENDS) studied.push(await study(backend, folder));
    const sections: [name: string, text: string][] = [
      ["comparison", comparison(studied)],
      ...studied.map((one): [string, string] => [one.backend.machine, section(one)]),
    ];
    if (options.write) {
      const document = readFileSync(DOCUMENT, "utf8");
      writeFileSync(
        DOCUMENT,
        sections.reduce((text, [name, part]) => replaceGenerated(text, name, part), document),
      );
      process.stderr.write(`${DOCUMENT} is written.\n`);
    } else process.stdout.write(`${sections.map(([, text]) => text).join("\n\n")}\n`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** `folder`: where traces may lie. */
async function study(backend: Backend, folder: string): Promise<Studied> {
  const paths = [0, 1].map((i) => join(folder, `${backend.machine}-${i}.trace`)) as [string, string];
  const probe = await MACHINES.find((machine) => machine.name === backend.machine)?.probe();
  if (probe?.available !== true) throw new UserError(`${backend.machine}: ${probe?.reason}`);
  tell(`${backend.machine}: recording …`);
  const traced = await runGuest(backend.machine, paths[0]);
  tell(`${backend.machine}: recording again …`);
  await runGuest(backend.machine, paths[1]);
  tell(`${backend.machine}: running without recording …`);
  const untraced = await runGuest(backend.machine);
  const counts = [await countBoot(paths[0]), await countBoot(paths[1])] as [BootCounts, BootCounts];
  const likeness = await compareBoots(paths, counts);
  return { backend, emulator: probe.reason, boot: counts[0], likeness, traced, untraced };
}

function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}

function comparison(studied: Studied[]): string {
  const columns = studied.map(({ backend, boot }) => ({
    heading: `${backend.heading} (${backend.emulator})`,
    boot,
  }));
  return classTable(columns);
}

function section(studied: Studied): string {
  const { boot, emulator, traced } = studied;
  const clock = (boot.start.tscHz / 1e6).toFixed(0);
  return [
    `${emulator}, Linux ${traced.kernelRelease}, TSC ${clock} MHz (one tick is one instruction).`,
    reasonTable(boot),
    phaseTable(boot),
    detailTable(boot),
    [repeatability(studied), cost(studied)].map((line) => `- ${line}`).join("\n"),
  ].join("\n\n");
}

function repeatability({ likeness, boot }: Studied): string {
  if (likeness.identical) {
    return `Repeatable: two recordings are the same file, byte for byte: all ${boot.exits} exits with their times.`;
  }
  return (
    `Repeatable up to exit ${likeness.prefix} of ${boot.exits}: until there two recordings agree in every register and ` +
    `time. Behind it, no count in the first table differs by more than ${likeness.difference}` +
    `${likeness.where === "" ? "" : ` (${likeness.where})`}.`
  );
}

function cost({ boot, traced, untraced }: Studied): string {
  const duration = boot.phases.reduce((sum, phase) => sum + phase.duration, 0);
  const share = ((100 * boot.overhead) / duration).toFixed(2);
  const slower = (100 * (traced.initStarted / untraced.initStarted - 1)).toFixed(2);
  return (
    `Cost of looking: recording took ${share} % of the run and is in none of the times above. By the guest's ` +
    `own clock \`/init\` started at ${traced.initStarted} s recorded and at ${untraced.initStarted} s unrecorded ` +
    `(${slower} %). ${boot.lost === 0 ? "No record" : `${boot.lost} records`} lost.`
  );
}

await runScript("study", main);

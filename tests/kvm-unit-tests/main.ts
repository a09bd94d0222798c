// `npm run test:kvm-unit-tests -- DIR`: the flats of a built tree of kvm-unit-tests, under the hypervisor and beside it on
// bare QEMU. See docs/kvm-unit-tests.md.
import { readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { buildImage } from "../../tools/image/build.ts";
import { runScript } from "../../tools/lib/script.ts";
import { UserError } from "../../tools/lib/user-error.ts";
import { wholeNumber } from "../../tools/lib/whole-number.ts";
import { bochs } from "../../tools/machines/bochs.ts";
import { qemuPlain } from "../../tools/machines/qemu-plain.ts";
import { qemuTcg } from "../../tools/machines/qemu-tcg.ts";
import { runFlat } from "./flat.ts";
import { compareRuns, type Run, summarize, type Verdict } from "./results.ts";

const MACHINES = [qemuTcg, bochs];
const USAGE = "npm run test:kvm-unit-tests -- DIR [--machine qemu-tcg|bochs] [--only NAME] [--seconds N]";
const DEFAULT_SECONDS = "60";

/** The flats of a built tree. @throws UserError that says how one is built. */
export function findFlats(directory: string, only?: string): string[] {
  const folder = join(resolve(directory), "x86");
  let names: string[] = [];
  try {
    names = readdirSync(folder).filter((name) => name.endsWith(".flat"));
  } catch {
    throw new UserError(
      `${folder} does not exist: ${directory} is no tree of kvm-unit-tests. docs/kvm-unit-tests.md says how to get one.`,
    );
  }
  if (names.length === 0) {
    throw new UserError(`${folder} holds no *.flat: run \`./configure && make\` in ${directory} first.`);
  }
  if (only !== undefined) names = names.filter((name) => name === `${basename(only, ".flat")}.flat`);
  if (names.length === 0) throw new UserError(`--only ${only}: ${folder} holds no such flat.`);
  return names.sort().map((name) => join(folder, name));
}

function findMachine(name: string) {
  const machine = MACHINES.find((known) => known.name === name);
  if (machine) return machine;
  const names = MACHINES.map((known) => known.name).join(" or ");
  throw new UserError(`--machine ${name}: the tests run on ${names}.`);
}

const word = (verdict: Verdict | undefined) => (verdict ?? "-").padEnd(4);

/** Prints one flat. @returns what ours fails and the bare emulator passes. */
function report(name: string, ours: Run, bare: Run): string[] {
  const { rows, worse } = compareRuns(ours, bare);
  console.log(`${name}\n  ours: ${summarize(ours)}\n  bare: ${summarize(bare)}`);
  for (const row of rows) {
    const mark = row.ours === "FAIL" && row.bare === "PASS" ? "!" : " ";
    console.log(`  ${mark} ${word(row.ours)} ${word(row.bare)} ${row.name}`);
  }
  return worse.map((what) => `${name}: ${what}`);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { machine: { type: "string" }, only: { type: "string" }, seconds: { type: "string" } },
  });
  const [directory, ...more] = positionals;
  if (directory === undefined || more.length > 0) throw new UserError(`Usage: ${USAGE}`);
  const machine = findMachine(values.machine ?? qemuTcg.name);
  const seconds = wholeNumber("--seconds", values.seconds ?? DEFAULT_SECONDS);
  const flats = findFlats(directory, values.only);
  const image = (await buildImage()).elf;
  const worse: string[] = [];
  let subtests = 0;
  console.log(
    `Columns: Typevisor on ${machine.name}, bare QEMU. "!": ours fails what the bare emulator passes.`,
  );
  for (const flat of flats) {
    const [ours, bare] = await Promise.all([
      runFlat({ flat, machine, image, seconds }),
      runFlat({ flat, machine: qemuPlain, seconds }),
    ]);
    subtests += ours.subtests.length;
    worse.push(...report(basename(flat, ".flat"), ours, bare));
  }
  for (const what of worse) console.log(`! ${what}`);
  console.log(
    `${flats.length} flats, ${subtests} subtests, ${worse.length} fail here and pass on bare QEMU.`,
  );
  if (worse.length > 0) process.exitCode = 1;
}

if (process.argv[1] === import.meta.filename) await runScript("test:kvm-unit-tests", main);

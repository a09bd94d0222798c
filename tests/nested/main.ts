// `npm run test:nested`: Typevisor under real nested KVM, on computers whose processors offer none to nest in.
import { parseArgs } from "node:util";
import { logToStderr } from "../../tools/lib/progress.ts";
import { runScript } from "../../tools/lib/script.ts";
import type { Verdict } from "./report.ts";
import { runNested } from "./run.ts";

function describe({ job, problem, said }: Verdict): string {
  if (problem === undefined) return `passed  ${job.name}`;
  const parts = Object.entries(said).map(([part, text]) => `--- ${part}\n${text.trimEnd().slice(-3000)}\n`);
  return `FAILED  ${job.name}: ${problem}\n${parts.join("")}`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { machine: { type: "string", default: "qemu-tcg" }, only: { type: "string", default: "" } },
  });
  const report = await runNested(values.machine, values.only, logToStderr, (verdict) =>
    console.log(describe(verdict)),
  );
  if (report.failure !== undefined) console.log(`FAILED  ${report.failure}`);
  const passed = report.verdicts.filter(({ problem }) => problem === undefined).length;
  const failed = report.jobs.length - passed;
  console.log(`${passed} passed, ${failed} failed`);
  if (failed !== 0) process.exitCode = 1;
}

await runScript("test:nested", main);

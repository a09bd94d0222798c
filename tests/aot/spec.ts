// Runs a directory of the official WebAssembly test suite through the code generator, natively on Linux:
//   npm run test:spec -- DIRECTORY [FILE...]
// Every command on a module that the compiler accepts must pass. Skipped commands are counted by reason.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { runScript } from "../../tools/lib/script.ts";
import { Script, type SpecCommand, Totals } from "./spec/script.ts";

function runFile(path: string, totals: Totals): void {
  const directory = mkdtempSync(join(tmpdir(), "typevisor-spec-"));
  try {
    const json = join(directory, "script.json");
    execFileSync("wast2json", ["--enable-threads", path, "-o", json], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    const { commands } = JSON.parse(readFileSync(json, "utf8")) as { commands: SpecCommand[] };
    new Script(basename(path), directory, totals).run(commands);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function main(): void {
  const [directory, ...only] = process.argv.slice(2);
  if (!directory) {
    console.error(
      "usage: npm run test:spec -- DIRECTORY [FILE...]   (a checkout of github.com/WebAssembly/testsuite)",
    );
    process.exit(2);
  }
  const totals = new Totals();
  const files = readdirSync(directory).filter(
    (f) => f.endsWith(".wast") && (!only.length || only.includes(f)),
  );
  if (!files.length) {
    console.error(`no .wast files in ${directory}`);
    process.exit(2);
  }
  for (const file of files.sort()) runFile(join(directory, file), totals);
  for (const failure of totals.failures) console.log(`FAIL ${failure}`);
  console.log(`${files.length} scripts, ${totals.modules} modules compiled and run`);
  console.log(`passed  ${totals.passed}`);
  for (const [reason, count] of [...totals.skipped].sort((a, b) => b[1] - a[1]))
    console.log(`skipped ${count}: ${reason}`);
  console.log(`failed  ${totals.failures.length}`);
  process.exitCode = totals.failures.length ? 1 : 0;
}

await runScript("spec", main);

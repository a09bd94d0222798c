// `npm run bench`: instructions per round trip through the hypervisor, boot figures, image size and memory, beside their
// budgets. QEMU counts instructions as time (`-icount shift=0,sleep=off`), so the figures are exact and repeatable.
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { assembleGuest, type GuestResult, PASSED, runKernel } from "../tests/guests/harness.ts";
import { buildImage } from "../tools/image/build.ts";
import { logToStderr } from "../tools/lib/progress.ts";
import { runScript } from "../tools/lib/script.ts";
import { qemuTcg } from "../tools/machines/qemu-tcg.ts";
import { measureBoots } from "./boot.ts";
import { type Figure, printFigures } from "./report.ts";

/** Words for people, and the budget in instructions, by the name that the bench guest has for what it measures. */
type Row = [name: string, words: string, budget: number];

/** Kinds of exits that are measured in a fresh guest, and again after other exits have filled all tables. */
const KINDS: Row[] = [
  ["cpuid", "CPUID", 160],
  ["hypercall", "hypercall", 180],
  ["rdmsr", "RDMSR", 180],
  ["wrmsr", "WRMSR", 180],
  ["in", "port IN", 250],
  ["out", "port OUT", 250],
  ["mmio-read", "MMIO read (local APIC)", 500],
  ["eoi-write", "EOI write", 500],
  ["timer-arm", "timer arm", 800],
];

const again = (prefix: string, words: string) =>
  KINDS.map((row): Row => [`${prefix}-${row[0]}`, `${row[1]}, ${words}`, row[2]]);

const ROUND_TRIPS: Row[] = [
  ...KINDS,
  ...again("crowded", "tables crowded"),
  ...again("paged", "4-level paging"),
  ["waiting-in", "port IN, an interrupt waits for its window", 250],
  ["wake-up", "self-IPI, HLT, handler, EOI", 3000],
  ["nested-fault", "nested page fault, first touch", 800],
  ["crowded-nested-fault", "nested page fault, first touch, tables crowded", 800],
];

/** Instructions that counting may add to an exit. */
const COUNTERS_BUDGET = 30;
const KIB = 1024;
const IMAGE_BUDGET_KIB = 384;
const MEMORY_BUDGET_KIB = 1024;
/** Nested boots under -icount stall now and then; a stalled one is tried again. */
const ATTEMPTS = 3;
const TIMEOUT_SECONDS = 120;

const GUEST_OPTIONS = {
  icount: true,
  memoryMiB: 96,
  hypervisorArgs: ["vm0.lazy=1"],
  timeout: TIMEOUT_SECONDS,
};

async function runBenchGuest(directory: string, defines?: Record<string, string>): Promise<GuestResult> {
  const kernel = await assembleGuest("exits", directory, import.meta.dirname);
  for (let attempt = 1; ; attempt++) {
    const run = mkdtempSync(join(directory, "run-"));
    const result = await runKernel(kernel, qemuTcg, run, { ...GUEST_OPTIONS, defines });
    if (result.reason === "debug-exit" && result.status === PASSED) return result;
    if (attempt === ATTEMPTS) throw new Error(`the bench guest failed:\n${result.output}\n${result.log}`);
  }
}

function roundTripFigures(output: string): Figure[] {
  const values = new Map(
    [...output.matchAll(/^bench (\S+) (\d+)/gm)].map((line) => [line[1], Number(line[2])]),
  );
  return ROUND_TRIPS.map(([name, words, budget]) => {
    const value = values.get(name);
    if (value === undefined) throw new Error(`the bench guest did not report ${name}:\n${output}`);
    return { name: words, value, unit: "instructions", budget };
  });
}

/** What the always-on counters are of a round trip, by an image that is compiled without them. */
async function counterFigure(directory: string, counted: Figure[]): Promise<Figure> {
  const uncounted = roundTripFigures((await runBenchGuest(directory, { UNCOUNTED: "1" })).output);
  const value = (counted[0] as Figure).value - (uncounted[0] as Figure).value;
  return { name: "of CPUID's: counters, both levels", value, unit: "instructions", budget: COUNTERS_BUDGET };
}

/** What the hypervisor's log says of itself: time to the first guest instruction, memory beside the guest's RAM. */
function logFigures(log: string): Figure[] {
  const figures: Figure[] = [];
  const ready = /ready (\d+) us after/.exec(log);
  if (ready)
    figures.push({
      name: "loader hand-over to first guest instruction",
      value: Number(ready[1]) / 1000,
      unit: "ms",
      budget: 20,
    });
  const memory = /memory beside the guests' RAM: (\d+) KiB/.exec(log);
  if (memory)
    figures.push({
      name: "memory beside guest RAM",
      value: Number(memory[1]),
      unit: "KiB",
      budget: MEMORY_BUDGET_KIB,
    });
  return figures;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { "no-boot": { type: "boolean", default: false } } });
  const directory = mkdtempSync(join(tmpdir(), "typevisor-bench-"));
  try {
    const { elf } = await buildImage({ log: logToStderr });
    const result = await runBenchGuest(directory);
    const trips = roundTripFigures(result.output);
    printFigures("Round trips", [...trips, await counterFigure(directory, trips)]);
    const size = {
      name: "image",
      value: Math.ceil(statSync(elf).size / KIB),
      unit: "KiB",
      budget: IMAGE_BUDGET_KIB,
    };
    printFigures("Size and start", [size, ...logFigures(result.log)]);
    if (!values["no-boot"]) printFigures("Debian boot to shell", await measureBoots(directory));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

await runScript("bench", main);

// `typevisor trace`: shows what `typevisor run --trace` has recorded.
import { Command, Option } from "commander";
import { wholeNumber } from "../lib/whole-number.ts";
import { EXIT_FAILED } from "../machines/status.ts";
import { analyse, describeGaps, type Selection, type TraceEnd, type View } from "../trace/analysis.ts";
import { EVENTS } from "../trace/events.ts";
import type { TraceError } from "../trace/frames.ts";
import { followTrace } from "../trace/live.ts";
import { perfettoView } from "../trace/perfetto.ts";
import { SORT_KEYS, type SortKey } from "../trace/statistics.ts";
import { Symbols } from "../trace/symbols.ts";
import { csvView, explainView, type FinishedView, logView, tableView } from "../trace/views.ts";

interface TraceOptions {
  event: string;
  key: SortKey;
  vm?: string;
  vcpu?: string;
  from?: string;
  limit?: string;
  log?: boolean;
  csv?: boolean;
  explain?: string;
  symbols?: string;
  perfetto?: string;
  html?: string;
  live?: boolean;
}

const HELP = `
Without --log, --csv, --explain … it prints the table of \`perf kvm stat report\`: how often the guest left for the
hypervisor and how long the hypervisor took each time, from the exit to the next entry.

Exit status: 0; ${EXIT_FAILED} when the file cannot be read to its end (what comes before is shown all the same).

Examples:
  typevisor run --exec true --trace boot.trace
  typevisor trace boot.trace
  typevisor trace boot.trace --event ioport --key time
  typevisor trace boot.trace --log --limit 100
  typevisor trace boot.trace --html boot.html
  typevisor trace boot.trace --explain 4711 --symbols System.map`;

export function traceCommand(): Command {
  return new Command("trace")
    .description("Show recorded exits: as a table, line by line, one in full, for other tools.")
    .argument("<file>", "what `typevisor run --trace` wrote")
    .addOption(new Option("--event <name>", "what to count").choices(Object.keys(EVENTS)).default("vmexit"))
    .addOption(new Option("--key <column>", "sort the table by").choices([...SORT_KEYS]).default("sample"))
    .option("--vm <n>", "only this VM")
    .option("--vcpu <n>", "only this virtual CPU")
    .option("--from <n>", "start with exit number N of the file (the first is 0)")
    .option("--limit <n>", "at most so many exits")
    .addOption(new Option("--log", "one line per exit").conflicts(["csv", "explain", "perfetto", "html"]))
    .addOption(
      new Option("--csv", "comma-separated values, one line per exit").conflicts([
        "explain",
        "perfetto",
        "html",
      ]),
    )
    .option("--explain <n>", "everything about exit number N")
    .option("--perfetto <file>", "write a timeline for ui.perfetto.dev or chrome://tracing")
    .option("--html <file>", "write a page with charts")
    .addOption(
      new Option("--live", "follow a trace that is being recorded, like top").conflicts([
        "log",
        "csv",
        "explain",
        "perfetto",
        "html",
      ]),
    )
    .option("--symbols <file>", "System.map or vmlinux of the guest: name addresses (guest with nokaslr)")
    .addHelpText("after", HELP)
    .action(async (file: string, options: TraceOptions) => {
      process.exitCode = await trace(file, options);
    });
}

async function trace(file: string, options: TraceOptions): Promise<number> {
  endQuietlyWithoutReader();
  if (options.live) return reportError(file, await followTrace(file));
  const selection = readSelection(options);
  const view = await chooseView(file, options, selection);
  const lines = options.log === true || options.csv === true;
  const end = await analyse(file, selection, view, (fraction) => showProgress(fraction, lines));
  clearProgress();
  await view.finish(end);
  return report(file, end);
}

async function chooseView(
  file: string,
  options: TraceOptions,
  selection: Selection,
): Promise<View & FinishedView> {
  const symbols = options.symbols === undefined ? undefined : Symbols.read(options.symbols);
  if (options.explain !== undefined) {
    selection.from = wholeNumber("--explain", options.explain);
    selection.limit = 1;
    return explainView(symbols);
  }
  if (options.log) return logView(symbols);
  if (options.csv) return csvView();
  if (options.perfetto !== undefined) return perfettoView(options.perfetto, symbols);
  if (options.html !== undefined) {
    const { htmlView } = await import("../trace/html/collect.ts");
    return htmlView(file, options.html, symbols);
  }
  return tableView(options.event, options.key, selection);
}

function readSelection(options: TraceOptions): Selection {
  return {
    vm: options.vm === undefined ? undefined : wholeNumber("--vm", options.vm),
    vcpu: options.vcpu === undefined ? undefined : wholeNumber("--vcpu", options.vcpu),
    from: options.from === undefined ? 0 : wholeNumber("--from", options.from),
    limit:
      options.limit === undefined
        ? Number.POSITIVE_INFINITY
        : Math.max(wholeNumber("--limit", options.limit), 1),
  };
}

function report(file: string, end: TraceEnd): number {
  for (const line of describeGaps(file, end)) process.stderr.write(`typevisor: ${line}\n`);
  return end.error === null ? 0 : EXIT_FAILED;
}

function reportError(file: string, error: TraceError | null): number {
  if (error === null) return 0;
  process.stderr.write(`typevisor: ${file}: ${error.message}.\n`);
  return EXIT_FAILED;
}

// --- the terminal -----------------------------------------------------------------------------------------------------------

let shownPercent = 0;

/** Progress of long files, unless the terminal shows the `lines` of a view meanwhile. */
function showProgress(fraction: number, lines: boolean): void {
  const percent = Math.floor(100 * fraction);
  const busy = lines && process.stdout.isTTY;
  if (!process.stderr.isTTY || busy || percent === shownPercent || percent === 100) return;
  shownPercent = percent;
  process.stderr.write(`\rreading ${percent}%`);
}

function clearProgress(): void {
  if (shownPercent > 0) process.stderr.write("\r\x1b[K");
}

/** `typevisor trace … | head` has had enough when head has. */
function endQuietlyWithoutReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
}

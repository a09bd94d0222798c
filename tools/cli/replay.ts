// `typevisor replay`: runs what `typevisor run --record` has recorded again, in Node.
import { Command, Option } from "commander";
import { UserError } from "../lib/user-error.ts";
import { EXIT_FAILED } from "../machines/status.ts";
import { StackTranslator } from "../replay/divergence.ts";
import { isVsCodeAttached, openInspector, stopAt } from "../replay/inspect.ts";
import { type DebugFormat, prepareModule, type ReplayModule } from "../replay/module.ts";
import { readRecording } from "../replay/reader.ts";
import { type Replayed, type ReplayWatcher, replay } from "../replay/replay.ts";
import { describeDivergence, ExitPrinter, type Range, summary } from "../replay/report.ts";
import { changedSources, placeSources, sourceFiles } from "../replay/sources.ts";

interface ReplayOptions {
  exit?: string;
  inspect?: string | true;
  debugInfo?: DebugFormat["format"];
  log?: boolean;
  from?: string;
  to?: string;
}

const HELP = `
The file holds the hypervisor's WebAssembly code, its state, and all that the processor told it. The code runs again in Node,
and everything it asks and writes is compared: it does the same again, or the first difference is reported.

With --inspect, attach VS Code, or open chrome://inspect in Chrome: the replay stops where the handling of exit N begins, in the
TypeScript sources. docs/replay.md shows it.

Exit status: 0; ${EXIT_FAILED} when something differs, or the file cannot be read to its end.

Examples:
  typevisor run --exec true --record boot.rec
  typevisor replay boot.rec
  typevisor replay boot.rec --log --from 100 --to 120
  typevisor replay boot.rec --exit 117
  typevisor replay boot.rec --exit 117 --inspect`;

export function replayCommand(): Command {
  return new Command("replay")
    .description("Run recorded exits again in Node: check them, list them, step through one in a debugger.")
    .argument("<file>", "what `typevisor run --record` wrote")
    .option("--exit <n>", "everything about exit number N; with --inspect, stop there")
    .option("--inspect [host:port]", "wait for a debugger (default: 127.0.0.1:9229) and stop at an exit")
    .addOption(
      new Option(
        "--debug-info <format>",
        "with --inspect: what the debugger reads (default: dwarf for VS Code, source-map for others)",
      ).choices(["dwarf", "source-map"]),
    )
    .option("--log", "one line per exit")
    .option("--from <n>", "with --log: start with exit number N")
    .option("--to <n>", "with --log: end with exit number N")
    .addHelpText("after", HELP)
    .action(async (file: string, options: ReplayOptions) => {
      process.exitCode = await replayFile(file, options);
    });
}

async function replayFile(file: string, options: ReplayOptions): Promise<number> {
  if (options.debugInfo !== undefined && options.inspect === undefined)
    throw new UserError("--debug-info says what a debugger reads: give --inspect too.");
  const recording = readRecording(file);
  const print = (line: string) => void process.stdout.write(`${line}\n`);
  const warn = (line: string) => void process.stderr.write(`typevisor: ${line}\n`);
  const source = recording.module;
  const changed = changedSources(source.map);
  if (changed.length > 0) {
    const build =
      recording.header.commit === undefined ? "other sources" : `commit ${recording.header.commit}`;
    warn(`${file} was recorded with ${build}: ${listed(changed)} differ from this checkout.`);
  }
  if (options.inspect !== undefined) openInspector(options.inspect === true ? undefined : options.inspect);
  const module = prepareModule(
    { ...source, map: placeSources(source.map) },
    debugFormat(options, source.map, warn),
  );
  const wanted = options.exit === undefined ? undefined : exitNumber(options.exit, "--exit");
  const watcher = new ExitPrinter(recording, rangeOf(options, wanted), wanted !== undefined, print);
  const replayed = await replay(recording, module, debugged(options, wanted, module, watcher));
  watcher.flush();
  const { divergence } = replayed;
  for (const line of summary(recording, replayed)) print(line);
  if (divergence !== undefined) {
    for (const line of describeDivergence(divergence, new StackTranslator(module.map).frames(divergence)))
      print(line);
  }
  if (recording.error !== undefined) warn(`${file}: ${recording.error.message}.`);
  checkReached(file, wanted, recording.windows[0]?.firstExit ?? 0, replayed);
  return divergence === undefined && recording.error === undefined ? 0 : EXIT_FAILED;
}

function listed(files: string[]): string {
  const shown = files.slice(0, 3).join(", ");
  return files.length > 3 ? `${shown} and ${files.length - 3} more files` : shown;
}

/** What the module tells debuggers of its sources. VS Code needs files on disk, and only DWARF leads it to them. */
function debugFormat(options: ReplayOptions, map: string, warn: (line: string) => void): DebugFormat {
  const format = options.debugInfo ?? (isVsCodeAttached() ? "dwarf" : "source-map");
  if (options.inspect === undefined || format === "source-map") return { format: "source-map" };
  const { pathOf, folder, written } = sourceFiles(map);
  if (written > 0)
    warn(`${written} sources that are not in this checkout as they were recorded are in ${folder}.`);
  return { format, pathOf };
}

/** With --inspect, the replay stops at an exit. */
function debugged(
  options: ReplayOptions,
  wanted: number | undefined,
  module: ReplayModule,
  watcher: ReplayWatcher,
): ReplayWatcher {
  return options.inspect === undefined ? watcher : stopAt(wanted, module, watcher);
}

function rangeOf(options: ReplayOptions, wanted: number | undefined): Range {
  if (wanted !== undefined) return { from: wanted, to: wanted };
  if (!options.log && options.from === undefined && options.to === undefined) return { from: 1, to: 0 };
  return {
    from: options.from === undefined ? 0 : exitNumber(options.from, "--from"),
    to: options.to === undefined ? Number.POSITIVE_INFINITY : exitNumber(options.to, "--to"),
  };
}

function exitNumber(text: string, option: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new UserError(`${option} ${text}: expected the number of an exit.`);
}

/** @throws UserError when the exit that was asked for is not in the recording. */
function checkReached(file: string, wanted: number | undefined, first: number, replayed: Replayed): void {
  if (wanted === undefined || (wanted >= first && wanted <= (replayed.open ?? first + replayed.exits - 1)))
    return;
  throw new UserError(
    `${file} has the exits ${first} to ${first + replayed.exits - 1}; exit ${wanted} is not among them.`,
  );
}

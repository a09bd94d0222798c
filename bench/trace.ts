// How fast a long trace is read: a million exits, made by the tests' encoder, through each view.
import { createWriteStream, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { writeLongTrace } from "../tests/trace/long.ts";
import { capture } from "../tools/lib/command.ts";
import { ROOT } from "../tools/lib/paths.ts";

const EXITS = 1_000_000;

const folder = mkdtempSync(join(tmpdir(), "trace-bench-"));
try {
  const path = join(folder, "long.trace");
  const output = createWriteStream(path);
  await writeLongTrace(
    EXITS,
    (frame) => output.write(frame) || new Promise<void>((go) => output.once("drain", () => go())),
  );
  output.end();
  await finished(output);
  const size = (statSync(path).size / 2 ** 20).toFixed(1);
  process.stdout.write(`${EXITS} exits, ${size} MiB\n`);
  const views = [
    ...[[], ["--event", "msr"], ["--log"], ["--csv"]],
    ["--html", join(folder, "page.html")],
    ["--perfetto", join(folder, "timeline.json")],
    ["--live"],
  ];
  for (const options of views) await measure(path, options);
} finally {
  rmSync(folder, { recursive: true });
}

/** Wall time and highest memory use of `typevisor trace` in a process of its own. */
async function measure(path: string, options: string[]): Promise<void> {
  const memory = "process.on('exit',()=>console.error('peak '+process.resourceUsage().maxRSS))";
  const preload = `data:text/javascript,${encodeURIComponent(memory)}`;
  const launcher = join(ROOT, "bin/typevisor.mjs");
  const command = [process.execPath, "--import", preload, launcher, "trace", path, ...options];
  const begin = performance.now();
  // --live wants a terminal, which script(1) makes.
  const [program, ...rest] = options.includes("--live")
    ? ["script", "-qec", command.map((word) => `'${word.replaceAll("'", "%27")}'`).join(" "), "/dev/null"]
    : command;
  const { stdout, stderr } = await capture(program as string, rest);
  const seconds = ((performance.now() - begin) / 1000).toFixed(2);
  const peak = Math.round(Number(/peak (\d+)/.exec(stderr + stdout.slice(-1000))?.[1]) / 1024);
  const view = options.length === 0 ? "table" : options.slice(0, 2).join(" ").replace(folder, "…");
  process.stdout.write(`${view.padEnd(24)} ${seconds} s, at most ${peak} MiB\n`);
}

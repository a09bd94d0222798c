// The HTML report: its numbers, and the page as a browser draws it.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { findProgram, mustRun } from "../../tools/lib/command.ts";
import { ReportCollector } from "../../tools/trace/html/collect.ts";
import { renderPage } from "../../tools/trace/html/render.ts";
import type { Report } from "../../tools/trace/html/report.ts";
import { TimeBins } from "../../tools/trace/html/timebins.ts";
import { eachRecord, stream, svmSample, temporary } from "./sample.ts";

/** `typevisor setup` installs Chromium; Ubuntu packages it in a way that keeps it from reading temporary files. */
const browser = findProgram("google-chrome") ?? findProgram("chromium") ?? "chromium";

async function report(): Promise<Report> {
  const collector = new ReportCollector();
  await eachRecord(stream(svmSample), (record, _index, start) => collector.add(record, start));
  const start = { tscHz: 1e9, tsc: 5000, backend: "svm", cpus: 1, vms: 1 } as const;
  const end = { start, exits: 6, shown: 6, lost: 0, filters: [], overhead: 7e6, complete: true, error: null };
  return collector.report("a <sample> & more", end, ["something is missing"]);
}

test("the numbers", async () => {
  const made = await report();
  expect(made.reasons.map(({ name, count }) => [name, count])).toEqual([
    ["io", 2],
    ["cpuid", 1],
    ["npf", 1],
    ["hlt", 1],
    ["msr", 1],
  ]);
  expect(made.duration).toBeCloseTo(1_062e-6, 12);
  expect(made.exitTime).toBeCloseTo(23e-6, 12);
  expect(made.haltTime).toBeCloseTo(1e-3, 12);
  expect(made.overheadTime).toBeCloseTo(7e-3, 12);
  for (const reason of made.reasons) {
    for (const spread of [reason.latency, reason.bins]) {
      expect(spread.reduce((sum, count) => sum + count, 0)).toBe(reason.count);
    }
  }
  // 2000 ns lie between 2^10.75 = 1722 ns and 2^11 = 2048 ns.
  expect(made.reasons[1]?.latency[43]).toBe(1);
  expect(made.phases.map(({ name, exits }) => [name, exits])).toEqual([
    ["Start", 1],
    ["Kernel", 3],
    ["Programs", 2],
  ]);
  expect(made.hotSpots.map(({ count }) => count)).toEqual([1, 1, 1, 1, 1, 1]);
});

test("bins of time grow with the trace and lose nothing", () => {
  const bins = new TimeBins();
  for (let i = 0; i < 5000; i++) bins.add(i % 2 === 0 ? "even" : "odd", i / 100);
  const sum = (row: number[]) => row.reduce((total, count) => total + count, 0);
  expect([sum(bins.row("even")), sum(bins.row("odd"))]).toEqual([2500, 2500]);
  expect(bins.width * bins.used).toBeGreaterThanOrEqual(49.99);
  expect(bins.used).toBeLessThanOrEqual(512);
  expect(bins.row("even").every((count) => Math.abs(count - 50 * bins.width) <= 1)).toBe(true);
});

describe("the page in a browser", () => {
  const page = async () => {
    const folder = temporary();
    const path = join(folder, "report.html");
    const html = await renderPage(await report());
    writeFileSync(path, html);
    const options = [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      `--user-data-dir=${join(folder, "profile")}`,
    ];
    const dom = await mustRun(browser, [...options, "--dump-dom", pathToFileURL(path).href]);
    return { html, dom };
  };

  test("is drawn: table rows, charts, warning; and loads nothing from elsewhere", async () => {
    const { html, dom } = await page();
    expect(dom).toContain('data-drawn="true"');
    expect(dom).toContain("<h1>a &lt;sample&gt; &amp; more</h1>");
    expect(dom).toContain("something is missing");
    for (const name of ["io", "cpuid", "npf", "hlt", "msr"]) expect(dom).toContain(`<td>${name}</td>`);
    // Two charts of uPlot and the heat map.
    expect(dom.match(/<canvas/g)).toHaveLength(3);
    expect(html).not.toMatch(/<(script|link|img)[^>]*(src|href)=/);
  }, 120_000);
});

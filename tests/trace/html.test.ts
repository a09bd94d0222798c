// The HTML report: its numbers, and the page as a browser draws it.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { EXIT_CPUID } from "../../kernel/abi/exits.ts";
import { RECORD_RIP } from "../../kernel/abi/trace.ts";
import { findProgram, mustRun } from "../../tools/lib/command.ts";
import { ReportCollector } from "../../tools/trace/html/collect.ts";
import { reasonColors } from "../../tools/trace/html/colors.ts";
import { renderPage } from "../../tools/trace/html/render.ts";
import type { Report } from "../../tools/trace/html/report.ts";
import { TimeBins } from "../../tools/trace/html/timebins.ts";
import { typevisor } from "../cli/cli.ts";
import { eachRecord, exitAt, stream, svmSample, temporary, traceFile } from "./sample.ts";

/** `typevisor setup` installs Chromium; Ubuntu packages it in a way that keeps it from reading temporary files. */
const browser = findProgram("google-chrome") ?? findProgram("chromium") ?? "chromium";

async function report(): Promise<Report> {
  const collector = new ReportCollector();
  await eachRecord(stream(svmSample), (record, _index, start) => collector.add(record, start));
  const start = { tscHz: 1e9, tsc: 5000, backend: "svm", cpus: 1, vms: 1 } as const;
  const end = {
    start,
    exits: 6,
    shown: 6,
    lost: 0,
    filters: [],
    overhead: 7e6,
    complete: true,
    cut: false,
    error: null,
  };
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

/** A page after its script has run, as HTML. */
async function drawn(path: string): Promise<string> {
  const options = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    `--user-data-dir=${join(temporary(), "profile")}`,
  ];
  return mustRun(browser, [...options, "--dump-dom", pathToFileURL(path).href]);
}

/** Measures the page in a frame. */
const MEASURE = `<script>onload = () => {
  const inner = frames[0].document;
  const all = (what) => [...inner.querySelectorAll(what)];
  const canvases = all("canvas").map((canvas) => {
    const box = canvas.getBoundingClientRect();
    return { points: canvas.width / devicePixelRatio, shown: Math.round(box.width), right: box.right };
  });
  document.body.dataset.found = JSON.stringify({
    view: inner.documentElement.clientWidth,
    page: inner.documentElement.scrollWidth,
    canvases,
    fonts: all("td, th, p, span").map((text) => parseFloat(getComputedStyle(text).fontSize)),
    colors: all("td.bar i").map((bar) => getComputedStyle(bar).backgroundColor),
  });
}</script>`;

test("what guests exit for most has one colour in every report, and no two reasons share one", () => {
  const io = reasonColors(["io"]).get("io");
  expect(reasonColors(["npf", "msr", "io"]).get("io")).toBe(io);
  expect(reasonColors(["EPT_VIOLATION", "IO_INSTRUCTION"]).get("IO_INSTRUCTION")).toBe(io);
  const names = [...Array.from({ length: 14 }, (_, i) => `other ${i}`), "hlt", "cpuid", "msr", "io"];
  expect(reasonColors(names).get("io")).toBe(io);
  expect(new Set(reasonColors(names).values()).size).toBe(names.length);
});

describe("the page in a browser", () => {
  test("is drawn: table rows, charts, warning; and loads nothing from elsewhere", async () => {
    const path = join(temporary(), "report.html");
    const html = await renderPage(await report());
    writeFileSync(path, html);
    const dom = await drawn(path);
    expect(dom).toContain('data-drawn="true"');
    expect(dom).toContain("<h1>a &lt;sample&gt; &amp; more</h1>");
    expect(dom).toContain("something is missing");
    for (const name of ["io", "cpuid", "npf", "hlt", "msr"])
      expect(dom).toContain(`<td class="wrap">${name}</td>`);
    // Two charts of uPlot and the heat map.
    expect(dom.match(/<canvas/g)).toHaveLength(3);
    expect(html).not.toMatch(/<(script|link|img)[^>]*(src|href)=/);
  }, 120_000);

  test("fits a window of 480 pixels: nothing beyond its edge, labels unscaled, a colour per reason", async () => {
    const made = await report();
    const [first] = made.reasons;
    if (first === undefined) throw new Error("no reason");
    for (const name of ["EXTERNAL_INTERRUPT", "a_reason_with_a_name_that_is_as_long_as_none", "x", "y"]) {
      made.reasons.push({ ...first, name });
    }
    for (const spot of made.hotSpots)
      spot.place = `a_function_of_a_long_name_in_a_module+0x123 (${spot.place})`;
    const path = join(temporary(), "narrow.html");
    // Browsers' windows have a least width; a frame has not.
    const page = (await renderPage(made)).replaceAll("&", "&amp;").replaceAll('"', "&quot;");
    writeFileSync(
      path,
      `<body><iframe style="width:480px;height:900px;border:0" srcdoc="${page}"></iframe>${MEASURE}`,
    );
    const found = /data-found="([^"]*)"/.exec(await drawn(path))?.[1]?.replaceAll("&quot;", '"') ?? "";
    const { view, page: wide, canvases, fonts, colors } = JSON.parse(found);
    expect(view).toBeLessThanOrEqual(480);
    expect(wide).toBe(view);
    expect(canvases).toHaveLength(3);
    for (const { points, shown, right } of canvases) {
      expect(points).toBe(shown);
      expect(right).toBeLessThanOrEqual(view);
    }
    expect(Math.min(...fonts)).toBeGreaterThanOrEqual(12);
    expect(new Set(colors).size).toBe(made.reasons.length);
  }, 120_000);

  /** Rows of the table of addresses: place, reason, exits and more. */
  const hotSpots = (dom: string) => {
    const section = /<h2>Where the guest exits<\/h2>.*?<\/table>/s.exec(dom)?.[0] ?? "";
    const rows = Array.from(section.matchAll(/<tr>(<td.*?)<\/tr>/gs), ([, row]) => row as string);
    return rows.map((row) => row.split(/<.*?>/).filter((text) => text !== ""));
  };
  const placesOf = (dom: string) => hotSpots(dom).flatMap(([place]) => place ?? []);

  test("names its hot spots by a System.map, and leaves others as they are", async () => {
    const folder = temporary();
    writeFileSync(
      join(folder, "System.map"),
      "ffffffff81000000 T start<kernel>\nffffffff81000020 t helper\n",
    );
    const output = join(folder, "page.html");
    const options = ["--html", output, "--symbols", join(folder, "System.map")];
    const { status } = await typevisor(["trace", traceFile(stream(svmSample)), ...options]);
    expect(status).toBe(0);
    const places = placesOf(await drawn(output));
    expect(places.toSorted()).toEqual(
      [
        "0x0",
        "0x1000",
        "0x401000",
        "helper (0xffffffff81000020)",
        "helper+0x10 (0xffffffff81000030)",
        "start&lt;kernel&gt;+0x10 (0xffffffff81000010)",
      ].toSorted(),
    );
  }, 120_000);

  test("names its hot spots by an ELF file, most exits first", async () => {
    const folder = temporary();
    const at = (name: string) => join(folder, name);
    writeFileSync(
      at("code.asm"),
      "bits 64\nglobal busy:function, idle:function\nidle: nop\nnop\nbusy: cpuid\nret\n",
    );
    await mustRun("nasm", ["-f", "elf64", "-o", at("code.o"), at("code.asm")]);
    await mustRun("ld", ["-Ttext", "0x400000", "-e", "idle", "-o", at("code"), at("code.o")]);
    const rips = [0x400002n, 0x400001n, 0x400002n, 0x400002n, 0x400001n, 0x7000_0000n];
    const records = rips.map((rip, i) =>
      exitAt(1000 * i, 500, { reason: 0x72, kind: EXIT_CPUID, words: { [RECORD_RIP]: rip } }),
    );
    const { status } = await typevisor([
      ...["trace", traceFile(stream(records)), "--html", at("page.html"), "--symbols", at("code")],
    ]);
    expect(status).toBe(0);
    const rows = hotSpots(await drawn(at("page.html")));
    expect(rows.map((cells) => cells.slice(0, 3))).toEqual([
      ["busy (0x400002)", "cpuid", "3"],
      ["idle+0x1 (0x400001)", "cpuid", "2"],
      ["0x70000000", "cpuid", "1"],
    ]);
  }, 120_000);

  test("has bare addresses without symbols", async () => {
    const output = join(temporary(), "page.html");
    await typevisor(["trace", traceFile(stream(svmSample)), "--html", output]);
    const places = placesOf(await drawn(output));
    expect(places).toHaveLength(6);
    for (const place of places) expect(place).toMatch(/^0x[0-9a-f]+$/);
  }, 120_000);
});

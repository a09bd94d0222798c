// The report page's script, bundled into it by render.ts: reads the embedded numbers and draws them.

import { latencyChart, rateChart } from "./charts.ts";
import { reasonColors } from "./colors.ts";
import { element, placed, row, seconds, share } from "./elements.ts";
import { heatMap } from "./heatmap.ts";
import type { Phase, Report } from "./report.ts";

const report = JSON.parse(document.getElementById("report")?.textContent ?? "{}") as Report;
const page = document.getElementById("page") as HTMLElement;
const colors = reasonColors(report.reasons.map(({ name }) => name));
const color = (name: string) => colors.get(name) as string;
const leftTitle = (text: string) => element("th", { className: "left" }, text);

function section(title: string, explanation: string, ...content: HTMLElement[]): void {
  page.append(element("h2", {}, title), element("p", {}, explanation), ...content);
}

function head(): void {
  page.append(
    element("h1", {}, report.title),
    element("p", {}, `Exits of a guest under Typevisor, on ${report.backend}.`),
    ...report.warnings.map((text) => element("p", { className: "warning" }, text)),
  );
  const guest = Math.max(report.duration - report.exitTime - report.haltTime, 0);
  const cards: [string, string][] = [
    [report.exits.toLocaleString("en"), "exits"],
    [seconds(report.duration), "from the first to the last"],
    [share(guest, report.duration), "in the guest (and in what the trace leaves out)"],
    [share(report.exitTime, report.duration), "in the hypervisor, handling exits"],
    [share(report.haltTime, report.duration), "waiting in HLT"],
    [seconds(report.overheadTime), "spent sending the trace, in no exit's time"],
  ];
  const list = cards.map(([number, words]) =>
    element("div", { className: "card" }, element("b", {}, number), element("span", {}, words)),
  );
  page.append(element("div", { className: "cards" }, ...list));
}

function reasons(): void {
  const most = Math.max(...report.reasons.map((reason) => reason.count), 1);
  const rows = report.reasons.map((reason) => {
    const bar = element("td", { className: "bar" }, element("i", {}));
    (bar.firstChild as HTMLElement).style.cssText =
      `--share:${(100 * reason.count) / most}%;background:${color(reason.name)}`;
    return row([
      element("td", { className: "wrap" }, reason.name),
      bar,
      reason.count.toLocaleString("en"),
      share(reason.count, report.exits),
      seconds(reason.time),
      share(reason.time, report.exitTime + report.haltTime),
      seconds(reason.time / reason.count),
    ]);
  });
  const titles = ["Exits", "of exits", "Time", "of time", "Average"];
  section(
    "Exits by reason",
    "Time is from the exit to the next entry. Names are those of Linux's kvm_exit event.",
    element("table", {}, row(["Reason", element("th", { className: "bar" }), ...titles], "th"), ...rows),
  );
}

function phases(): void {
  const cells = (phase: Phase) => [
    element("td", { title: phase.explanation }, phase.name),
    seconds(phase.from),
    seconds(phase.to - phase.from),
    phase.exits.toLocaleString("en"),
    share(phase.time, Math.max(phase.to - phase.from, 1e-12)),
    element(
      "td",
      { className: "left wrap" },
      phase.reasons.map(([name, count]) => `${name} ${count.toLocaleString("en")}`).join(", "),
    ),
  ];
  section(
    "Phases",
    `By where the code lies that exits. ${report.phases.map(({ name, explanation }) => `${name}: ${explanation}`).join(". ")}.`,
    element(
      "table",
      {},
      row(["Phase", "Begins at", "Lasts", "Exits", "In exits", leftTitle("Most frequent")], "th"),
      ...report.phases.map((phase) => row(cells(phase))),
    ),
  );
}

function hotSpots(): void {
  const rows = report.hotSpots.map((spot) =>
    row([
      element("td", { className: "wrap" }, element("code", {}, spot.place)),
      element("td", { className: "left" }, spot.reason),
      spot.count.toLocaleString("en"),
      share(spot.count, report.exits),
      seconds(spot.time),
      seconds(spot.time / spot.count),
    ]),
  );
  const dropped =
    report.hotSpotsDropped === 0
      ? ""
      : ` ${report.hotSpotsDropped} exits at further addresses are not counted.`;
  section(
    "Where the guest exits",
    `Guest addresses (RIP) with the most exits.${dropped}`,
    element(
      "table",
      {},
      row(["Address", leftTitle("Reason"), "Exits", "of exits", "Time", "Average"], "th"),
      ...rows,
    ),
  );
}

head();
if (report.exits > 0) {
  reasons();
  phases();
  section(
    "Exits over time",
    "Exits per second, by reason. Drag to zoom, double-click to see all.",
    rateChart(report, color),
  );
  section(
    "When each reason occurs",
    "One line per reason; the darker, the more exits in that moment, on a logarithmic scale.",
    heatMap(report, color),
  );
  section(
    "How long exits take",
    "Distribution: a point is the share of that reason's exits that took this long, up to a fifth more.",
    latencyChart(report, color),
  );
  hotSpots();
}
placed();
document.body.dataset.drawn = "true";
